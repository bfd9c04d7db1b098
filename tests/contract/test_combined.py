"""`combined` chats: entries and shares lie with their items or not at all, and judge who is in, who sends, and by which keys."""

from __future__ import annotations

from dataclasses import replace

import orjson
import pytest

from chatsec.domain.models import Appended, ClientShare, NewEpoch, NewEvent
from chatsec.domain.ports import Storage
from chatsec.errors import ChatSecError
from tests.contract.conftest import Adapter
from tests.contract.signers import Signers
from tests.contract.world import new_id
from tests.support.keys import ED25519

CHAT = new_id(1)


@pytest.fixture
def world(storage: Storage) -> Signers:
    """Alice, Bob, Carol and Dave; a chat of the first three, which is Alice's."""
    made = Signers(storage).join("alice", "bob", "carol", "dave")
    made.chat("alice", "bob", "carol", number=1, name="Team")
    return made


def refused(world: Signers, event: NewEvent) -> ChatSecError:
    (result,) = world.append(event)
    assert isinstance(result, ChatSecError), result
    return result


def code(world: Signers, sender: str, **fields: object) -> str | None:
    """What a message is refused with."""
    (result,) = world.append(world.message(CHAT, sender, **fields))
    return result.code if isinstance(result, ChatSecError) else None


def named(world: Signers, seq: int) -> dict[str, object]:
    """The event of an item."""
    found: dict[str, object] = orjson.loads(b"{" + world.items(CHAT)[seq - 1].body + b"}")["event"]
    return found


def test_what_lies_there_after_a_creation(world: Signers, storage: Storage) -> None:
    chats, head = storage.chats, world.head(CHAT)
    assert head is not None and head.combined is not None
    (entry,) = chats.membership(CHAT, 0, 9)
    log, share = head.combined.log, head.combined.share
    assert chats.taken(CHAT, 1, 1) == (log.hash, share.hash)
    assert chats.taken(CHAT, None, 1) == (None, share.hash) and chats.taken(CHAT, 2, 2) == (None, None)
    assert named(world, 1) == {
        "kind": "create",
        "by": "alice",
        "usernames": ["alice", "bob", "carol"],
        "epoch": 1,
        "log": log.hash,
        "share": share.hash,
        "keys": "",
    }
    for name, view in chats.views(CHAT).items():
        assert (view.name, view.key_mode, view.membership, view.share_due) == (
            "Team",
            "combined",
            (1, log.hash),
            False,
        )
        assert view == chats.get(CHAT, name) and chats.epochs(CHAT, name, 1, 9) == [view.epoch]
        assert view.epoch.kid and view.epoch.wrapped and view.epoch.members == ("alice", "bob", "carol")
        assert view.epoch.client_share and view.epoch.client_share.wrapped
    wraps = {
        view.epoch.client_share.wrapped for view in chats.views(CHAT).values() if view.epoch.client_share
    }
    assert len(wraps) == 3 and entry[1]
    (listed,) = chats.page("bob", "", 9)
    assert (listed.membership, listed.epoch.number) == ((1, log.hash), 1)


