"""The sequences in memory, by optimistic inserts: several writers, no lock and no transaction between them.

A writer judges and numbers an item by the head it keeps, then inserts it. Places are unique by (chat, seq), messages by
(chat, sender, id). Who loses the place folds in what took it, then judges and numbers again: so a message whose epoch
ended meanwhile becomes `stale_epoch` by itself, and no number is ever skipped. An epoch's wraps are stored before its
event, under an attempt of their own, and count only once an item names that attempt. A refusal counts only by a head
that was read for it. Heads of `combined` chats depend on bundles too: an insert counts only if none changed since the
head was read. This is how an adapter for a database without cheap transactions works.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import Enum

from chatsec import crypto
from chatsec.domain import sequence
from chatsec.domain.lines import Lines
from chatsec.domain.models import Appended, Head, Mark, NewEvent, NewMessage
from chatsec.errors import ChatSecError
from chatsec.storage.memory.data import ChatTable, Handle, StoredItem
from chatsec.storage.memory.heads import fold, head_of, lines_in


@dataclass(slots=True)
class _Kept:
    """What a writer remembers of a chat. `head` is None before the first item; it knows `bundles_changed` so far."""

    table: ChatTable
    head: Head | None
    bundles: int


class _Insert(Enum):
    PLACED = "placed"
    LOST = "lost"  # (chat, seq) was taken, or bundles changed
    KNOWN = "known"  # (chat, sender, id) was taken
    ERASED = "erased"


class MemoryLog:
    """`Log`. Of a batch that the store fails in, what was placed before is answered as placed, the rest refused."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle
        self._kept: dict[str, _Kept] = {}
        self._lock = threading.RLock()

    def append(
        self, batch: Sequence[NewMessage | NewEvent | Mark], at: int
    ) -> list[Appended | Mark | ChatSecError]:
        results: list[Appended | Mark | ChatSecError] = []
        with self._lock:
            try:
                for item in batch:
                    results.append(self._mark(item) if isinstance(item, Mark) else self._append(item, at))
                self._move_snapshots({item.chat for item in batch})
            except ChatSecError as failure:
                self._kept.clear()  # an insert may have been made, or not
                if all(isinstance(result, ChatSecError) for result in results):
                    raise
                results += [failure] * (len(batch) - len(results))
        return results

    def known(self, chat: str, sender: str, message_id: str) -> bool:
        with self._handle.step() as data:
            table = data.chats.get(chat)
            return table is not None and (sender, message_id) in table.ids

    def keys_changed(self, username: str) -> None:
        """Of anybody: who is added just now is in no head yet."""
        with self._handle.step() as data:
            data.bundles_changed += 1

    # -------------------------------------------------------- messages and events

    def _append(self, item: NewMessage | NewEvent, at: int) -> Appended | ChatSecError:
        attempt = uuid.uuid4().hex
        while True:
            fresh = item.chat not in self._kept
            kept = self._keep(item.chat)
            refused = self._judge(kept.head if kept else None, item)
            if refused and not fresh:
                del self._kept[item.chat]
                continue
            if refused:
                self._forget_attempt(kept, attempt)
                return self._known(kept, item) or refused
            kept = kept or self._new_chat(item.chat)
            stored, head = _numbered(kept.head, item, at, attempt)
            self._store_wraps(kept.table, item, attempt)
            outcome = self._insert(item.chat, kept, head, stored)
            if outcome is _Insert.PLACED:
                before = kept.head.chain if kept.head else crypto.CHAIN_START
                kept.head = head
                return Appended(
                    stored.seq, at, before, stored.body, False, head.members, head.epoch, head.opened_seq
                )
            if outcome is _Insert.LOST:
                self._catch_up(kept)
            elif outcome is _Insert.ERASED:
                del self._kept[item.chat]
            elif known := self._known(kept, item):
                return known

    def _judge(self, head: Head | None, item: NewMessage | NewEvent) -> ChatSecError | None:
        if isinstance(item, NewMessage):
            return sequence.judge_message(head, item)
        return sequence.judge_event(
            head, item, lambda: self._current_keys(item), lambda: self._lines(sequence.concerned(head, item))
        )

    def _current_keys(self, event: NewEvent) -> dict[str, str]:
        """As they are before the insert. A bundle that lands in between leaves an epoch that is `overdue` at once."""
        wanted = event.epoch.wraps if event.epoch else ()
        with self._handle.step() as data:
            return {name: data.accounts[name].keys_hash for name in wanted if name in data.accounts}

    def _lines(self, usernames: Iterable[str]) -> Lines:
        with self._handle.step() as data:
            return lines_in(data, usernames)

    def _insert(self, chat: str, kept: _Kept, head: Head, stored: StoredItem) -> _Insert:
        table = kept.table
        with self._handle.step() as data:
            if head.combined is not None and data.bundles_changed != kept.bundles:
                return _Insert.LOST
            if stored.id and (stored.sender, stored.id) in table.ids:
                return _Insert.KNOWN
            if stored.seq in table.items:
                return _Insert.LOST
            table.items[stored.seq] = stored
            if stored.id:
                table.ids[stored.sender, stored.id] = stored.seq
        with self._handle.step() as data:
            # An erasure takes the table away before it empties it: whoever still finds it was in time.
            return _Insert.PLACED if data.chats.get(chat) is table else _Insert.ERASED

    def _known(self, kept: _Kept | None, item: NewMessage | NewEvent) -> Appended | ChatSecError | None:
        """The answer to a message whose id has a place already, to the same `create` again, and to an event whose entry or
        share is here."""
        if kept is None:
            return None
        with self._handle.step():
            table = kept.table
            if isinstance(item, NewMessage):
                stored = table.items.get(table.ids.get((item.sender, item.id), 0))
                if stored is not None and stored.body != item.body:
                    return ChatSecError("id_conflict")
            else:
                stored = next((one for one in table.items.values() if _is_same(one.event, item)), None)
            if stored is None:
                return None
            before = table.items[stored.seq - 1].chain if stored.seq > 1 else crypto.CHAIN_START
            return Appended(stored.seq, stored.received_at, before, duplicate=True)

    # -------------------------------------------------------- an epoch's wraps

    def _store_wraps(self, table: ChatTable, item: NewMessage | NewEvent, attempt: str) -> None:
        if isinstance(item, NewEvent) and item.epoch is not None:
            with self._handle.step():
                table.wraps[attempt] = item.epoch.wraps

    def _forget_attempt(self, kept: _Kept | None, attempt: str) -> None:
        """Tidies up; wraps that stay because a writer died are named by no item, and so mean nothing."""
        if kept is not None:
            with self._handle.step():
                kept.table.wraps.pop(attempt, None)

    # -------------------------------------------------------- marks

    def _mark(self, mark: Mark) -> Mark | ChatSecError:
        with self._handle.step() as data:
            head = head_of(data, mark.chat)
            if head is None or mark.username not in head.members:
                return ChatSecError("not_found")
            marks, last = data.chats[mark.chat].marks, head.last_seq
            old = marks.get(mark.username, Mark(mark.chat, mark.username))
            moved = replace(
                old,
                delivered=max(old.delivered, min(max(mark.delivered, mark.read), last)),
                read=max(old.read, min(mark.read, last)),
            )
            marks[mark.username] = moved
            return moved

    # -------------------------------------------------------- heads

    def _keep(self, chat: str) -> _Kept | None:
        if chat not in self._kept:
            with self._handle.step() as data:
                if chat not in data.chats:
                    return None
                self._kept[chat] = _Kept(data.chats[chat], head_of(data, chat), data.bundles_changed)
        return self._kept[chat]

    def _new_chat(self, chat: str) -> _Kept:
        with self._handle.step() as data:
            table = data.chats.setdefault(chat, ChatTable())
            kept = self._kept[chat] = _Kept(table, None, data.bundles_changed)
        return kept

    def _catch_up(self, kept: _Kept) -> None:
        with self._handle.step() as data:
            kept.head, kept.bundles = fold(data, kept.table, kept.head), data.bundles_changed

    def _move_snapshots(self, chats: set[str]) -> None:
        for kept in [self._kept[chat] for chat in chats if chat in self._kept]:
            with self._handle.step():
                snapshot = kept.table.snapshot
                if kept.head and (snapshot is None or snapshot.last_seq < kept.head.last_seq):
                    kept.table.snapshot = replace(kept.head)


def _numbered(
    head: Head | None, item: NewMessage | NewEvent, at: int, attempt: str
) -> tuple[StoredItem, Head]:
    """The item in the place after `head`, and the head after it."""
    head = sequence.after(head, item, at)
    if isinstance(item, NewMessage):
        return StoredItem(head.last_seq, at, head.chain, item.body, item.sender, item.id), head
    stored = StoredItem(
        head.last_seq,
        at,
        head.chain,
        sequence.event_body(item, head.epoch),
        event=replace(item, epoch=None),
        epoch=head.epoch if item.epoch else 0,
        attempt=attempt if item.epoch else "",
    )
    return stored, head


def _is_same(stored: NewEvent | None, again: NewEvent) -> bool:
    if stored is None:
        return False
    made, asked = stored.chat_data, again.chat_data
    if made is not None or asked is not None:
        return (
            stored.by == again.by and made is not None and asked is not None and made.request == asked.request
        )
    entry, share = stored.entry, stored.share
    return sequence.same_again(again, entry.hash if entry else None, share.hash if share else None)
