"""Reading chats from SQLite. What a username may not see is left out by the queries themselves."""

from __future__ import annotations

import sqlite3

import orjson

from chatsec.domain.models import EPOCH_MESSAGES, Chat, ChatMember, ClientShare, Epoch, Head, Item, Mark
from chatsec.storage.sqlite.database import Database
from chatsec.storage.sqlite.heads import chain_at, hashes_at, lines_in, load_place, place
from chatsec.storage.sqlite.log import SqliteLog

NO = "(SELECT no FROM chats WHERE id = ?)"


class SqliteChats:
    def __init__(self, database: Database, log: SqliteLog) -> None:
        self._database = database
        self._log = log

    def get(self, chat: str, username: str) -> Chat | None:
        return self._database.read(lambda connection: _views(connection, chat, username).get(username))

    def views(self, chat: str) -> dict[str, Chat]:
        return self._database.read(lambda connection: _views(connection, chat))

    def head(self, chat: str) -> Head | None:
        def read(connection: sqlite3.Connection) -> Head | None:
            at = load_place(connection, chat)
            return at.head if at else None

        return self._database.read(read)

    def page(self, username: str, after: str, limit: int) -> list[Chat]:
        def read(connection: sqlite3.Connection) -> list[Chat]:
            ids = connection.execute(
                "SELECT id FROM people JOIN chats ON no = chat"
                " WHERE username = ? AND left_seq IS NULL AND id > ? ORDER BY id LIMIT ?",
                (username, after, limit),
            ).fetchall()
            return [
                chat for (one,) in ids for chat in _views(connection, one, username, listed=True).values()
            ]

        return self._database.read(read)

    def epochs(self, chat: str, username: str, low: int, high: int) -> list[Epoch]:
        def read(connection: sqlite3.Connection) -> list[Epoch]:
            rows = connection.execute(
                f"{EPOCHS} AND number BETWEEN ? AND ? ORDER BY number", (username, chat, low, high)
            )
            return [
                _epoch(row[:3], tuple(orjson.loads(row[3])), (row[4], row[5], row[8]), row[6:8])
                for row in rows
            ]

        return self._database.read(read)

    def items(self, chat: str, low: int, high: int) -> list[Item]:
        def read(connection: sqlite3.Connection) -> list[Item]:
            no = _no(connection, chat)
            if no is None:
                return []
            rows = connection.execute(
                "SELECT place, received_at, chain, body FROM items WHERE place BETWEEN ? AND ? ORDER BY place",
                (place(no, max(low, 1)), place(no, high)),
            )
            return [
                Item(at - place(no, 0), received_at, chain, body) for at, received_at, chain, body in rows
            ]

        return self._database.read(read)

    def chain(self, chat: str, seq: int) -> bytes:
        def read(connection: sqlite3.Connection) -> bytes:
            return chain_at(connection, _no(connection, chat) or 0, seq)

        return self._database.read(read)

    def epoch_at(self, chat: str, seq: int) -> int:
        def read(connection: sqlite3.Connection) -> int:
            row = connection.execute(
                f"SELECT max(number) FROM epochs WHERE chat = {NO} AND opened_seq <= ?", (chat, seq)
            ).fetchone()
            return row[0] or 0

        return self._database.read(read)

    def people(self, chat: str) -> list[str]:
        def read(connection: sqlite3.Connection) -> list[str]:
            rows = connection.execute(
                f"SELECT username FROM people WHERE chat = {NO} ORDER BY username", (chat,)
            )
            return [username for (username,) in rows]

        return self._database.read(read)

    def last_seqs(self, username: str) -> dict[str, int]:
        def read(connection: sqlite3.Connection) -> dict[str, int]:
            rows = connection.execute(
                "SELECT id, no FROM people JOIN chats ON no = chat WHERE username = ? AND left_seq IS NULL",
                (username,),
            ).fetchall()
            return {chat: _last_seq(connection, no) for chat, no in rows}

        return self._database.read(read)

    def peers(self, username: str) -> set[str]:
        def read(connection: sqlite3.Connection) -> set[str]:
            rows = connection.execute(
                "SELECT DISTINCT other.username FROM people mine JOIN people other ON other.chat = mine.chat"
                " WHERE mine.username = ? AND mine.left_seq IS NULL AND other.left_seq IS NULL",
                (username,),
            )
            return {name for (name,) in rows} | {username}

        return self._database.read(read)

    def overdue(self, username: str | None = None) -> list[tuple[str, str]]:
        def read(connection: sqlite3.Connection) -> list[tuple[str, str]]:
            only = "" if username is None else " AND people.username = ?"
            return connection.execute(
                "SELECT chats.id, people.username FROM people JOIN users ON users.username = people.username"
                " JOIN chats ON chats.no = people.chat WHERE left_seq IS NULL"
                f" AND (ended_at IS NOT NULL OR (key_mode = 'server' AND keys <> keys_hash)){only}",
                () if username is None else (username,),
            ).fetchall()

        return self._database.read(read)

    def membership(self, chat: str, after: int, limit: int) -> list[tuple[str, str]]:
        def read(connection: sqlite3.Connection) -> list[tuple[str, str]]:
            return connection.execute(
                f"SELECT protected, signature FROM entries WHERE chat = {NO} AND n > ? ORDER BY n LIMIT ?",
                (chat, after, limit),
            ).fetchall()

        return self._database.read(read)

    def taken(self, chat: str, n: int | None, epoch: int | None) -> tuple[str | None, str | None]:
        def read(connection: sqlite3.Connection) -> tuple[str | None, str | None]:
            no = _no(connection, chat)
            return (None, None) if no is None else hashes_at(connection, no, n, epoch)

        return self._database.read(read)

    def erase(self, chat: str) -> list[str]:
        def write(connection: sqlite3.Connection) -> list[str]:
            no = _no(connection, chat)
            if no is None:
                return []
            files = connection.execute("SELECT id FROM attachments WHERE chat = ?", (no,)).fetchall()
            connection.execute(
                "DELETE FROM items WHERE place BETWEEN ? AND ?", (place(no, 0), place(no + 1, 0) - 1)
            )
            connection.execute("DELETE FROM chats WHERE no = ?", (no,))  # the rest cascades
            return [file for (file,) in files]

        return self._database.write(write, lambda _: self._log.forget(chat))


