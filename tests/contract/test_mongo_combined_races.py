"""MongoDB alone, `combined` chats: two writers whose commands are merged in every order.

As `test_mongo_interleaving`, whose arena this is; what lies there then must hold together as a backup of it would.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from chatsec.domain.models import Appended, NewMessage
from chatsec.storage.mongo.transfer import MongoSource
from tests.contract.signers import Signers
from tests.contract.test_interleaving import CHAT, Batch, codes, race
from tests.contract.test_mongo_interleaving import Arena, MongoRace, once
from tests.contract.world import World, new_id

PEOPLE = ("alice", "bob", "carol", "dave")
BREAKS = 1  # how often a writer is interrupted at most: with 2, told alike, it takes five times as long


class CombinedArena(Arena):
    """Two writers that know everybody's bundles, also those to come."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.source = MongoSource(self.adapter.uri)

    def close(self) -> None:
        self.source.close()
        self.adapter.close()

    def people(self, storage: Any) -> World:
        return Signers(storage).join(*PEOPLE)

    def race(self, warm: Sequence[int], prepare: Callable[[Any], Sequence[Batch]]) -> MongoRace:
        made = super().race(warm, prepare)
        made.source = self.source
        for human in self.world.humans.values():
            for writer in self.writers:
                writer._database.links.update((link.hash, link) for link in human.line.links)
        return made


@pytest.fixture
def arena(tmp_path: Path) -> Iterator[CombinedArena]:
    made = CombinedArena(tmp_path)
    yield made
    made.close()
    assert made.walked > 5, "the writers did meet"


def check_chat(at: Any) -> None:
    """Log, shares and chain belong together; what was answered as placed lies there; nobody speaks who may not."""
    stored = at.source.chat(CHAT)
    asked = {
        result.seq: item
        for batch, results in zip(at.batches, at.answers, strict=True)
        for item, result in zip(batch, results, strict=True)
        if isinstance(result, Appended)
    }
    members: set[str] = set()
    for item in stored.items:
        if item.event:
            names = set(item.event["usernames"])
            members = members | names if item.event["kind"] in ("create", "add") else members
            members = members - names if item.event["kind"] in ("remove", "leave", "ended") else members
        else:
            assert item.sender in members
        if item.seq > at.known:
            message = asked.pop(item.seq)
            if isinstance(message, NewMessage):
                assert (message.body, message.epoch) == (item.body, item.epoch)
    assert not [seq for seq in asked if seq > at.known]
    head = at.world.storage.chats.head(CHAT)
    assert members == set(head.members)
    assert head.combined == stored.head.combined


Prepare = Callable[[Any], Sequence[Batch]]
FREE, DUE = (None,), ("share_due",)
RACES: dict[str, tuple[Prepare, set[Any]]] = {
    "a removal, a message of the removed": (
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
    "an addition, a removal": (
        lambda w: ([w.change(CHAT, "add", "alice", "dave")], [w.change(CHAT, "remove", "alice", "bob")]),
        {(FREE, ("membership_conflict",)), (("membership_conflict",), FREE)},
    ),
    "a leave, a share": (
        lambda w: ([w.change(CHAT, "leave", "bob", "bob")], [w.change(CHAT, "rekey", "carol")]),
        {(FREE, FREE), (FREE, ("epoch_conflict",))},
    ),
    "the same share": (
        lambda w: ([share := w.change(CHAT, "rekey", "carol")], [share]),
        {(FREE, FREE)},
    ),
}


@pytest.mark.parametrize("name", RACES)
def test_a_race(arena: CombinedArena, name: str) -> None:
    prepare, expected = RACES[name]

    def check(at: Any) -> None:
        check_chat(at)
        if name == "the same share":
            (one,), (other,) = at.answers
            assert one.seq == other.seq == at.known + 1
            assert sorted((one.duplicate, other.duplicate)) == [False, True]

    assert race((1,), prepare, once(check), arena.race, BREAKS) == expected


class Renewal(MongoRace):
    """Bob's next bundle is stored while the other writer appends."""

    def steps(self) -> list[Callable[[], object]]:
        return [lambda: self._write(0), self._renew]

    def _renew(self) -> None:
        self.writers[1].accounts.add_bundle(self.arena.next, None, None)
        self.writers[1].log.keys_changed("bob")


class RenewalArena(CombinedArena):
    next: Any

    def race(self, warm: Sequence[int], prepare: Callable[[Any], Sequence[Batch]]) -> MongoRace:
        made = super().race(warm, prepare)
        made.__class__, made.arena = Renewal, self
        return made


@pytest.fixture
def renewals(tmp_path: Path) -> Iterator[RenewalArena]:
    made = RenewalArena(tmp_path)
    yield made
    made.close()
    assert made.walked > 5, "the writers did meet"


@pytest.mark.parametrize("kind", ["message", "rekey"])
def test_a_new_bundle_beside(renewals: RenewalArena, kind: str) -> None:
    """The chat says at once that a share is due, and the writer that judged by the old bundle does so for one batch
    more at most."""
    late: list[NewMessage] = []

    def prepare(world: Signers) -> Sequence[Batch]:
        first = world.message(CHAT, "carol") if kind == "message" else world.change(CHAT, "rekey", "alice")
        epoch = 1 if kind == "message" else 2
        seen = 3 if kind == "message" else 4
        late[:] = [
            world.message(CHAT, "carol", f"{n}", epoch=epoch, seen=seen, id=new_id(n)) for n in range(2)
        ]
        renewals.next = world.new_bundle("bob")
        return [first], []

    def check(at: Any) -> None:
        check_chat(at)
        views = at.world.storage.chats.views(CHAT)
        assert all(view.share_due for view in views.values())
        assert at.world.storage.chats.overdue() == []
        told = [code for message in late for code in codes(at.writers[0].log.append([message], 6))]
        assert told in ([None, "share_due"], ["share_due", "share_due"], ["invalid", "invalid"])

    told = race((0,), prepare, check, renewals.race, BREAKS)
    assert told == {(FREE, ()), ((("share_due" if kind == "message" else "epoch_conflict"),), ())}
