"""Changes of a chat: who may, what they do, and that an epoch is opened with its change or not at all."""

from __future__ import annotations

from dataclasses import replace

import orjson
import pytest

from chatsec.domain.models import Appended, Epoch, NewEpoch, NewEvent
from chatsec.errors import ChatSecError
from tests.contract.world import World, bundle, new_id


def roles(world: World, chat: str) -> dict[str, str]:
    head = world.storage.chats.head(chat)
    return {name: member.role for name, member in head.members.items()} if head else {}


def test_creation_is_the_first_item(world: World) -> None:
    chat = new_id(1)
    event = world.creation(chat, "alice", ["carol", "bob"], name="Team ü")
    placed = world.place(event)
    assert (placed.seq, placed.epoch, placed.opened_seq, placed.before) == (1, 1, 1, bytes(32))
    assert roles(world, chat) == {"alice": "owner", "bob": "member", "carol": "member"}
    (item,) = world.items(chat)
    assert orjson.loads(b"{" + item.body + b"}") == {
        "event": {
            "kind": "create",
            "by": "alice",
            "usernames": ["alice", "bob", "carol"],
            "epoch": 1,
            "log": "",
            "share": "",
            "keys": "",
        }
    }
    assert item.body == placed.body


def test_the_same_creation_again_gets_the_same_answer(world: World) -> None:
    chat = new_id(1)
    event = world.creation(chat, "alice", ["bob"])
    first = world.place(event)
    world.do(chat, "rename", "alice", name="Later")
    again = world.place(event)
    assert again == Appended(1, first.received_at, bytes(32), duplicate=True)
    assert world.refusal(world.creation(chat, "alice", ["carol"])) == "id_conflict"
    assert world.refusal(world.creation(chat, "bob", ["alice"])) == "id_conflict"
    both = replace(world.creation(new_id(2), "alice", ["bob"]))
    one, two = world.append(both, both)
    assert isinstance(one, Appended) and isinstance(two, Appended)
    assert (one.duplicate, two.duplicate) == (False, True)


def test_adding(world: World) -> None:
    chat = world.chat()
    world.say(chat, "bob")
    placed = world.do(chat, "add", "alice", "carol", "dave", role="owner")
    assert (placed.seq, placed.epoch, placed.opened_seq) == (3, 2, 3)
    assert sorted(placed.members) == ["alice", "bob", "carol", "dave"]
    assert roles(world, chat) == {"alice": "owner", "bob": "member", "carol": "owner", "dave": "owner"}
    view = world.storage.chats.get(chat, "carol")
    assert view is not None and view.first_seq == 3
    plain = world.do(world.chat(), "add", "alice", "carol")
    assert plain.members["carol"].role == "member"


def test_a_removed_one_sees_nothing_and_can_come_back(world: World) -> None:
    chat = world.chat("alice", "bob", "carol")
    placed = world.do(chat, "remove", "alice", "bob")
    chats = world.storage.chats
    assert sorted(placed.members) == ["alice", "carol"]
    assert chats.get(chat, "bob") is None
    assert chats.page("bob", "", 10) == []
    assert chats.last_seqs("bob") == {}
    assert chats.people(chat) == ["alice", "bob", "carol"]
    assert chats.epochs(chat, "bob", 1, 9)[1].wrapped is None
    world.say(chat, "alice")
    world.do(chat, "add", "alice", "bob")
    view = chats.get(chat, "bob")
    assert view is not None and view.first_seq == 4
    assert [e.wrapped for e in chats.epochs(chat, "bob", 1, 9)] == ["wrap-bob-1", None, "wrap-bob-3"]
    assert chats.people(chat) == ["alice", "bob", "carol"]


def test_leaving(world: World) -> None:
    chat = world.chat()
    assert world.refusal(world.change(chat, "leave", "alice", "alice")) == "last_owner"
    world.do(chat, "role", "alice", "bob", role="owner")
    world.do(chat, "leave", "alice", "alice")
    assert roles(world, chat) == {"bob": "owner"}
    world.do(chat, "leave", "bob", "bob")
    assert roles(world, chat) == {}
    assert len(world.items(chat)) == 4


