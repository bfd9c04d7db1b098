"""Two writers, every order, in `combined` chats: one log, one share an epoch, and nobody sends while a share is due.

In memory the writers' single accesses are interleaved, with few interruptions: that all ways tell nothing else was seen once. A new bundle is a writer's too.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

import orjson
import pytest

from chatsec.domain.models import Appended, NewEvent, NewMessage
from chatsec.domain.ports import Storage
from chatsec.storage.memory import MemoryData, MemoryStorage
from chatsec.storage.memory.data import ChatTable
from tests.contract.interleaving import Stepwise, Writers, orders
from tests.contract.signers import Signers
from tests.contract.test_interleaving import CHAT, Batch, codes, race
from tests.contract.world import message

FREE, DUE = (None,), ("share_due",)
WARM = [(), (0, 1)]


class Given:
    """What all orders of a race begin with: keys and signatures are random, so they are made once."""

    def __init__(self, prepare: Callable[[Any], Sequence[Batch]], who: str = "") -> None:
        data = MemoryData()
        self.world = Signers(MemoryStorage(data=data)).join("alice", "bob", "carol", "dave")
        self.world.chat("alice", "bob", "carol", number=1)
        self.world.say(CHAT, "bob", "before")
        self.before = copied(data)
        self.last = self.world.message(CHAT, "carol", "the last that no writer has seen")
        self.world.place(self.last)
        self.batches = prepare(self.world)
        self.renewed = self.world.new_bundle(who) if who else None


def copied(data: MemoryData) -> MemoryData:
    tables = {
        chat: ChatTable(dict(table.items), dict(table.ids), dict(table.wraps), dict(table.marks))
        for chat, table in data.chats.items()
    }
    return MemoryData(
        dict(data.accounts), {who: [*theirs] for who, theirs in data.bundles.items()}, chats=tables
    )


class CombinedRace:
    """As `Race`."""

    def __init__(self, given: Given, warm: Sequence[int]) -> None:
        self.data = data = copied(given.before)
        self.writers: list[Storage] = [MemoryStorage(Stepwise(), data) for _ in range(2)]
        self.world = given.world.through(MemoryStorage(data=data))
        for one in warm:
            assert codes(self.writers[one].log.append([message(CHAT, "dave")], 0)) == ["not_found"]
        self.world.place(given.last)
        self.known = len(data.chats[CHAT].items)
        self.given, self.batches = given, given.batches
        self.answers: list[Sequence[Any]] = [() for _ in given.batches]
        self.told = 0

    def steps(self) -> list[Callable[[], object]]:
        return [lambda one=one: self._write(one) for one in range(len(self.batches))]

    def _write(self, one: int) -> None:
        self.answers[one] = self.writers[one].log.append(self.batches[one], 5)

    def rotate(self) -> None:
        """Somebody's next bundle through the other writer; `told` is the last seq that there was when it was told."""
        renewed = self.given.renewed
        assert renewed is not None
        self.writers[1].accounts.add_bundle(renewed, None, None)
        self.writers[1].log.keys_changed(renewed.username)
        self.told = len(self.data.chats[CHAT].items)

    def shared(self) -> Hashable:
        """The data as a value; attempts at epochs have no name that matters."""
        table = self.data.chats[CHAT]
        return (
            tuple((item.seq, item.body) for item in table.items.values()),
            tuple(sorted(repr(sorted(wraps)) for wraps in table.wraps.values())),
            table.snapshot and table.snapshot.last_seq,
            self.data.bundles_changed,
            tuple(account.keys_version for account in self.data.accounts.values()),
        )


def check(at: Any) -> None:
    """Log and shares follow one another; what was answered as placed lies there; who sends is in, and nothing is due."""
    items = at.world.items(CHAT)
    assert [item.seq for item in items] == list(range(1, len(items) + 1))
    asked = {
        result.seq: item
        for batch, results in zip(at.batches, at.answers, strict=True)
        for item, result in zip(batch, results, strict=True)
        if isinstance(result, Appended)
    }
    members: set[str] = set()
    log, due, epoch = [], False, 0
    for item in items:
        if event := orjson.loads(b"{" + item.body + b"}").get("event"):
            names = set(event["usernames"])
            members = members | names if event["kind"] in ("create", "add") else members
            members = members - names if event["kind"] in ("remove", "leave", "ended") else members
            log += [event["log"]] if event["log"] else []
            assert event["epoch"] == epoch + bool(event["share"])
            due, epoch = (due or event["kind"] in ("leave", "ended")) and not event["share"], event["epoch"]
        elif item.seq > at.known:
            sent = asked[item.seq]
            assert isinstance(sent, NewMessage) and sent.body == item.body
            assert sent.sender in members and sent.epoch == epoch and not due
    chats, head = at.world.storage.chats, at.world.head(CHAT)
    assert [chats.taken(CHAT, n, None)[0] for n in range(1, len(log) + 2)] == [*log, None]
    assert (set(head.members), head.epoch, head.combined.log.n) == (members, epoch, len(log))
    for event in (item for item in asked.values() if isinstance(item, NewEvent)):
        assert event.entry is None or event.entry.hash in log
        assert event.share is None or chats.taken(CHAT, None, event.share.epoch)[1] == event.share.hash
    at_once = [writer.log.append([at.world.message(CHAT, "alice")], 9) for writer in at.writers]
    assert {tuple(codes(one)) for one in at_once} == {DUE if chats.get(CHAT, "alice").share_due else FREE}


