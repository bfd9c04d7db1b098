"""Two writers, every order: a message is never numbered after a removal under the old epoch or by the removed one.

In memory the writers' single accesses are interleaved, all ways; on SQLite, where a write is one step, whole writes.
"""

from __future__ import annotations

import itertools
import math
import threading
from collections.abc import Callable, Hashable, Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest

from chatsec import crypto
from chatsec.domain.models import Appended, Mark, NewEvent, NewMessage
from chatsec.domain.ports import Storage
from chatsec.errors import ChatSecError
from chatsec.storage.memory import MemoryData, MemoryStorage
from tests.contract.adapters import SqliteAdapter
from tests.contract.interleaving import Stepwise, Writers, orders
from tests.contract.world import World, bundle, chain, message, new_id

Batch = Sequence[NewMessage | NewEvent | Mark]
CHAT = new_id(1)


def codes(results: Sequence[Any]) -> list[str | None]:
    return [result.code if isinstance(result, ChatSecError) else None for result in results]


def check_sequence(
    world: World, chat: str, batches: Sequence[Batch], answers: Sequence[Sequence[Any]]
) -> None:
    """Gapless; chained; what was answered as placed lies there; nobody speaks who is not there or under another epoch."""
    items = world.items(chat)
    assert [item.seq for item in items] == list(range(1, len(items) + 1))
    asked = {
        result.seq: item
        for batch, results in zip(batches, answers, strict=True)
        for item, result in zip(batch, results, strict=True)
        if isinstance(result, Appended) and not result.duplicate
    }
    chats = world.storage.chats
    members: set[str] = set()
    hashes = []
    for item in items:
        body = orjson.loads(b"{" + item.body + b"}")
        if event := body.get("event"):
            names = set(event["usernames"])
            members = {"create": names, "add": members | names}.get(event["kind"], members)
            members = members - names if event["kind"] in ("remove", "leave") else members
            epoch = event["epoch"]
            hashes.append(
                crypto.event_hash(chat, event["kind"], event["by"], names, epoch, keys=event["keys"])
            )
        else:
            sent = asked[item.seq]
            assert isinstance(sent, NewMessage) and item.body == sent.body
            assert sent.sender in members, f"{sent.sender} is not there at {item.seq}"
            assert sent.epoch == epoch, f"epoch {epoch} holds at {item.seq}"
            hashes.append(sent.hash)
        assert chats.epoch_at(chat, item.seq) == epoch
    assert [item.chain for item in items] == chain(items, hashes)
    assert world.members(chat) == members
    head = chats.head(chat)
    assert head is not None and (head.epoch, head.last_seq) == (epoch, len(items))
    for name in members:
        epochs = chats.epochs(chat, name, 1, 99)
        assert [e.number for e in epochs] == list(range(1, epoch + 1))
        assert epochs[-1].wrapped is not None and set(epochs[-1].members) == members


class Race:
    """Two writers over one store in memory, `warm` if they have met the chat before."""

    def __init__(self, warm: Sequence[int], prepare: Callable[[World], Sequence[Batch]]) -> None:
        self.data = data = MemoryData()
        self.writers: list[Storage] = [MemoryStorage(Stepwise(), data) for _ in range(2)]
        self.world = World(MemoryStorage(data=data)).join("alice", "bob", "carol", "dave")
        self.world.chat("alice", "bob", "carol", number=1)
        self.world.say(CHAT, "bob", "before")
        for one in warm:
            assert codes(self.writers[one].log.append([message(CHAT, "dave")], 0)) == ["not_found"]
        self.world.say(CHAT, "carol", "the last that no writer has seen")
        self.table = data.chats[CHAT]
        self.known = len(self.world.items(CHAT))
        self.batches = prepare(self.world)
        self.answers: list[Sequence[Any]] = [(), ()]

    def steps(self) -> list[Callable[[], object]]:
        return [lambda: self._write(0), lambda: self._write(1)]

    def shared(self) -> Hashable:
        """The data as a value; attempts at epochs have no name that matters."""
        tables = [("before", self.table), *sorted(self.data.chats.items())]
        return (
            tuple(
                (
                    chat,
                    table is self.table,
                    tuple(
                        (item.seq, item.body, item.event and item.event.name) for item in table.items.values()
                    ),
                    tuple(sorted(repr(sorted(wraps)) for wraps in table.wraps.values())),
                    table.snapshot and table.snapshot.last_seq,
                )
                for chat, table in tables
            ),
            tuple((account.keys_hash, account.ended_at) for account in self.data.accounts.values()),
        )

    def _write(self, one: int) -> None:
        self.answers[one] = self.writers[one].log.append(self.batches[one], 5)


