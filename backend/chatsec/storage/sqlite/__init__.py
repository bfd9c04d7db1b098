"""The embedded store: one SQLite file, for one process. The port's contract is in `chatsec.domain.ports`."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from chatsec.domain.ports import Offload
from chatsec.storage.sqlite.accounts import SqliteAccounts
from chatsec.storage.sqlite.attachments import SqliteAttachments
from chatsec.storage.sqlite.chats import SqliteChats
from chatsec.storage.sqlite.database import Database
from chatsec.storage.sqlite.keys import SqliteKeys
from chatsec.storage.sqlite.log import SqliteLog
from chatsec.storage.sqlite.sessions import SqliteSessions


class SqliteStorage:
    """`Storage` on SQLite."""

    def __init__(self, path: Path, offload: Offload) -> None:
        self._database = database = Database(path, offload)
        self.accounts = SqliteAccounts(database)
        self.keys = SqliteKeys(database)
        self.sessions = SqliteSessions(database)
        self.log = SqliteLog(database)
        self.chats = SqliteChats(database, self.log)
        self.attachments = SqliteAttachments(database)

    def ping(self) -> None:
        self._database.write(_touch)

    def close(self) -> None:
        self._database.close()


def _touch(connection: sqlite3.Connection) -> None:
    """Writes a page, so that a full disk shows."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    connection.execute(f"PRAGMA user_version = {version}")
