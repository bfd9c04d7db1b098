"""`python -m chatsec`: backup, restore and migration by their commands, with real servers, stores and clients."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from chatsec.storage.sqlite import FILE, SqliteStorage
from tests.contract.test_transfer import attach
from tests.contract.world import World
from tests.e2e.load import Book, history, seal_many
from tests.e2e.past import judge, live
from tests.support import protocol as p
from tests.support.client import Json, User
from tests.support.direct import DirectOffload
from tests.support.mongo import shared
from tests.support.server import ROOT, ServerProcess

STORES = ["sqlite", "mongo"]
WAIT = 60
SECRET = "only-for-tests-" * 3


@dataclass
class Place:
    """A store of its own that begins empty."""

    folder: Path
    mongo_uri: str = ""

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def server(self, **env: str) -> ServerProcess:
        secret = {"SECRET_KEY": SECRET} if self.mongo_uri else {}
        return ServerProcess(self.folder, **{"MONGO_URI": self.mongo_uri} | secret | env)

    def start(self, *arguments: str | Path) -> subprocess.Popen[str]:
        """The operators' command; it is told no secret."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
        return subprocess.Popen(
            [sys.executable, "-m", "chatsec", *map(str, arguments)],
            cwd=ROOT / "backend",
            env=kept | {"DATA_DIR": str(self.data), "MONGO_URI": self.mongo_uri},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str | Path, status: int = 0) -> str:
        """What it said; each line in the one voice."""
        process = self.start(*arguments)
        out, said = process.communicate(timeout=WAIT)
        assert process.returncode == status, said
        assert out == "" and all(line.startswith("chatsec: ") for line in said.splitlines()), said
        return said


@pytest.fixture
def place(tmp_path: Path) -> Callable[[str], Place]:
    def make(kind: str) -> Place:
        name = uuid.uuid4().hex[:12]
        folder = tmp_path / name
        folder.mkdir()
        return Place(folder, shared().uri(f"backup_{name}") if kind == "mongo" else "")

    return make


@pytest.fixture
def on() -> Iterator[Callable[[ServerProcess], ServerProcess]]:
    """Servers that run until the test ends; nothing in their logs may tell of a fault of their own."""
    with ExitStack() as stack:
        started: list[ServerProcess] = []

        def start(server: ServerProcess) -> ServerProcess:
            started.append(stack.enter_context(server))
            return server

        yield start
        for server in started:
            assert "Traceback" not in server.log(), server.log()[-4000:]


class Load:
    """Messages of Bob, one after another, until it is told to stop."""

    def __init__(self, bob: User, chat: str) -> None:
        self.book = Book()
        self.going = threading.Event()
        self._over = threading.Event()
        self._messages = seal_many(bob, chat, 600)
        self._live = bob.connect()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        for message_id, envelope in self._messages:
            if self._over.is_set():
                break
            self.book.sent[message_id] = envelope
            self.book.note(message_id, self._live.call("message:send", envelope))
            if len(self.book.acked) == 5:
                self.going.set()
        self.going.set()

    def stop(self) -> None:
        self._over.set()
        self._thread.join()


@pytest.mark.parametrize("kind", STORES)
def test_a_backup_under_load_brings_everything_back(
    kind: str, place: Callable[[str], Place], on: Callable[[ServerProcess], ServerProcess], tmp_path: Path
) -> None:
    old, new, file = place(kind), place(kind), tmp_path / "backup.tar.gz"
    server = on(old.server())
    past = live(server.url)
    busy = past.bob.create_chat("alice")
    load = Load(past.bob, busy)
    assert load.going.wait(WAIT)
    before = dict(load.book.acked)
    said = old.run("backup", file)
    load.stop()
    assert "saved 4 accounts, 3 chats" in said and "1 attachments" in said
    assert file.stat().st_mode & 0o777 == 0o600
    with tarfile.open(file) as tar:
        assert tar.getnames()[0] == "backup.json" and f"chats/{busy}.ndjson" in tar.getnames()
    seen = past.bob.reader(busy)
    assert len(load.book.acked) > len(before)

    if kind == "sqlite":
        assert "another process uses" in old.run("restore", file, status=1)
    else:
        assert "not empty: it has 4 accounts" in old.run("restore", file, status=1)
    assert "restored 4 accounts" in new.run("restore", file)
    assert "not empty" in new.run("restore", file, status=1)

    restored = on(new.server())
    alice = judge(restored.url, past)
    items = history(alice, busy)
    assert [item["seq"] for item in items] == list(range(1, len(items) + 1))
    for message_id, ack in load.book.acked.items():
        if message_id in before or ack["seq"] <= len(items):
            sent = load.book.sent[message_id]
            assert (
                items[ack["seq"] - 1].items()
                >= {name: sent[name] for name in ("protected", "signature")}.items()
            )

    # Who had seen more than was saved says so.
    past.bob.url = restored.url
    bob = past.bob.log_in_again()
    assert len(items) < seen.last_seq
    seen.page(bob.history(busy, after=seen.last_seq))
    assert seen.warnings == {"server_rollback"}
    for user in (alice, bob, past.alice, past.bob, past.carol):
        user.close()