def test_each_change_is_an_entry_and_a_share_where_one_is_wanted(world: Signers, adapter: Adapter) -> None:
    bob_has = world.humans["bob"].kh
    placed = [
        world.do(CHAT, "add", "alice", "dave", role="owner"),
        world.do(CHAT, "role", "dave", "bob", role="owner"),
        world.do(CHAT, "rename", "bob", name="Größe"),
        world.do(CHAT, "remove", "dave", "carol"),
        world.do(CHAT, "leave", "alice", "alice"),
        world.do(CHAT, "rekey", "bob"),
    ]
    assert [(one.seq, one.epoch) for one in placed] == [(2, 2), (3, 2), (4, 2), (5, 3), (6, 3), (7, 4)]
    events = [named(world, seq) for seq in range(1, 8)]
    assert [bool(event["log"]) for event in events] == [True] * 6 + [False]
    assert [bool(event["share"]) for event in events] == [True, True, False, False, True, False, True]
    assert events[3]["usernames"] == [] and events[5]["usernames"] == ["alice"]
    view = world.storage.chats.get(CHAT, "dave")
    assert view is not None and (view.name, view.first_seq, view.share_due) == ("Größe", 2, False)
    assert {member.username: member.role for member in view.members} == {"bob": "owner", "dave": "owner"}
    log = [entry for entry, _ in world.storage.chats.membership(CHAT, 0, 99)]
    assert len(log) == 6 and [entry for entry, _ in world.storage.chats.membership(CHAT, 2, 3)] == log[2:5]
    assert [epoch.number for epoch in world.storage.chats.epochs(CHAT, "dave", 2, 9)] == [2, 3, 4]
    before = world.everything(CHAT)
    world.storage = adapter.crash()
    assert world.everything(CHAT) == before
    world.do(CHAT, "remove", "bob", "dave")
    assert world.humans["bob"].kh == bob_has and world.members(CHAT) == {"bob"}


def test_who_may_not(world: Signers) -> None:
    before = world.everything(CHAT)
    assert refused(world, world.change(CHAT, "rename", "bob", name="x")).code == "forbidden"
    assert refused(world, replace(world.change(CHAT, "rekey", "bob"), by="dave")).code == "not_found"
    assert refused(
        world, replace(world.change(CHAT, "remove", "alice", "bob"), usernames=("carol",))
    ).code == ("invalid_membership")
    assert refused(world, replace(world.change(CHAT, "add", "alice", "dave"), entry=None)).code == "invalid"
    assert refused(world, NewEvent(CHAT, "ended", "", ("dave",))).code == "invalid"
    assert refused(world, world.creation(CHAT, "bob", ["alice"])).code == "id_conflict"
    server = world.change(CHAT, "rekey", "bob")
    assert refused(world, replace(server, share=None)).code == "invalid"
    assert server.epoch is not None
    for_others = replace(server, epoch=NewEpoch(2, {"bob": server.epoch.wraps["bob"]}))
    assert refused(world, for_others).code == "epoch_conflict"
    assert world.everything(CHAT) == before


def test_what_moved_is_told(world: Signers) -> None:
    entry, share = world.change(CHAT, "rename", "alice", name="1"), world.change(CHAT, "rekey", "carol")
    late = world.change(CHAT, "remove", "alice", "carol")
    world.do(CHAT, "rename", "alice", name="2")
    conflict = refused(world, entry)
    assert (conflict.code, conflict.extra) == ("membership_conflict", {"n": 2})
    head = world.head(CHAT)
    assert head is not None and head.combined is not None
    conflict = refused(world, share)
    assert (conflict.code, conflict.extra) == (
        "epoch_conflict",
        {"epoch": 1, "membership": head.combined.log.hash, "moved": []},
    )
    assert refused(world, late).code == "membership_conflict"
    share = world.change(CHAT, "rekey", "carol")
    world.renew("bob")
    before = world.everything(CHAT)
    assert refused(world, share).extra["moved"] == ["bob"]
    assert world.everything(CHAT) == before


def test_the_same_again_gets_the_first_answer(world: Signers) -> None:
    """By the entry, or else by the share; former members too, and within one batch."""
    rename, share = world.change(CHAT, "rename", "alice", name="x"), world.change(CHAT, "rekey", "bob")
    first = world.place(rename)
    again = world.place(rename)
    assert again == Appended(2, first.received_at, first.before, duplicate=True)
    share = world.change(CHAT, "rekey", "bob")
    one, two = world.append(share, share)
    assert isinstance(one, Appended) and isinstance(two, Appended)
    assert (one.seq, one.duplicate) == (3, False) and (two.seq, two.duplicate) == (3, True)
    leave = world.change(CHAT, "leave", "bob", "bob")
    gone = world.place(leave)
    world.do(CHAT, "rekey", "carol")
    before = world.everything(CHAT)
    for event, seq in ((rename, 2), (share, 3), (leave, gone.seq)):
        answer = world.place(event)
        assert (answer.seq, answer.duplicate) == (seq, True)
    other = world.change(CHAT, "rekey", "carol")
    assert other.share is not None
    told = world.place(replace(leave, share=other.share))
    assert (told.seq, told.duplicate) == (gone.seq, True), "the entry's bytes alone decide"
    assert world.everything(CHAT) == before
    created = world.creation(CHAT, "alice", ["bob", "carol"], name="Team")
    assert refused(world, created).code == "id_conflict", "other bytes"


