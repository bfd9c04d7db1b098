"""A store is moved to another, of any kind, and back: the stream stays the same, and so does all that can be read."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from chatsec.domain.models import Attachment, Mark, NewMessage
from chatsec.domain.ports import Storage
from chatsec.errors import ChatSecError
from chatsec.storage.mongo import MongoStorage
from chatsec.storage.mongo.transfer import MongoSource, MongoTarget
from chatsec.storage.records import StoredChat, StoredItem
from chatsec.storage.sqlite import FILE, SqliteStorage
from chatsec.storage.sqlite.transfer import SqliteSource, SqliteTarget
from chatsec.storage.transfer import ACCOUNTS, Entry, Source, Target, TransferError, export, take
from tests.contract.signers import Signers, envelope
from tests.contract.world import PSS, World, bundle, new_id, session, signing_kid
from tests.support.direct import DirectOffload
from tests.support.mongo import empty, shared


class Sqlite:
    """A store that begins empty, and the doors to it."""

    def __init__(self, folder: Path, number: int) -> None:
        self.folder = folder / f"sqlite-{number}"
        self.folder.mkdir()

    def storage(self) -> Storage:
        return SqliteStorage(self.folder / FILE, DirectOffload())

    def source(self) -> Source:
        return SqliteSource(self.folder)

    def target(self) -> Target:
        return SqliteTarget(self.folder)


class Mongo:
    """The same on MongoDB."""

    def __init__(self, folder: Path, number: int) -> None:
        self.uri = shared().uri(f"transfer_{number}")
        empty(self.uri)

    def storage(self) -> Storage:
        return MongoStorage(self.uri, DirectOffload())

    def source(self) -> Source:
        return MongoSource(self.uri)

    def target(self) -> Target:
        return MongoTarget(self.uri)


Store = Sqlite | Mongo
KINDS: dict[str, Callable[[Path, int], Store]] = {"sqlite": Sqlite, "mongo": Mongo}


@pytest.fixture
def make(tmp_path: Path) -> Callable[[str], Store]:
    numbers = itertools.count()
    return lambda kind: KINDS[kind](tmp_path, next(numbers))


def say(world: World, chat: str, sender: str, text: str) -> None:
    """A message whose bytes have an envelope's form, which the way out and in checks."""
    body, item_hash = envelope(text)
    kid = signing_kid(sender, world.storage.keys.current([sender])[sender].version)
    seen, epoch = world.items(chat)[-1].seq, world.epoch(chat)
    world.place(NewMessage(chat, sender, new_id(), epoch, seen, PSS, kid, item_hash, body))


def attach(world: World, chat: str, username: str, content: bytes) -> str:
    attachment = new_id()
    upload = world.storage.files.begin(attachment)
    upload.write(content)
    upload.keep()
    world.storage.attachments.create(Attachment(attachment, chat, username, len(content), world.now))
    return attachment


def live(world: World) -> list[str]:
    """Everything that a store can hold: epochs, who left and came back, an ended account, a new bundle, marks, names."""
    accounts = world.join("alice", "bob", "carol", "dave", "nobody").storage.accounts
    accounts.put_backup("alice", {"v": 1, "version": 1, "wraps": [{"ü": 1.5}]}, b"recovery")
    accounts.put_state("alice", {"v": 1, "n": 1})
    accounts.set_presence("bob", "invisible", 5)
    accounts.set_display_name("carol", "Carol Ω")
    world.storage.sessions.create(session(1, "alice"))
    first, second = world.chat("alice", "bob", "carol", name="one"), world.chat("bob", "alice")
    for number in range(5):
        say(world, first, ("alice", "bob", "carol")[number % 3], f"text {number}")
    world.do(first, "remove", "alice", "carol")
    world.do(first, "role", "alice", "bob", role="owner")
    world.do(first, "rename", "bob", name="two")
    accounts.add_bundle(bundle("bob", 2), None, None)
    world.do(first, "keys", "bob", "bob", keys="kh-bob-2")
    say(world, first, "bob", "under the new keys")
    world.do(first, "add", "bob", "carol", "dave")
    world.do(first, "leave", "dave", "dave")
    say(world, second, "alice", "another chat")
    attach(world, first, "alice", hashlib.shake_256(b"ciphertext").digest(300_000))
    attach(world, second, "bob", b"small")
    world.append(Mark(first, "bob", 3, 2), Mark(first, "carol", 2, 0))
    accounts.end("dave", world.now)
    return [first, second]


