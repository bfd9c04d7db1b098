"""MongoDB alone: two writers whose commands to the database are merged in every order.

Each is a store of its own with a driver of its own, on the real wire. Writers are interrupted twice at most, and an order
that led to the same data, past the same observations, as one before is not walked again: 773 are (see `interleaving`).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Hashable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from chatsec.domain.ports import Storage
from chatsec.storage.mongo.log import MongoLog
from tests.contract.adapters import MongoAdapter
from tests.contract.interleaving import Commands, Stepwise
from tests.contract.test_interleaving import CHAT, Batch, check_race, check_sequence, codes, race
from tests.contract.world import World, bundle, message, new_id
from tests.support.mongo import client, shared

BREAKS = 2  # how often a writer is interrupted at most


class Arena:
    """One database and two writers, used for all orders of a test: put back to where they were before each."""

    def __init__(self, directory: Path) -> None:
        self.adapter = MongoAdapter(directory)
        self.commands = Commands()
        self.writers = [self.adapter.open(event_listeners=[self.commands]) for _ in range(2)]
        self.world = self.people(self.adapter.storage)
        self.data = client(shared().uri("contract")).get_default_database()
        self.batches: Sequence[Batch] | None = None
        self.walked = 0

    def people(self, storage: Storage) -> World:
        return World(storage).join("alice", "bob", "carol", "dave")

    def race(self, warm: Sequence[int], prepare: Callable[[World], Sequence[Batch]]) -> MongoRace:
        if self.batches is None:
            self._begin(warm)
            self.batches = prepare(self.world)
        for name, docs in self._docs.items():
            self.data[name].delete_many({})
            self.data[name].insert_many(docs)
        for writer, kept in zip(self.writers, self._kept, strict=True):
            writer.log = MongoLog(writer._database, Stepwise())
            writer.log._kept = copy.deepcopy(kept)
        self.walked += 1
        return MongoRace(self, self.batches)

    def _begin(self, warm: Sequence[int]) -> None:
        """A chat with two messages; the `warm` writers know it up to the first."""
        self.world.chat("alice", "bob", "carol", number=1)
        self.world.say(CHAT, "bob", "before")
        for one in warm:
            assert codes(self.writers[one].log.append([message(CHAT, "dave")], 0)) == ["not_found"]
        self.world.say(CHAT, "carol", "the last that no writer has seen")
        self._docs = {name: list(self.data[name].find()) for name in ("chats", "items", "wraps", "users")}
        self._kept = [copy.deepcopy(writer.log._kept) for writer in self.writers]


class MongoRace:
    """As `test_interleaving.Race`, over one database."""

    known = 3  # items that are there before

    def __init__(self, arena: Arena, batches: Sequence[Batch]) -> None:
        self.writers: Sequence[Storage] = arena.writers
        self.world, self.batches = arena.world, batches
        self.answers: list[Sequence[Any]] = [(), ()]
        self._commands, self._data = arena.commands, arena.data
        self._commands.wrote = True

    def steps(self) -> list[Callable[[], object]]:
        return [lambda: self._write(0), lambda: self._write(1)]

    def shared(self) -> Hashable:
        """The data as a value; what a chat's document is called by and attempts at epochs have no name that matters."""
        if self._commands.wrote:
            self._commands.wrote = False
            self._rows = tuple(self._read())
        return self._rows

    def _read(self) -> Iterator[Hashable]:
        chats = list(self._data.chats.find().sort("_id"))
        names = {doc["_id"]: number for number, doc in enumerate(chats)}
        for doc in chats:
            state = doc.get("state", {"seq": 0})
            changed = doc.get("keys_changed", 0)
            yield doc.get("chat"), doc["last"], state["seq"], changed, *sorted(doc.get("named", ()))
        for doc in self._data.items.find().sort("place"):
            yield names.get(doc["chat"]), doc["seq"], doc["body"]
        yield tuple(sorted((str(names.get(doc["chat"])), *doc["members"]) for doc in self._data.wraps.find()))
        yield tuple(doc["keys_hash"] for doc in self._data.users.find().sort("_id"))

    def _write(self, one: int) -> None:
        self.answers[one] = self.writers[one].log.append(self.batches[one], 5)


@pytest.fixture
def arena(tmp_path: Path) -> Iterator[Arena]:
    made = Arena(tmp_path)
    yield made
    made.adapter.close()
    assert made.walked > 20, "the writers did meet"


def once(check: Callable[[Any], None]) -> Callable[[Any], None]:
    """Looks at an outcome, data and answers, the first time that it comes."""
    seen: set[Hashable] = set()

    def looked(at: MongoRace) -> None:
        outcome = hash((at.shared(), repr(at.answers)))
        if outcome not in seen:
            check(at)
            seen.add(outcome)

    return looked