@pytest.mark.parametrize("kind", ["leave", "unsigned", "ended"])
def test_who_goes_makes_a_share_due(world: Signers, storage: Storage, kind: str) -> None:
    if kind == "ended":
        storage.accounts.end("bob", 5)
        assert storage.chats.overdue() == [(CHAT, "bob")]
        world.place(NewEvent(CHAT, "ended", "", ("bob",)))
        assert storage.chats.overdue() == []
    else:
        world.do(CHAT, "leave", "bob", "bob", unsigned=kind == "unsigned")
    event = named(world, 2)
    assert (event["epoch"], event["share"], bool(event["log"])) == (1, "", kind == "leave")
    assert world.members(CHAT) == {"alice", "carol"} and storage.chats.get(CHAT, "bob") is None
    view = storage.chats.get(CHAT, "alice")
    assert view is not None and view.share_due and view.epoch.members == ("alice", "bob", "carol")
    assert storage.chats.page("carol", "", 9)[0].share_due
    # §7's order: the due share comes before the key, and after `seen`.
    assert code(world, "carol", kid="?") == "share_due" and code(world, "carol", seen=9) == "invalid"
    assert code(world, "bob", kid="?") == "not_found"
    if kind != "leave":
        waiting = refused(world, world.change(CHAT, "rekey", "carol"))
        assert (waiting.code, waiting.extra["moved"]) == ("epoch_conflict", ["bob"])
        world.do(CHAT, "retire", "carol", "bob")
    else:
        world.do(CHAT, "rekey", "carol")
    view = storage.chats.get(CHAT, "alice")
    assert view is not None and not view.share_due and view.epoch.members == ("alice", "carol")
    assert code(world, "carol") is None


def test_nobody_becomes_owner_by_the_server_s_word(
    world: Signers, storage: Storage, adapter: Adapter
) -> None:
    storage.accounts.end("alice", 5)
    world.place(NewEvent(CHAT, "ended", "", ("alice",)))
    head = world.head(CHAT)
    assert head is not None and {member.role for member in head.members.values()} == {"member"}
    assert head.combined is not None and head.combined.waiting == {"alice"}
    assert refused(world, world.change(CHAT, "rename", "bob", name="x")).code == "forbidden"
    world.storage = adapter.crash()
    assert world.head(CHAT) == head
    world.do(CHAT, "retire", "bob", "alice")
    world.do(CHAT, "add", "bob", "dave")
    head = world.head(CHAT)
    assert head is not None
    assert {name: member.role for name, member in head.members.items()} == {
        "bob": "owner",
        "carol": "member",
        "dave": "member",
    }


def test_a_newer_bundle_makes_a_share_due(world: Signers, storage: Storage, adapter: Adapter) -> None:
    """Until there is one that names it, nobody sends; then its owner signs by keys of that bundle alone."""
    old = world.humans["bob"].sets[-1].kid(ED25519)
    assert code(world, "bob") is None and code(world, "alice") is None
    world.renew("bob")
    assert storage.chats.overdue() == []
    assert code(world, "bob") == code(world, "alice") == "share_due"
    view = storage.chats.get(CHAT, "alice")
    assert view is not None and view.share_due
    head = world.head(CHAT)
    world.storage = adapter.crash()
    assert world.head(CHAT) == head and code(world, "alice") == "share_due"
    world.do(CHAT, "rekey", "bob")
    assert code(world, "bob", kid=old) == "unknown_key"
    assert code(world, "bob") is None
    view = world.storage.chats.get(CHAT, "alice")
    assert view is not None and not view.share_due
    world.storage.log.keys_changed("bob")  # again does no harm
    assert code(world, "bob") is None