def test_roles_and_names(world: World) -> None:
    chat = world.chat()
    given = world.do(chat, "role", "alice", "bob", role="owner")
    assert (given.epoch, given.members["bob"].role) == (1, "owner")
    world.do(chat, "role", "bob", "alice", role="member")
    assert roles(world, chat) == {"alice": "member", "bob": "owner"}
    assert world.refusal(world.change(chat, "role", "bob", "bob", role="member")) == "last_owner"
    world.do(chat, "rename", "bob", name="New ü")
    view = world.storage.chats.get(chat, "alice")
    assert view is not None and view.name == "New ü"
    world.do(chat, "rename", "bob", name=None)
    view = world.storage.chats.get(chat, "alice")
    assert view is not None and view.name is None and view.epoch.number == 1


@pytest.mark.parametrize("kind", ["add", "remove", "role", "rename"])
def test_an_owner_s_business(world: World, kind: str) -> None:
    chat = world.chat("alice", "bob", "dave")
    who = {"add": ("carol",), "remove": ("dave",), "role": ("dave",), "rename": ()}[kind]
    fields = {"role": {"role": "owner"}, "rename": {"name": "x"}}.get(kind, {})
    assert world.refusal(world.change(chat, kind, "bob", *who, **fields)) == "forbidden"
    assert world.refusal(world.change(chat, kind, "carol", *who, **fields)) == "not_found"
    world.do(chat, kind, "alice", *who, **fields)


@pytest.mark.parametrize("kind", ["leave", "rekey"])
def test_any_member_s_business(world: World, kind: str) -> None:
    chat = world.chat()
    who = {"leave": ("bob",), "rekey": ()}[kind]
    assert world.refusal(world.change(chat, kind, "carol", *who)) == "not_found"
    assert world.do(chat, kind, "bob", *who).epoch == 2


@pytest.mark.parametrize(
    ("kind", "who"), [("add", ("bob",)), ("remove", ("carol",)), ("remove", ("alice",)), ("role", ("carol",))]
)
def test_a_change_that_makes_no_sense(world: World, kind: str, who: tuple[str, ...]) -> None:
    chat = world.chat()
    assert world.refusal(world.change(chat, kind, "alice", *who, role="owner")) == "invalid"


def test_two_hundred_members_and_no_more(world: World) -> None:
    world.join(*(f"user{number:03d}" for number in range(199)))
    others = [f"user{number:03d}" for number in range(198)]
    chat = world.chat("alice", *others)
    world.do(chat, "add", "alice", "bob")
    some = (
        "alice",
        "bob",
        "carol",
        "user000",
        "user197",
    )  # every member's view is looked at by `views` beside
    assert world.refusal(world.change(chat, "add", "alice", "carol"), some) == "invalid"
    assert len(roles(world, chat)) == 200


def test_an_event_for_a_chat_that_is_not(world: World) -> None:
    (result,) = world.append(NewEvent(new_id(), "rename", "alice", name="x"))
    assert isinstance(result, ChatSecError) and result.code == "not_found"


def test_an_ended_account_leaves_an_owner_behind(world: World) -> None:
    chat = world.chat("alice", "bob", "carol")
    world.storage.accounts.end("alice", world.now)
    assert world.storage.chats.overdue() == [(chat, "alice")]
    world.do(chat, "ended", "", "alice")
    assert roles(world, chat) == {"bob": "owner", "carol": "member"}
    assert world.storage.chats.overdue() == []


# ---------------------------------------------------------------- epochs


def epochs(world: World, chat: str, username: str) -> list[Epoch]:
    return world.storage.chats.epochs(chat, username, 1, 99)


