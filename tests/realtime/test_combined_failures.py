"""What a reader makes of a lying server, and of lying members, in a `combined` chat: each lie by its name, on the message or
on the chat, and nothing shown that is not so (protocol §4, §5; H2, H3, H4, H6)."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.realtime.lies import LIES, Told, resigned
from tests.support import protocol as p
from tests.support.client import User
from tests.support.signed import share_fields

Users = Callable[..., User]


@pytest.fixture(scope="module")
def stage(users: Users) -> dict[str, User]:
    return {name: users(name, number) for number, name in enumerate(("alice", "bob", "carol", "mallory"))}


@pytest.fixture(scope="module")
def honest(stage: dict[str, User]) -> Told:
    """The chat of `lies`, as the server tells it."""
    alice, bob, carol = stage["alice"], stage["bob"], stage["carol"]
    chat = alice.create_combined("bob", name="Team")
    lane, theirs = p.new_lane(), p.new_lane()

    def send(user: User, text: str, on: p.Lane) -> None:
        user.reader(chat)
        user.send(chat, text, p.ED25519, lane=on)

    send(alice, "one", lane)
    alice.signer(chat).add("carol")
    send(alice, "two", lane)
    alice.signer(chat).rename("Team of three")
    send(carol, "three", theirs)
    alice.signer(chat).remove("carol")
    send(alice, "four", lane)
    return Told(chat, bob.history(chat, after=0), bob.log(chat), bob.people(chat), [bob.keys])


@pytest.fixture
def told(honest: Told) -> Told:
    return copy.deepcopy(honest)


def test_the_truth(told: Told) -> None:
    reader = told.read()
    assert reader.texts() == ["one", "two", "three", "four"]
    assert (reader.failures(), reader.warnings) == ({}, set())
    assert [judged.warnings for judged in reader.judged.values()] == [[]] * 8


@pytest.mark.parametrize("name", LIES)
def test_what_a_lying_server_shows(told: Told, stage: dict[str, User], name: str) -> None:
    lie, must, may, failures = LIES[name]
    lie(told, stage)
    reader = told.read()
    assert must <= reader.warnings <= must | may, reader.warnings
    assert {seq: failed for seq, failed in reader.failures().items() if seq in failures} == failures
    true = {2: "one", 4: "two", 6: "three", 8: "four", 7: "four"}
    for seq, judged in reader.judged.items():
        assert judged.payload is None or judged.payload["body"] == true[seq]


@pytest.mark.parametrize(
    ("held", "shown", "name"),
    [(4, 4, None), (3, 4, None), (4, 3, "server_rollback"), (4, 0, "server_rollback")],
)
def test_a_log_that_went_back(told: Told, held: int, shown: int, name: str | None) -> None:
    reader = p.Reader(told.chat, told.keys, told.people, "combined", "bob")
    reader.learn_log(told.log[:held])
    reader.learn_log(told.log[:shown])
    assert reader.warnings == ({name} if name else set())
    assert reader.entries == told.log[: max(held, shown)]


def test_another_entry_than_was_held(told: Told, stage: dict[str, User]) -> None:
    reader = told.read()
    other = resigned(told, stage, 3, "alice", name="for somebody else")
    reader.learn_log([other, told.log[3]], 2)
    assert reader.warnings == {"history_fork"}
    assert reader.entries == told.log


@pytest.mark.parametrize(
    ("fields", "warnings"),
    [
        ({}, []),
        ({"log": ""}, ["history_fork"]),
        ({"log": p.H(b"?")}, ["history_fork"]),
        ({"seen": (1, p.H(b"?"))}, ["history_fork"]),
    ],
)
def test_what_a_member_says_of_the_log(
    stage: dict[str, User], fields: dict[str, Any], warnings: list[str]
) -> None:
    """Members so cross-check the log that the server shows to each."""
    alice, bob = stage["alice"], stage["bob"]
    chat = alice.create_combined("bob")
    seq = alice.post(alice.seal(chat, "hello", **fields))["seq"]
    reader = bob.reader(chat)
    assert (reader.judged[seq].warnings, reader.texts()) == (warnings, ["hello"])
    assert reader.warnings == set(warnings)


def test_the_log_that_an_author_has_seen_may_be_an_older_one(stage: dict[str, User]) -> None:
    alice, bob = stage["alice"], stage["bob"]
    chat = alice.create_combined("bob")
    sealed, log = alice.seal(chat, "before the new name"), alice.log(chat)
    alice.signer(chat).rename("new")
    alice.post(sealed)
    newer = p.signed_hash(bob.log(chat)[1])
    alice.post(alice.seal(chat, "a lie", log=newer))  # its seen is item 1, where entry 2 was not named
    reader = bob.reader(chat)
    assert p.read_header(sealed)["log"] == p.signed_hash(log[0])
    assert [reader.judged[seq].warnings for seq in (3, 4)] == [[], ["chain_fork", "history_fork"]]


def test_a_member_who_shares_another_secret_is_found_out(stage: dict[str, User]) -> None:
    """Wraps that do not fit the commitment: the server cannot know, and the member who was cheated says so."""
    alice, bob = stage["alice"], stage["bob"]
    chat = alice.create_combined("bob")
    alice.send(chat, "one")
    signer = alice.signer(chat)
    share = signer.share()
    recipients = {name: signer.recipient(name) for name in signer.members}
    assert signer.head is not None
    cheated, wraps, _ = share_fields(chat, 2, signer.head.hash, recipients)
    fields = json.loads(p.un64u(share["protected"]))
    fields["recipients"]["bob"] = cheated["recipients"]["bob"]
    share = signer.sign("share", fields) | {"wraps": share["wraps"] | {"bob": wraps["bob"]}}
    signer.post({"kind": "rekey", "client_share": share})
    alice.send(chat, "two")
    reader = bob.reader(chat)
    assert (reader.texts(), reader.failures()) == (["one"], {4: "undecryptable"})
    assert reader.warnings == {"wrong_recipient_key"}
    bob.signer(chat).rekey()  # who refuses a share posts a new one
    bob.send(chat, "three")
    reader = bob.reader(chat)
    assert (reader.texts(), reader.failures()) == (["one", "three"], {4: "undecryptable"})
    assert alice.reader(chat).texts() == ["one", "two", "three"]