def test_who_reset_their_keys_is_left_out_until_they_are_confirmed(world: Signers, storage: Storage) -> None:
    world.renew("bob", linked=False)
    old = world.humans["bob"].sets[0].kid(ED25519)
    view = storage.chats.get(CHAT, "alice")
    assert view is not None and not view.share_due
    assert code(world, "bob") == code(world, "bob", kid=old) == "unknown_key"
    assert code(world, "alice") is None
    world.do(CHAT, "rekey", "carol")
    view = storage.chats.get(CHAT, "bob")
    assert view is not None and view.epoch.members == ("alice", "bob", "carol") and not view.share_due
    assert (view.epoch.kid, view.epoch.wrapped) == (None, None)
    assert view.epoch.client_share is not None and view.epoch.client_share.wrapped is None
    assert [epoch.wrapped is None for epoch in storage.chats.epochs(CHAT, "bob", 1, 9)] == [False, True]
    assert code(world, "bob") == "unknown_key" and code(world, "carol") is None
    assert refused(world, world.change(CHAT, "keys", "carol", "bob")).code == "forbidden"
    world.do(CHAT, "keys", "alice", "bob")
    view = storage.chats.get(CHAT, "bob")
    assert view is not None and view.epoch.wrapped
    assert isinstance(view.epoch.client_share, ClientShare) and view.epoch.client_share.wrapped
    assert code(world, "bob") is None


def test_the_last_one_leaves_nobody(world: Signers) -> None:
    for name in ("carol", "bob"):
        world.do(CHAT, "leave", name, name)
    placed = world.do(CHAT, "leave", "alice", "alice", unsigned=True)
    assert placed.members == {} and world.storage.chats.views(CHAT) == {}


def test_an_erased_chat_leaves_nothing_of_its_log(world: Signers, storage: Storage) -> None:
    world.do(CHAT, "rename", "alice", name="x")
    storage.chats.erase(CHAT)
    assert storage.chats.membership(CHAT, 0, 9) == [] and storage.chats.taken(CHAT, 1, 1) == (None, None)
    world.chat("bob", "dave", number=1)
    head = world.head(CHAT)
    assert head is not None and head.combined is not None and head.combined.log.n == 1
    assert storage.chats.taken(CHAT, 1, 1) == (head.combined.log.hash, head.combined.share.hash)
    assert len(storage.chats.membership(CHAT, 0, 9)) == 1


def test_server_chats_have_none_of_it(world: Signers, storage: Storage) -> None:
    plain = super(Signers, world)
    world.place(plain.creation(new_id(2), "alice", ["bob"]))
    view = storage.chats.get(new_id(2), "bob")
    assert view is not None and (view.membership, view.share_due, view.epoch.client_share) == (
        None,
        False,
        None,
    )
    assert storage.chats.membership(new_id(2), 0, 9) == []
    rename = replace(world.change(CHAT, "rename", "alice", name="x"), chat=new_id(2))
    (result,) = world.append(rename)
    assert isinstance(result, ChatSecError) and result.code == "invalid"
    retire = NewEvent(new_id(2), "retire", "alice", ("bob",))
    (result,) = world.append(retire)
    assert isinstance(result, ChatSecError) and result.code == "invalid"


def test_all_bundles_of_some_people(world: Signers, storage: Storage) -> None:
    world.renew("bob")
    found = storage.keys.bundles(["bob", "dave", "nobody"])
    assert sorted((one.username, one.version) for one in found) == [("bob", 1), ("bob", 2), ("dave", 1)]
    assert storage.keys.bundles([]) == []
