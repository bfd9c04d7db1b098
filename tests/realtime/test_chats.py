"""`event`, `chat:removed`, `keys`: every change of a chat reaches the sockets it concerns, and a removal works at once
(protocol §4, §7, H5)."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.realtime.forge import forge
from tests.support import protocol as p
from tests.support.client import ApiError, LiveClient, User

Connect = Callable[[User], LiveClient]


def code_of(user: User, method: str, path: str, body: Any = None) -> tuple[int, str]:
    """(status, code) of a refused call."""
    with pytest.raises(ApiError) as caught:
        user.rest.call(method, path, body)
    return caught.value.status, caught.value.code


def roles(chat: dict[str, Any]) -> dict[str, str]:
    return {member["username"]: member["role"] for member in chat["members"]}


def test_a_new_chat_is_told_to_all_its_members(alice: User, bob: User, carol: User, connect: Connect) -> None:
    lives = {user.username: connect(user) for user in (alice, bob, carol)}
    chat = alice.create_chat("bob", "carol", name="three of us")
    wraps = set()
    for user in (alice, bob, carol):
        item = lives[user.username].event()
        assert item["event"] == {
            "kind": "create",
            "by": "alice",
            "usernames": ["alice", "bob", "carol"],
            "epoch": 1,
            "log": "",
            "share": "",
            "keys": "",
        }
        assert (item["seq"], item["before"]) == (1, p.b64u(p.CHAIN_START))
        assert item["chat"] == user.chat(chat)
        assert user.epoch_key(chat, item["chat"]["epoch"]) == alice.epoch_key(chat, alice.chat(chat)["epoch"])
        wraps.add(item["chat"]["epoch"]["wrapped"])
    assert len(wraps) == 3  # each sees their own
    assert roles(alice.chat(chat)) == {"alice": "owner", "bob": "member", "carol": "member"}
    alice.rest.call("DELETE", f"/chats/{chat}")
    for live in lives.values():
        assert live.next("chat:removed") == {"chat": chat}


def test_every_change_is_an_event_that_continues_the_chain(
    alice: User, bob: User, carol: User, chat: str, connect: Connect
) -> None:
    reader, live, own = bob.reader(chat), connect(bob), connect(alice)
    changes: list[tuple[dict[str, Any], dict[str, Any], int]] = [
        ({"kind": "rename", "name": "a name"}, {"usernames": []}, 1),
        ({"kind": "add", "usernames": ["carol"]}, {"usernames": ["carol"]}, 2),
        ({"kind": "role", "usernames": ["carol"], "role": "owner"}, {"usernames": ["carol"]}, 2),
        ({"kind": "rekey"}, {"usernames": []}, 3),
        ({"kind": "remove", "usernames": ["carol"]}, {"usernames": ["carol"]}, 4),
    ]
    for number, (request, expected, epoch) in enumerate(changes):
        answer = alice.rest.post(f"/chats/{chat}/events", request)
        item = live.event()
        event = {"kind": request["kind"], "by": "alice", "epoch": epoch, "log": "", "share": "", "keys": ""}
        assert (item["seq"], item["event"]) == (2 + 2 * number, event | expected)
        assert item["chat"] == bob.chat(chat)
        assert own.event()["chat"] == answer  # the sockets of who asked are told too
        reader.push(item)
        assert alice.send(chat, request["kind"], p.ED25519, own)["ok"]
        assert reader.push(live.message()).payload == {"type": "text", "body": request["kind"]}
    assert (reader.warnings, reader.failures()) == (set(), {})
    assert bob.chat(chat)["name"] == "a name"
    assert bob.reader(chat).chain == reader.chain


def test_a_removed_member_is_shut_out_at_once(
    alice: User, bob: User, carol: User, chat: str, connect: Connect
) -> None:
    """H5: socket, REST and keys are useless for this chat from the moment of the removal."""
    alice.change(chat, "add", usernames=["carol"])
    live, other = connect(carol), connect(bob)
    epoch = carol.chat(chat)["epoch"]
    alice.change(chat, "remove", usernames=["carol"])
    assert live.next("chat:removed") == {"chat": chat}
    removal = other.event()
    assert removal["event"]["kind"] == "remove"
    assert removal["chat"]["epoch"]["number"] == epoch["number"] + 1
    assert removal["chat"]["epoch"]["members"] == ["alice", "bob"]
    assert alice.send(chat, "without carol")["seq"] == 4
    other.message()
    assert bob.chat(chat)["last_seq"] == 4
    sent = live.call(
        "message:send", forge(carol, chat, epoch=epoch["number"] + 1, seen={"seq": 3, "hash": p.H(b"")})
    )
    assert sent["code"] == "not_found"
    for event, payload in (
        ("message:delivered", {"chat": chat, "seq": 2}),
        ("message:read", {"chat": chat, "seq": 2}),
        ("typing", {"chat": chat, "active": True}),
    ):
        assert live.call(event, payload)["code"] == "not_found", event
    assert chat not in live.call("sync", {"chats": {chat: 0}})["behind"]
    for path in ("", "/messages", "/epochs", "/keys", "/membership"):
        assert code_of(carol, "GET", f"/chats/{chat}{path}") == (404, "not_found"), path
    assert code_of(carol, "POST", f"/chats/{chat}/events", {"kind": "rekey"}) == (404, "not_found")
    assert chat not in {one["id"] for one in carol.rest.get("/chats", limit=200)["items"]}
    assert live.nothing("message", "event", "receipt", "typing")


def test_who_is_added_reads_from_there_on(
    alice: User, bob: User, carol: User, chat: str, connect: Connect
) -> None:
    alice.send(chat, "before carol")
    live = connect(carol)
    alice.change(chat, "add", usernames=["carol"])
    added = live.event()
    assert (added["seq"], added["chat"]["first_seq"]) == (3, 3)
    assert alice.send(chat, "with carol")["seq"] == 4
    reader = carol.reader(chat)
    assert (reader.texts(), reader.failures(), reader.warnings) == (["with carol"], {}, set())
    assert [item["seq"] for item in carol.history(chat, after=0)["items"]] == [3, 4]
    assert [item["seq"] for item in carol.history(chat, before=3)["items"]] == []
    assert [epoch["number"] for epoch in carol.rest.get(f"/chats/{chat}/epochs")["items"]] == [2]
    assert reader.items[0]["seq"] == 3
    # The one before is not hers: neither item nor epoch, by any page.
    assert all(epoch["number"] > 1 for epoch in carol.history(chat)["epochs"])


def test_who_leaves_is_out_and_their_other_devices_hear_of_it(
    alice: User, bob: User, chat: str, connect: Connect
) -> None:
    second = bob.log_in_again()
    live, other = connect(second), connect(alice)
    assert bob.change(chat, "leave") is None
    assert live.next("chat:removed") == {"chat": chat}
    left = other.event()
    assert (left["event"]["kind"], left["event"]["by"], left["event"]["usernames"]) == (
        "leave",
        "bob",
        ["bob"],
    )
    assert left["chat"]["epoch"]["members"] == ["alice"]
    assert code_of(bob, "GET", f"/chats/{chat}") == (404, "not_found")
    second.close()


def test_only_owners_change_members_roles_and_name(
    alice: User, bob: User, carol: User, chat: str, connect: Connect
) -> None:
    live = connect(alice)
    for request in (
        {"kind": "add", "usernames": ["carol"]},
        {"kind": "remove", "usernames": ["alice"]},
        {"kind": "role", "usernames": ["bob"], "role": "owner"},
        {"kind": "rename", "name": "mine"},
    ):
        assert code_of(bob, "POST", f"/chats/{chat}/events", request) == (403, "forbidden"), request
    assert code_of(bob, "DELETE", f"/chats/{chat}") == (403, "forbidden")
    assert code_of(alice, "POST", f"/chats/{chat}/events", {"kind": "leave"}) == (409, "last_owner")
    assert live.nothing("event")
    assert bob.change(chat, "rekey")["epoch"]["number"] == 2
    assert live.event()["event"]["kind"] == "rekey"


def test_a_new_bundle_is_told_and_opens_an_epoch(
    alice: User, bob: User, users: Callable[..., User], connect: Connect
) -> None:
    erin = users("erin", 5)
    chat = erin.create_chat("bob")
    reader, live, own, stranger = bob.reader(chat), connect(bob), connect(erin), connect(alice)
    answer = erin.rotate(p.pool(6))
    assert answer == {"version": 2, "hash": p.bundle_hash("erin", erin.bundle)}
    assert live.next("keys") == own.next("keys") == {"username": "erin", "version": 2}
    item = live.event()
    event = item["event"]
    assert (event["kind"], event["by"], event["usernames"], event["keys"]) == (
        "keys",
        "erin",
        ["erin"],
        answer["hash"],
    )
    assert erin.epoch_key(chat, own.event()["chat"]["epoch"])  # wrapped to the new key
    reader.people |= bob.people(chat)
    reader.push(item)
    erin.send(chat, "under new keys", live=own)
    judged = reader.push(live.message())
    assert (judged.failure, judged.warnings) == (None, [])
    assert stranger.nothing("keys", "event", "message")


def test_a_reset_is_told_like_any_bundle_and_marks_messages(
    bob: User, users: Callable[..., User], connect: Connect
) -> None:
    frank = users("frank", 7)
    chat = frank.create_chat("bob")
    pinned = bob.people(chat)["frank"].pin
    live = connect(bob)
    reader = bob.reader(chat)
    frank.rotate(p.pool(8), link=None)
    assert live.next("keys") == {"username": "frank", "version": 2}
    entry = next(item for item in bob.rest.get(f"/chats/{chat}/keys")["items"] if item["username"] == "frank")
    reader.people["frank"] = p.Person("frank", entry, pinned)
    reader.push(live.event())
    frank.send(chat, "really me")
    judged = reader.push(live.message())
    assert (judged.failure, judged.warnings, judged.payload) == (
        None,
        ["unconfirmed_key"],
        {"type": "text", "body": "really me"},
    )


def test_an_erased_chat_is_gone_for_everyone(alice: User, bob: User, connect: Connect) -> None:
    chat = alice.create_chat("bob")
    envelope = bob.seal(chat, "too late")
    live, own = connect(bob), connect(alice)
    alice.rest.call("DELETE", f"/chats/{chat}")
    assert live.next("chat:removed") == {"chat": chat}
    assert own.next("chat:removed") == {"chat": chat}
    assert live.call("message:send", envelope)["code"] == "not_found"
    assert code_of(bob, "GET", f"/chats/{chat}/messages") == (404, "not_found")
    assert code_of(alice, "DELETE", f"/chats/{chat}") == (404, "not_found")


def test_an_ended_account_leaves_by_an_event(
    alice: User, bob: User, users: Callable[..., User], connect: Connect
) -> None:
    grace = users("grace", 9)
    chat = alice.create_chat("bob", "grace")
    gone, live = connect(grace), connect(bob)
    reader = bob.reader(chat)
    grace.rest.call("POST", "/me/deletion", {"password": grace.secret})
    item = live.event()
    assert (item["event"]["kind"], item["event"]["by"], item["event"]["usernames"]) == (
        "ended",
        "",
        ["grace"],
    )
    assert item["chat"]["epoch"]["members"] == ["alice", "bob"]
    reader.push(item)
    assert (reader.warnings, reader.failures()) == (set(), {})
    assert gone.gone.wait(10)
    alice.rest.call("DELETE", f"/chats/{chat}")
