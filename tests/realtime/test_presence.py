"""Receipts, typing, presence and `sync` (protocol §7)."""

import uuid
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.client import WAIT, LiveClient, RawSocket, User

Connect = Callable[[User], LiveClient]


def refused(live: LiveClient, event: str, payload: Any) -> str:
    """The code of a refused event."""
    ack = live.call(event, payload)
    assert ack["ok"] is False and isinstance(ack["detail"], str)
    return str(ack["code"])


def until(live: LiveClient, username: str, status: str, timeout: float = WAIT) -> dict[str, Any]:
    """The next `presence` entry that says so; what is told meanwhile is read over."""
    while True:
        for entry in live.next("presence", timeout):
            if (entry["username"], entry["status"]) == (username, status):
                return entry


# ---- receipts


def test_receipts_reach_the_others_and_only_move_forward(
    alice: User, bob: User, chat: str, connect: Connect
) -> None:
    for text in ("2", "3", "4"):
        alice.send(chat, text)
    own, second, other = connect(bob), connect(bob), connect(alice)
    for event, seq, delivered, read in (
        ("message:delivered", 3, 3, 0),
        ("message:read", 2, 3, 2),
        ("message:read", 4, 4, 4),
    ):
        assert own.call(event, {"chat": chat, "seq": seq}) == {"ok": True}
        receipt = {"chat": chat, "username": "bob", "delivered": delivered, "read": read}
        told = other.next("receipt")
        assert told | {"delivered": delivered} == receipt  # whether reading delivers too is the server's word
        assert second.next("receipt") == told
        assert own.nothing("receipt")
    before = {name: alice.chat(chat)[name]["bob"] for name in ("read", "delivered")}
    assert before["read"] == 4
    for event in ("message:read", "message:delivered"):
        assert own.call(event, {"chat": chat, "seq": 1}) == {"ok": True}
        assert own.call(event, {"chat": chat, "seq": 10**9}) == {"ok": True}
    chat_now = alice.chat(chat)
    assert (chat_now["read"]["bob"], chat_now["delivered"]["bob"]) == (4, 4)  # at most the last seq


def test_marks_of_bad_form(alice: User, chat: str, connect: Connect) -> None:
    live = connect(alice)
    for event in ("message:delivered", "message:read"):
        for payload in (
            None,
            1,
            [],
            {},
            {"chat": chat},
            {"seq": 1},
            {"chat": chat, "seq": "1"},
            {"chat": chat, "seq": -1},
            {"chat": chat, "seq": 1.5},
            {"chat": chat, "seq": True},
            {"chat": chat, "seq": 2**53},
            {"chat": chat, "seq": None},
            {"chat": chat.upper(), "seq": 1},
            {"chat": {"$ne": ""}, "seq": 1},
        ):
            assert refused(live, event, payload) == "invalid", payload
        assert refused(live, event, {"chat": str(uuid.uuid4()), "seq": 1}) == "not_found"
        assert live.call(event, {"chat": chat, "seq": 1.0, "unknown": 1})["ok"]


def test_marks_of_a_stranger(alice: User, carol: User, chat: str, connect: Connect) -> None:
    live = connect(carol)
    for event in ("message:delivered", "message:read"):
        assert refused(live, event, {"chat": chat, "seq": 1}) == "not_found"
    assert "carol" not in alice.chat(chat)["read"]


# ---- typing


def test_typing_is_passed_on_and_not_back(
    alice: User, bob: User, carol: User, chat: str, connect: Connect
) -> None:
    own, other, stranger = connect(alice), connect(bob), connect(carol)
    for active in (True, False):
        assert own.call("typing", {"chat": chat, "active": active}) == {"ok": True}
        assert other.next("typing") == {"chat": chat, "username": "alice", "active": active}
    assert own.nothing("typing")
    assert refused(stranger, "typing", {"chat": chat, "active": True}) == "not_found"
    for payload in (
        {"chat": chat},
        {"chat": chat, "active": 1},
        {"chat": chat, "active": "true"},
        "typing",
        None,
    ):
        assert refused(own, "typing", payload) == "invalid", payload
    assert other.nothing("typing") and stranger.nothing("typing")


# ---- presence


