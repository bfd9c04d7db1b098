"""Where the chats of the SQLite file stand, as it is stored. Parts of a transaction: nothing is kept here.

A `combined` chat's log head and share are read from the entry and the share themselves, as they were signed.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable
from dataclasses import dataclass

import orjson

from chatsec import crypto
from chatsec.domain import combined, sequence
from chatsec.domain.lines import Lines, lines_of
from chatsec.domain.models import Head, Member, ShareHead, State
from chatsec.domain.signed import stored_entry, stored_share
from chatsec.errors import ChatSecError
from chatsec.storage.sqlite.keys import bundles_of

SEQ_BITS = 31


@dataclass(frozen=True, slots=True)
class Place:
    """A chat in the store: its number and its head."""

    no: int
    head: Head


def place(no: int, seq: int) -> int:
    """What an item is found by: the places of a chat's items follow one another."""
    return no << SEQ_BITS | seq


def load_place(connection: sqlite3.Connection, chat: str) -> Place | None:
    """A chat's head as it is stored, and by the bundles that are current."""
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
            "SELECT people.username, role, joined_seq, keys, ifnull(signing, '{}') FROM people"
            " LEFT JOIN bundles ON bundles.hash = keys WHERE chat = ? AND left_seq IS NULL",
            (no,),
        )
    }
    chain = chain_at(connection, no, last_seq)
    head = Head(
        chat, name, key_mode, created_by, created_at, last_seq, chain, epoch, opened_seq, opened_at, members
    )
    if key_mode == "combined":
        head.combined = _state(connection, no, epoch, frozenset(members))
        head.share_due = combined.share_due(head.combined, {}, 0)
        current = current_keys(connection, members)
        sequence.see_bundles(head, lines_in(connection, sequence.moved(head, current)))
    return Place(no, head)


def _state(connection: sqlite3.Connection, no: int, epoch: int, members: frozenset[str]) -> State:
    entry = stored_entry(
        *connection.execute(
            "SELECT protected, signature FROM entries WHERE chat = ? ORDER BY n DESC LIMIT 1", (no,)
        ).fetchone()
    )
    share = stored_share(
        *connection.execute(
            "SELECT protected, signature FROM shares WHERE chat = ? AND epoch = ?", (no, epoch)
        ).fetchone()
    )
    head = ShareHead(share.hash, share.recipients, share.excluded)
    return State(epoch, members, combined.log_head(entry), head)


def chain_at(connection: sqlite3.Connection, no: int, seq: int) -> bytes:
    """c_seq of the chat numbered `no`; `not_found` if it has no such item."""
    if seq == 0:
        return crypto.CHAIN_START
    row = connection.execute("SELECT chain FROM items WHERE place = ?", (place(no, seq),)).fetchone()
    if row is None:
        raise ChatSecError("not_found")
    return bytes(row[0])


def current_keys(connection: sqlite3.Connection, usernames: Collection[str]) -> dict[str, str]:
    """username → hash of the current bundle."""
    marks = ",".join("?" * len(usernames))
    return dict(
        connection.execute(
            f"SELECT username, keys_hash FROM users WHERE username IN ({marks})",
            list(usernames),
        ).fetchall()
    )


def lines_in(connection: sqlite3.Connection, usernames: Iterable[str]) -> Lines:
    """The lines of these people, up to their current bundles."""
    wanted = sorted(usernames)
    return lines_of(bundles_of(connection, wanted)) if wanted else {}


def hashes_at(
    connection: sqlite3.Connection, no: int, n: int | None, epoch: int | None
) -> tuple[str | None, str | None]:
    """The hashes of entry n and of the share of the epoch, None where there is none."""
    entry = connection.execute("SELECT hash FROM entries WHERE chat = ? AND n = ?", (no, n)).fetchone()
    share = connection.execute("SELECT hash FROM shares WHERE chat = ? AND epoch = ?", (no, epoch)).fetchone()
    return entry[0] if entry else None, share[0] if share else None
