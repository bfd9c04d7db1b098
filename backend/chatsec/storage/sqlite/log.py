"""The sequences on SQLite: a batch is one transaction, judged inside it by the heads of its chats.

Heads are kept between batches, since this is the only writer; a failed batch leaves them as they were. Ids are
unique by an index: a batch is first written as if no message came twice, and again with a look at each where one did.
Rows go in with few statements: each step of one gives up the GIL, and the loop's thread is slow to hand it back.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import orjson

from chatsec import crypto
from chatsec.domain import sequence
from chatsec.domain.models import Appended, Head, Mark, Member, NewEvent, NewMessage, Wrap
from chatsec.errors import ChatSecError
from chatsec.storage.sqlite.database import Database

SEQ_BITS = 31
ITEM = "place, received_at, chain, body, chat, sender, id"
COLUMNS = 7
KEPT_HEADS = 20_000


@dataclass(frozen=True, slots=True)
class _Place:
    """A chat in the store: its number and its head."""

    no: int
    head: Head


class _CameTwice(Exception):
    """A batch holds a message that has a place already."""


def place(no: int, seq: int) -> int:
    """What an item is found by: the places of a chat's items follow one another."""
    return no << SEQ_BITS | seq


class SqliteLog:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._places: dict[str, _Place] = {}
        self._user_nos: dict[str, int] = {}

    def append(
        self, batch: Sequence[NewMessage | NewEvent | Mark], at: int
    ) -> list[Appended | Mark | ChatSecError]:
        def hopeful(connection: sqlite3.Connection) -> _Batch:
            try:
                return _Batch(connection, self._places, self._user_nos, at).run(batch, careful=False)
            except sqlite3.IntegrityError as error:
                raise _CameTwice from error

        def careful(connection: sqlite3.Connection) -> _Batch:
            return _Batch(connection, self._places, self._user_nos, at).run(batch, careful=True)

        try:
            return self._database.write(hopeful, self._take_over).results
        except _CameTwice:
            return self._database.write(careful, self._take_over).results

    def _take_over(self, done: _Batch) -> None:
        if len(self._places) > KEPT_HEADS:
            self._places.clear()
        self._places.update(done.places)

    def known(self, chat: str, sender: str, message_id: str) -> bool:
        def read(connection: sqlite3.Connection) -> bool:
            found = connection.execute(
                "SELECT 1 FROM items WHERE chat = (SELECT no FROM chats WHERE id = ?)"
                " AND sender = (SELECT no FROM users WHERE username = ?) AND id = ?",
                (chat, sender, _id_bytes(message_id)),
            )
            return found.fetchone() is not None

        return self._database.read(read)

    def forget(self, chat: str) -> None:
        """The chat was erased; called by that write when it is committed."""
        self._places.pop(chat, None)


