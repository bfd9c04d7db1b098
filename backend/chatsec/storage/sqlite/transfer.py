"""The embedded store on its way out and in (`chatsec.storage.transfer`).

Out: one read transaction beside the server that may be writing, so all of it is of one moment; as long as it lasts the
write-ahead log only grows. In: into a file beside the store's, which takes its place when it is whole; until then the
store is as empty as it was, but ciphertext that nothing names may lie there. A store that a server uses, or that holds
anything, is refused.
"""

from __future__ import annotations

import os
import sqlite3
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any, TypeVar, cast

import orjson

from chatsec.domain.models import Attachment, Head, Mark
from chatsec.domain.ports import Offload
from chatsec.errors import ChatSecError
from chatsec.storage.records import (
    Chain,
    Damaged,
    Opened,
    StoredAccount,
    StoredChat,
    StoredItem,
    StoredWrap,
)
from chatsec.storage.sqlite import FILE, claim
from chatsec.storage.sqlite.accounts import SELECT, account_of, dump
from chatsec.storage.sqlite.database import connect, migrate, schema
from chatsec.storage.sqlite.files import DiskFiles
from chatsec.storage.sqlite.heads import Place, load_place, place
from chatsec.storage.sqlite.keys import SELECT as BUNDLES
from chatsec.storage.sqlite.keys import bundle_of, insert_bundle
from chatsec.storage.sqlite.log import insert_entry, insert_share
from chatsec.storage.transfer import Entry, TransferError, sync_folder

