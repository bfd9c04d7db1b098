"""chatsec.crypto beside the judging of keys: encodings, signatures, wraps, bundles, chain (protocol §2–§5)."""

import ast
import base64
import copy
import hashlib
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_private_key

from chatsec import crypto
from chatsec.errors import ChatSecError
from tests.support import der
from tests.unit.test_crypto_keys import KEYS

SIGNING = ("RSA-PSS-SHA256", "DSA-SHA256", "Ed25519")
B64U = crypto.b64u_encode


@cache
def private(alg: str, number: int = 0) -> Any:
    return load_der_private_key(crypto.b64u_decode(KEYS[number][alg]), None)


@cache
def public(alg: str, number: int = 0) -> bytes:
    return private(alg, number).public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def sign(alg: str, data: bytes, number: int = 0, salt: int = 32) -> bytes:
    key = private(alg, number)
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(data, padding.PSS(padding.MGF1(SHA256()), salt), SHA256())
    if isinstance(key, dsa.DSAPrivateKey):
        return key.sign(data, SHA256())
    assert isinstance(key, ed25519.Ed25519PrivateKey)
    return key.sign(data)


def bundle(
    version: int = 1, number: int = 0, algs: tuple[str, ...] = SIGNING, previous: Any = None
) -> dict[str, Any]:
    """A good bundle of alice; `previous` = (bundle before, its key set, the alg that links)."""
    before = crypto.bundle_hash("alice", previous[0]) if previous else ""
    kids = {crypto.kid(public(alg, number)): alg for alg in algs}
    statement = crypto.bundle_statement(
        "alice", version, before, crypto.kid(public("RSA-OAEP-256", number)), kids
    )
    made: dict[str, Any] = {
        "version": version,
        "previous": before,
        "encryption": {"alg": "RSA-OAEP-256", "spki": B64U(public("RSA-OAEP-256", number))},
        "signing": [{"alg": alg, "spki": B64U(public(alg, number))} for alg in algs],
        "proofs": {key_id: B64U(sign(alg, statement, number)) for key_id, alg in kids.items()},
        "continuity": None,
    }
    if previous:
        _, old, alg = previous
        made["continuity"] = {
            "kid": crypto.kid(public(alg, old)),
            "signature": B64U(sign(alg, statement, old)),
        }
    return made


def refused(made: dict[str, Any], previous: dict[str, Any] | None = None) -> str:
    with pytest.raises(ChatSecError) as caught:
        crypto.judge_bundle("alice", made, previous)
    return caught.value.code


# ---- encodings


@pytest.mark.parametrize("data", [b"", b"\x00", b"\xff\xfe", bytes(range(256))])
def test_b64u_gives_back_what_it_took(data: bytes) -> None:
    assert crypto.b64u_decode(crypto.b64u_encode(data)) == data


@pytest.mark.parametrize(
    "text",
    ["AA==", "A", "AB", "+/", "-_=", "A A", "AA\n", " AA", "AAé", "AAA=", "\u0661\u0661", "AA\x00", "__9"],
)
def test_b64u_is_strict(text: str) -> None:
    with pytest.raises(ChatSecError) as caught:
        crypto.b64u_decode(text, "iv")
    assert caught.value.code == "invalid"
    assert caught.value.extra["errors"][0]["field"] == "iv"


# ---- signatures and wraps


@pytest.mark.parametrize("alg", SIGNING)
def test_signatures(alg: str) -> None:
    good = sign(alg, b"data")
    assert crypto.verify(alg, public(alg), good, b"data")
    assert not crypto.verify(alg, public(alg), good, b"datb")
    assert not crypto.verify(alg, public(alg, 1), good, b"data")
    assert not crypto.verify(alg, public(alg), good + b"\x00", b"data")
    assert not crypto.verify(alg, public(alg), good[:-1], b"data")
    assert not crypto.verify(alg, public(alg), b"", b"data")
    for other in SIGNING:
        assert other == alg or not crypto.verify(other, public(alg), good, b"data")


@pytest.mark.parametrize("alg", SIGNING)
def test_every_flipped_byte_of_a_signature_fails(alg: str) -> None:
    good = sign(alg, b"data")
    for at in range(len(good)):
        flipped = good[:at] + bytes((good[at] ^ 1,)) + good[at + 1 :]
        assert not crypto.verify(alg, public(alg), flipped, b"data"), at


@pytest.mark.parametrize("salt", [0, 20, 31, 33])
def test_pss_wants_a_salt_of_32_bytes(salt: int) -> None:
    assert not crypto.verify(
        "RSA-PSS-SHA256", public("RSA-PSS-SHA256"), sign("RSA-PSS-SHA256", b"x", salt=salt), b"x"
    )


