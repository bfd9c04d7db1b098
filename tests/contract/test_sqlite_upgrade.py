"""SQLite alone: a file of an earlier schema is brought forward when it is opened, and loses nothing."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from chatsec.storage.sqlite import SqliteStorage
from chatsec.storage.sqlite.database import connect, migrate, schema
from tests.contract.signers import Signers
from tests.contract.world import World, new_id
from tests.support.direct import DirectOffload

CHAT = new_id(1)


def columns(connection: sqlite3.Connection) -> dict[str, list[tuple[str, str]]]:
    """Every table with its columns and their types."""
    tables = connection.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name"
    ).fetchall()
    return {
        name: [row[1:3] for row in connection.execute(f"PRAGMA table_info({name})")] for (name,) in tables
    }


def back_to_the_first(connection: sqlite3.Connection) -> None:
    """Takes away what later steps added."""
    connection.executescript(
        "DROP TABLE entries; DROP TABLE shares; ALTER TABLE wraps DROP COLUMN client_wrapped;"
        "PRAGMA user_version = 1;"
    )


def test_a_file_of_the_first_schema(tmp_path: Path) -> None:
    path = tmp_path / "chatsec.db"
    storage = SqliteStorage(path, DirectOffload())
    people = Signers(storage).join("alice", "bob", "carol")
    plain = World(storage)
    plain.place(World.creation(people, CHAT, "alice", ["bob"]))
    plain.do(CHAT, "rename", "alice", name="Größe")
    plain.do(CHAT, "add", "alice", "carol")
    before = plain.everything(CHAT)
    storage.close()
    with closing(connect(path)) as connection, closing(sqlite3.connect(":memory:")) as first:
        back_to_the_first(connection)
        first.executescript(schema()[0][1].read_text("utf-8"))
        assert columns(connection) == columns(first)
    storage = SqliteStorage(path, DirectOffload())
    assert World(storage).everything(CHAT) == before
    people = people.through(storage)
    other = people.chat("alice", "bob", number=2)
    people.do(other, "add", "alice", "carol")
    assert World(storage).do(CHAT, "remove", "alice", "bob").epoch == 3
    storage.close()


def test_the_last_step_is_done_once(tmp_path: Path) -> None:
    with closing(connect(tmp_path / "chatsec.db")) as connection:
        for _ in range(2):
            migrate(connection)
        assert connection.execute("PRAGMA user_version").fetchone() == (schema()[-1][0],)
        assert [number for number, _ in schema()] == list(range(1, len(schema()) + 1))