T = TypeVar("T")
UNFINISHED = "restoring.db"  # beside the store's file
JOINS, LEAVES = ("create", "add"), ("remove", "leave", "ended")
ACCOUNT = (
    "INSERT INTO users (no, username, display_name, created_at, password_hash, kdf, recovery_hash, keys_version,"
    " keys_hash, backup, state, status, last_seen, ended_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)


class SqliteSource:
    """`Source`. `alone`: no server may use the store meanwhile."""

    def __init__(self, folder: Path, *, alone: bool = False, name: str = FILE) -> None:
        path = folder / name
        if not path.exists():
            raise TransferError(f"there is no store in {folder}")
        self._lock = claim(path.with_suffix(".lock")) if alone else None
        self.files = _files(folder)
        with _sqlite():
            self._connection = _reading(path)
            self._connection.execute("BEGIN")
            (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        if version != schema()[-1][0]:
            self.close()
            raise TransferError(
                f"{path} is of another version; the server of this version must have opened it"
            )

    def close(self) -> None:
        self._connection.close()
        if self._lock is not None:
            os.close(self._lock)

    def chats(self) -> list[str]:
        with _sqlite():
            return [chat for (chat,) in self._connection.execute("SELECT id FROM chats ORDER BY id")]

    def chat(self, chat: str) -> StoredChat | None:
        with _sqlite():
            at = load_place(self._connection, chat)
            if at is None:
                return None
            self._as_items_say(at)
            (request,) = self._connection.execute(
                "SELECT request FROM chats WHERE no = ?", (at.no,)
            ).fetchone()
            people = self._connection.execute(
                "SELECT username, delivered, read FROM people WHERE chat = ?", (at.no,)
            ).fetchall()
            attachments = self._connection.execute(
                "SELECT id, username, size, created_at FROM attachments WHERE chat = ?", (at.no,)
            ).fetchall()
            return StoredChat(
                at.head,
                request,
                tuple(name for name, _, _ in people),
                tuple(Mark(chat, *mark) for mark in people if mark[1:] != (0, 0)),
                tuple(Attachment(one, chat, *rest) for one, *rest in attachments),
                self._items(at.head, at.no),
            )

    def _as_items_say(self, at: Place) -> None:
        """Gives back the keys that newer bundles took from members of a `combined` chat."""
        if at.head.combined is None:
            return
        signing = dict(
            self._connection.execute(
                "SELECT hash, signing FROM people JOIN bundles ON hash = keys WHERE chat = ?", (at.no,)
            ).fetchall()
        )
        at.head.members = {
            name: replace(member, signing=orjson.loads(signing.get(member.keys, "{}")))
            for name, member in at.head.members.items()
        }

    def _items(self, head: Head, no: int) -> Iterator[StoredItem]:
        opened, entries = self._opened(no), self._entries(no)
        following, chain = next(opened, None), Chain(head)
        named = next(entries, None)
        with _sqlite():
            for at, received_at, c, body, sender, message_id in self._connection.execute(
                "SELECT place, received_at, chain, body, username, id FROM items"
                " LEFT JOIN users ON users.no = sender WHERE place BETWEEN ? AND ? ORDER BY place",
                (place(no, 0), place(no + 1, 0) - 1),
            ):
                seq, epoch, entry = at - place(no, 0), None, None
                if following and following[0] == seq:
                    epoch, following = following[1], next(opened, None)
                if named and named[0] == seq:
                    entry, named = named[1:], next(entries, None)
                known = str(uuid.UUID(bytes=message_id)) if message_id else None
                yield chain.item(seq, received_at, body, sender, known, epoch, entry, c)
        chain.end()

    def _entries(self, no: int) -> Iterator[tuple[int, str, str]]:
        """(seq, protected, signature) of the membership log, ascending."""
        return self._connection.execute(
            "SELECT seq, protected, signature FROM entries WHERE chat = ? ORDER BY n", (no,)
        )

    def _opened(self, no: int) -> Iterator[tuple[int, Opened]]:
        """(seq, epoch), ascending."""
        wraps = self._connection.execute(
            "SELECT epoch, username, kid, wrapped, client_wrapped FROM wraps WHERE chat = ?"
            " ORDER BY epoch, username",
            (no,),
        )
        grouped = groupby(wraps, key=lambda row: row[0])
        following = next(grouped, None)
        for number, seq, members, *share in self._connection.execute(
            "SELECT number, opened_seq, members, protected, signature FROM epochs"
            " LEFT JOIN shares ON shares.chat = epochs.chat AND epoch = number"
            " WHERE epochs.chat = ? ORDER BY number",
            (no,),
        ):
            mine: tuple[StoredWrap, ...] = ()
            if following and following[0] == number:
                mine = tuple(StoredWrap(*row[1:]) for row in following[1])
                following = next(grouped, None)
            signed = (share[0], share[1]) if share[0] is not None else None
            yield seq, Opened(number, tuple(orjson.loads(members)), mine, signed)

    def accounts(self) -> Iterator[StoredAccount]:
        with _sqlite():
            for row in self._connection.execute(f"{SELECT} ORDER BY username"):
                bundles = self._connection.execute(
                    f"{BUNDLES} WHERE b.username = ? ORDER BY b.version", (row[0],)
                )
                yield StoredAccount(account_of(row), tuple(map(bundle_of, bundles)))


class SqliteTarget:
    """`Target`. An earlier run left nothing to go on with: it begins anew."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._path = folder, folder / FILE
        self._unfinished = folder / UNFINISHED
        self._lock: int | None = claim(self._path.with_suffix(".lock"))
        try:
            _require_empty(self._path)
            self._unfinished.unlink(missing_ok=True)
            self._connection = connect(self._unfinished)
            with _sqlite():
                # It counts only when it is whole and in its place: until then nothing is made sure of.
                self._connection.execute("PRAGMA journal_mode = OFF")
                self._connection.execute("PRAGMA synchronous = OFF")
                migrate(self._connection)
                self._connection.execute("BEGIN")
        except BaseException:
            os.close(self._lock)
            raise
        self.files = _files(folder)
        self._user_nos: dict[str, int] = {}

    def done(self) -> Mapping[str, str]:
        return {}

    def note(self, entry: Entry) -> None:
        """Nothing is gone on with."""

    def drop_chat(self, chat: str) -> None:
        """It began empty."""

    def take_chat(self, chat: StoredChat) -> None:
        with _sqlite():
            head, execute = chat.head, self._connection.execute
            no = execute(
                "INSERT INTO chats (id, name, key_mode, created_by, created_at, request, epoch, opened_seq,"
                " opened_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    head.chat,
                    head.name,
                    head.key_mode,
                    head.created_by,
                    head.created_at,
                    chat.request,
                    head.epoch,
                    head.opened_seq,
                    head.opened_at,
                ),
            ).lastrowid
            assert no is not None  # a row was inserted
            joined: dict[str, int] = {}
            left: dict[str, int] = {}
            for item in chat.items:
                self._take_item(no, item)
                if item.event and item.event["kind"] in JOINS:
                    joined |= dict.fromkeys(item.event["usernames"], item.seq)
                elif item.event and item.event["kind"] in LEAVES:
                    left |= dict.fromkeys(item.event["usernames"], item.seq)
            self._take_people(no, chat, joined, left)
            self._connection.executemany(
                "INSERT INTO attachments (id, chat, username, size, created_at) VALUES (?, ?, ?, ?, ?)",
                [(one.id, no, one.username, one.size, one.created_at) for one in chat.attachments],
            )

    def _take_item(self, no: int, item: StoredItem) -> None:
        sender = None if item.sender is None else self._user_no(item.sender)
        message_id = None if item.id is None else uuid.UUID(item.id).bytes
        self._connection.execute(
            "INSERT INTO items (place, received_at, chain, body, chat, sender, id) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (place(no, item.seq), item.received_at, item.chain, item.body, no, sender, message_id),
        )
        if entry := item.entry:
            insert_entry(self._connection, no, item.seq, entry)
        if epoch := item.opened:
            members = orjson.dumps(epoch.members).decode()
            self._connection.execute(
                "INSERT INTO epochs (chat, number, opened_seq, opened_at, members) VALUES (?, ?, ?, ?, ?)",
                (no, epoch.number, item.seq, item.received_at, members),
            )
            if share := epoch.read_share():
                insert_share(self._connection, no, share)
            self._connection.executemany(
                "INSERT INTO wraps (chat, epoch, username, kid, wrapped, client_wrapped) VALUES (?, ?, ?, ?, ?, ?)",
                [(no, epoch.number, *wrap) for wrap in epoch.wraps],
            )

    def _take_people(
        self, no: int, chat: StoredChat, joined: Mapping[str, int], left: Mapping[str, int]
    ) -> None:
        """Members as the head has them; of who left nothing but the places is known, and nothing more asked for."""
        marks = {mark.username: (mark.delivered, mark.read) for mark in chat.marks}
        rows = []
        for name in chat.people:
            if member := chat.head.members.get(name):
                here: tuple[Any, ...] = (member.role, member.joined_seq, None, member.keys)
            else:
                here = ("member", joined[name], left[name], "")
            rows.append((no, name, *here, *marks.get(name, (0, 0))))
        self._connection.executemany(
            "INSERT INTO people (chat, username, role, joined_seq, left_seq, keys, delivered, read)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            rows,
        )

    def take_accounts(self, accounts: Iterator[StoredAccount]) -> None:
        with _sqlite():
            for stored in accounts:
                one = stored.account
                self._connection.execute(
                    ACCOUNT,
                    (
                        self._user_no(one.username),
                        one.username,
                        one.display_name,
                        one.created_at,
                        one.password_hash,
                        dump(one.kdf),
                        one.recovery_hash,
                        one.keys_version,
                        one.keys_hash,
                        dump(one.backup),
                        dump(one.state),
                        one.status,
                        one.last_seen,
                        one.ended_at,
                    ),
                )
                for bundle in stored.bundles:
                    insert_bundle(self._connection, bundle)

    def _user_no(self, username: str) -> int:
        """Messages come before their senders' accounts."""
        return self._user_nos.setdefault(username, len(self._user_nos) + 1)

    def source(self) -> SqliteSource:
        with _sqlite():
            self._connection.execute("COMMIT")
        return SqliteSource(self._folder, name=UNFINISHED)

    def finish(self) -> None:
        self._connection.close()
        with self._unfinished.open("rb") as file:
            os.fsync(file.fileno())
        for rest in ("-wal", "-shm"):
            self._path.with_name(FILE + rest).unlink(missing_ok=True)
        self._unfinished.rename(self._path)
        sync_folder(self._folder)

    def close(self) -> None:
        self._connection.close()
        self._unfinished.unlink(missing_ok=True)
        lock, self._lock = self._lock, None
        if lock is not None:
            os.close(lock)


def _reading(path: Path) -> sqlite3.Connection:
    """Not opened read-only: then a log that a crash left could not be taken up."""
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None)
    connection.execute("PRAGMA query_only = ON")
    connection.execute("PRAGMA busy_timeout = 5000")
    return connection


def _require_empty(path: Path) -> None:
    """A store that a server has opened once, and nobody used, is empty too."""
    if not path.exists():
        return
    with _sqlite(), closing(_reading(path)) as connection:
        found = {
            what: connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            for table, what in (("users", "accounts"), ("chats", "chats"))
        }
    if any(found.values()):
        there = " and ".join(f"{count} {what}" for what, count in found.items())
        raise TransferError(f"{path} is not empty: it has {there}")


class _AtOnce:
    """What `DiskFiles` needs of an `Offload`; here is no loop to hold."""

    def run(self, function: Callable[..., T], *args: Any) -> T:
        return function(*args)


def _files(folder: Path) -> DiskFiles:
    return DiskFiles(folder / "attachments", cast(Offload, _AtOnce()))


@contextmanager
def _sqlite() -> Iterator[None]:
    try:
        yield
    except sqlite3.IntegrityError as error:
        raise Damaged(f"what was given does not belong together: {error}") from error
    except sqlite3.Error as error:
        raise ChatSecError("unavailable", f"the store cannot be used: {error}") from error
