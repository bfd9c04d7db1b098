"""Chats of key mode `combined` on the live server: every line of §4's table, told as it happened and judged by readers who
know the protocol only; the keys of both shares; who is shut out, and when (protocol §4, §6, §7; H3, H5)."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.realtime.forge import forge, problem
from tests.support import protocol as p
from tests.support.client import LiveClient, Signer, User

Connect = Callable[[User], LiveClient]
Users = Callable[..., User]
Json = dict[str, Any]


@pytest.fixture(scope="module")
def dave(users: Users) -> User:
    return users("dave", 3)


@pytest.fixture
def team(alice: User, bob: User, carol: User) -> str:
    """A chat of three, owned by alice."""
    return alice.create_combined("bob", "carol", name="Team")


def roles(chat: Json) -> dict[str, str]:
    return {member["username"]: member["role"] for member in chat["members"]}


def event(kind: str, by: str, usernames: list[str], epoch: int, body: Json) -> Json:
    """The event that a request becomes."""
    entry, share = body.get("membership"), body.get("client_share")
    hashes = {"log": (entry and p.signed_hash(entry)) or "", "share": (share and p.signed_hash(share)) or ""}
    return {"kind": kind, "by": by, "usernames": usernames, "epoch": epoch, "keys": ""} | hashes


def test_a_new_chat_is_told_to_all_each_with_their_own_wraps(
    alice: User, bob: User, carol: User, connect: Connect
) -> None:
    lives = {user.username: connect(user) for user in (alice, bob, carol)}
    signer = Signer(alice)
    body = signer.create_body("bob", "carol", name="Team", owners=["bob"])
    answer = alice.rest.request("POST", "/chats", body)
    assert (answer.status_code, answer.json()) == (201, alice.chat(signer.chat))
    share, wraps, keys = body["client_share"], body["client_share"]["wraps"], set()
    for user in (alice, bob, carol):
        item = lives[user.username].event()
        assert item["event"] == event("create", "alice", ["alice", "bob", "carol"], 1, body)
        assert (item["seq"], item["before"]) == (1, p.b64u(p.CHAIN_START))
        chat = item["chat"]
        assert chat == user.chat(signer.chat)
        mine = {"wrapped": wraps[user.username]}
        assert chat["epoch"]["client_share"] == mine | {
            name: share[name] for name in ("protected", "signature")
        }
        text = json.dumps([item, user.chat(signer.chat), user.history(signer.chat)])
        assert not any(wrap in text for name, wrap in wraps.items() if name != user.username)
        keys.add(user.epoch_key(signer.chat, chat["epoch"]))
        assert (chat["key_mode"], chat["name"], chat["share_due"]) == ("combined", "Team", False)
        assert chat["membership"] == {"n": 1, "hash": p.signed_hash(body["membership"])}
        assert roles(chat) == {"alice": "owner", "bob": "owner", "carol": "member"}
    assert len(keys) == 1
    (listed,) = [one for one in bob.rest.get("/chats", limit=200)["items"] if one["id"] == signer.chat]
    assert listed["epoch"] == {"number": 1, "opened_seq": 1}
    assert (listed["membership"], listed["share_due"]) == (chat["membership"], False)


def test_every_change_is_an_event_that_readers_follow(
    alice: User, bob: User, carol: User, dave: User, team: str, connect: Connect
) -> None:
    reader, live, own = bob.reader(team), connect(bob), connect(alice)
    changes: list[tuple[Callable[[Signer], Json], list[str], int]] = [
        (lambda signer: signer.rename_body("a name"), [], 1),
        (lambda signer: signer.add_body("dave"), ["dave"], 2),
        (lambda signer: signer.role_body("owner", "carol", "dave"), ["carol", "dave"], 2),
        (lambda signer: signer.body("rekey"), [], 3),
        (lambda signer: signer.role_body("member", "carol"), ["carol"], 3),
        (lambda signer: signer.remove_body("dave", "carol"), ["carol", "dave"], 4),
    ]
    for number, (make, usernames, epoch) in enumerate(changes):
        signer = alice.signer(team)
        body = make(signer)
        answer = signer.post(body)
        item = live.event()
        assert item["event"] == event(body["kind"], "alice", usernames, epoch, body)
        assert (item["seq"], item["chat"]) == (2 + 2 * number, bob.chat(team))
        assert own.event()["chat"] == answer == alice.chat(team)
        bob.hear(reader, item)
        assert alice.send(team, body["kind"], p.ED25519, own)["ok"]
        assert bob.hear(reader, live.message()).payload == {"type": "text", "body": body["kind"]}
    assert (reader.warnings, reader.failures()) == (set(), {})
    view = bob.chat(team)
    assert (view["name"], roles(view)) == ("a name", {"alice": "owner", "bob": "member"})
    assert view["membership"] == {"n": 6, "hash": reader.log()}
    assert bob.reader(team).chain == reader.chain
    assert bob.readers[team].texts() == reader.texts()
    assert (bob.readers[team].warnings, bob.readers[team].failures()) == (set(), {})


def test_who_is_added_may_have_any_role(alice: User, dave: User, team: str) -> None:
    added = alice.signer(team).add("dave", role="owner")
    assert roles(added)["dave"] == "owner"
    assert roles(dave.signer(team).remove("bob")) == {"alice": "owner", "carol": "member", "dave": "owner"}


def test_the_log_is_read_from_a_place_on(alice: User, bob: User, dave: User, team: str) -> None:
    for name in ("one", "two", None):
        alice.signer(team).rename(name)
    whole = bob.log(team)
    assert [p.read_entry(entry, team).n for entry in whole] == [1, 2, 3, 4]
    assert bob.log(team, 2) == whole[2:]
    assert bob.log(team, 4) == []
    path, first = f"/chats/{team}/membership", bob.rest.get(f"/chats/{team}/membership", limit=3)
    rest = bob.rest.get(path, limit=3, cursor=first["next"])
    assert (first["items"] + rest["items"], rest["next"]) == (whole, None)
    assert bob.chat(team)["name"] is None
    alice.signer(team).add("dave")
    assert dave.log(team)[:4] == whole  # who comes later judges all of it
    server_chat = alice.create_chat("bob")
    assert bob.log(server_chat) == []


def test_who_is_added_reads_from_there_on(
    alice: User, bob: User, dave: User, team: str, connect: Connect
) -> None:
    bob.send(team, "before dave")
    live = connect(dave)
    alice.signer(team).add("dave")
    added = live.event()
    assert (added["seq"], added["chat"]["first_seq"]) == (3, 3)
    alice.send(team, "with dave")
    reader = dave.reader(team)
    assert (reader.texts(), reader.failures(), reader.warnings) == (["with dave"], {}, set())
    assert [epoch["number"] for epoch in dave.rest.get(f"/chats/{team}/epochs")["items"]] == [2]
    assert [item["seq"] for item in dave.history(team, before=3)["items"]] == []
    dave.send(team, "thank you")
    assert bob.reader(team).texts() == ["before dave", "with dave", "thank you"]


def test_a_removed_member_is_shut_out_at_once(
    alice: User, bob: User, carol: User, team: str, connect: Connect
) -> None:
    """H5: also where they hold S_e's next epoch: without C of it nothing opens, and the server takes nothing of theirs."""
    known = carol.seal(team, "sent before")
    carol.post(known)
    late = carol.seal(team, "sealed before, sent after")
    former, live, other = carol.signer(team), connect(carol), connect(bob)
    alice.signer(team).remove("carol")
    assert live.next("chat:removed") == {"chat": team}
    assert other.event()["chat"]["epoch"]["members"] == ["alice", "bob"]
    assert alice.send(team, "without carol")["seq"] == 4
    assert live.call("message:send", late)["code"] == "not_found"
    assert live.call("message:send", forge(carol, team, epoch=2, seen={"seq": 3, "hash": p.H(b"")}))[
        "code"
    ] == ("not_found")
    again = live.call("message:send", known)
    assert (again["ok"], again["seq"], again["duplicate"]) == (True, 2, True)
    for path in ("", "/messages", "/epochs", "/keys", "/membership"):
        assert problem(carol.rest.get, f"/chats/{team}{path}")["code"] == "not_found", path
    for body in (former.body("rekey"), former.rename_body("still here"), former.remove_body("alice")):
        assert problem(former.post, body)["code"] == "not_found"
    assert live.nothing("message", "event", "receipt", "typing")
    assert bob.reader(team).texts() == ["sent before", "without carol"]


