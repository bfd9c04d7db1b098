"""Key bundles in SQLite. All of them stay, so that history verifies; they are written with their accounts."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Any

import orjson

from chatsec.domain.models import Bundle
from chatsec.storage.sqlite.database import Database

SELECT = (
    "SELECT b.username, b.version, b.hash, b.created_at, b.encryption_kid, b.encryption_spki, b.signing, b.body"
    " FROM bundles b"
)


class SqliteKeys:
    """`KeyStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def current(self, usernames: Iterable[str]) -> dict[str, Bundle]:
        wanted = orjson.dumps(list(usernames)).decode()

        def read(connection: sqlite3.Connection) -> dict[str, Bundle]:
            rows = connection.execute(
                f"{SELECT} JOIN users u ON u.username = b.username AND u.keys_version = b.version"
                " WHERE u.username IN (SELECT value FROM json_each(?))",
                (wanted,),
            )
            return {row[0]: bundle_of(row) for row in rows}

        return self._database.read(read)

    def history(self, username: str, after: int) -> list[Bundle]:
        def read(connection: sqlite3.Connection) -> list[Bundle]:
            rows = connection.execute(
                f"{SELECT} WHERE b.username = ? AND b.version > ? ORDER BY b.version DESC", (username, after)
            )
            return [bundle_of(row) for row in rows]

        return self._database.read(read)

    def bundles(self, usernames: Iterable[str]) -> list[Bundle]:
        wanted = sorted(usernames)
        return self._database.read(lambda connection: bundles_of(connection, wanted))


def bundles_of(connection: sqlite3.Connection, usernames: list[str]) -> list[Bundle]:
    """All bundles of these people."""
    rows = connection.execute(
        f"{SELECT} WHERE b.username IN (SELECT value FROM json_each(?))", (orjson.dumps(usernames).decode(),)
    )
    return [bundle_of(row) for row in rows]


def insert_bundle(connection: sqlite3.Connection, bundle: Bundle) -> None:
    """Part of what accounts do in one transaction."""
    connection.execute(
        "INSERT INTO bundles"
        " (hash, username, version, created_at, encryption_kid, encryption_spki, signing, body)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            bundle.hash,
            bundle.username,
            bundle.version,
            bundle.created_at,
            bundle.encryption_kid,
            bundle.encryption_spki,
            orjson.dumps(dict(bundle.signing)).decode(),
            orjson.dumps(bundle.body).decode(),
        ),
    )


def bundle_of(row: tuple[Any, ...]) -> Bundle:
    username, version, bundle_hash, created_at, kid, spki, signing, body = row
    return Bundle(
        username, version, bundle_hash, created_at, kid, spki, orjson.loads(signing), orjson.loads(body)
    )
