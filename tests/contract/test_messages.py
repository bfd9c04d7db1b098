"""Messages in the sequence: judged in the page's order, numbered without a gap, chained, never twice."""

from __future__ import annotations

import hashlib

import pytest

from chatsec import crypto
from chatsec.domain.models import Appended, Mark
from chatsec.errors import ChatSecError
from tests.contract.world import World, bundle, chain, message, new_id, signing_kid


def test_a_message_gets_the_next_place(world: World) -> None:
    chat = world.chat()
    sent = message(chat, "bob", "hi")
    placed = world.place(sent)
    event, stored = world.items(chat)
    head = world.storage.chats.head(chat)
    assert head is not None
    assert placed == Appended(
        seq=2,
        received_at=world.now,
        before=event.chain,
        body=sent.body,
        members=head.members,
        epoch=1,
        opened_seq=1,
    )
    assert (stored.seq, stored.received_at, stored.body) == (2, world.now, sent.body)
    assert world.storage.log.known(chat, "bob", sent.id)
    assert not world.storage.log.known(chat, "alice", sent.id)
    assert not world.storage.log.known(new_id(), "bob", sent.id)


def test_the_chain_is_the_page_s(world: World) -> None:
    chat = world.chat()
    sent = [message(chat, who, f"text {n}") for n, who in enumerate(["alice", "bob"] * 3)]
    results = world.append(*sent)
    add = world.do(chat, "add", "alice", "carol")
    text = f"chatsec/event/v1\n{chat}\ncreate\nalice\nalice,bob\n1\n\n\n"
    later = f"chatsec/event/v1\n{chat}\nadd\nalice\ncarol\n2\n\n\n"
    hashes = [hashlib.sha256(text.encode()).digest(), *(m.hash for m in sent)]
    hashes.append(hashlib.sha256(later.encode()).digest())
    expected = chain(world.items(chat), hashes)
    assert [item.chain for item in world.items(chat)] == expected
    befores = [r.before for r in [*results, add] if isinstance(r, Appended)]
    assert befores == expected[:-1]
    chats = world.storage.chats
    assert [chats.chain(chat, seq) for seq in range(len(expected) + 1)] == [crypto.CHAIN_START, *expected]
    for where, seq in ((chat, len(expected) + 1), (new_id(), 1)):
        with pytest.raises(ChatSecError) as caught:
            chats.chain(where, seq)
        assert caught.value.code == "not_found"


def test_a_known_id_gets_its_first_answer(world: World) -> None:
    chat = world.chat()
    first = message(chat, "bob", "hi")
    placed = world.place(first)
    world.say(chat, "alice")
    again = world.place(first)
    assert again == Appended(placed.seq, placed.received_at, placed.before, duplicate=True)
    assert len(world.items(chat)) == 3


def test_a_known_id_with_other_bytes_is_a_conflict(world: World) -> None:
    chat = world.chat()
    sent = message(chat, "bob", "hi")
    world.place(sent)
    assert world.refusal(message(chat, "bob", "hi!", id=sent.id)) == "id_conflict"


def test_ids_are_unique_per_chat_and_sender(world: World) -> None:
    here, there = world.chat(), world.chat()
    placed = [
        world.place(message(chat, who, f"{chat} {who}", id=new_id(7)))
        for chat in (here, there)
        for who in ("alice", "bob")
    ]
    assert [p.seq for p in placed] == [2, 3, 2, 3]
    assert not any(p.duplicate for p in placed)


def test_known_ids_come_before_all_judging(world: World) -> None:
    """To a former member, under an ended epoch, with a superseded key: the first answer all the same."""
    chat = world.chat()
    sent = message(chat, "bob", "hi")
    placed = world.place(sent)
    world.do(chat, "remove", "alice", "bob")
    assert world.refusal(message(chat, "bob", "new")) == "not_found"
    again = world.place(sent)
    assert (again.seq, again.before, again.duplicate) == (placed.seq, placed.before, True)
    changed = message(chat, "bob", "other", id=sent.id, epoch=99, seen=99, kid="no key")
    assert world.refusal(changed) == "id_conflict"


