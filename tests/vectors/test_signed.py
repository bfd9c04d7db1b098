"""Logs and shares that the JavaScript library made, judged by the reference client and read by the server."""

import json
from functools import cache
from typing import Any

from chatsec.domain import signed
from chatsec.domain.lines import line_of
from tests.support import membership as client
from tests.support import protocol as p
from tests.support.combined import stored
from tests.support.reader import Person
from tests.support.signed import Entry, epoch_key, read_entry, read_share
from tests.vectors.test_vectors import HERE, Case, all_cases, expect, outcome


@cache
def bundles() -> dict[str, list[Any]]:
    made: dict[str, list[Any]] = json.loads((HERE / "signed.json").read_text())["people"]
    return made


@cache
def person(name: str, version: int) -> Person:
    known = bundles()[name][:version]
    return Person(name, known[-1] | {"history": known[:-1]})


def persons(case: Case) -> dict[str, Person]:
    return {name: person(name, version) for name, version in case["versions"].items()}


def judge_log(case: Case) -> list[str]:
    before: Entry | None = None
    hashes = []
    for entry in case["entries"]:
        before = client.check_entry(entry, case["chat"], before, persons(case), None)
        hashes.append(before.hash)
    return hashes


def judge_share(case: Case) -> dict[str, str]:
    chat, epoch, name = case["chat"], case["epoch"], case["username"]
    entry = read_entry(case["entry"], chat)
    share = client.check_share(case["share"], chat, epoch, entry, persons(case))
    expect(share.hash == case["hash"])
    mine: dict[str, p.KeySet | None] = {
        share.recipients[name][0]: p.KeySet({p.WRAPPING: case["private_key"]})
    }
    secret = client.open_share(share, case["share"]["wraps"][name], chat, name, mine)
    key = epoch_key(p.un64u(case["server_secret"]), secret, chat, epoch, share.hash)
    return {"secret": p.b64u(secret), "epoch_key": p.b64u(key), "kc": p.commitment(key)}


@all_cases("signed")
def test_what_the_library_made(case: Case) -> None:
    judge = judge_log if case["kind"] == "log" else judge_share
    assert outcome(lambda: judge(case)) == case.get("failure", "")
    if case["valid"] and case["kind"] == "log":
        assert judge_log(case) == case["hashes"]
    elif case["valid"]:
        found = judge_share(case)
        assert found == {name: case[name] for name in found}


@all_cases("signed")
def test_the_server_reads_what_the_library_made(case: Case) -> None:
    if not case["valid"]:
        return
    chat = case["chat"]
    lines = {name: line_of(stored(name, bundle) for bundle in made) for name, made in bundles().items()}
    for entry, hashed in zip(case.get("entries", []), case.get("hashes", []), strict=True):
        by = read_entry(entry, chat).by
        assert signed.read_entry(entry, chat, by, lines[by]).hash == hashed
    if case["kind"] == "share":
        by = read_share(case["share"], chat).by
        assert signed.read_share(case["share"], chat, by, lines[by]).hash == case["hash"]
