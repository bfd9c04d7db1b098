"""Reading chats: everyone sees their own view, and what is not theirs is as if it were not there."""

from __future__ import annotations

import pytest

from chatsec.domain.models import Attachment, Chat, ChatMember, Epoch, Head, Mark, Member
from chatsec.errors import ChatSecError
from tests.contract.world import PSS, T0, World, message, new_id, signing_kid


def test_a_member_s_view(world: World) -> None:
    chat = world.chat("alice", "bob", name="Team")
    created = world.now
    world.say(chat, "bob")
    world.do(chat, "add", "alice", "carol")
    world.append(Mark(chat, "bob", 2, 2))
    assert world.storage.chats.get(chat, "carol") == Chat(
        chat,
        "Team",
        "server",
        "alice",
        created,
        (
            ChatMember("alice", "Alice", "owner", 1),
            ChatMember("bob", "Bob", "member", 1),
            ChatMember("carol", "Carol", "member", 3),
        ),
        Epoch(2, 3, world.now - 1000, ("alice", "bob", "carol"), "enc-carol-1", "wrap-carol-2"),
        first_seq=3,
        last_seq=3,
        marks={"alice": Mark(chat, "alice"), "bob": Mark(chat, "bob", 2, 2), "carol": Mark(chat, "carol")},
    )


def test_views_are_everyone_s(world: World) -> None:
    chat = world.chat("alice", "bob", "carol")
    world.do(chat, "remove", "alice", "bob")
    views = world.storage.chats.views(chat)
    assert views == {name: world.storage.chats.get(chat, name) for name in ("alice", "carol")}
    assert {view.epoch.wrapped for view in views.values()} == {"wrap-alice-2", "wrap-carol-2"}
    assert world.storage.chats.views(new_id()) == {}


def test_the_head_is_where_the_sequence_stands(world: World) -> None:
    chat = world.chat("alice", "bob", name="Team")
    created = world.now
    world.do(chat, "rekey", "bob")
    sent = world.say(chat, "bob")
    head = world.storage.chats.head(chat)
    assert head == Head(
        chat,
        "Team",
        "server",
        "alice",
        created,
        sent.seq,
        world.items(chat)[-1].chain,
        2,
        2,
        created + 1000,
        {
            "alice": Member("owner", 1, "kh-alice-1", {signing_kid("alice"): PSS}),
            "bob": Member("member", 1, "kh-bob-1", {signing_kid("bob"): PSS}),
        },
    )


def test_another_s_chat_is_not_there(world: World) -> None:
    chat = world.chat()
    chats = world.storage.chats
    assert chats.get(chat, "carol") is None
    assert chats.get(new_id(), "alice") is None
    assert chats.page("carol", "", 10) == []
    assert chats.last_seqs("carol") == {}
    assert chats.head(new_id()) is None
    assert chats.people(new_id()) == []
    assert world.members(chat) == {"alice", "bob"}


def test_pages_are_mine_by_id(world: World) -> None:
    numbers = [5, 1, 4, 2, 3]
    for number in numbers:
        world.chat("alice", "bob", number=number)
    world.chat("bob", "carol", number=6)
    chats = world.storage.chats
    first = chats.page("alice", "", 3)
    assert [view.id for view in first] == [new_id(n) for n in (1, 2, 3)]
    assert [view.id for view in chats.page("alice", first[-1].id, 3)] == [new_id(4), new_id(5)]
    assert [view.epoch.number for view in first] == [1, 1, 1]
    assert [(view.first_seq, view.last_seq) for view in first] == [(1, 1)] * 3


def test_last_seqs_and_peers(world: World) -> None:
    one, two = world.chat("alice", "bob"), world.chat("bob", "carol")
    world.say(one, "bob")
    chats = world.storage.chats
    assert chats.last_seqs("bob") == {one: 2, two: 1}
    assert chats.last_seqs("dave") == {}
    assert chats.peers("bob") == {"alice", "bob", "carol"}
    assert chats.peers("alice") == {"alice", "bob"}
    assert chats.peers("dave") == {"dave"}
    world.do(two, "remove", "bob", "carol")
    assert chats.peers("bob") == {"alice", "bob"}
    assert chats.peers("carol") == {"carol"}


# ---------------------------------------------------------------- marks