def notes(uri: str) -> list[Json]:
    with MongoClient[Json](uri) as client:
        return list(client.get_default_database()["transfer"].find())


def ids(uri: str) -> dict[str, Any]:
    """chat → `_id` of its document."""
    with MongoClient[Json](uri) as client:
        return {
            doc["chat"]: doc["_id"]
            for doc in client.get_default_database()["chats"].find({"chat": {"$exists": True}})
        }


def test_a_migration_that_is_killed_goes_on(
    place: Callable[[str], Place], on: Callable[[ServerProcess], ServerProcess]
) -> None:
    old, new = place("sqlite"), place("mongo")
    way = ("migrate", f"sqlite:{old.data}", new.mongo_uri)
    with old.server() as server:
        past = live(server.url)
        chats = [past.alice.create_chat("bob", name=f"chat {number}") for number in range(30)]
        for chat in chats:
            past.alice.send(chat, f"into {chat}", p.ED25519)
        assert "another process uses" in new.run(*way, status=1)
    assert notes(new.mongo_uri) == []

    process = new.start(*way)
    deadline = time.monotonic() + WAIT
    while len(done := notes(new.mongo_uri)) < 8:
        assert time.monotonic() < deadline and process.poll() is None, "it came to its end too early"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    there = ids(new.mongo_uri)
    assert len(there) < 32
    with pytest.raises(RuntimeError, match="unfinished"):
        new.server().start()
    assert "unfinished" in new.run("backup", new.folder / "half", status=1)
    assert not (new.folder / "half").exists()

    assert "moved 4 accounts, 32 chats" in new.run(*way)
    assert notes(new.mongo_uri) == []
    kept = {doc["_id"].removeprefix("chats/").removesuffix(".ndjson") for doc in done} & there.keys()
    after = ids(new.mongo_uri)
    assert kept and {chat: after[chat] for chat in kept} == {chat: there[chat] for chat in kept}
    assert "not empty" in new.run(*way, status=1)

    moved = on(new.server())
    alice = judge(moved.url, past)
    for chat in chats:
        assert alice.reader(chat).texts() == [f"into {chat}"]
    for user in (alice, past.alice, past.bob, past.carol):
        user.close()


PEAK = """
import sys
from chatsec.__main__ import main
assert main(sys.argv[1:]) == 0
print([line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")][0])
"""


def peak(place: Place, *arguments: str | Path) -> int:
    """MiB that a command takes at most."""
    run = subprocess.run(
        [sys.executable, "-c", PEAK, *map(str, arguments)],
        cwd=ROOT / "backend",
        env={"DATA_DIR": str(place.data), "MONGO_URI": "", "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=WAIT,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return int(run.stdout) // 1024


def test_memory_does_not_grow_with_what_is_moved(place: Callable[[str], Place], tmp_path: Path) -> None:
    small, large = place("sqlite"), place("sqlite")
    for at, size in ((small, 1), (large, 32)):
        at.data.mkdir()
        with closing(SqliteStorage(at.data / FILE, DirectOffload())) as storage:
            world = World(storage).join("alice", "bob")
            attach(world, world.chat(), "alice", os.urandom(1 << 20) * size)
    file = tmp_path / "backup.tar.gz"
    used = []
    for at in (small, large):
        new = place("sqlite")
        used.append((peak(at, "backup", file), peak(new, "restore", file)))
        assert file.stat().st_size > (32 << 20 if at is large else 1 << 20)
    assert all(after - before < 16 for before, after in zip(*used, strict=True)), used


def test_the_library_names_a_server_that_was_set_back(place: Callable[[str], Place], tmp_path: Path) -> None:
    """`frontend/tests/live/restored.js` is played between a backup and its restore at the same address."""
    node = shutil.which("node")
    assert node is not None, "node is needed"
    old, new, file = place("sqlite"), place("sqlite"), tmp_path / "backup.tar.gz"
    server = old.server().start()
    client = subprocess.Popen(
        [node, "tests/live/restored.js"],
        cwd=ROOT / "frontend",
        env=os.environ | {"CHATSEC_URL": server.url},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert client.stdout is not None and client.stdin is not None
    stop = threading.Timer(WAIT, client.kill)
    stop.start()
    try:
        if client.stdout.readline() == "save\n":
            old.run("backup", file)
            client.stdin.write("\n")
            client.stdin.flush()
        if client.stdout.readline() == "restore\n":
            server.stop()
            new.run("restore", file)
            server = new.server(PORT=str(server.port)).start()
        rest, said = client.communicate("\n", timeout=WAIT)
    finally:
        stop.cancel()
        client.kill()
        server.stop()
    assert (rest, client.returncode) == ("done\n", 0), said
