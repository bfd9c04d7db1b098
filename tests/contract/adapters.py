"""The stores under test, each with what a test must do to it from outside: a crash, a second writer, a full disk."""

from __future__ import annotations

import os
import resource
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pymongo.common
from pymongo import MongoClient

from chatsec.domain.ports import Storage
from chatsec.errors import ChatSecError
from chatsec.storage.memory import MemoryData, MemoryStorage
from chatsec.storage.mongo import MongoStorage
from chatsec.storage.sqlite import SqliteStorage
from tests.support.direct import DirectOffload
from tests.support.mongo import Address, empty, shared
from tests.support.wire import Wire

pymongo.common.MIN_HEARTBEAT_INTERVAL = 0.02  # type: ignore[misc]  # else a cut connection costs half a second


class SqliteAdapter:
    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._opened: list[SqliteStorage] = []
        self.storage = self._open(directory / "0.db")

    def _open(self, path: Path) -> SqliteStorage:

        self._opened.append(SqliteStorage(path, DirectOffload()))
        return self._opened[-1]

    def crash(self) -> Storage:
        """What a new process finds: the file and its log as they lie there now, nothing closed or folded in."""
        old = self._directory / f"{len(self._opened) - 1}.db"
        new = self._directory / f"{len(self._opened)}.db"
        shutil.copy(old, new)
        shutil.copy(f"{old}-wal", f"{new}-wal")
        self.storage = self._open(new)
        return self.storage

    @contextmanager
    def failing(self, after: int) -> Iterator[None]:
        """The disk is full when about `after` more pages are taken."""
        writer = self._opened[-1]._database._writer
        (pages,) = writer.execute("PRAGMA page_count").fetchone()
        writer.execute(f"PRAGMA max_page_count = {pages + after}")
        try:
            yield
        finally:
            writer.execute("PRAGMA max_page_count = 1073741823")

    @contextmanager
    def failing_files(self, after: int) -> Iterator[None]:
        """No file gets larger than `after` times 100 KB."""
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (after * 100_000, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    def files(self) -> set[str]:
        """The attachments of which anything lies there."""
        return {path.stem for path in (self._directory / "attachments").iterdir()}

    def age(self, attachment: str, seconds: float) -> None:
        """As if it had been written so long ago."""
        at = time.time() - seconds
        (path,) = (self._directory / "attachments").glob(f"{attachment}*")
        os.utime(path, (at, at))

    def close(self) -> None:
        for storage in self._opened:
            storage.close()


class MemoryAdapter:
    def __init__(self, directory: Path) -> None:
        self._data = MemoryData()
        self._offload = Breakable()
        self.storage: Storage = MemoryStorage(self._offload, self._data)

    def crash(self) -> Storage:
        """A new writer, which remembers nothing."""
        self.storage = MemoryStorage(self._offload, self._data)
        return self.storage

    @contextmanager
    def failing(self, after: int) -> Iterator[None]:
        """The store is out of reach from the access after the next `after` on."""
        self._offload.left = after
        try:
            yield
        finally:
            self._offload.left = None

    failing_files = failing

    def files(self) -> set[str]:
        return set(self._data.files)

    def age(self, attachment: str, seconds: float) -> None:
        self._data.files[attachment].at -= seconds

    def close(self) -> None:
        self.storage.close()


class Breakable(DirectOffload):
    """Lets `left` accesses pass, then none."""

    left: int | None = None

    def turn(self) -> None:
        if self.left is None:
            return
        if self.left <= 0:
            raise ChatSecError("unavailable", "the store is out of reach")
        self.left -= 1


class MongoAdapter:
    """On a real server over the real wire; its database is emptied first."""

    def __init__(self, directory: Path, server: Address | None = None) -> None:
        server = server or shared()
        empty(server.uri("contract"))
        self.wire = Wire(server.host, server.port)
        self.uri = server.uri("contract", self.wire.port)
        self._opened: list[MongoStorage] = []
        self.storage: Storage = self.open()

    def open(self, **options: Any) -> MongoStorage:
        """One more writer."""
        options.setdefault("serverMonitoringMode", "poll")  # and this does too: it waits for news in steps
        self._opened.append(MongoStorage(self.uri, DirectOffload(), **options))
        return self._opened[-1]

    def crash(self) -> Storage:
        """A new writer, which remembers nothing."""
        self.storage = self.open()
        return self.storage

    @contextmanager
    def failing(self, after: int) -> Iterator[None]:
        """The database refuses from the command after the next `after` on."""
        with self.wire.failing(after):
            yield

    failing_files = failing

    def files(self) -> set[str]:
        with self.database() as database:
            chunks = database["attachments.chunks"].distinct("files_id")
            return {*chunks, *database["attachments.files"].distinct("_id")}

    def age(self, attachment: str, seconds: float) -> None:
        with self.database() as database:
            files = database["attachments.files"]
            doc = files.find_one({"_id": attachment})
            at = doc["uploadDate"] - timedelta(seconds=seconds)
            files.update_one({"_id": attachment}, {"$set": {"uploadDate": at}})

    @contextmanager
    def database(self) -> Iterator[Any]:
        """The database itself, past the store."""
        with MongoClient[dict[str, Any]](self.uri) as client:
            yield client.get_default_database()

    def close(self) -> None:
        for storage in self._opened:
            storage.close()
        self.wire.close()


ADAPTERS = {"memory": MemoryAdapter, "mongo": MongoAdapter, "sqlite": SqliteAdapter}
