"""Sessions in SQLite: devices that are logged in. No token is stored, only which counter is good."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Sequence

from chatsec.domain.models import Session
from chatsec.storage.sqlite.database import Database

SELECT = "SELECT id, username, created_at, used_at, counter, rotated_at, agent FROM sessions"


class SqliteSessions:
    """`SessionStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, session: Session) -> None:
        def insert(connection: sqlite3.Connection) -> None:
            connection.execute(
                "INSERT INTO sessions (id, username, created_at, used_at, counter, rotated_at, agent)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    session.id,
                    session.username,
                    session.created_at,
                    session.used_at,
                    session.counter,
                    session.rotated_at,
                    session.agent,
                ),
            )

        self._database.write(insert)

    def get(self, session_id: str) -> Session | None:
        def read(connection: sqlite3.Connection) -> Session | None:
            row = connection.execute(f"{SELECT} WHERE id = ?", (session_id,)).fetchone()
            return Session(*row) if row else None

        return self._database.read(read)

    def living(self, session_ids: Collection[str]) -> set[str]:
        def read(connection: sqlite3.Connection) -> set[str]:
            wanted = json.dumps(list(session_ids))
            rows = connection.execute(
                "SELECT id FROM sessions WHERE id IN (SELECT value FROM json_each(?))", (wanted,)
            )
            return {session_id for (session_id,) in rows}

        return self._database.read(read)

    def list(self, username: str) -> list[Session]:
        def read(connection: sqlite3.Connection) -> list[Session]:
            rows = connection.execute(
                f"{SELECT} WHERE username = ? ORDER BY created_at DESC, id DESC", (username,)
            )
            return [Session(*row) for row in rows]

        return self._database.read(read)

    def rotate(self, session_id: str, counter: int, at: int) -> bool:
        def update(connection: sqlite3.Connection) -> bool:
            changed = connection.execute(
                "UPDATE sessions SET counter = counter + 1, rotated_at = ?, used_at = ?"
                " WHERE id = ? AND counter = ?",
                (at, at, session_id, counter),
            )
            return changed.rowcount == 1

        return self._database.write(update)

    def end(self, session_id: str) -> None:
        self._database.write(
            lambda connection: connection.execute("DELETE FROM sessions WHERE id = ?", (session_id,))
        )

    def end_idle(self, used_before: int, created_before: int) -> Sequence[str]:
        return self._database.write(
            lambda connection: delete_sessions(
                connection, "used_at < ? OR created_at < ?", (used_before, created_before)
            )
        )


def delete_sessions(connection: sqlite3.Connection, where: str, values: tuple[int | str, ...]) -> list[str]:
    """Ends the sessions that fit and answers their ids; also part of what accounts do."""
    rows = connection.execute(f"DELETE FROM sessions WHERE {where} RETURNING id", values).fetchall()
    return [session_id for (session_id,) in rows]