def test_who_leaves_signs_and_a_share_is_due(
    alice: User, bob: User, carol: User, team: str, connect: Connect
) -> None:
    second, live = bob.log_in_again(), connect(alice)
    gone, reader = connect(second), alice.reader(team)
    signer = bob.signer(team)
    body = signer.leave_body()
    assert signer.post(body) is None
    assert gone.next("chat:removed") == {"chat": team}
    left = live.event()
    assert left["event"] == event("leave", "bob", ["bob"], 1, body)
    assert (left["chat"]["share_due"], left["chat"]["epoch"]["number"]) == (True, 1)
    alice.hear(reader, left)
    sealed = alice.seal(team, "too soon")
    assert live.call("message:send", sealed)["code"] == "share_due"
    assert problem(alice.post, sealed)["code"] == "share_due"
    carol.signer(team).rekey()  # any member may
    item = live.event()
    assert (item["event"]["kind"], item["event"]["by"], item["chat"]["share_due"]) == (
        "rekey",
        "carol",
        False,
    )
    assert item["chat"]["epoch"]["members"] == ["alice", "carol"]
    alice.hear(reader, item)
    assert alice.send(team, "now")["seq"] == 4
    assert (reader.warnings, reader.failures(), carol.reader(team).texts()) == (set(), {}, ["now"])
    second.close()


def test_a_last_owner_who_leaves_makes_another(alice: User, bob: User, carol: User, team: str) -> None:
    alice.signer(team).leave("bob")
    assert roles(bob.chat(team)) == {"bob": "owner", "carol": "member"}
    bob.signer(team).rekey()
    bob.send(team, "hello")
    reader = carol.reader(team)
    assert (reader.texts(), reader.warnings) == (["hello"], set())


