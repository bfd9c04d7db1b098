"""Accounts in SQLite: people, their backups and client states, each replaced by its next version only.

Ended accounts keep their row, so that their name is never given again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Any

import orjson

from chatsec.domain.models import Account, Bundle, Json
from chatsec.domain.versions import bundle_changes, secret_changes
from chatsec.errors import ChatSecError
from chatsec.storage.sqlite.database import Database
from chatsec.storage.sqlite.keys import insert_bundle
from chatsec.storage.sqlite.sessions import delete_sessions

SELECT = (
    "SELECT username, display_name, created_at, password_hash, kdf, recovery_hash, keys_version, keys_hash,"
    " backup, state, status, last_seen, ended_at FROM users"
)


class SqliteAccounts:
    """`AccountStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, account: Account, bundle: Bundle | None) -> None:
        def insert(connection: sqlite3.Connection) -> None:
            if _load(connection, account.username) is not None:
                raise ChatSecError("username_taken")
            connection.execute(
                "INSERT INTO users (username, display_name, created_at, password_hash, kdf, recovery_hash,"
                " backup, state) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    account.username,
                    account.display_name,
                    account.created_at,
                    account.password_hash,
                    dump(account.kdf),
                    account.recovery_hash,
                    dump(account.backup),
                    dump(account.state),
                ),
            )
            if bundle is not None:
                _add_bundle(connection, account, bundle)

        self._database.write(insert)

    def get(self, username: str) -> Account | None:
        return self._database.read(lambda connection: _load(connection, username))

    def search(self, query: str, after: str, limit: int) -> list[Account]:
        def read(connection: sqlite3.Connection) -> list[Account]:
            connection.create_function("casefold", 1, str.casefold, deterministic=True)
            rows = connection.execute(
                f"{SELECT} WHERE ended_at IS NULL AND username > ?"
                " AND (instr(username, ?) OR instr(casefold(display_name), ?)) ORDER BY username LIMIT ?",
                (after, query.casefold(), query.casefold(), limit),
            )
            return [account_of(row) for row in rows]

        return self._database.read(read)

    def named(self, usernames: Iterable[str]) -> dict[str, Account]:
        wanted = orjson.dumps(list(usernames)).decode()

        def read(connection: sqlite3.Connection) -> dict[str, Account]:
            rows = connection.execute(
                f"{SELECT} WHERE username IN (SELECT value FROM json_each(?))", (wanted,)
            )
            return {row[0]: account_of(row) for row in rows}

        return self._database.read(read)

    def set_display_name(self, username: str, display_name: str) -> None:
        self._database.write(lambda connection: _update(connection, username, display_name=display_name))

    def set_presence(self, username: str, status: str | None, last_seen: int | None) -> None:
        new = {"status": status, "last_seen": last_seen}
        changes = {name: value for name, value in new.items() if value is not None}
        if changes:
            self._database.write(lambda connection: _update(connection, username, **changes))

    def put_backup(self, username: str, backup: Json, recovery_hash: bytes | None) -> None:
        self._database.write(
            lambda connection: _put_secrets(connection, _living(connection, username), backup, recovery_hash)
        )

    def put_state(self, username: str, state: Json) -> None:
        self._database.write(
            lambda connection: _put_secrets(connection, _living(connection, username), state=state)
        )

    def add_bundle(self, bundle: Bundle, backup: Json | None, state: Json | None) -> None:
        def change(connection: sqlite3.Connection) -> None:
            account = _living(connection, bundle.username)
            _add_bundle(connection, account, bundle)
            _put_secrets(connection, account, backup, None, state)

        self._database.write(change)

    def set_password(
        self,
        username: str,
        password_hash: bytes,
        kdf: Json | None,
        backup: Json | None,
        recovery_hash: bytes | None,
        bundle: Bundle | None,
        state: Json | None,
        keep_session: str,
        replaces: bytes | None = None,
    ) -> list[str]:
        def change(connection: sqlite3.Connection) -> list[str]:
            account = _living(connection, username)
            if replaces is not None and replaces != account.password_hash:
                raise ChatSecError("wrong_password", "the password was changed meanwhile")
            if bundle is not None:
                _add_bundle(connection, account, bundle)
            _put_secrets(connection, account, backup, recovery_hash, state)
            _update(connection, username, password_hash=password_hash, kdf=dump(kdf))
            return delete_sessions(connection, "username = ? AND id <> ?", (username, keep_session))

        return self._database.write(change)

    def end(self, username: str, at: int) -> list[str]:
        def change(connection: sqlite3.Connection) -> list[str]:
            nothing = dict.fromkeys(("kdf", "recovery_hash", "backup", "state"))
            _update(connection, username, password_hash=b"", ended_at=at, **nothing)
            return delete_sessions(connection, "username = ?", (username,))

        return self._database.write(change)


# ---------------------------------------------------------------- parts of a transaction


def _load(connection: sqlite3.Connection, username: str) -> Account | None:
    row = connection.execute(f"{SELECT} WHERE username = ?", (username,)).fetchone()
    return account_of(row) if row else None


def _living(connection: sqlite3.Connection, username: str) -> Account:
    """The account as it is in this transaction; nothing is stored for one that ended meanwhile."""
    account = _load(connection, username)
    if account is None or account.ended_at is not None:
        raise ChatSecError("not_found")
    return account


def _add_bundle(connection: sqlite3.Connection, account: Account, bundle: Bundle) -> None:
    changes = bundle_changes(account, bundle)
    insert_bundle(connection, bundle)
    _update(connection, account.username, **changes)


def _put_secrets(
    connection: sqlite3.Connection,
    account: Account,
    backup: Json | None = None,
    recovery_hash: bytes | None = None,
    state: Json | None = None,
) -> None:
    """Backup and state as the next of their kind, or not at all; None leaves what there is."""
    if changes := secret_changes(account, backup, recovery_hash, state):
        for name in changes.keys() & {"backup", "state"}:
            changes[name] = dump(changes[name])
        _update(connection, account.username, **changes)


def _update(connection: sqlite3.Connection, username: str, **changes: Any) -> None:
    columns = ", ".join(f"{name} = ?" for name in changes)  # names are this module's own
    connection.execute(f"UPDATE users SET {columns} WHERE username = ?", (*changes.values(), username))


def account_of(row: tuple[Any, ...]) -> Account:
    names = (
        "username",
        "display_name",
        "created_at",
        "password_hash",
        "kdf",
        "recovery_hash",
        "keys_version",
        "keys_hash",
        "backup",
        "state",
        "status",
        "last_seen",
        "ended_at",
    )
    values = dict(zip(names, row, strict=True))
    for name in ("kdf", "backup", "state"):
        values[name] = orjson.loads(values[name]) if values[name] is not None else None
    return Account(**values)


def dump(value: Json | None) -> str | None:
    return None if value is None else orjson.dumps(value).decode()
