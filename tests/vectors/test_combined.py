"""The vectors of `combined` chats, reproduced by the reference client and by the server's judges.

Any byte of a good one flipped must fail, by some name, in both.
"""

import json
from functools import cache
from typing import Any

from chatsec.domain import membership, shares, signed
from chatsec.domain.combined import Change, LogHead, ShareHead, State, log_head
from chatsec.domain.lines import Line, line_of
from tests.support import membership as client
from tests.support import protocol as p
from tests.support import safety
from tests.support.combined import stored
from tests.support.reader import Person
from tests.support.signed import (
    Share,
    commit,
    epoch_key,
    read_entry,
    read_share,
    share_label,
    signed_hash,
)
from tests.vectors.test_vectors import HERE, Case, all_cases, expect, flips, good_cases, load, outcome


@cache
def bundles() -> dict[str, list[Any]]:
    made: dict[str, list[Any]] = json.loads((HERE / "membership.json").read_text())["people"]
    return made


@cache
def person(name: str, version: int) -> Person:
    known = bundles()[name][:version]
    return Person(name, known[-1] | {"history": known[:-1]})


@cache
def line(name: str, version: int) -> Line:
    return line_of(stored(name, bundle) for bundle in bundles()[name][:version])


def persons(case: Case) -> dict[str, Person]:
    return {name: person(name, version) for name, version in case["versions"].items()}


def lines(case: Case) -> dict[str, Line]:
    return {name: line(name, version) for name, version in case["versions"].items()}


def last_share(case: Case) -> Share | None:
    recipients = {name: (keys, "") for name, keys in case["last_share"].items()}
    return Share("", "", "", "", "", 1, "", "", recipients, frozenset()) if recipients else None


def test_both_files_have_the_same_people() -> None:
    assert json.loads((HERE / "share.json").read_text())["people"] == bundles()


# ---- entries


def client_entry(case: Case) -> None:
    before = read_entry(case["previous"], case["chat"]) if case["previous"] else None
    waiting = frozenset(case["waiting"])
    entry = client.check_entry(case["entry"], case["chat"], before, persons(case), waiting, last_share(case))
    event = case["event"]
    same = (entry.op, entry.by, client.changed(before, entry)) == (
        event["kind"],
        event["by"],
        set(event["usernames"]),
    )
    expect(same, "invalid_membership")
    expect(signed_hash(case["entry"]) == entry.hash == case["hash"])


@cache
def head(previous: str, chat: str, by: str, versions: int) -> LogHead:
    entry = signed.read_entry(json.loads(previous), chat, by, line(by, versions))
    return log_head(entry)


def head_of(entry: Any, chat: str) -> LogHead:
    by = read_entry(entry, chat).by
    return head(json.dumps(entry), chat, by, len(bundles()[by]))


def server_entry(case: Case) -> None:
    chat, event = case["chat"], case["event"]
    log = head_of(case["previous"], chat) if case["previous"] else LogHead(0, "", None, {})
    excluded = frozenset(log.members) - set(case["last_share"])
    state = State(
        1 if log.n else 0,
        frozenset(log.members) - set(case["waiting"]),
        log,
        ShareHead("", case["last_share"], excluded),
    )
    entry = signed.read_entry(case["entry"], chat, event["by"], lines(case)[event["by"]])
    change = Change(event["kind"], event["by"], frozenset(event["usernames"]), entry, name=entry.name)
    refused = membership.judge_entry(state, change, entry, lines(case))
    if refused:
        raise refused
    expect(entry.hash == case["hash"])


@all_cases("membership")
def test_entries(case: Case) -> None:
    client_name = "" if case.get("server_only") else case.get("failure", "")
    assert outcome(lambda: client_entry(case)) == client_name
    assert outcome(lambda: server_entry(case)) == case.get("code", "")


@good_cases("membership")
def test_flipped_entries(case: Case) -> None:
    for name in ("protected", "signature"):
        for flipped in flips(case["entry"][name]):
            broken = case | {"entry": case["entry"] | {name: flipped}}
            assert outcome(lambda broken=broken: client_entry(broken)) == "invalid_membership"
            assert outcome(lambda broken=broken: server_entry(broken)), name
    for flipped in flips(case["hash"]):
        assert outcome(lambda flipped=flipped: client_entry(case | {"hash": flipped})) == "mismatch"