def live_combined(signers: Signers) -> str:
    """A `combined` chat with all that its log and shares can be; at the end a share is due for a newer bundle."""
    chat = signers.join("erin", "frank", "gina", "hugo").chat("erin", "frank", "gina", name="ours")
    signers.say(chat, "frank", "to all")
    signers.do(chat, "add", "erin", "hugo")
    signers.do(chat, "role", "erin", "frank", role="owner")
    signers.do(chat, "rename", "frank", name="ours Ω")
    signers.do(chat, "leave", "hugo", "hugo", unsigned=True)
    signers.do(chat, "retire", "frank", "hugo")
    signers.do(chat, "leave", "erin", "erin")
    signers.do(chat, "rekey", "gina")
    signers.say(chat, "gina", "under a share alone")
    signers.do(chat, "add", "frank", "erin", "hugo")
    signers.renew("hugo", linked=False)
    signers.do(chat, "rekey", "erin")  # hugo is excluded
    signers.say(chat, "erin", "not for hugo")
    signers.renew("gina")
    return chat


def stream(source: Source, scratch: Path) -> dict[str, bytes]:
    with closing(source):
        return {entry.name: entry.file.read(-1) for entry in export(source, scratch, pytest.fail)}


def move(source: Source, target: Target, scratch: Path) -> dict[str, int]:
    with closing(source), closing(target):
        return dict(take(export(source, scratch, pytest.fail), target, scratch, pytest.fail))


@pytest.mark.parametrize("way", list(itertools.product(KINDS, KINDS)), ids="-".join)
def test_the_stream_of_a_copy_is_the_same(
    make: Callable[[str], Store], way: tuple[str, str], tmp_path: Path
) -> None:
    old, new = make(way[0]), make(way[1])
    with closing(old.storage()) as storage:
        world = World(storage)
        chats = live(world)
        before = [world.everything(chat) for chat in chats]
        saved = stream(old.source(), tmp_path)  # while the store is open
    counts = move(old.source(), new.target(), tmp_path)
    items = sum(len(one["items"]) for one in before)
    assert counts == {"accounts": 5, "chats": 2, "items": items, "attachments": 2}
    assert stream(new.source(), tmp_path) == saved
    with closing(new.storage()) as storage:
        world = World(storage)
        assert [world.everything(chat) for chat in chats] == before
        assert storage.sessions.list("alice") == []
        say(world, chats[0], "carol", "it goes on")
        world.do(chats[0], "remove", "alice", "bob")
        assert [item.seq for item in world.items(chats[0])] == list(range(1, len(before[0]["items"]) + 3))


@pytest.mark.parametrize("way", list(itertools.product(KINDS, KINDS)), ids="-".join)
def test_a_combined_chat_is_whole_in_a_copy(
    make: Callable[[str], Store], way: tuple[str, str], tmp_path: Path
) -> None:
    """Log, shares and wraps come along; where they stand follows from them, whatever bundles took from members."""
    old, new = make(way[0]), make(way[1])
    with closing(old.storage()) as storage:
        signers = Signers(storage)
        chat = live_combined(signers)
        before = signers.everything(chat)
        saved = stream(old.source(), tmp_path)
    assert before["head"].share_due and before["head"].members["gina"].signing == {}
    assert move(old.source(), new.target(), tmp_path)["items"] == len(before["items"])
    assert stream(new.source(), tmp_path) == saved
    with closing(new.storage()) as storage:
        signers = signers.through(storage)
        assert signers.everything(chat) == before
        assert signers.refusal(signers.message(chat, "gina")) == "share_due"
        assert signers.refusal(signers.change(chat, "rename", "gina", name="mine")) == "forbidden"
        signers.do(chat, "keys", "frank", "hugo")
        assert signers.say(chat, "hugo").seq == len(before["items"]) + 2


