"""A store is moved to another, of any kind, and back: the stream stays the same, and so does all that can be read."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from chatsec import crypto
from chatsec.domain.models import Attachment, Mark, NewMessage
from chatsec.domain.ports import Storage
from chatsec.storage.mongo import MongoStorage
from chatsec.storage.mongo.transfer import MongoSource, MongoTarget
from chatsec.storage.sqlite import FILE, SqliteStorage
from chatsec.storage.sqlite.transfer import SqliteSource, SqliteTarget
from chatsec.storage.transfer import Source, Target, export, take
from tests.contract.world import PSS, World, new_id, session, signing_kid
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
    fields = (text.encode().hex(), "i" * 16, "c" * 30, "s" * 20)
    names = ("protected", "iv", "ciphertext", "signature")
    body = ",".join(f'"{name}":"{field}"' for name, field in zip(names, fields, strict=True))
    kid = signing_kid(sender, world.storage.keys.current([sender])[sender].version)
    seen, epoch = world.items(chat)[-1].seq, world.epoch(chat)
    item_hash = crypto.envelope_hash(*fields)
    world.place(NewMessage(chat, sender, new_id(), epoch, seen, PSS, kid, item_hash, body.encode()))


def attach(world: World, chat: str, username: str, content: bytes) -> str:
    attachment = new_id()
    upload = world.storage.files.begin(attachment)
    upload.write(content)
    upload.keep()
    world.storage.attachments.create(Attachment(attachment, chat, username, len(content), world.now))
    return attachment


def live(world: World) -> list[str]:
    """Everything that a store can hold: epochs, who left and came back, an ended account, a new bundle, marks, names."""
    from tests.contract.world import bundle

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
    attach(world, first, "alice", bytes(range(256)) * 2500)
    attach(world, second, "bob", b"small")
    world.append(Mark(first, "bob", 3, 2), Mark(first, "carol", 2, 0))
    accounts.end("dave", world.now)
    return [first, second]


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
    assert counts == {
        "accounts": 5,
        "chats": 2,
        "items": sum(len(one["items"]) for one in before),
        "attachments": 2,
    }
    assert stream(new.source(), tmp_path) == saved
    with closing(new.storage()) as storage:
        world = World(storage)
        assert [world.everything(chat) for chat in chats] == before
        assert storage.sessions.list("alice") == []
        say(world, chats[0], "carol", "it goes on")
        world.do(chats[0], "remove", "alice", "bob")
        assert [item.seq for item in world.items(chats[0])] == list(range(1, len(before[0]["items"]) + 3))
