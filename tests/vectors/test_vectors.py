"""Every vector file, made by either language, reproduced by tests.support; bundles and hashes by chatsec.crypto too.

A good vector must fail, by some name, as soon as any byte of it is flipped.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from chatsec import crypto
from chatsec.errors import ChatSecError
from tests.support import encoding
from tests.support import protocol as p
from tests.vectors import fixed, make

HERE = Path(__file__).parent
FILES = ("encodings", "kid", "bundle", "chain", "password", "backup", "envelope", "padding", "dsa", "wrap")
COMBINED = ("membership", "share", "combined", "safety", "signed")  # by test_combined.py, test_signed.py
KEPT = ("state", "recovery", "attachment")  # by test_kept.py
Case = dict[str, Any]


def load(name: str) -> list[Case]:
    """Cases of a file, which must be there."""
    content = json.loads((HERE / f"{name}.json").read_text())
    assert content["construction"] == name
    cases: list[Case] = content["cases"]
    return cases


def ids(case: Case) -> str:
    return ascii(case["name"])


def all_cases(name: str) -> Any:
    return pytest.mark.parametrize("case", load(name), ids=ids)


def good_cases(name: str) -> Any:
    return pytest.mark.parametrize("case", [case for case in load(name) if case["valid"]], ids=ids)


def outcome(work: Callable[[], Any]) -> str:
    """The failure's name, "" for none."""
    try:
        work()
    except p.Failure as failure:
        return failure.name
    except ChatSecError as error:
        return error.code
    return ""


def flips(text: str) -> Iterator[str]:
    """The b64u text with one bit of one byte changed, at every byte."""
    data = p.un64u(text)
    for at in range(len(data)):
        yield p.b64u(data[:at] + bytes((data[at] ^ 1 << at % 8,)) + data[at + 1 :])