def race(
    warm: Sequence[int],
    prepare: Callable[[World], Sequence[Batch]],
    check: Callable[[Any], None],
    make: Callable[..., Any] = Race,
    breaks: float = math.inf,
) -> set:
    """Runs the race that `make` makes in all orders (see `orders`); answers what the writers could be told."""
    current: list[Any] = []
    told = set()

    def start() -> tuple[Writers, Callable[[], Hashable]]:
        current[:] = [make(warm, prepare)]
        return current[0].steps(), current[0].shared

    for order in orders(start, breaks):
        at = current[0]
        try:
            check(at)
        except AssertionError as error:
            raise AssertionError(f"order {order}") from error
        told.add(tuple(tuple(codes(answer)) for answer in at.answers))
    return told


def check_race(at: Any) -> None:
    old = [
        message(CHAT, who, text)
        for who, text in (("bob", "before"), ("carol", "the last that no writer has seen"))
    ]
    placed = [Appended(seq, 0, b"") for seq in (2, 3)]
    check_sequence(at.world, CHAT, [*at.batches, old], [*at.answers, placed])


WARM = [(), (0,), (1,), (0, 1)]


@pytest.mark.parametrize("warm", WARM)
@pytest.mark.parametrize(("sender", "refused"), [("bob", "not_found"), ("carol", "stale_epoch")])
def test_removal_and_message(warm: Sequence[int], sender: str, refused: str) -> None:
    def prepare(world: World) -> Sequence[Batch]:
        return [world.change(CHAT, "remove", "alice", "bob")], [message(CHAT, sender, "under epoch 1")]

    assert race(warm, prepare, check_race) == {((None,), (None,)), ((None,), (refused,))}


@pytest.mark.parametrize("warm", [(), (0, 1)])
def test_removal_and_a_batch_of_messages(warm: Sequence[int]) -> None:
    def prepare(world: World) -> Sequence[Batch]:
        removal = world.change(CHAT, "remove", "alice", "bob")
        return [removal], [message(CHAT, "bob", "by the removed"), message(CHAT, "carol", "by another")]

    told = race(warm, prepare, check_race)
    assert told == {
        ((None,), (None, None)),
        ((None,), (None, "stale_epoch")),
        ((None,), ("not_found", "stale_epoch")),
    }


@pytest.mark.parametrize("warm", [(), (0, 1)])
def test_removal_and_a_message_of_the_next_epoch(warm: Sequence[int]) -> None:
    def prepare(world: World) -> Sequence[Batch]:
        removal = world.change(CHAT, "remove", "alice", "bob")
        return [removal], [message(CHAT, "carol", "too early?", epoch=2, seen=4)]

    assert race(warm, prepare, check_race) == {((None,), (None,)), ((None,), ("invalid",))}


@pytest.mark.parametrize("warm", WARM)
def test_two_changes(warm: Sequence[int]) -> None:
    """One opens epoch 2, the other must be made again; its wraps mean nothing."""

    def prepare(world: World) -> Sequence[Batch]:
        return [world.change(CHAT, "remove", "alice", "bob")], [world.change(CHAT, "add", "alice", "dave")]

    told = race(warm, prepare, check_race)
    assert told == {((None,), ("epoch_conflict",)), (("epoch_conflict",), (None,))}


