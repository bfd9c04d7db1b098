"""The fold of a `combined` chat: entries and shares move it with the items, bundles beside them; what may be sent follows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from chatsec.domain import combined, sequence
from chatsec.domain.combined import Change
from chatsec.domain.models import EPOCH_MESSAGES, Head, NewChat, NewEpoch, NewEvent, NewMessage, Wrap
from chatsec.domain.signed import stored_entry, stored_share
from chatsec.errors import ChatSecError
from tests.support.combined import CHAT, NAMES, Request, World, started
from tests.support.keys import ED25519, WRAPPING


class Chat:
    """Alice's, with Bob and Carol: its people, and its head as the server has it."""

    def __init__(self) -> None:
        self.world = World(NAMES)
        members = self.world.roles("alice", role="owner") | self.world.roles("bob", "carol")
        self.head: Head | None = None
        self.events: list[NewEvent] = []
        self.do(self.world.request("create", "alice", members, members, name="Team"))

    def event(self, request: Request) -> NewEvent:
        read = self.world.read(request)
        made = NewChat(request.name, "combined", b"") if request.kind == "create" else None
        wraps = {}
        for name, keys in read.share.recipients.items() if read.share else ():
            human = self.world.people[name]
            theirs = human.sets[human.hashes.index(keys)]
            wraps[name] = Wrap(theirs.kid(WRAPPING), "wrapped", keys, {theirs.kid(ED25519): ED25519})
        epoch = NewEpoch(read.share.epoch, wraps) if read.share else None
        return NewEvent(
            CHAT,
            read.kind,
            read.by,
            tuple(sorted(read.usernames)),
            epoch,
            role=read.role,
            name=read.name,
            chat_data=made,
            entry=read.entry,
            share=read.share,
        )

    def code(self, event: NewEvent) -> str | None:
        refused = sequence.judge_event(self.head, event, dict, self.world.lines)
        return refused.code if refused else None

    def do(self, request: Request) -> None:
        event = self.event(request)
        assert self.code(event) is None
        self.world.take(request)
        self.head = sequence.after(self.head, event, 7)
        self.events.append(event)

    def change(self, *args: object, **kwargs: object) -> None:
        self.do(self.world.request(*args, **kwargs))  # type: ignore[arg-type]

    def see(self) -> None:
        """The head is told of the bundles that are current."""
        assert self.head is not None
        current = {name: human.kh for name, human in self.world.people.items()}
        lines = self.world.lines()
        sequence.see_bundles(self.head, {name: lines[name] for name in sequence.moved(self.head, current)})

    def said(self, sender: str, key_set: int = -1, **fields: object) -> str | None:
        """What a message signed by one of the sender's key sets is refused with."""
        assert self.head is not None
        kid = self.world.people[sender].sets[key_set].kid(ED25519)
        message = NewMessage(
            CHAT, sender, "id", self.head.epoch, self.head.last_seq, ED25519, kid, b"h" * 32, b""
        )
        return refusal(sequence.judge_message(self.head, replace(message, **fields)))  # type: ignore[arg-type]


def refusal(refused: ChatSecError | None) -> str | None:
    return refused.code if refused else None


@pytest.fixture
def chat() -> Chat:
    return Chat()


def test_what_is_stored_leads_to_the_same_head(chat: Chat) -> None:
    """By the entry and the share as they lie there, parsed again."""
    world = chat.world
    dave = world.roles("dave")
    chat.change("add", "alice", ["dave"], world.members(**dave))
    chat.change("role", "alice", ["bob"], world.members(bob=("owner", world.people["bob"].kh)), role="owner")
    chat.change("rename", "bob", members=world.members(), name="Größe")
    chat.change("leave", "carol", ["carol"])
    chat.change("retire", "dave", ["carol"], world.members(carol=None))
    head: Head | None = None
    for seq, event in enumerate(chat.events, 1):
        entry, share = event.entry, event.share
        read = replace(
            event,
            entry=stored_entry(entry.protected, entry.signature) if entry else None,
            share=stored_share(share.protected, share.signature) if share else None,
        )
        head = sequence.follow(head, read, 7, seq, b"c" * 32)
    assert chat.head is not None and head is not None
    assert replace(head, chain=chat.head.chain) == chat.head
    assert (head.name, head.epoch, head.last_seq, head.share_due) == ("Größe", 3, 6, False)
    roles = {name: (member.role, member.joined_seq) for name, member in head.members.items()}
    assert roles == {"alice": ("owner", 1), "bob": ("owner", 1), "dave": ("member", 2)}


def test_an_event_is_named_with_its_entry_and_share(chat: Chat) -> None:
    event = chat.events[0]
    assert event.entry is not None and event.share is not None
    body = sequence.event_body(event, 1)
    assert f'"log":"{event.entry.hash}","share":"{event.share.hash}","keys":""'.encode() in body
    without = [replace(event, entry=None), replace(event, share=None), event]
    assert len({sequence.event_hash(one, 1) for one in without}) == 3