EPOCHS = (
    "SELECT number, opened_seq, opened_at, members, kid, wrapped, protected, signature, client_wrapped FROM epochs"
    " LEFT JOIN wraps ON wraps.chat = epochs.chat AND wraps.epoch = number AND wraps.username = ?"
    " LEFT JOIN shares ON shares.chat = epochs.chat AND shares.epoch = number"
    f" WHERE epochs.chat = {NO}"
)
NO_WRAPS = (None, None, None)  # of who is excluded


def _views(
    connection: sqlite3.Connection, chat: str, only: str | None = None, listed: bool = False
) -> dict[str, Chat]:
    """The chat as its members see it, or as `only` does; empty where there is none to see. For lists, without the share."""
    row = connection.execute(
        "SELECT no, name, key_mode, created_by, created_at, epoch, opened_seq, opened_at FROM chats WHERE id = ?",
        (chat,),
    ).fetchone()
    if row is None:
        return {}
    no, name, key_mode, created_by, created_at, epoch, opened_seq, opened_at = row
    people = connection.execute(
        "SELECT people.username, display_name, role, joined_seq, delivered, read FROM people"
        " JOIN users ON users.username = people.username"
        " WHERE chat = ? AND left_seq IS NULL ORDER BY joined_seq, people.username",
        (no,),
    ).fetchall()
    members = tuple(ChatMember(*person[:4]) for person in people)
    if only is not None and not any(member.username == only for member in members):
        return {}
    marks = {name: Mark(chat, name, delivered, read) for name, _, _, _, delivered, read in people}
    (listed_members,) = connection.execute(
        "SELECT members FROM epochs WHERE chat = ? AND number = ?", (no, epoch)
    ).fetchone()
    held_by = tuple(orjson.loads(listed_members))
    wraps = {
        name: (kid, wrapped, client)
        for name, kid, wrapped, client in connection.execute(
            "SELECT username, kid, wrapped, client_wrapped FROM wraps"
            " WHERE chat = ? AND epoch = ? AND username = ifnull(?, username)",
            (no, epoch, only),
        )
    }
    last_seq = _last_seq(connection, no)
    membership, share_due, share = None, False, (None, None)
    if key_mode == "combined":
        membership = connection.execute(
            "SELECT n, hash FROM entries WHERE chat = ? ORDER BY n DESC LIMIT 1", (no,)
        ).fetchone()
        share_due = (
            set(held_by) != {member.username for member in members}
            or last_seq - opened_seq >= EPOCH_MESSAGES
            or _has_newer_bundle(connection, no)
        )
        if not listed:
            share = connection.execute(
                "SELECT protected, signature FROM shares WHERE chat = ? AND epoch = ?", (no, epoch)
            ).fetchone()
    return {
        member.username: Chat(
            chat,
            name,
            key_mode,
            created_by,
            created_at,
            members,
            _epoch((epoch, opened_seq, opened_at), held_by, wraps.get(member.username, NO_WRAPS), share),
            first_seq=member.joined_seq,
            last_seq=last_seq,
            marks=marks,
            membership=membership,
            share_due=share_due,
        )
        for member in members
        if only in (None, member.username)
    }


def _has_newer_bundle(connection: sqlite3.Connection, no: int) -> bool:
    """Whether continuity reaches a newer bundle of a recipient of the share."""
    moved = connection.execute(
        "SELECT people.username, keys FROM people JOIN users ON users.username = people.username"
        " WHERE chat = ? AND left_seq IS NULL AND keys NOT IN ('', keys_hash)",
        (no,),
    ).fetchall()
    lines = lines_in(connection, (name for name, _ in moved))
    return any(lines[name].confirmed(keys) for name, keys in moved)


def _epoch(
    opened: tuple[int, int, int],
    members: tuple[str, ...],
    wraps: tuple[str | None, str | None, str | None],
    share: tuple[str | None, str | None],
) -> Epoch:
    kid, wrapped, client_wrapped = wraps
    protected, signature = share
    client = ClientShare(protected, signature, client_wrapped) if protected and signature else None
    return Epoch(*opened, members, kid, wrapped, client)


def _no(connection: sqlite3.Connection, chat: str) -> int | None:
    row = connection.execute("SELECT no FROM chats WHERE id = ?", (chat,)).fetchone()
    return row[0] if row else None


def _last_seq(connection: sqlite3.Connection, no: int) -> int:
    (last,) = connection.execute(
        "SELECT max(place) FROM items WHERE place BETWEEN ? AND ?", (place(no, 0), place(no + 1, 0) - 1)
    ).fetchone()
    return int(last) - place(no, 0)