class Erasing:
    """A source of which one chat is erased when its head was read; or later, when its items are."""

    def __init__(self, source: Source, storage: Storage, victim: str, late: bool) -> None:
        self._source, self._storage, self._victim, self._late = source, storage, victim, late
        self.files = source.files
        self.chats, self.accounts, self.close = source.chats, source.accounts, source.close

    def chat(self, chat: str) -> StoredChat | None:
        found = self._source.chat(chat)
        if chat != self._victim or found is None:
            return found
        if self._late:
            return replace(found, items=self._items(found.items))
        self._erase()
        return found

    def _items(self, items: Iterable[StoredItem]) -> Iterator[StoredItem]:
        self._erase()
        yield from items

    def _erase(self) -> None:
        for attachment in self._storage.chats.erase(self._victim):
            self._storage.files.remove(attachment)


@pytest.mark.parametrize("late", [False, True], ids=["early", "late"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_chat_is_erased_while_it_is_read(
    make: Callable[[str], Store], kind: str, late: bool, tmp_path: Path
) -> None:
    """SQLite shows it as it was, without the ciphertext that is gone; of MongoDB's it is left out. The rest is whole."""
    old, new = make(kind), make(kind)
    notes: list[str] = []
    with closing(old.storage()) as storage, closing(new.target()) as target:
        victim, other = live(World(storage))
        with closing(Erasing(old.source(), storage, victim, late)) as source:
            counts = take(export(source, tmp_path, notes.append), target, tmp_path, notes.append)
    assert counts["chats"] == (1 if kind == "mongo" else 2)
    assert len(notes) == (kind == "sqlite" and not late)
    with closing(new.storage()) as storage:
        assert (storage.chats.head(victim) is None) == (kind == "mongo")
        assert storage.chats.head(other) is not None
        kept = {1} if kind == "mongo" or not late else {1, 2}
        assert len(list(storage.files.older_than(0))) in kept


def test_what_an_earlier_run_left_and_is_no_more_goes(make: Callable[[str], Store], tmp_path: Path) -> None:
    """Between two runs the store moved on: a chat was erased, another one grew, somebody came."""
    old, new = make("sqlite"), make("mongo")
    with closing(old.storage()) as storage:
        world = World(storage)
        erased, grown = live(world)

    def stopped() -> Iterator[Entry]:
        yield from itertools.islice(export(source, tmp_path, pytest.fail), 3)
        raise KeyboardInterrupt

    with (
        closing(old.source()) as source,
        closing(new.target()) as target,
        pytest.raises(KeyboardInterrupt),
    ):
        take(stopped(), target, tmp_path, pytest.fail)
    with pytest.raises(ChatSecError, match="unfinished"):
        new.storage()
    with closing(old.storage()) as storage:
        world = World(storage)
        for attachment in storage.chats.erase(erased):
            storage.files.remove(attachment)
        say(world, grown, "alice", "more")
        world.join("erin")
    move(old.source(), new.target(), tmp_path)
    assert stream(new.source(), tmp_path) == stream(old.source(), tmp_path)
    with closing(new.storage()) as storage:
        assert storage.chats.head(erased) is None
        assert len(list(storage.files.older_than(0))) == 1


def test_what_was_altered_on_the_way_is_noticed(make: Callable[[str], Store], tmp_path: Path) -> None:
    old, new = make("sqlite"), make("mongo")
    with closing(old.storage()) as storage:
        live(World(storage))

    def altered() -> Iterator[Entry]:
        for entry in export(source, tmp_path, pytest.fail):
            yield replace(entry, sha256="0" * 64) if entry.name == ACCOUNTS else entry

    refused = pytest.raises(TransferError, match="is not as it was sent")
    with closing(old.source()) as source, closing(new.target()) as target, refused:
        take(altered(), target, tmp_path, pytest.fail)
    with pytest.raises(ChatSecError, match="unfinished"):
        new.storage()