def test_wraps_are_for_just_the_recipients(chat: Chat) -> None:
    event = chat.event(chat.world.request("rekey", "bob"))
    assert event.epoch is not None
    assert chat.code(event) is None and chat.code(replace(event, epoch=None)) is None
    wraps = dict(event.epoch.wraps)
    bob = wraps.pop("bob")
    others: list[Mapping[str, Wrap]] = [wraps, wraps | {"bob": replace(bob, keys="another")}]
    for wrong in others:
        assert chat.code(replace(event, epoch=NewEpoch(2, wrong))) == "epoch_conflict"
    assert chat.code(replace(event, epoch=NewEpoch(3, event.epoch.wraps))) == "epoch_conflict"
    assert chat.code(replace(chat.events[0])) == "id_conflict"
    assert refusal(sequence.judge_event(None, event, dict, chat.world.lines)) == "not_found"


def test_messages_while_a_share_is_due(chat: Chat) -> None:
    """In §7's order: after `seen`, before the key."""
    assert chat.said("bob") is None
    chat.change("leave", "carol", ["carol"])
    assert chat.said("bob", kid="?") == "share_due"
    assert chat.said("bob", seen_seq=9) == "invalid" and chat.said("bob", epoch=0) == "stale_epoch"
    assert chat.said("carol") == "not_found"
    chat.change("rename", "alice", members=chat.world.members(), name="x")
    assert chat.said("bob") == "share_due", "no other change pays it"
    chat.change("retire", "bob", ["carol"], chat.world.members(carol=None))
    assert chat.said("bob") is None and chat.said("bob", kid="?") == "unknown_key"


def test_so_many_messages_make_a_share_due(chat: Chat) -> None:
    assert chat.head is not None
    chat.head.last_seq = chat.head.opened_seq + EPOCH_MESSAGES - 1
    assert chat.said("bob") is None and not sequence.is_share_due(chat.head)
    chat.head.last_seq += 1
    assert chat.said("bob") == "share_due" and sequence.is_share_due(chat.head)
    chat.change("rekey", "bob")
    assert chat.said("bob") is None


def test_a_newer_bundle_of_a_recipient(chat: Chat) -> None:
    """A share is due; after it only keys that are in both bundles sign, which the newer one's are."""
    chat.world.people["bob"].new_keys(11)
    assert chat.said("alice") is None, "until the head is told"
    chat.see()
    chat.see()
    assert chat.said("alice") == "share_due"
    chat.change("rekey", "bob")
    chat.see()
    assert chat.said("bob") is None and chat.said("bob", key_set=0) == "unknown_key"


def test_a_reset_of_a_recipient(chat: Chat) -> None:
    """No share is due; neither the old nor the new key signs, before and after they are left out of a share."""
    chat.world.people["bob"].new_keys(11, linked=False)
    chat.see()
    assert chat.said("alice") is None
    assert chat.said("bob") == chat.said("bob", key_set=0) == "unknown_key"
    chat.change("rekey", "carol")
    assert chat.head is not None and chat.head.members["bob"].keys == ""
    chat.see()
    assert chat.said("bob") == chat.said("bob", key_set=0) == "unknown_key"
    kh = chat.world.people["bob"].kh
    chat.change("keys", "alice", ["bob"], chat.world.members(bob=("member", kh)))
    chat.see()
    assert chat.said("bob") is None and chat.said("bob", key_set=0) == "unknown_key"


def test_who_held_the_head_keeps_what_it_was(chat: Chat) -> None:
    assert chat.head is not None
    before, members = chat.head, dict(chat.head.members)
    chat.change("remove", "alice", ["bob"], chat.world.members(bob=None))
    assert chat.head is not before and before.members == members
    held = chat.head.copy()
    chat.world.people["carol"].new_keys(11)
    chat.see()
    assert chat.head.share_due and not held.share_due and held.members != chat.head.members


def test_whom_an_event_concerns(chat: Chat) -> None:
    add = chat.event(
        chat.world.request("add", "alice", ["dave"], chat.world.members(**chat.world.roles("dave")))
    )
    assert sequence.concerned(chat.head, add) == {"alice", "bob", "carol", "dave"}
    assert sequence.concerned(None, chat.events[0]) == {"alice", "bob", "carol"}
    assert sequence.concerned(chat.head, NewEvent(CHAT, "leave", "bob", ("bob",))) == {
        "alice",
        "bob",
        "carol",
    }


def test_the_same_again() -> None:
    world = started("bob")
    add = world.do("add", "alice", ["carol"], world.members(**world.roles("carol")))
    change = world.read(add)
    assert change.entry is not None and change.share is not None
    entry, share = change.entry.hash, change.share.hash
    assert combined.same_again(change, entry, share)
    assert combined.same_again(change, entry, "another")  # where there is an entry, its bytes decide
    assert not combined.same_again(change, "another", share)
    assert not combined.same_again(change, None, None)
    rekey = replace(change, entry=None)
    assert combined.same_again(rekey, None, share)
    assert not combined.same_again(rekey, None, "another")
    assert not combined.same_again(Change("leave", "bob", frozenset({"bob"})), None, None)