@pytest.mark.parametrize(
    ("kind", "who", "warm"),
    [("remove", "bob", ()), ("rekey", "", (1,))],
)
def test_a_change_and_a_message(arena: Arena, kind: str, who: str, warm: Sequence[int]) -> None:
    def prepare(world: World) -> Sequence[Batch]:
        change = world.change(CHAT, kind, "alice", *filter(None, [who]))
        return [change], [message(CHAT, "carol", "under epoch 1")]

    told = race(warm, prepare, once(check_race), arena.race, BREAKS)
    assert told == {((None,), (None,)), ((None,), ("stale_epoch",))}


def test_a_message_of_the_removed(arena: Arena) -> None:
    def prepare(world: World) -> Sequence[Batch]:
        return [world.change(CHAT, "remove", "alice", "bob")], [message(CHAT, "bob", "under epoch 1")]

    told = race((1,), prepare, once(check_race), arena.race, BREAKS)
    assert told == {((None,), (None,)), ((None,), ("not_found",))}


def test_removal_and_addition(arena: Arena) -> None:
    """One opens epoch 2, the other must be made again; its wraps mean nothing."""

    def prepare(world: World) -> Sequence[Batch]:
        return [world.change(CHAT, "remove", "alice", "bob")], [world.change(CHAT, "add", "alice", "dave")]

    told = race((0,), prepare, once(check_race), arena.race, BREAKS)
    assert told == {((None,), ("epoch_conflict",)), (("epoch_conflict",), (None,))}


def test_the_same_message_through_both(arena: Arena) -> None:
    def prepare(world: World) -> Sequence[Batch]:
        same = message(CHAT, "bob", "same")
        return [same], [same]

    def check(at: MongoRace) -> None:
        check_race(at)
        (one,), (other,) = at.answers
        assert one.seq == other.seq and sorted((one.duplicate, other.duplicate)) == [False, True]
        assert len(at.world.items(CHAT)) == at.known + 1

    assert race((0,), prepare, once(check), arena.race, BREAKS) == {((None,), (None,))}


def test_one_id_for_two_chats(arena: Arena) -> None:
    def prepare(world: World) -> Sequence[Batch]:
        return [world.creation(new_id(2), "alice", ["bob"])], [world.creation(new_id(2), "alice", ["dave"])]

    def check(at: MongoRace) -> None:
        check_sequence(at.world, new_id(2), at.batches, at.answers)

    told = race((), prepare, once(check), arena.race, BREAKS)
    assert told == {((None,), ("id_conflict",)), (("id_conflict",), (None,))}


def test_erasure_and_a_message(arena: Arena) -> None:
    """Afterwards nothing is there, whoever was told what, and a chat made anew under the id is whole."""

    def prepare(world: World) -> Sequence[Batch]:
        return [message(CHAT, "bob", "1")], [world.creation(CHAT, "alice", ["dave"])]

    class Erasure(MongoRace):
        def steps(self) -> list[Callable[[], object]]:
            return [lambda: self._write(0), self._erase_and_make_anew]

        def _erase_and_make_anew(self) -> None:
            self.writers[1].chats.erase(CHAT)
            self._write(1)

    def check(at: MongoRace) -> None:
        check_sequence(at.world, CHAT, [], [])
        assert at.world.members(CHAT) == {"alice", "dave"} and len(at.world.items(CHAT)) == 1
        assert at.world.storage.chats.last_seqs("bob") == {}

    def make(warm: Sequence[int], prepare: Callable[[World], Sequence[Batch]]) -> MongoRace:
        at = arena.race(warm, prepare)
        at.__class__ = Erasure
        return at

    assert race((0,), prepare, once(check), make, BREAKS) == {((None,), (None,)), (("not_found",), (None,))}


def test_a_rekey_and_a_new_bundle(arena: Arena) -> None:
    """Who loses is told `epoch_conflict`, or the chat is overdue at once: no epoch stays under old keys unnoticed."""

    def prepare(world: World) -> Sequence[Batch]:
        return [world.change(CHAT, "rekey", "alice")], []

    class Renewal(MongoRace):
        def steps(self) -> list[Callable[[], object]]:
            renew = lambda: self.writers[1].accounts.add_bundle(bundle("bob", 2), None, None)  # noqa: E731
            return [lambda: self._write(0), renew]

    def check(at: MongoRace) -> None:
        assert at.world.storage.chats.overdue() == [(CHAT, "bob")]

    def make(warm: Sequence[int], prepare: Callable[[World], Sequence[Batch]]) -> MongoRace:
        at = arena.race(warm, prepare)
        at.__class__ = Renewal
        return at

    assert race((0,), prepare, once(check), make, BREAKS) == {((None,), ()), (("epoch_conflict",), ())}