class _Batch:
    """One batch in its transaction. `places` are copies: the log takes them over when the commit is done."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        kept: Mapping[str, _Place],
        user_nos: dict[str, int],
        at: int,
    ) -> None:
        self.places: dict[str, _Place] = {}
        self.results: list[Appended | Mark | ChatSecError] = []
        self._connection = connection
        self._kept = kept
        self._user_nos = user_nos
        self._at = at
        self._values: list[Any] = []  # of rows to come, COLUMNS each

    def run(self, batch: Sequence[NewMessage | NewEvent | Mark], careful: bool) -> _Batch:
        for item in batch:
            if isinstance(item, NewMessage):
                self.results.append(self._message(item, careful))
            elif isinstance(item, NewEvent):
                self.results.append(self._event(item))
            else:
                self.results.append(self._mark(item))
        self._flush()
        return self

    # -------------------------------------------------------- messages

    def _message(self, message: NewMessage, careful: bool) -> Appended | ChatSecError:
        at = self._place(message.chat)
        refused = sequence.judge_message(at.head if at else None, message)
        if at is None:
            return refused or ChatSecError("not_found")
        if (refused or careful) and (known := self._known(at.no, message)):
            return known
        if refused:
            return refused
        head = at.head
        before = head.chain
        sequence.advance(head, message.hash)
        self._values += (
            place(at.no, head.last_seq),
            self._at,
            head.chain,
            message.body,
            at.no,
            self._user_no(message.sender),
            _id_bytes(message.id),
        )
        return Appended(
            head.last_seq, self._at, before, message.body, False, head.members, head.epoch, head.opened_seq
        )

    def _known(self, no: int, message: NewMessage) -> Appended | ChatSecError | None:
        """The answer to an id that has a place already, whatever else the message is."""
        self._flush()
        row = self._connection.execute(
            "SELECT place, received_at, body FROM items WHERE chat = ? AND sender = ? AND id = ?",
            (no, self._user_no(message.sender), _id_bytes(message.id)),
        ).fetchone()
        if row is None:
            return None
        if row[2] != message.body:
            return ChatSecError("id_conflict")
        seq = row[0] - place(no, 0)
        return Appended(seq, row[1], chain_at(self._connection, no, seq - 1), duplicate=True)

    def _user_no(self, username: str) -> int:
        no = self._user_nos.get(username)
        if no is None:
            row = self._connection.execute("SELECT no FROM users WHERE username = ?", (username,)).fetchone()
            no = self._user_nos[username] = row[0] if row else -1
        return no

    # -------------------------------------------------------- events

    def _event(self, event: NewEvent) -> Appended | ChatSecError:
        self._flush()
        at = self._place(event.chat)
        if event.kind == "create" and at is not None and (again := self._created(at, event)):
            return again
        wraps = event.epoch.wraps if event.epoch else {}
        refused = sequence.judge_event(
            at.head if at else None, event, lambda: current_keys(self._connection, wraps)
        )
        if refused:
            return refused
        if at is None:
            at = self._create(event)
        head = at.head
        before, were = head.chain, head.members
        sequence.apply_event(head, event, self._at)
        sequence.advance(head, sequence.event_hash(event, head.epoch))
        body = sequence.event_body(event, head.epoch)
        self._values += (place(at.no, head.last_seq), self._at, head.chain, body, at.no, None, None)
        self._store_change(at, event, were)
        return Appended(
            head.last_seq, self._at, before, body, False, head.members, head.epoch, head.opened_seq
        )

    def _created(self, at: _Place, event: NewEvent) -> Appended | None:
        """The same creator asks for the same chat again."""
        row = self._connection.execute("SELECT request FROM chats WHERE no = ?", (at.no,)).fetchone()
        if event.chat_data is None or at.head.created_by != event.by or row[0] != event.chat_data.request:
            return None
        return Appended(1, at.head.created_at, crypto.CHAIN_START, duplicate=True)

    def _create(self, event: NewEvent) -> _Place:
        assert event.chat_data is not None  # `create` brings it
        name, key_mode = event.chat_data.name, event.chat_data.key_mode
        cursor = self._connection.execute(
            "INSERT INTO chats (id, name, key_mode, created_by, created_at, request, epoch, opened_seq, opened_at)"
            " VALUES (?, ?, ?, ?, ?, ?, 0, 0, 0)",
            (event.chat, name, key_mode, event.by, self._at, event.chat_data.request),
        )
        at = self.places[event.chat] = _Place(cursor.lastrowid or 0, sequence.new_head(event, self._at))
        return at

    def _store_change(self, at: _Place, event: NewEvent, were: Mapping[str, Member]) -> None:
        head, execute = at.head, self._connection.execute
        execute(
            "UPDATE chats SET name = ?, epoch = ?, opened_seq = ?, opened_at = ? WHERE no = ?",
            (head.name, head.epoch, head.opened_seq, head.opened_at, at.no),
        )
        self._connection.executemany(
            "INSERT INTO people (chat, username, role, joined_seq, keys) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT DO UPDATE SET role = excluded.role, joined_seq = excluded.joined_seq,"
            " keys = excluded.keys, left_seq = NULL",
            [(at.no, name, m.role, m.joined_seq, m.keys) for name, m in head.members.items()],
        )
        self._connection.executemany(
            "UPDATE people SET left_seq = ? WHERE chat = ? AND username = ?",
            [(head.last_seq, at.no, name) for name in were if name not in head.members],
        )
        if event.epoch is not None:
            self._store_epoch(at, event.epoch.wraps)

    def _store_epoch(self, at: _Place, wraps: Mapping[str, Wrap]) -> None:
        head = at.head
        self._connection.execute(
            "INSERT INTO epochs (chat, number, opened_seq, opened_at, members) VALUES (?, ?, ?, ?, ?)",
            (at.no, head.epoch, head.opened_seq, head.opened_at, orjson.dumps(sorted(wraps)).decode()),
        )
        self._connection.executemany(
            "INSERT INTO wraps (chat, epoch, username, kid, wrapped) VALUES (?, ?, ?, ?, ?)",
            [(at.no, head.epoch, name, wrap.kid, wrap.wrapped) for name, wrap in wraps.items()],
        )

    # -------------------------------------------------------- marks

    def _mark(self, mark: Mark) -> Mark | ChatSecError:
        at = self._place(mark.chat)
        if at is None or mark.username not in at.head.members:
            return ChatSecError("not_found")
        last = at.head.last_seq
        row = self._connection.execute(
            "UPDATE people SET delivered = max(delivered, min(?, ?)), read = max(read, min(?, ?))"
            " WHERE chat = ? AND username = ? RETURNING delivered, read",
            (max(mark.delivered, mark.read), last, mark.read, last, at.no, mark.username),
        ).fetchone()
        return replace(mark, delivered=row[0], read=row[1])

    # -------------------------------------------------------- places

    def _place(self, chat: str) -> _Place | None:
        at = self.places.get(chat)
        if at is None:
            kept = self._kept.get(chat) or load_place(self._connection, chat)
            if kept is None:
                return None
            at = self.places[chat] = _Place(kept.no, kept.head.copy())
        return at

    def _flush(self) -> None:
        values, self._values = self._values, []
        while values:
            rows = 1 << (len(values) // COLUMNS).bit_length() - 1
            self._connection.execute(_insert(rows), values[: rows * COLUMNS])
            del values[: rows * COLUMNS]


@cache
def _insert(rows: int) -> str:
    """Rows come in powers of two, so that these statements are few and stay prepared."""
    return f"INSERT INTO items ({ITEM}) VALUES " + ",".join([f"({','.join('?' * COLUMNS)})"] * rows)


def load_place(connection: sqlite3.Connection, chat: str) -> _Place | None:
    """A chat's head as it is stored."""
    row = connection.execute(
        "SELECT no, name, key_mode, created_by, created_at, epoch, opened_seq, opened_at FROM chats WHERE id = ?",
        (chat,),
    ).fetchone()
    if row is None:
        return None
    no, name, key_mode, created_by, created_at, epoch, opened_seq, opened_at = row
    (last,) = connection.execute(
        "SELECT max(place) FROM items WHERE place BETWEEN ? AND ?", (place(no, 0), place(no + 1, 0) - 1)
    ).fetchone()
    last_seq = last - place(no, 0)
    members = {
        username: Member(role, joined_seq, keys, orjson.loads(signing))
        for username, role, joined_seq, keys, signing in connection.execute(
            "SELECT people.username, role, joined_seq, keys, signing FROM people"
            " JOIN bundles ON bundles.hash = keys WHERE chat = ? AND left_seq IS NULL",
            (no,),
        )
    }
    chain = chain_at(connection, no, last_seq)
    return _Place(
        no,
        Head(
            chat,
            name,
            key_mode,
            created_by,
            created_at,
            last_seq,
            chain,
            epoch,
            opened_seq,
            opened_at,
            members,
        ),
    )


def chain_at(connection: sqlite3.Connection, no: int, seq: int) -> bytes:
    """c_seq of the chat numbered `no`; `not_found` if it has no such item."""
    if seq == 0:
        return crypto.CHAIN_START
    row = connection.execute("SELECT chain FROM items WHERE place = ?", (place(no, seq),)).fetchone()
    if row is None:
        raise ChatSecError("not_found")
    return bytes(row[0])


def current_keys(connection: sqlite3.Connection, usernames: Mapping[str, Any]) -> dict[str, str]:
    """username → hash of the current bundle."""
    marks = ",".join("?" * len(usernames))
    return dict(
        connection.execute(
            f"SELECT username, keys_hash FROM users WHERE username IN ({marks})",
            list(usernames),
        ).fetchall()
    )


def _id_bytes(uuid: str) -> bytes:
    return bytes.fromhex(uuid.replace("-", ""))
