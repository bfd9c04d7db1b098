"""The embedded store: one SQLite file, and beside it a folder of attachments, for one process: another one on the same
file is refused with `unavailable`.

The port's contract is in `chatsec.domain.ports`.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from pathlib import Path

from chatsec.domain.ports import Offload
from chatsec.errors import ChatSecError
from chatsec.storage.sqlite.accounts import SqliteAccounts
from chatsec.storage.sqlite.attachments import SqliteAttachments
from chatsec.storage.sqlite.chats import SqliteChats
from chatsec.storage.sqlite.database import Database
from chatsec.storage.sqlite.files import DiskFiles
from chatsec.storage.sqlite.keys import SqliteKeys
from chatsec.storage.sqlite.log import SqliteLog
from chatsec.storage.sqlite.sessions import SqliteSessions

FILE = "chatsec.db"


class SqliteStorage:
    """`Storage` on SQLite."""

    def __init__(self, path: Path, offload: Offload) -> None:
        self._lock: int | None = claim(path.with_suffix(".lock"))
        self._database = database = Database(path, offload)
        self.accounts = SqliteAccounts(database)
        self.keys = SqliteKeys(database)
        self.sessions = SqliteSessions(database)
        self.log = SqliteLog(database)
        self.chats = SqliteChats(database, self.log)
        self.attachments = SqliteAttachments(database)
        self.files = DiskFiles(path.with_name("attachments"), offload)

    def ping(self) -> None:
        self._database.write(_touch)

    def close(self) -> None:
        """Closing twice is harmless: by then the number of the lock's descriptor may be another's."""
        self._database.close()
        lock, self._lock = self._lock, None
        if lock is not None:
            os.close(lock)


def claim(path: Path) -> int:
    """Keeps other processes out as long as this one lives: heads are kept in memory, so two writers would number alike."""
    try:
        lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise ChatSecError("unavailable", f"{path} cannot be opened: {error.strerror}") from error
    try:
        fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        raise ChatSecError("unavailable", f"another process uses {path.parent}") from error
    return lock


def _touch(connection: sqlite3.Connection) -> None:
    """Writes a page, so that a full disk shows."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    connection.execute(f"PRAGMA user_version = {version}")
