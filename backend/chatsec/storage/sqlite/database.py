"""The SQLite file: one writing connection, a few reading ones, and the schema's numbered steps.

All SQL runs off the loop. A write is one transaction, fsynced when `write` returns (`synchronous=FULL`, WAL); what a
failing one did is undone. Whatever SQLite cannot do becomes `unavailable`: the caller's data was judged before.
"""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from chatsec.domain.ports import Offload
from chatsec.errors import ChatSecError

T = TypeVar("T")
SCHEMA = Path(__file__).with_name("schema")


def _nothing(_: object) -> None:
    """What most writes do when they are committed."""


class Database:
    """Runs functions of a connection: `read` beside one another, `write` one at a time in a transaction."""

    def __init__(self, path: Path, offload: Offload) -> None:
        self._path = path
        self._offload = offload
        self._readers: deque[sqlite3.Connection] = deque()
        self._writer = connect(self._path)
        try:
            migrate(self._writer)
        except sqlite3.Error as error:
            raise ChatSecError("unavailable", f"cannot open the store: {error}") from error

    def read(self, function: Callable[[sqlite3.Connection], T]) -> T:
        result: T = self._offload.run(self._read, function)
        return result

    def write(
        self, function: Callable[[sqlite3.Connection], T], committed: Callable[[T], None] = _nothing
    ) -> T:
        """`committed` gets the result before any other write begins."""
        result: T = self._offload.serial(self._write, function, committed)
        return result

    def close(self) -> None:
        """After the last write; folds the WAL into the file."""
        while self._readers:
            self._readers.pop().close()
        self._writer.close()

    def _read(self, function: Callable[[sqlite3.Connection], T]) -> T:
        try:
            connection = self._readers.pop() if self._readers else connect(self._path)
            try:
                # One read transaction, so that what one function reads belongs together.
                connection.execute("BEGIN")
                return function(connection)
            finally:
                connection.rollback()
                self._readers.append(connection)
        except sqlite3.Error as error:
            raise ChatSecError("unavailable", "the store cannot be read") from error

    def _write(self, function: Callable[[sqlite3.Connection], T], committed: Callable[[T], None]) -> T:
        try:
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                result = function(self._writer)
                self._writer.commit()
            except BaseException:
                self._writer.rollback()
                raise
        except sqlite3.Error as error:
            raise ChatSecError("unavailable", "the store cannot be written") from error
        committed(result)
        return result


def connect(path: Path) -> sqlite3.Connection:
    """Used by one thread at a time, but by different ones. Transactions are begun by hand."""
    try:
        connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        for pragma in (
            "page_size=8192",  # of a new file; holds two messages of usual size, where 4096 holds one
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            "busy_timeout=5000",
            "cache_size=-16000",
        ):
            connection.execute(f"PRAGMA {pragma}")
    except sqlite3.Error as error:
        raise ChatSecError("unavailable", f"cannot open the store: {error}") from error
    return connection


def migrate(connection: sqlite3.Connection) -> None:
    """Applies the steps that are above the file's `user_version`, each in a transaction of its own."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    for number, step in schema():
        if number > version:
            connection.executescript(
                f"BEGIN;\n{step.read_text('utf-8')}\nPRAGMA user_version = {number};\nCOMMIT;"
            )


def schema() -> list[tuple[int, Path]]:
    """The steps there are, by number."""
    return [(int(step.name.split("_")[0]), step) for step in sorted(SCHEMA.glob("*.sql"))]