def test_who_cannot_sign_leaves_without_an_entry_and_is_retired(
    alice: User, bob: User, carol: User, team: str, connect: Connect
) -> None:
    """The share that is due comes with the entry that takes them out; no other share is taken before."""
    live, reader = connect(carol), carol.reader(team)
    assert bob.change(team, "leave") is None
    left = live.event()
    assert left["event"] == event("leave", "bob", ["bob"], 1, {})
    assert (left["chat"]["share_due"], left["chat"]["membership"]["n"]) == (True, 1)
    assert roles(left["chat"]) == {"alice": "owner", "carol": "member"}
    carol.hear(reader, left)
    assert reader.view.gone() == {"bob"}
    signer = alice.signer(team)
    for body in (signer.body("rekey"), signer.remove_body("carol"), signer.remove_body("bob")):
        conflict = problem(signer.post, body)
        assert (conflict["code"], conflict["moved"]) == ("epoch_conflict", ["bob"])
    body = carol.signer(team).retire_body()
    carol.signer(team).post(body)
    item = live.event()
    assert item["event"] == event("retire", "carol", ["bob"], 2, body)
    assert item["chat"]["share_due"] is False
    carol.hear(reader, item)
    carol.send(team, "done")
    carol.hear(reader, {**carol.history(team)["items"][-1], "before": p.b64u(reader.chain[3])})
    assert (reader.texts(), reader.failures(), reader.warnings) == (["done"], {}, set())
    assert alice.reader(team).texts() == ["done"]


def test_all_who_wait_are_retired_together(
    alice: User, bob: User, carol: User, dave: User, team: str
) -> None:
    alice.signer(team).add("dave")
    bob.change(team, "leave")
    carol.change(team, "leave")
    signer = dave.signer(team)
    conflict = problem(signer.post, signer.body("retire", ["bob"], signer.changed(bob=None)))
    assert (conflict["code"], conflict["moved"]) == ("epoch_conflict", ["carol"])
    assert (conflict["epoch"], conflict["membership"]) == (2, signer.view["membership"]["hash"])
    signer.retire()
    assert roles(alice.chat(team)) == {"alice": "owner", "dave": "member"}


def test_who_comes_back_reads_from_then_on(alice: User, bob: User, carol: User, team: str) -> None:
    """And is a member, not one who waits, though they left without an entry before."""
    alice.send(team, "one")
    carol.change(team, "leave")
    alice.signer(team).retire()
    alice.send(team, "two")
    alice.signer(team).add("carol")
    carol.send(team, "three")
    reader = carol.reader(team)
    assert (reader.texts(), reader.failures(), reader.warnings) == (["three"], {}, set())
    assert carol.chat(team)["first_seq"] == reader.items[0]["seq"] == 6
    assert [epoch["number"] for epoch in carol.rest.get(f"/chats/{team}/epochs")["items"]] == [3]
    assert bob.reader(team).texts() == ["one", "two", "three"]


def test_an_ended_account_is_retired(alice: User, bob: User, users: Users, connect: Connect) -> None:
    """Where no owner is left, who retires them becomes one."""
    erin = users("erin", 5)
    chat = erin.create_combined("alice", "bob")
    live, reader = connect(bob), bob.reader(chat)
    erin.rest.call("POST", "/me/deletion", {"password": erin.secret})
    item = live.event()
    assert item["event"] == event("ended", "", ["erin"], 1, {})
    assert item["chat"]["share_due"] is True
    assert roles(item["chat"]) == {"alice": "member", "bob": "member"}  # nobody is made owner by the server
    bob.hear(reader, item)
    assert problem(alice.post, alice.seal(chat, "too soon"))["code"] == "share_due"
    bob.signer(chat).retire()
    retired = live.event()
    assert roles(retired["chat"]) == {"alice": "member", "bob": "owner"}
    bob.hear(reader, retired)
    alice.send(chat, "without erin")
    assert (reader.warnings, bob.reader(chat).texts()) == (set(), ["without erin"])
    assert bob.readers[chat].warnings == set()


def test_the_last_to_leave_erases_the_chat(alice: User, bob: User, connect: Connect) -> None:
    chat = alice.create_combined("bob")
    bob.signer(chat).leave()
    live = connect(alice)
    alice.signer(chat).leave()
    assert live.next("chat:removed") == {"chat": chat}
    assert problem(alice.rest.get, f"/chats/{chat}")["code"] == "not_found"


def test_an_owner_erases_the_chat(alice: User, bob: User, team: str, connect: Connect) -> None:
    live = connect(bob)
    assert problem(bob.rest.call, "DELETE", f"/chats/{team}")["code"] == "forbidden"
    alice.rest.call("DELETE", f"/chats/{team}")
    assert live.next("chat:removed") == {"chat": team}
    assert problem(bob.rest.get, f"/chats/{team}/membership")["code"] == "not_found"