def test_twice_in_one_batch(world: World) -> None:
    chat = world.chat()
    sent, other = message(chat, "bob", "hi"), message(chat, "alice", "ho")
    changed = message(chat, "bob", "hi!", id=sent.id)
    first, between, again, conflict, last = world.append(
        sent, other, sent, changed, message(chat, "bob", "bye")
    )
    assert isinstance(first, Appended) and isinstance(again, Appended)
    assert isinstance(between, Appended) and isinstance(last, Appended)
    assert (first.seq, between.seq, again.seq, last.seq) == (2, 3, 2, 4)
    assert (first.duplicate, again.duplicate, again.before) == (False, True, first.before)
    assert isinstance(conflict, ChatSecError) and conflict.code == "id_conflict"
    assert [item.seq for item in world.items(chat)] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"sender": "carol"}, "not_found"),
        ({"sender": "carol", "epoch": 1, "kid": "no key"}, "not_found"),
        ({"epoch": 3}, "invalid"),
        ({"epoch": 1}, "stale_epoch"),
        ({"epoch": 1, "seen": 99, "kid": "no key"}, "stale_epoch"),
        ({"seen": 1}, "invalid"),
        ({"seen": 99, "kid": "no key"}, "invalid"),
        ({"kid": "no key"}, "unknown_key"),
        ({"kid": signing_kid("alice")}, "unknown_key"),
        ({"alg": "Ed25519"}, "unknown_key"),
    ],
)
def test_refusals_in_the_page_s_order(world: World, fields: dict, code: str) -> None:
    """After a rekey at 2: epoch 2 holds, and `seen` is between 2 and 3."""
    chat = world.chat()
    world.do(chat, "rekey", "alice")
    world.say(chat, "alice")
    good = {"sender": "bob", "epoch": 2, "seen": 3}
    assert world.refusal(message(chat, **(good | fields))) == code
    assert world.place(message(chat, **good)).seq == 4


def test_no_such_chat(world: World) -> None:
    (result,) = world.append(message(new_id(), "alice"))
    assert isinstance(result, ChatSecError) and result.code == "not_found"


def test_seen_may_name_an_item_of_the_same_batch(world: World) -> None:
    chat = world.chat()
    one, two = world.append(message(chat, "bob"), message(chat, "alice", seen=2))
    assert isinstance(one, Appended) and isinstance(two, Appended)
    assert (one.seq, two.seq) == (2, 3)


def test_a_key_is_the_one_that_the_epoch_is_wrapped_to(world: World) -> None:
    chat = world.chat()
    world.storage.accounts.add_bundle(bundle("bob", 2), None, None)
    assert world.refusal(message(chat, "bob", kid=signing_kid("bob", 2))) == "unknown_key"
    world.do(chat, "keys", "", "bob", keys="kh-bob-2")
    assert world.refusal(message(chat, "bob", epoch=2, seen=2)) == "unknown_key"
    assert world.place(message(chat, "bob", epoch=2, seen=2, kid=signing_kid("bob", 2))).seq == 3


def test_a_removal_splits_its_batch(world: World) -> None:
    """Before it everything is as it was; after it the removed one is a stranger and the epoch has ended."""
    chat = world.chat()
    removal = world.change(chat, "remove", "alice", "bob")
    before = [message(chat, "bob", "1"), message(chat, "alice", "2")]
    after = [
        message(chat, "bob", "3"),
        message(chat, "alice", "4"),
        message(chat, "alice", "5", epoch=2, seen=4),
    ]
    results = world.append(*before, removal, *after)
    codes = [r.code if isinstance(r, ChatSecError) else None for r in results]
    assert codes == [None, None, None, "not_found", "stale_epoch", None]
    placed = [r for r in results if isinstance(r, Appended)]
    assert [p.seq for p in placed] == [2, 3, 4, 5]
    assert [sorted(p.members) for p in placed] == [["alice", "bob"]] * 2 + [["alice"]] * 2
    assert [p.epoch for p in placed] == [1, 1, 2, 2]
    assert [item.seq for item in world.items(chat)] == [1, 2, 3, 4, 5]


def test_one_batch_for_several_chats(world: World) -> None:
    here, there = world.chat(), world.chat("carol", "dave")
    batch = [message(chat, who, f"{n}") for n in range(5) for chat, who in ((here, "bob"), (there, "dave"))]
    results = world.append(*batch, message(there, "bob"), Mark(here, "alice", 3, 2))
    assert [r.seq for r in results if isinstance(r, Appended)] == [2, 2, 3, 3, 4, 4, 5, 5, 6, 6]
    assert [r.code for r in results if isinstance(r, ChatSecError)] == ["not_found"]
    for chat, who in ((here, "bob"), (there, "dave")):
        bodies = [item.body for item in world.items(chat)[1:]]
        assert bodies == [m.body for m in batch if m.sender == who]


def test_an_empty_batch(world: World) -> None:
    assert world.append() == []


def test_windows(world: World) -> None:
    chat = world.chat()
    world.append(*(message(chat, "bob", f"text {n}") for n in range(20)))

    def window(low: int, high: int) -> list[int]:
        return [item.seq for item in world.storage.chats.items(chat, low, high)]

    assert window(1, 21) == list(range(1, 22))
    assert window(5, 8) == [5, 6, 7, 8]
    assert window(-3, 2) == [1, 2]
    assert window(20, 2**53 - 1) == [20, 21]
    assert window(22, 30) == []
    assert window(8, 5) == []
    assert world.storage.chats.items(new_id(), 1, 10) == []
    assert window(7, 7) == [7]