def test_pss_wants_the_modulus_length() -> None:
    """A signature that starts with a zero byte is not valid without it."""
    key, scheme = private("RSA-PSS-SHA256"), padding.PSS(padding.MGF1(SHA256()), 32)
    tries = iter(lambda: key.sign(b"data", scheme, SHA256()), None)  # the salt is random: one in 256 will do
    good = next(signature for signature in tries if signature[:1] == b"\x00")
    assert crypto.verify("RSA-PSS-SHA256", public("RSA-PSS-SHA256"), good, b"data")
    assert not crypto.verify("RSA-PSS-SHA256", public("RSA-PSS-SHA256"), good[1:], b"data")


def test_dsa_signatures_have_one_form() -> None:
    q = crypto.DSA_3072_256.q
    key = public("DSA-SHA256")
    r, s = decode_dss_signature(sign("DSA-SHA256", b"data"))
    assert crypto.verify("DSA-SHA256", key, encode_dss_signature(r, s), b"data")
    for bad in ((r, q - s), (r, s + q), (r + q, s), (0, s), (r, 0), (q, s), (r, q)):
        assert not crypto.verify("DSA-SHA256", key, encode_dss_signature(*bad), b"data")
    good = encode_dss_signature(r, s)
    negative = der.sequence(der.integer(-r), der.integer(s))
    assert not crypto.verify("DSA-SHA256", key, negative, b"data")
    assert not crypto.verify("DSA-SHA256", key, b"\x30\x81" + good[1:], b"data")
    assert not crypto.verify("DSA-SHA256", key, r.to_bytes(32, "big") + s.to_bytes(32, "big"), b"data")


def test_ed25519_refuses_s_plus_l() -> None:
    good = sign("Ed25519", b"data")
    order = 2**252 + 27742317777372353535851937790883648493
    raised = good[:32] + (int.from_bytes(good[32:], "little") + order).to_bytes(32, "little")
    assert not crypto.verify("Ed25519", public("Ed25519"), raised, b"data")


def test_verify_refuses_algorithms_that_do_not_sign() -> None:
    with pytest.raises(ChatSecError, match="unsupported_algorithm"):
        crypto.verify("RSA-OAEP-256", public("RSA-OAEP-256"), b"", b"")


def test_a_wrap_opens_under_its_label_only() -> None:
    label = crypto.wrap_label("c", 7)
    assert label == b"chatsec/wrap/v1\nc\n7\nserver"
    wrapped = crypto.wrap_key(public("RSA-OAEP-256"), b"k" * 32, label)
    scheme = padding.OAEP(padding.MGF1(SHA256()), SHA256(), label)
    assert private("RSA-OAEP-256").decrypt(wrapped, scheme) == b"k" * 32
    assert wrapped != crypto.wrap_key(public("RSA-OAEP-256"), b"k" * 32, label)
    with pytest.raises(ValueError):
        private("RSA-OAEP-256").decrypt(wrapped, padding.OAEP(padding.MGF1(SHA256()), SHA256(), b""))
    with pytest.raises(ChatSecError, match="malformed_key"):
        crypto.wrap_key(public("Ed25519"), b"k" * 32, label)


# ---- bundles


def test_a_first_bundle() -> None:
    made = bundle()
    judged = crypto.judge_bundle("alice", made, None)
    kids = ",".join(sorted(f"{alg}:{crypto.kid(public(alg))}" for alg in SIGNING))
    statement = f"chatsec/keys/v1\nalice\n1\n\n{crypto.kid(public('RSA-OAEP-256'))}\n{kids}".encode()
    digest = hashlib.sha256(statement).digest()
    assert (
        judged.hash
        == base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        == crypto.bundle_hash("alice", made)
    )
    assert (judged.version, judged.previous, judged.continuous) == (1, "", False)
    assert judged.signing[crypto.kid(public("Ed25519"))] == ("Ed25519", public("Ed25519"))
    assert (judged.encryption_kid, judged.encryption_spki) == (
        crypto.kid(public("RSA-OAEP-256")),
        public("RSA-OAEP-256"),
    )


@pytest.mark.parametrize("algs", [("Ed25519",), ("RSA-PSS-SHA256",), ("DSA-SHA256", "Ed25519")])
def test_fewer_signing_keys_are_enough(algs: tuple[str, ...]) -> None:
    assert len(crypto.judge_bundle("alice", bundle(algs=algs), None).signing) == len(algs)


def test_dsa_alone_or_nothing_is_not() -> None:
    assert refused(bundle(algs=("DSA-SHA256",))) == "invalid"
    assert refused(bundle(algs=())) == "invalid"


def test_no_key_in_two_places() -> None:
    twice = bundle()
    twice["signing"][1] = twice["signing"][0]
    assert refused(twice) == "weak_key"
    both = bundle(algs=("RSA-PSS-SHA256",))
    both["encryption"]["spki"] = both["signing"][0]["spki"]
    assert refused(both) == "weak_key"