@pytest.mark.parametrize("warm", [(), (0, 1)])
def test_a_name_and_messages_all_get_a_place(warm: Sequence[int]) -> None:
    def prepare(world: World) -> Sequence[Batch]:
        return [world.change(CHAT, "rename", "alice", name="New")], [
            message(CHAT, "bob"),
            message(CHAT, "carol", "2"),
        ]

    assert race(warm, prepare, check_race) == {((None,), (None, None))}


@pytest.mark.parametrize("warm", WARM)
def test_the_same_message_through_both(warm: Sequence[int]) -> None:
    def prepare(world: World) -> Sequence[Batch]:
        same = message(CHAT, "bob", "same")
        return [same, message(CHAT, "carol", "more")], [same]

    def check(at: Race) -> None:
        check_race(at)
        assert at.answers[0][0].seq == at.answers[1][0].seq
        assert sorted((at.answers[0][0].duplicate, at.answers[1][0].duplicate)) == [False, True]
        assert len(at.world.items(CHAT)) == at.known + 2

    assert race(warm, prepare, check) == {((None, None), (None,))}


@pytest.mark.parametrize("warm", [(), (0, 1)])
def test_one_id_for_two_messages(warm: Sequence[int]) -> None:
    def prepare(world: World) -> Sequence[Batch]:
        return [message(CHAT, "bob", "one", id=new_id(7))], [message(CHAT, "bob", "two", id=new_id(7))]

    assert race(warm, prepare, check_race) == {((None,), ("id_conflict",)), (("id_conflict",), (None,))}


def test_one_id_for_two_chats() -> None:
    def prepare(world: World) -> Sequence[Batch]:
        return [world.creation(new_id(2), "alice", ["bob"])], [world.creation(new_id(2), "alice", ["dave"])]

    def check(at: Race) -> None:
        check_sequence(at.world, new_id(2), at.batches, at.answers)

    assert race((), prepare, check) == {((None,), ("id_conflict",)), (("id_conflict",), (None,))}


def test_the_same_creation_through_both() -> None:
    def prepare(world: World) -> Sequence[Batch]:
        same = world.creation(new_id(2), "alice", ["bob"])
        return [same], [same]

    def check(at: Race) -> None:
        check_sequence(at.world, new_id(2), at.batches, at.answers)
        assert {answer[0].seq for answer in at.answers} == {1}
        assert sorted(answer[0].duplicate for answer in at.answers) == [False, True]

    assert race((), prepare, check) == {((None,), (None,))}


@pytest.mark.parametrize("warm", [0, 1])
def test_erasure_and_messages(warm: int) -> None:
    """Afterwards nothing is there, whoever was told what; and a chat made anew under the id is whole."""
    data_at: list[Any] = []

    def start() -> tuple[Writers, Callable[[], Hashable]]:
        at = Race((0,) * warm, lambda world: ([message(CHAT, "bob", "1")], ()))
        data_at[:] = [at]
        again = at.world.creation(CHAT, "alice", ["dave"])

        def erase_and_make_anew() -> None:
            at.writers[1].chats.erase(CHAT)
            at.answers[1] = at.writers[1].log.append([again], 6)

        return [at.steps()[0], erase_and_make_anew], at.shared

    told = set()
    for order in orders(start):
        at = data_at[0]
        told.add(tuple(codes(at.answers[0])))
        assert codes(at.answers[1]) == [None]
        check_sequence(at.world, CHAT, [], []), order
        assert at.world.members(CHAT) == {"alice", "dave"}
        assert len(at.world.items(CHAT)) == 1
        assert at.world.say(CHAT, "dave").seq == 2
        assert codes(at.writers[0].log.append([message(CHAT, "dave", "3")], 7)) == [None]
    assert told == {(None,), ("not_found",)}


