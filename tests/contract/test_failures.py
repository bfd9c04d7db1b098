"""A store that fails or dies: whatever it answered is there afterwards, and of the rest there is nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from chatsec.domain.models import Appended, Attachment, Mark, NewEvent, NewMessage
from chatsec.errors import ChatSecError
from tests.contract.adapters import MemoryAdapter, SqliteAdapter
from tests.contract.conftest import Adapter
from tests.contract.test_interleaving import check_sequence
from tests.contract.world import T0, World, bundle, message, new_id, session

LARGE = "x" * 60_000
BUDGETS = list(range(14))  # pages that the disk has left, or accesses that get through


def unavailable(call: Callable[..., Any], *args: Any) -> bool:
    """Whether the store said that it cannot; any other refusal is a failure here."""
    try:
        call(*args)
    except ChatSecError as error:
        assert error.code == "unavailable"
        return True
    return False


def try_to_append(world: World, batch: list[NewMessage | NewEvent]) -> list[Any]:
    try:
        return world.append(*batch)
    except ChatSecError as error:
        assert error.code == "unavailable"
        return [error] * len(batch)


@pytest.mark.parametrize("budget", BUDGETS)
def test_a_failure_in_the_middle_of_a_batch(adapter: Adapter, world: World, budget: int) -> None:
    """ASVS 2.3.3."""
    chat = world.chat("alice", "bob", "carol")
    batch: list[NewMessage | NewEvent] = [
        message(chat, "bob", f"1 {LARGE}"),
        world.change(chat, "remove", "alice", "bob"),
        message(chat, "carol", f"2 {LARGE}", epoch=2, seen=3),
    ]
    with adapter.failing(budget):
        results = try_to_append(world, batch)
    codes = [result.code if isinstance(result, ChatSecError) else None for result in results]
    assert codes == sorted(codes, key=lambda code: code is not None), "what comes after a failure has failed"
    assert set(codes) <= {None, "unavailable"}
    placed = [item.body for item in world.items(chat)[1:]]
    answered = [result.body for result in results if isinstance(result, Appended)]
    assert placed[: len(answered)] == answered
    if isinstance(adapter, SqliteAdapter):
        assert len(answered) in (0, 3), "one transaction"
        assert placed == answered
    world.storage = adapter.crash()
    assert [item.body for item in world.items(chat)[1:]] == placed
    check_after_failure(world, chat, batch)


def check_after_failure(world: World, chat: str, batch: list[NewMessage | NewEvent]) -> None:
    """The same again succeeds as far as it must, every id in one place, and the sequence is whole."""
    again = world.append(*batch)
    for item, result in zip(batch, again, strict=True):
        if isinstance(item, NewMessage):
            assert isinstance(result, Appended)
    items = world.items(chat)
    assert [item.seq for item in items] == [1, 2, 3, 4]
    assert [item.body for item in items if b"event" not in item.body] == [
        item.body for item in batch if isinstance(item, NewMessage)
    ]
    assert world.members(chat) == {"alice", "carol"}
    assert [e.number for e in world.storage.chats.epochs(chat, "carol", 1, 9)] == [1, 2]


def test_the_budgets_reach_from_nothing_to_everything(adapter: Adapter, world: World) -> None:
    """The test above cannot be fooled by a failure that never comes, or always."""
    chat = world.chat("alice", "bob")
    outcomes = []
    for budget in (BUDGETS[0], 200):
        with adapter.failing(budget):
            (result,) = try_to_append(world, [message(chat, "bob", LARGE)])
        outcomes.append(isinstance(result, Appended))
    assert outcomes == [False, True]


@pytest.mark.parametrize("budget", BUDGETS)
def test_a_creation_that_fails(adapter: Adapter, world: World, budget: int) -> None:
    world.join(*(f"user{number:03d}" for number in range(60)))
    event = world.creation(new_id(1), "alice", [f"user{number:03d}" for number in range(60)])
    with adapter.failing(budget):
        (result,) = try_to_append(world, [event])
    world.storage = adapter.crash()
    view = world.storage.chats.get(event.chat, "alice")
    if isinstance(result, Appended):
        assert view is not None and len(view.members) == 61
    elif isinstance(adapter, SqliteAdapter):
        assert view is None
        assert world.storage.chats.people(event.chat) == []
    again = world.place(event)
    assert again.seq == 1 and again.duplicate == (view is not None)
    view = world.storage.chats.get(event.chat, "user059")
    assert view is not None and view.epoch.wrapped == "wrap-user059-1"


@pytest.mark.parametrize("budget", BUDGETS)
def test_a_password_change_that_fails(adapter: Adapter, world: World, budget: int) -> None:
    """ASVS 2.3.3: Password, keys, backup, state and the other sessions change together or not at all."""
    storage = world.storage
    for number in range(3):
        storage.sessions.create(session(number, "alice"))

    def look() -> tuple[Any, ...]:
        account = storage.accounts.get("alice")
        assert account is not None
        return (
            account.password_hash,
            account.keys_version,
            account.backup and account.backup["version"],
            account.state and account.state["n"],
            len(storage.keys.history("alice", 0)),
            len(storage.sessions.list("alice")),
        )

    old, new = (b"hash", 1, None, None, 1, 3), (b"new", 2, 1, 1, 2, 1)
    large = {"version": 1, "n": 1, "ciphertext": LARGE}
    change = ("alice", b"new", None, large, b"r", bundle("alice", 2), large, session(1, "alice").id)
    assert look() == old
    with adapter.failing(budget):
        failed = unavailable(storage.accounts.set_password, *change)
    assert look() == (old if failed else new)
    storage = adapter.crash()
    assert look() == (old if failed else new)


def test_a_full_store_is_told_and_recovers(adapter: Adapter, world: World) -> None:
    chat = world.chat()
    kept = world.everything(chat)
    with adapter.failing(0):
        results = [try_to_append(world, [message(chat, "bob", LARGE)])[0] for _ in range(3)]
        assert {result.code for result in results} == {"unavailable"}
    assert world.everything(chat) == kept
    world.storage.ping()
    assert world.say(chat, "bob", LARGE).seq == 2


def test_ping_tells_a_store_that_cannot_be_reached(tmp_path: Any) -> None:
    adapter = MemoryAdapter(tmp_path)
    adapter.storage.ping()
    with adapter.failing(0), pytest.raises(ChatSecError) as caught:
        adapter.storage.ping()
    assert caught.value.code == "unavailable"


# ---------------------------------------------------------------- crashes


def test_everything_is_there_after_a_crash(adapter: Adapter, world: World) -> None:
    chat, other = world.chat("alice", "bob", "carol", name="Team ü"), world.chat("bob", "dave")
    for number in range(20):
        world.say(chat, ("alice", "bob", "carol")[number % 3], f"text {number}")
    sent = message(chat, "bob", "remembered", seen=21)
    first = world.place(sent)
    world.do(chat, "remove", "alice", "carol")
    world.do(chat, "role", "alice", "bob", role="owner")
    world.storage.accounts.add_bundle(bundle("bob", 2), {"version": 1}, {"n": 1})
    world.do(chat, "keys", "", "bob", keys="kh-bob-2")
    world.append(Mark(chat, "bob", 9, 7))
    world.storage.sessions.create(session(1, "bob"))
    world.storage.attachments.create(Attachment(new_id(2), chat, "bob", 3, T0))
    before = [world.everything(where) for where in (chat, other)]
    assert before[1]["overdue"] == ["bob"]

    world.storage = adapter.crash()

    assert [world.everything(where) for where in (chat, other)] == before
    assert world.storage.sessions.list("bob") == [session(1, "bob")]
    assert world.storage.attachments.known([new_id(1), new_id(2)]) == {new_id(2)}
    assert world.place(sent) == Appended(first.seq, first.received_at, first.before, duplicate=True)
    head = world.storage.chats.head(chat)
    assert head is not None and head.chain == world.items(chat)[-1].chain
    assert world.refusal(message(chat, "carol")) == "not_found"
    assert world.refusal(message(chat, "alice")) == "stale_epoch"
    kid = "sig-bob-2"
    late = world.say(chat, "bob", "goes on", kid=kid)
    assert (late.seq, late.before) == (head.last_seq + 1, head.chain)


def test_an_erasure_outlives_a_crash(adapter: Adapter, world: World) -> None:
    chat = world.chat()
    world.say(chat, "bob")
    world.storage.chats.erase(chat)
    world.storage = adapter.crash()
    assert world.storage.chats.head(chat) is None
    assert world.items(chat) == []


# ---------------------------------------------------------------- many at once


def test_many_writers_leave_no_gap(world: World) -> None:
    chats = [world.chat("alice", "bob", "carol"), world.chat("alice", "bob", "carol")]
    people = ("alice", "bob", "carol")
    sent = {
        (where, who): [message(chat, who, f"{where} {who} {n}") for n in range(25)]
        for where, chat in enumerate(chats)
        for who in people
    }
    answers: dict[tuple[int, str], list[Any]] = {key: [] for key in sent}
    start = threading.Barrier(len(sent))

    def write(key: tuple[int, str]) -> None:
        start.wait()
        for one in sent[key]:
            answers[key] += world.storage.log.append([one, one], T0)

    threads = [threading.Thread(target=write, args=(key,)) for key in sent]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for where, chat in enumerate(chats):
        mine = [key for key in sent if key[0] == where]
        batches = [[one for one in sent[key] for _ in range(2)] for key in mine]
        check_sequence(world, chat, batches, [answers[key] for key in mine])
        assert len(world.items(chat)) == 1 + 3 * 25
        for key in mine:
            seqs = [result.seq for result in answers[key]]
            assert seqs[::2] == seqs[1::2] == sorted(seqs[::2])
            assert [result.duplicate for result in answers[key]] == [False, True] * 25


def test_two_handles_at_once_in_memory(tmp_path: Any) -> None:
    adapter = MemoryAdapter(tmp_path)
    handles = [adapter.storage, adapter.crash()]
    world = World(handles[0]).join("alice", "bob")
    chat = world.chat()
    sent = [[message(chat, who, f"{who} {n}") for n in range(100)] for who in ("alice", "bob")]
    answers: list[list[Any]] = [[], []]

    def write(one: int) -> None:
        for at in range(0, 100, 10):
            answers[one] += handles[one].log.append(sent[one][at : at + 10], T0)

    threads = [threading.Thread(target=write, args=(one,)) for one in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    check_sequence(world, chat, sent, answers)
    assert len(world.items(chat)) == 201