def test_one_key_per_algorithm() -> None:
    made = bundle(algs=("Ed25519", "RSA-PSS-SHA256"))
    made["signing"].append({"alg": "Ed25519", "spki": B64U(public("Ed25519", 1))})
    assert refused(made) == "invalid"
    made["signing"] *= 50
    assert refused(made) == "invalid"


def test_proofs_by_exactly_the_signing_keys() -> None:
    good = bundle()
    for change in (
        lambda b: b["proofs"].pop(crypto.kid(public("DSA-SHA256"))),
        lambda b: b["proofs"].update({"x": "AA"}),
        lambda b: b["proofs"].update({crypto.kid(public("Ed25519")): B64U(sign("Ed25519", b"else"))}),
        lambda b: b["signing"].pop(),
        lambda b: b["encryption"].update({"spki": B64U(public("RSA-OAEP-256", 3))}),
    ):
        made = copy.deepcopy(good)
        change(made)
        assert refused(made) == "invalid_proof"
    with pytest.raises(ChatSecError, match="invalid_proof"):
        crypto.judge_bundle("alicia", good, None)


def test_keys_are_judged_before_proofs() -> None:
    made = bundle()
    made["proofs"] = {}
    made["signing"][1]["spki"] = B64U(b"\x30\x00")
    assert refused(made) == "malformed_key"
    made["signing"][1] = {"alg": "ECDSA", "spki": "AA"}
    assert refused(made) == "unsupported_algorithm"


@pytest.mark.parametrize("alg", ["RSA-PSS-SHA256", "Ed25519"])
def test_continuity(alg: str) -> None:
    first = bundle()
    second = bundle(2, 1, previous=(first, 0, alg))
    judged = crypto.judge_bundle("alice", second, first)
    assert (judged.version, judged.previous, judged.continuous) == (
        2,
        crypto.bundle_hash("alice", first),
        True,
    )


def test_a_reset_claims_no_link() -> None:
    first = bundle()
    assert not crypto.judge_bundle("alice", bundle(2, 1), first).continuous
    claimed = bundle(2, 1)
    claimed["continuity"] = bundle(2, 1, previous=(first, 0, "Ed25519"))["continuity"]
    assert refused(claimed, first) == "invalid_proof"


def test_broken_continuity() -> None:
    first = bundle()
    other = bundle(1, 2)
    good = bundle(2, 1, previous=(first, 0, "Ed25519"))
    assert refused(bundle(2, 1, previous=(first, 0, "DSA-SHA256")), first) == "invalid_proof"
    assert refused(good, other) == "invalid_proof"
    assert refused(bundle(2, 1, previous=(first, 1, "Ed25519")), first) == "invalid_proof"
    assert refused(good | {"continuity": None}, first) == "invalid_proof"
    wrong = good["continuity"] | {"signature": B64U(sign("Ed25519", b"else"))}
    assert refused(good | {"continuity": wrong}, first) == "invalid_proof"
    lone = bundle(1, 1, previous=(first, 0, "Ed25519"))
    assert refused(lone) == "invalid_proof"


def test_versions_run_without_gap() -> None:
    first = bundle()
    for version in (1, 3):
        with pytest.raises(ChatSecError) as caught:
            crypto.judge_bundle("alice", bundle(version, 1), first)
        assert caught.value.code == "keys_conflict"
        assert caught.value.extra == {"version": 1, "hash": crypto.bundle_hash("alice", first)}
    assert refused(bundle(2)) == "keys_conflict"


# ---- chain


def test_hashes_and_chain() -> None:
    envelope = hashlib.sha256(b"p.i.c.s").digest()
    assert crypto.envelope_hash("p", "i", "c", "s") == envelope
    event = hashlib.sha256(b"chatsec/event/v1\nC\nadd\nalice\nbob,carol\n2\n\n\n").digest()
    assert crypto.event_hash("C", "add", "alice", ["carol", "bob"], 2) == event
    named = hashlib.sha256(b"chatsec/event/v1\nC\nrekey\n\n\n3\nL\nS\nK").digest()
    assert crypto.event_hash("C", "rekey", "", [], 3, "L", "S", "K") == named
    first = crypto.chain_step(crypto.CHAIN_START, event)
    assert first == hashlib.sha256(b"chatsec/chain/v1\n" + bytes(32) + event).digest()
    assert crypto.chain_step(first, envelope) != crypto.chain_step(first, event)


# ---- what the package cannot do


def test_the_package_has_no_private_key_code() -> None:
    """No name of an opening, signing or private-key function of any library stands in the code."""
    forbidden = ("decrypt", "private", "sign", "aesgcm", "seal")
    for path in Path(crypto.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [node.attr] if isinstance(node, ast.Attribute) else []
            if isinstance(node, ast.ImportFrom | ast.Import):
                names += [alias.name for alias in node.names]
            for name in names:
                plain = name.lower().replace("signature", "").replace("signing", "")
                assert not any(word in plain for word in forbidden), f"{path.name}: {name}"