# ---- shares


def client_share(case: Case) -> None:
    chat, entry = case["chat"], read_entry(case["entry"], case["chat"])
    share = client.check_share(case["share"], chat, case["epoch"], entry, persons(case), last_share(case))
    expect(share.by == case["by"], "bad_share")
    expect(share.hash == case["hash"])


def server_share(case: Case) -> None:
    log = head_of(case["entry"], case["chat"])
    held = ShareHead("", case["last_share"], frozenset())
    share = signed.read_share(case["share"], case["chat"], case["by"], lines(case)[case["by"]])
    state = State(case["epoch"] - 1, frozenset(log.members), log, held)
    refused = shares.judge_share(state, Change("rekey", case["by"], share=share), share, lines(case))
    if refused:
        raise refused
    expect(share.hash == case["hash"])


@all_cases("share")
def test_shares(case: Case) -> None:
    client_name = "" if case.get("server_only") else case.get("failure", "")
    assert outcome(lambda: client_share(case)) == client_name
    assert outcome(lambda: server_share(case)) == case.get("code", "")


@good_cases("share")
def test_flipped_shares(case: Case) -> None:
    for name in ("protected", "signature"):
        for flipped in flips(case["share"][name]):
            broken = case | {"share": case["share"] | {name: flipped}}
            assert outcome(lambda broken=broken: client_share(broken)) == "bad_share"
            assert outcome(lambda broken=broken: server_share(broken)), name
    for who, wrap in case["share"]["wraps"].items():
        for flipped in flips(wrap):
            wraps = case["share"]["wraps"] | {who: flipped}
            broken = case | {"share": case["share"] | {"wraps": wraps}}
            assert outcome(lambda broken=broken: server_share(broken)) == "invalid_share"


# ---- epoch keys


def judge_epoch(case: Case) -> dict[str, str]:
    share = read_share(case["share"], case["chat"])
    expect(share.hash == case["hash"])
    keys = p.KeySet({p.WRAPPING: case["private_key"]})
    mine: dict[str, p.KeySet | None] = {case["keys"]: keys}
    secret = client.open_share(share, case["wrapped"], case["chat"], case["username"], mine)
    key = epoch_key(p.un64u(case["server_secret"]), secret, case["chat"], case["epoch"], share.hash)
    return {
        "label": p.b64u(share_label(case["chat"], case["epoch"])),
        "secret": p.b64u(secret),
        "commit": commit(case["chat"], case["epoch"], secret),
        "epoch_key": p.b64u(key),
        "kc": p.commitment(key),
    }


@all_cases("combined")
def test_epoch_keys(case: Case) -> None:
    assert outcome(lambda: judge_epoch(case)) == case.get("failure", "")
    if case["valid"]:
        found = judge_epoch(case)
        assert found == {name: case[name] for name in found}
        for wrapped in flips(case["wrapped"]):
            assert outcome(lambda wrapped=wrapped: judge_epoch(case | {"wrapped": wrapped})) == "bad_share"
        for server in flips(case["server_secret"]):
            other = judge_epoch(case | {"server_secret": server})
            assert (other["epoch_key"], other["kc"]) != (case["epoch_key"], case["kc"])


# ---- safety numbers


def judge_safety(case: Case) -> bool:
    one, other = ((user["username"], p.un64u(user["statement"])) for user in case["users"])
    expect(
        [safety.fingerprint(*one), safety.fingerprint(*other)]
        == [user["fingerprint"] for user in case["users"]]
    )
    expect(safety.safety_number(one, other) == safety.safety_number(other, one) == case["number"])
    return safety.read_qr(case["scanned"]) == case["number"]


@all_cases("safety")
def test_safety_numbers(case: Case) -> None:
    assert outcome(lambda: judge_safety(case)) == case.get("failure", "")
    if case["valid"]:
        assert judge_safety(case) == case["matches"]
        assert (safety.qr_text(case["number"]) == case["scanned"]) == case["matches"]


def test_a_statement_with_any_byte_flipped_is_another_fingerprint() -> None:
    user = load("safety")[0]["users"][0]
    for statement in list(flips(user["statement"]))[::8]:
        assert safety.fingerprint(user["username"], p.un64u(statement)) != user["fingerprint"]
