"""The sequences on SQLite: a batch is one transaction, judged inside it by the heads of its chats.

Heads are kept between batches, since this is the only writer; a failed batch leaves them as they were. Those of
`combined` chats depend on bundles too, and are forgotten when one is stored. Ids are
unique by an index: a batch is first written as if no message came twice, and again with a look at each where one did.
Rows go in with few statements: each step of one gives up the GIL, and the loop's thread is slow to hand it back.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import orjson

from chatsec import crypto
from chatsec.domain import sequence
from chatsec.domain.models import Appended, Entry, Mark, Member, NewEvent, NewMessage, Share, Wrap
from chatsec.errors import ChatSecError
from chatsec.storage.sqlite.database import Database
from chatsec.storage.sqlite.heads import (
    Place,
    chain_at,
    current_keys,
    hashes_at,
    lines_in,
    load_place,
    place,
)

ITEM = "place, received_at, chain, body, chat, sender, id"
COLUMNS = 7
KEPT_HEADS = 20_000


class _CameTwice(Exception):
    """A batch holds a message that has a place already."""


class SqliteLog:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._places: dict[str, Place] = {}
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

    def keys_changed(self, username: str) -> None:
        def read(connection: sqlite3.Connection) -> list[str]:
            rows = connection.execute(
                "SELECT id FROM people JOIN chats ON no = chat"
                " WHERE username = ? AND left_seq IS NULL AND key_mode = 'combined'",
                (username,),
            )
            return [chat for (chat,) in rows]

        def forget(chats: list[str]) -> None:
            for chat in chats:
                self.forget(chat)

        # As a write, so that no batch that began before it keeps what is forgotten here.
        self._database.write(read, forget)

    def forget(self, chat: str) -> None:
        """What is kept of the chat does not hold any more; called by a write when it is committed."""
        self._places.pop(chat, None)


class _Batch:
    """One batch in its transaction. `places` are copies: the log takes them over when the commit is done."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        kept: Mapping[str, Place],
        user_nos: dict[str, int],
        at: int,
    ) -> None:
        self.places: dict[str, Place] = {}
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
        head = at.head if at else None
        wraps = event.epoch.wraps if event.epoch else {}
        refused = sequence.judge_event(
            head,
            event,
            lambda: current_keys(self._connection, wraps),
            lambda: lines_in(self._connection, sequence.concerned(head, event)),
        )
        if refused:
            return (self._taken(at.no, event) if at and (event.entry or event.share) else None) or refused
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

    def _created(self, at: Place, event: NewEvent) -> Appended | None:
        """The same creator asks for the same chat again."""
        row = self._connection.execute("SELECT request FROM chats WHERE no = ?", (at.no,)).fetchone()
        if event.chat_data is None or at.head.created_by != event.by or row[0] != event.chat_data.request:
            return None
        return Appended(1, at.head.created_at, crypto.CHAIN_START, duplicate=True)

    def _taken(self, no: int, event: NewEvent) -> Appended | None:
        """The answer to an event whose entry or share has its place already."""
        n, epoch = event.entry.n if event.entry else None, event.share.epoch if event.share else None
        if not sequence.same_again(event, *hashes_at(self._connection, no, n, epoch)):
            return None
        if event.entry:
            (seq,) = self._connection.execute(
                "SELECT seq FROM entries WHERE chat = ? AND n = ?", (no, n)
            ).fetchone()
        else:
            (seq,) = self._connection.execute(
                "SELECT opened_seq FROM epochs WHERE chat = ? AND number = ?", (no, epoch)
            ).fetchone()
        (at,) = self._connection.execute(
            "SELECT received_at FROM items WHERE place = ?", (place(no, seq),)
        ).fetchone()
        return Appended(seq, at, chain_at(self._connection, no, seq - 1), duplicate=True)

    def _create(self, event: NewEvent) -> Place:
        assert event.chat_data is not None  # `create` brings it
        name, key_mode = event.chat_data.name, event.chat_data.key_mode
        cursor = self._connection.execute(
            "INSERT INTO chats (id, name, key_mode, created_by, created_at, request, epoch, opened_seq, opened_at)"
            " VALUES (?, ?, ?, ?, ?, ?, 0, 0, 0)",
            (event.chat, name, key_mode, event.by, self._at, event.chat_data.request),
        )
        at = self.places[event.chat] = Place(cursor.lastrowid or 0, sequence.new_head(event, self._at))
        return at

    def _store_change(self, at: Place, event: NewEvent, were: Mapping[str, Member]) -> None:
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
        if event.entry is not None:
            insert_entry(self._connection, at.no, head.last_seq, event.entry)
        if event.epoch is not None:
            self._store_epoch(at, event.epoch.wraps, event.share)

    def _store_epoch(self, at: Place, wraps: Mapping[str, Wrap], share: Share | None) -> None:
        head = at.head
        self._connection.execute(
            "INSERT INTO epochs (chat, number, opened_seq, opened_at, members) VALUES (?, ?, ?, ?, ?)",
            (at.no, head.epoch, head.opened_seq, head.opened_at, orjson.dumps(sorted(head.members)).decode()),
        )
        if share is not None:
            insert_share(self._connection, at.no, share)
        client = share.wraps if share else {}
        self._connection.executemany(
            "INSERT INTO wraps (chat, epoch, username, kid, wrapped, client_wrapped) VALUES (?, ?, ?, ?, ?, ?)",
            [
                (at.no, head.epoch, name, wrap.kid, wrap.wrapped, client.get(name))
                for name, wrap in wraps.items()
            ],
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

    def _place(self, chat: str) -> Place | None:
        at = self.places.get(chat)
        if at is None:
            kept = self._kept.get(chat) or load_place(self._connection, chat)
            if kept is None:
                return None
            at = self.places[chat] = Place(kept.no, kept.head.copy())
        return at

    def _flush(self) -> None:
        values, self._values = self._values, []
        while values:
            rows = 1 << (len(values) // COLUMNS).bit_length() - 1
            self._connection.execute(_insert(rows), values[: rows * COLUMNS])
            del values[: rows * COLUMNS]


def insert_entry(connection: sqlite3.Connection, no: int, seq: int, entry: Entry) -> None:
    """The entry of the log that the item with this seq names."""
    connection.execute(
        "INSERT INTO entries (chat, n, seq, hash, protected, signature) VALUES (?, ?, ?, ?, ?, ?)",
        (no, entry.n, seq, entry.hash, entry.protected, entry.signature),
    )


def insert_share(connection: sqlite3.Connection, no: int, share: Share) -> None:
    """The share of the epoch that it opens, wraps aside."""
    connection.execute(
        "INSERT INTO shares (chat, epoch, hash, protected, signature) VALUES (?, ?, ?, ?, ?)",
        (no, share.epoch, share.hash, share.protected, share.signature),
    )


@cache
def _insert(rows: int) -> str:
    """Rows come in powers of two, so that these statements are few and stay prepared."""
    return f"INSERT INTO items ({ITEM}) VALUES " + ",".join([f"({','.join('?' * COLUMNS)})"] * rows)


def _id_bytes(uuid: str) -> bytes:
    return bytes.fromhex(uuid.replace("-", ""))