@pytest.mark.parametrize("warm", [(), (0, 1)])
def test_a_new_bundle_and_an_epoch_wrapped_to_the_old_one(warm: Sequence[int]) -> None:
    """Who loses is told `epoch_conflict`, or the chat is overdue at once: no epoch stays under old keys unnoticed."""
    current: list[Race] = []

    def start() -> tuple[Writers, Callable[[], Hashable]]:
        at = Race(warm, lambda world: ([world.change(CHAT, "rekey", "alice")], ()))
        current[:] = [at]
        rotate = lambda: at.writers[1].accounts.add_bundle(bundle("bob", 2), None, None)  # noqa: E731
        return [at.steps()[0], rotate], at.shared

    told = set()
    for _ in orders(start):
        at = current[0]
        told.add(tuple(codes(at.answers[0])))
        assert at.world.storage.chats.overdue() == [(CHAT, "bob")]
    assert told == {(None,), ("epoch_conflict",)}


# ---------------------------------------------------------------- SQLite


def test_sqlite_removal_among_messages_in_every_order(tmp_path: Path) -> None:
    """All ways to merge the writes [removal] and [m1], [m2], [m3], and all places of the removal in one batch."""
    adapter = SqliteAdapter(tmp_path)
    world = World(adapter.storage).join("alice", "bob", "carol")
    for place, grouped in itertools.product(range(4), (False, True)):
        chat = world.chat("alice", "bob", "carol")
        removal = world.change(chat, "remove", "alice", "bob")
        batch: list[NewMessage | NewEvent] = [
            message(chat, who, who + str(place)) for who in ("bob", "carol", "bob")
        ]
        batch.insert(place, removal)
        results = world.append(*batch) if grouped else [world.append(item)[0] for item in batch]
        check_sequence(world, chat, [batch], [results])
        refused = ["not_found" if item.sender == "bob" else "stale_epoch" for item in batch[place + 1 :]]
        assert codes(results) == [None] * (place + 1) + refused
    adapter.close()


def test_sqlite_two_threads(tmp_path: Path) -> None:
    adapter = SqliteAdapter(tmp_path)
    world = World(adapter.storage).join("alice", "bob", "carol")
    told = set()
    for _ in range(30):
        chat = world.chat("alice", "bob", "carol")
        batches: list[list[NewMessage | NewEvent]] = [
            [world.change(chat, "remove", "alice", "bob")],
            [message(chat, who, f"{who} {n}") for n in range(5) for who in ("bob", "carol")],
        ]
        answers: list[list[Any]] = [[], []]
        barrier = threading.Barrier(2)

        def write(one: int, batches: Any = batches, answers: Any = answers, barrier: Any = barrier) -> None:
            barrier.wait()
            for item in batches[one]:
                answers[one] += adapter.storage.log.append([item], 5)

        threads = [threading.Thread(target=write, args=(one,)) for one in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        check_sequence(world, chat, batches, answers)
        assert codes(answers[0]) == [None]
        told.update(codes(answers[1]))
    assert told <= {None, "not_found", "stale_epoch"}
    adapter.close()


def test_sqlite_erasure_beside_messages(tmp_path: Path) -> None:
    """What the log remembers of a chat goes with the chat, whichever of the two was first."""
    adapter = SqliteAdapter(tmp_path)
    world = World(adapter.storage).join("alice", "bob")
    for _ in range(40):
        chat = world.chat()
        barrier = threading.Barrier(2)
        answers: list[Any] = []

        def write(chat: str = chat, barrier: Any = barrier, answers: Any = answers) -> None:
            barrier.wait()
            for number in range(6):
                answers += adapter.storage.log.append([message(chat, "bob", str(number))], 5)

        def erase(chat: str = chat, barrier: Any = barrier) -> None:
            barrier.wait()
            adapter.storage.chats.erase(chat)

        threads = [threading.Thread(target=run) for run in (write, erase)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        told = codes(answers)
        assert told == sorted(told, key=lambda code: code is not None), (
            "nothing is placed after a `not_found`"
        )
        assert codes(world.append(message(chat, "bob", "late"))) == ["not_found"]
        assert world.items(chat) == []
        assert world.place(world.creation(chat, "alice", ["bob"])).seq == 1
        assert [item.seq for item in world.items(chat)] == [1]
    adapter.close()