Prepare = Callable[[Any], Sequence[Batch]]
RACES: dict[str, tuple[Prepare, set[Any]]] = {
    "a removal, a message": (
        lambda w: ([w.change(CHAT, "remove", "alice", "bob")], [w.message(CHAT, "carol")]),
        {(FREE, FREE), (FREE, ("stale_epoch",))},
    ),
    "a removal, a message of who is removed": (
        lambda w: ([w.change(CHAT, "remove", "alice", "bob")], [w.message(CHAT, "bob")]),
        {(FREE, FREE), (FREE, ("not_found",))},
    ),
    "a share, a message": (
        lambda w: ([w.change(CHAT, "rekey", "carol")], [w.message(CHAT, "bob")]),
        {(FREE, FREE), (FREE, ("stale_epoch",))},
    ),
    "a leave without an entry, a message": (
        lambda w: ([w.change(CHAT, "leave", "bob", "bob", unsigned=True)], [w.message(CHAT, "carol")]),
        {(FREE, FREE), (FREE, DUE)},
    ),
    "an account that ends, a share": (
        lambda w: ([NewEvent(CHAT, "ended", "", ("bob",))], [w.change(CHAT, "rekey", "carol")]),
        {(FREE, FREE), (FREE, ("epoch_conflict",))},
    ),
    "a leave, a share": (
        lambda w: ([w.change(CHAT, "leave", "bob", "bob")], [w.change(CHAT, "rekey", "carol")]),
        {(FREE, FREE), (FREE, ("epoch_conflict",))},
    ),
    "an addition, a removal": (
        lambda w: ([w.change(CHAT, "add", "alice", "dave")], [w.change(CHAT, "remove", "alice", "bob")]),
        {(FREE, ("membership_conflict",)), (("membership_conflict",), FREE)},
    ),
    "an addition, a share": (
        lambda w: ([w.change(CHAT, "add", "alice", "dave")], [w.change(CHAT, "rekey", "carol")]),
        {(FREE, ("epoch_conflict",)), (("epoch_conflict",), FREE)},
    ),
    "two shares": (
        lambda w: ([w.change(CHAT, "rekey", "alice")], [w.change(CHAT, "rekey", "carol")]),
        {(FREE, ("epoch_conflict",)), (("epoch_conflict",), FREE)},
    ),
}


def run(given: Given, warm: Sequence[int], look: Callable[[Any], None]) -> set[Any]:
    return race(warm, lambda world: (), look, lambda warm, _: CombinedRace(given, warm), 2 if warm else 3)


@pytest.mark.parametrize("name", RACES)
def test_a_race(name: str) -> None:
    prepare, expected = RACES[name]
    given = Given(prepare)
    for warm in WARM:
        assert run(given, warm, check) == expected


@pytest.mark.parametrize("kind", ["rekey", "remove"])
def test_the_same_request_through_both(kind: str) -> None:
    def prepare(world: Any) -> Sequence[Batch]:
        same = world.change(CHAT, kind, "alice", *(["bob"] if kind == "remove" else []))
        return [same], [same]

    def once(at: Any) -> None:
        check(at)
        (one,), (other,) = at.answers
        assert one.seq == other.seq == at.known + 1
        assert sorted((one.duplicate, other.duplicate)) == [False, True]

    assert run(Given(prepare), (0, 1), once) == {(FREE, FREE)}


# ---------------------------------------------------------------- bundles


def rotations(
    who: str, batch: Callable[[Any], Batch], warm: Sequence[int], look: Callable[[Any], None]
) -> set[tuple[str | None, ...]]:
    """A batch through one writer while somebody's next bundle is stored and told through the other, in every order;
    answers what the first could be told."""
    given, current, told = Given(lambda world: [batch(world)], who), [], set()

    def start() -> tuple[Writers, Callable[[], Hashable]]:
        at = CombinedRace(given, warm)
        current[:] = [at]
        return [*at.steps(), at.rotate], at.shared

    for order in orders(start, 2 if warm else 3):
        at = current[0]
        told.add(tuple(codes(at.answers[0])))
        try:
            look(at)
        except AssertionError as error:
            raise AssertionError(f"order {order}") from error
    return told


@pytest.mark.parametrize("warm", WARM)
def test_a_new_bundle_and_messages(warm: Sequence[int]) -> None:
    """None has a place after it was told."""

    def look(at: Any) -> None:
        assert len(at.world.items(CHAT)) <= at.told
        check(at)

    def batch(world: Any) -> Batch:
        return [world.message(CHAT, "carol", "1"), world.message(CHAT, "carol", "2")]

    expected = {(None, None), (None, "share_due"), ("share_due", "share_due")}
    assert rotations("bob", batch, warm, look) == expected


@pytest.mark.parametrize("kind", ["rekey", "add"])
def test_a_new_bundle_and_a_share_under_the_old_one(kind: str) -> None:
    """Who loses is told `epoch_conflict`, or a share is due at once: also of who is just being added."""
    who = "dave" if kind == "add" else "bob"

    def look(at: Any) -> None:
        placed = at.answers[0][0]
        assert isinstance(placed, Appended) or placed.extra["moved"] == [who]
        view = at.world.storage.chats.get(CHAT, "alice")
        assert view.share_due == (who in {member.username for member in view.members})
        check(at)

    def batch(world: Any) -> Batch:
        return [world.change(CHAT, kind, "alice", *(["dave"] if kind == "add" else []))]

    assert rotations(who, batch, (0,), look) == {FREE, ("epoch_conflict",)}