def test_epochs_carry_the_caller_s_own_wraps(world: World) -> None:
    chat = world.chat()
    opened = [world.now]
    world.say(chat, "bob")
    world.do(chat, "rekey", "bob")
    opened.append(world.now)
    world.do(chat, "add", "alice", "carol")
    opened.append(world.now)
    everyone = (("alice", "bob"), ("alice", "bob"), ("alice", "bob", "carol"))
    for name, first in (("alice", 1), ("bob", 1), ("carol", 3)):
        assert epochs(world, chat, name) == [
            Epoch(
                number,
                seq,
                at,
                members,
                f"enc-{name}-1" if number >= first else None,
                f"wrap-{name}-{number}" if number >= first else None,
            )
            for number, seq, at, members in zip((1, 2, 3), (1, 3, 4), opened, everyone, strict=True)
        ]
    chats = world.storage.chats
    assert [e.number for e in chats.epochs(chat, "bob", 2, 2)] == [2]
    assert chats.epochs(chat, "bob", 4, 9) == []
    assert chats.epochs(new_id(), "bob", 1, 9) == []
    assert [chats.epoch_at(chat, seq) for seq in range(1, 6)] == [1, 1, 2, 3, 3]


@pytest.mark.parametrize("number", [1, 3])
def test_an_epoch_that_is_not_the_next_one(world: World, number: int) -> None:
    chat = world.chat()
    late = world.change(chat, "rekey", "alice")
    assert late.epoch is not None
    moved = replace(late, epoch=replace(late.epoch, number=number))
    assert world.refusal(moved) == "epoch_conflict"


def test_two_changes_made_for_the_same_epoch(world: World) -> None:
    chat = world.chat()
    one, two = world.change(chat, "add", "alice", "carol"), world.change(chat, "add", "alice", "dave")
    first, second = world.append(one, two)
    assert isinstance(first, Appended)
    assert isinstance(second, ChatSecError) and second.code == "epoch_conflict"
    assert sorted(roles(world, chat)) == ["alice", "bob", "carol"]
    assert [e.number for e in epochs(world, chat, "alice")] == [1, 2]


def test_an_epoch_for_other_members(world: World) -> None:
    chat = world.chat()
    for names in (["alice"], ["alice", "bob", "dave"]):
        event = replace(world.change(chat, "rekey", "alice"), epoch=NewEpoch(2, world.wraps(names, 2)))
        assert world.refusal(event) == "epoch_conflict"


def test_an_epoch_wrapped_to_keys_that_are_not_current(world: World) -> None:
    chat = world.chat()
    early = world.change(chat, "rekey", "alice")
    world.storage.accounts.add_bundle(bundle("bob", 2), None, None)
    assert world.refusal(early) == "epoch_conflict"
    late = world.creation(new_id(), "alice", ["bob"])
    world.storage.accounts.add_bundle(bundle("bob", 3), None, None)
    (result,) = world.append(late)
    assert isinstance(result, ChatSecError) and result.code == "epoch_conflict"
    assert world.storage.chats.head(late.chat) is None
    assert world.storage.chats.page("alice", "", 10) == [world.storage.chats.get(chat, "alice")]


def test_two_accounts_end_one_after_the_other(world: World) -> None:
    """An epoch is wrapped to all members that there are, one whose account ended too until an event says so."""
    chat = world.chat("alice", "bob", "carol")
    for name in ("bob", "carol"):
        world.storage.accounts.end(name, world.now)
    assert sorted(world.storage.chats.overdue()) == [(chat, "bob"), (chat, "carol")]
    world.do(chat, "ended", "", "bob")
    world.do(chat, "ended", "", "carol")
    assert roles(world, chat) == {"alice": "owner"}


def test_overdue_is_who_s_epoch_is_wrapped_to_another_bundle(world: World) -> None:
    chat, other = world.chat(number=1), world.chat("alice", "bob", "carol", number=2)
    chats = world.storage.chats
    assert chats.overdue() == []
    world.storage.accounts.add_bundle(bundle("bob", 2), None, None)
    assert sorted(chats.overdue()) == [(chat, "bob"), (other, "bob")]
    assert sorted(chats.overdue("bob")) == sorted(chats.overdue())
    assert chats.overdue("alice") == []
    world.do(chat, "keys", "", "bob", keys="kh-bob-2")
    assert chats.overdue() == [(other, "bob")]
    world.do(other, "remove", "alice", "bob")
    assert chats.overdue() == []