def test_marks_move_forward_only_and_to_the_last_seq(world: World) -> None:
    chat = world.chat()
    world.append(*(message(chat, "alice", f"{n}") for n in range(9)))

    def mark(delivered: int, read: int) -> tuple[int, int]:
        (result,) = world.append(Mark(chat, "bob", delivered, read))
        assert isinstance(result, Mark)
        view = world.storage.chats.get(chat, "alice")
        assert view is not None and view.marks["bob"] == result
        return result.delivered, result.read

    assert mark(3, 0) == (3, 0)
    assert mark(2, 0) == (3, 0)
    assert mark(0, 5) == (5, 5)
    assert mark(7, 4) == (7, 5)
    assert mark(2**53 - 1, 0) == (10, 5)
    assert mark(0, 2**53 - 1) == (10, 10)
    assert mark(0, 0) == (10, 10)


def test_a_mark_counts_the_messages_of_its_batch(world: World) -> None:
    chat = world.chat()
    *_, before, _, after = world.append(
        message(chat, "alice"), Mark(chat, "bob", 9, 9), message(chat, "alice"), Mark(chat, "bob", 9, 9)
    )
    assert (before, after) == (Mark(chat, "bob", 2, 2), Mark(chat, "bob", 3, 3))


def test_marks_are_members_only(world: World) -> None:
    chat = world.chat()
    assert world.refusal(Mark(chat, "carol", 1, 1)) == "not_found"
    world.do(chat, "remove", "alice", "bob")
    assert world.refusal(Mark(chat, "bob", 1, 1)) == "not_found"
    (result,) = world.append(Mark(new_id(), "alice", 1, 1))
    assert isinstance(result, ChatSecError) and result.code == "not_found"


# ---------------------------------------------------------------- attachments, erasure


def test_attachments_belong_to_their_chat(world: World) -> None:
    chat, other = world.chat(), world.chat()
    made = Attachment(new_id(1), chat, "bob", 2**40, T0)
    attachments = world.storage.attachments
    attachments.create(made)
    assert attachments.get(chat, made.id) == made
    assert attachments.get(other, made.id) is None
    assert attachments.get(chat, new_id(2)) is None
    assert attachments.known([new_id(2), made.id]) == {made.id} and attachments.known([]) == set()


def test_only_a_member_stores_one(world: World) -> None:
    chat = world.chat()
    world.do(chat, "remove", "alice", "bob")
    for where, who in ((chat, "bob"), (chat, "carol"), (new_id(), "alice")):
        with pytest.raises(ChatSecError) as caught:
            world.storage.attachments.create(Attachment(new_id(1), where, who, 1, T0))
        assert caught.value.code == "not_found"
        assert world.storage.attachments.known([new_id(1)]) == set()


def test_erasing_a_chat_leaves_nothing_of_it(world: World) -> None:
    chat, other = world.chat("alice", "bob"), world.chat("alice", "bob")
    sent = message(chat, "bob")
    world.place(sent)
    world.say(other, "bob")
    for where, number in ((chat, 1), (chat, 2), (other, 3)):
        world.storage.attachments.create(Attachment(new_id(number), where, "bob", 1, T0))
    kept = world.everything(other)
    chats = world.storage.chats
    assert sorted(chats.erase(chat)) == [new_id(1), new_id(2)]
    assert chats.get(chat, "alice") is None
    assert (chats.head(chat), chats.people(chat), world.items(chat)) == (None, [], [])
    assert chats.epochs(chat, "bob", 1, 9) == []
    assert chats.last_seqs("alice") == {other: 2}
    assert world.storage.attachments.known(map(new_id, (1, 2, 3))) == {new_id(3)}
    assert not world.storage.log.known(chat, "bob", sent.id)
    assert world.refusal(sent) == "not_found"
    assert world.refusal(message(chat, "alice", "more")) == "not_found"
    assert world.refusal(Mark(chat, "alice", 1, 1)) == "not_found"
    assert world.everything(other) == kept
    assert chats.erase(chat) == []


def test_an_erased_chat_s_id_begins_at_one_again(world: World) -> None:
    chat = world.chat(number=1)
    world.say(chat, "bob")
    world.append(Mark(chat, "bob", 2, 2))
    world.storage.chats.erase(chat)
    assert world.place(world.creation(chat, "alice", ["carol"])).seq == 1
    assert world.say(chat, "carol").seq == 2
    assert world.storage.chats.people(chat) == ["alice", "carol"]
    assert world.storage.chats.get(chat, "bob") is None
    assert [e.wrapped for e in world.storage.chats.epochs(chat, "bob", 1, 9)] == [None]