def deep_flips(value: Any) -> Iterator[Any]:
    """A JSON value with one byte of one b64u text in it changed; other values are left alone."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from (value | {key: flipped} for flipped in deep_flips(inner))
    elif isinstance(value, list):
        for at, inner in enumerate(value):
            yield from ([*value[:at], flipped, *value[at + 1 :]] for flipped in deep_flips(inner))
    elif isinstance(value, str) and not outcome(lambda: p.un64u(value)):
        yield from flips(value)


def expect(condition: bool, failure: str = "mismatch") -> None:
    if not condition:
        raise p.Failure(failure)


def test_every_file_is_there_and_has_both_kinds() -> None:
    assert sorted(path.stem for path in HERE.glob("*.json")) == sorted((*FILES, *COMBINED, *KEPT))
    for name in (*FILES, *COMBINED, *KEPT):
        cases = load(name)
        assert {case["valid"] for case in cases} == {True, False}, name
        assert len({case["name"] for case in cases}) == len(cases), name


def test_the_python_made_files_are_what_their_generator_makes() -> None:
    for name, content in make.files().items():
        assert (HERE / name).read_text() == content, name


# ---- encodings


def judge_encoding(case: Case) -> None:
    kind = case["kind"]
    if kind == "b64u":
        expect(p.un64u(case["text"]).hex() == case.get("hex"))
    elif kind in ("object", "payload"):
        value = p.parse_object(p.un64u(case["bytes"]), lone="refuse" if kind == "object" else "replace")
        expect("value" not in case or value == case["value"])
    elif kind == "number":
        found = p.number(p.parse_object(b'{"x":%s}' % case["json"].encode())["x"])
        expect(found == case["number"] and isinstance(found, int))
    else:
        forms: dict[str, Callable[[str], Any]] = {
            "uuid": lambda text: encoding.text(text, p.UUID),
            "username": lambda text: encoding.text(text, p.USERNAME),
            "time": p.time,
            "hash": p.digest,
        }
        forms[kind](case["text"])


@all_cases("encodings")
def test_encodings(case: Case) -> None:
    assert outcome(lambda: judge_encoding(case)) == case.get("failure", "")
    if case["kind"] == "b64u":
        server = outcome(lambda: crypto.b64u_decode(case["text"]))
        assert server == ("" if case["valid"] else "invalid")


# ---- keys


def judge_kid(case: Case) -> None:
    spki = p.un64u(case["spki"])
    expect(crypto.kid(spki) == p.H(spki))
    expect(p.H(spki) == case["kid"], "unknown_key")


@all_cases("kid")
def test_kids(case: Case) -> None:
    assert outcome(lambda: judge_kid(case)) == case.get("failure", "")
    for flipped in flips(case["spki"]):
        assert outcome(lambda flipped=flipped: judge_kid(case | {"spki": flipped})) == "unknown_key"


def judge_bundle(case: Case, judge: Callable[..., Any] = p.judge_bundle) -> None:
    judged = judge(case["username"], case["bundle"], case["previous_bundle"])
    expect(getattr(judged, "continuous", judged) == case["continuous"])
    expect(p.b64u(p.bundle_statement(case["username"], case["bundle"])) == case["statement"])
    expect(p.bundle_hash(case["username"], case["bundle"]) == case["hash"])
    expect(crypto.bundle_hash(case["username"], case["bundle"]) == case["hash"])
    kids = {entry["alg"]: p.H(p.un64u(entry["spki"])) for entry in case["bundle"]["signing"]}
    expect(kids | {p.WRAPPING: p.H(p.un64u(case["bundle"]["encryption"]["spki"]))} == case["kids"])


@all_cases("bundle")
def test_bundles(case: Case) -> None:
    """ASVS 11.6.1."""
    if not case.get("server_only"):
        assert outcome(lambda: judge_bundle(case)) == case.get("failure", "")
    assert outcome(lambda: judge_bundle(case, crypto.judge_bundle)) == case.get("failure", "")


@good_cases("bundle")
def test_flipped_bundles(case: Case) -> None:
    for bundle in deep_flips(case["bundle"]):
        assert outcome(lambda bundle=bundle: judge_bundle(case | {"bundle": bundle})), bundle
    for name in ("statement", "hash"):
        for flipped in flips(case[name]):
            assert outcome(lambda name=name, flipped=flipped: expect(case[name] == flipped))


# ---- chain


def judge_chain(case: Case) -> None:
    if case["kind"] == "event":
        item = {"chat": case["chat"], "event": case["event"]}
        expect(p.event_hash(item) == case["hash"])
        expect(p.b64u(crypto.event_hash(case["chat"], **case["event"])) == case["hash"])
    elif case["kind"] == "chain":
        c = own = p.un64u(case["before"], 32)
        for hashed, expected in zip(case["hashes"], case["chain"], strict=True):
            c, own = p.chain_step(c, p.un64u(hashed, 32)), crypto.chain_step(own, p.un64u(hashed, 32))
            expect(p.b64u(c) == p.b64u(own) == expected)
    else:
        expect(p.chain(case["items"], p.un64u(case["before"], 32)) == p.un64u(case["end"]), "history_fork")
        for item in case["items"]:
            parts = [item.get(name) for name in ("protected", "iv", "ciphertext", "signature")]
            expect(None in parts or crypto.envelope_hash(*parts) == p.item_hash(item))


@all_cases("chain")
def test_chain(case: Case) -> None:
    assert outcome(lambda: judge_chain(case)) == case.get("failure", "")
    if case["valid"]:
        for name in {"before", "hashes", "chain", "end", "hash"} & set(case):
            for value in deep_flips(case[name]):
                unused = name == "before" and case.get("hashes") == []
                changed = outcome(lambda name=name, value=value: judge_chain(case | {name: value}))
                assert changed or unused, name


@good_cases("chain")
def test_flipped_items(case: Case) -> None:
    for at, item in enumerate(case.get("items", [])):
        for name in ("protected", "iv", "ciphertext", "signature"):
            for flipped in flips(item.get(name, "")):
                items = [*case["items"][:at], item | {name: flipped}, *case["items"][at + 1 :]]
                assert outcome(lambda items=items: judge_chain(case | {"items": items})) == "history_fork"


# ---- passwords and backups


def judge_password(case: Case) -> None:
    if not case.get("below_policy"):
        p.judge_kdf(case["kdf"])
    master = p.master(case["password"], case["kdf"])
    expect(p.b64u(master) == case["master"])
    expect((p.auth(master), p.b64u(p.password_key(master))) == (case["auth"], case["password_key"]))


@all_cases("password")
def test_passwords(case: Case) -> None:
    assert outcome(lambda: judge_password(case)) == case.get("failure", "")
    if case.get("below_policy"):
        assert outcome(lambda: p.judge_kdf(case["kdf"])) == "weak_kdf"
        for salt in flips(case["kdf"]["salt"]):
            assert outcome(lambda salt=salt: judge_password(case | {"kdf": case["kdf"] | {"salt": salt}}))


def judge_backup(case: Case) -> None:
    secret, contents = p.open_backup(case["username"], case["backup"], p.un64u(case["key"], 32), case["type"])
    expect((p.b64u(secret), contents) == (case["backup_key"], case["secrets"]))


@all_cases("backup")
def test_backups(case: Case) -> None:
    assert outcome(lambda: judge_backup(case)) == case.get("failure", "")
    if case["valid"]:
        own = [wrap for wrap in case["backup"]["wraps"] if wrap["type"] == case["type"]]
        changed = [{"wraps": wraps} for wraps in deep_flips(own)]
        changed += [{name: text} for name in ("iv", "ciphertext") for text in flips(case["backup"][name])]
        for change in changed:
            broken = case | {"backup": case["backup"] | change}
            assert outcome(lambda broken=broken: judge_backup(broken)) == "undecryptable"
        for key in flips(case["key"]):
            assert outcome(lambda key=key: judge_backup(case | {"key": key})) == "undecryptable"


# ---- messages


@all_cases("padding")
def test_padding(case: Case) -> None:
    if "length" in case:
        assert p.padme(case["length"]) == case["padded_length"]
        return
    padded = p.un64u(case["padded"])
    assert outcome(lambda: p.unpad(padded)) == case.get("failure", "")
    if case["valid"]:
        payload = p.un64u(case["payload"])
        assert (p.pad(payload), p.unpad(padded)) == (padded, payload)
        for flipped in map(p.un64u, flips(case["padded"])):
            assert outcome(lambda flipped=flipped: expect(p.unpad(flipped) == payload))


def judge_wrap(case: Case) -> None:
    keys = p.KeySet({p.WRAPPING: case["private_key"]})
    try:
        key = p.open_wrap(keys, case["wrapped"], case["chat"], case["epoch"])
    except ValueError as error:
        raise p.Failure("undecryptable") from error
    label = p.un64u(case["label"])
    expect(
        label == p.wrap_label(case["chat"], case["epoch"]) == crypto.wrap_label(case["chat"], case["epoch"])
    )
    expect((p.b64u(key), p.commitment(key)) == (case["epoch_key"], case["kc"]))


@all_cases("wrap")
def test_wraps(case: Case) -> None:
    assert outcome(lambda: judge_wrap(case)) == case.get("failure", "")
    if case["valid"]:
        keys = p.KeySet({p.WRAPPING: case["private_key"]})
        assert p.b64u(keys.spki(p.WRAPPING)) == case["spki"]
        for wrapped in flips(case["wrapped"]):
            assert outcome(lambda wrapped=wrapped: judge_wrap(case | {"wrapped": wrapped})) == "undecryptable"


def judge_dsa(case: Case) -> None:
    spki, signature, message = (p.un64u(case[name]) for name in ("spki", "signature", "message"))
    good = p.verify(case["alg"], spki, signature, message)
    expect(crypto.verify(case["alg"], spki, signature, message) == good)
    expect(good, "bad_signature")


@all_cases("dsa")
def test_dsa(case: Case) -> None:
    assert outcome(lambda: judge_dsa(case)) == case.get("failure", "")
    if case["valid"]:
        x = p.KeySet({p.DSA: case["private_key"]}).private(p.DSA).private_numbers().x
        assert p.b64u(fixed.dsa(x, p.un64u(case["message"]), p.un64u(case["extra"]))) == case["signature"]
        for name in ("signature", "message"):
            for flipped in flips(case[name]):
                broken = case | {name: flipped}
                assert outcome(lambda broken=broken: judge_dsa(broken)) == "bad_signature"


def judge_envelope(case: Case) -> bytes:
    """What a reader does with an envelope of the one key that it knows."""
    envelope = case["envelope"]
    header = p.read_header(envelope)
    expect(header["chat"] == case["chat"], "malformed")
    expect((header["alg"], header["kid"]) == (case["alg"], case["kid"]), "unknown_key")
    p.check_signature(envelope, header["alg"], p.un64u(case["spki"]))
    payload = p.open_envelope(envelope, p.un64u(case["epoch_key"]))
    expect(isinstance(p.parse_object(payload, lone="replace").get("type"), str), "malformed")
    return payload


@all_cases("envelope")
def test_envelopes(case: Case) -> None:
    assert outcome(lambda: judge_envelope(case)) == case.get("failure", "")


@good_cases("envelope")
def test_the_parts_of_good_envelopes(case: Case) -> None:
    envelope, payload = case["envelope"], p.un64u(case["payload"])
    ciphertext = p.un64u(envelope["ciphertext"])
    assert judge_envelope(case) == payload
    assert p.b64u(p.pad(payload)) == case["padded"]
    assert case["kc"] == p.commitment(p.un64u(case["epoch_key"]))
    assert envelope["protected"] == case["header"]
    assert p.b64u(envelope["protected"].encode()) == case["aad"]
    assert p.b64u(p.signing_input(envelope["protected"], envelope["iv"], ciphertext)) == case["signed"]
    assert p.envelope_hash(envelope) == case["hash"]
    parts = [envelope[name] for name in ("protected", "iv", "ciphertext", "signature")]
    assert p.b64u(crypto.envelope_hash(*parts)) == case["hash"]


@good_cases("envelope")
def test_flipped_envelopes(case: Case) -> None:
    for name in ("protected", "iv", "ciphertext", "signature"):
        for flipped in flips(case["envelope"][name]):
            broken = case | {"envelope": case["envelope"] | {name: flipped}}
            assert outcome(lambda broken=broken: judge_envelope(broken)), name
    for key in flips(case["epoch_key"]):
        assert outcome(lambda key=key: judge_envelope(case | {"epoch_key": key})) == "key_mismatch"