def test_presence_follows_sockets_and_statuses(alice: User, bob: User, chat: str, connect: Connect) -> None:
    watcher = connect(alice)
    first, second = connect(bob), connect(bob)
    until(watcher, "bob", "online")
    assert first.call("presence:set", {"status": "away"}) == {"ok": True}
    until(watcher, "bob", "away")
    assert alice.rest.get("/users/bob")["status"] == "away"
    first.call("presence:set", {"status": "invisible"})
    until(watcher, "bob", "offline")
    assert alice.rest.get("/users/bob")["status"] == "offline"
    second.call("presence:set", {"status": "online"})
    until(watcher, "bob", "online")
    first.close()
    watcher.clear()
    assert alice.rest.get("/users/bob")["status"] == "online"  # another socket is left
    second.close()
    entry = until(watcher, "bob", "offline")
    assert entry["last_seen"].endswith("Z")


def test_the_list_on_connect_holds_who_is_here(
    alice: User, bob: User, carol: User, chat: str, connect: Connect
) -> None:
    connect(bob)
    connect(carol)
    live = LiveClient(alice.url, alice.token)
    try:
        names = {entry["username"] for entry in live.next("presence:list")}
        assert "bob" in names
        assert "carol" not in names  # they share no chat here
        assert live.call("presence:watch", {"directory": True}) == {"ok": True}
        assert {"bob", "carol"} <= {entry["username"] for entry in live.next("presence:list")}
        assert live.call("presence:watch", {"directory": False}) == {"ok": True}
        assert "carol" not in {entry["username"] for entry in live.next("presence:list")}
    finally:
        live.close()


def test_the_directory_is_told_of_strangers(alice: User, carol: User, connect: Connect) -> None:
    watcher, quiet = connect(alice), connect(alice)
    watcher.call("presence:watch", {"directory": True})
    live = connect(carol)
    until(watcher, "carol", "online")
    live.close()
    until(watcher, "carol", "offline")
    quiet.settle()
    told = [entry["username"] for changes in list(quiet.inbox["presence"].queue) for entry in changes]
    assert "carol" not in told


def test_who_crashes_is_gone_within_45_seconds(alice: User, bob: User, chat: str, connect: Connect) -> None:
    """R5: a client that is silent, its connection open, as after a power cut. It answers no ping."""
    watcher = connect(alice)
    silent = RawSocket(bob.url, bob.token)
    until(watcher, "bob", "online")
    until(watcher, "bob", "offline", timeout=45)
    silent.close()


@pytest.mark.parametrize(
    ("event", "payloads"),
    [
        ("presence:set", [None, "away", {}, {"status": "busy"}, {"status": None}, {"status": ["away"]}, []]),
        ("presence:watch", [None, True, {}, {"directory": 1}, {"directory": "true"}, {"directory": None}]),
        (
            "sync",
            [None, [], {}, {"chats": []}, {"chats": {"x": 1}}, {"chats": {str(uuid.UUID(int=1)): -1}}, "x"],
        ),
    ],
)
def test_presence_and_sync_of_bad_form(
    alice: User, connect: Connect, event: str, payloads: list[Any]
) -> None:
    live = connect(alice)
    for payload in payloads:
        assert refused(live, event, payload) == "invalid", payload


# ---- sync


def test_sync_names_what_a_client_lacks(alice: User, bob: User, chat: str, connect: Connect) -> None:
    """R4: after any absence `sync` and pages bring everything, in order, once."""
    reader = bob.reader(chat)
    other = alice.create_chat("bob")
    for number in range(5):
        alice.send(chat, f"missed {number}")
    alice.change(chat, "rekey")
    alice.send(chat, "after the rekey")
    live = connect(bob)
    behind = live.call("sync", {"chats": {chat: reader.last_seq}})["behind"]
    assert behind == {chat: 8, other: 1} | {k: v for k, v in behind.items() if k not in (chat, other)}
    while reader.last_seq < behind[chat]:
        reader.page(bob.history(chat, after=reader.last_seq, limit=3))
    assert reader.texts() == [*(f"missed {number}" for number in range(5)), "after the rekey"]
    assert (reader.failures(), reader.warnings) == ({}, set())
    behind = live.call("sync", {"chats": {chat: 8, other: 1}})["behind"]
    assert chat not in behind and other not in behind
    assert live.call("sync", {"chats": {str(uuid.uuid4()): 3, chat: 8}})["ok"]
    alice.rest.call("DELETE", f"/chats/{other}")
