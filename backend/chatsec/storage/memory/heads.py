"""Where a chat in memory stands: the fold of its items, from a snapshot upwards, by the bundles that are current.

Pure; callers hold a step. An event item names its entry and share, and has them with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from chatsec.domain import sequence
from chatsec.domain.lines import Lines, line_of
from chatsec.domain.models import Head, NewEpoch, NewEvent
from chatsec.storage.memory.data import ChatTable, MemoryData, StoredItem


def head_of(data: MemoryData, chat: str) -> Head | None:
    """A head of one's own; None where there is no such chat, or not yet its first item."""
    table = data.chats.get(chat)
    return fold(data, table, replace(table.snapshot) if table.snapshot else None) if table else None


def fold(data: MemoryData, table: ChatTable, head: Head | None) -> Head | None:
    """Moves `head` over all items above it; None starts at the first."""
    for item in _above(table, head.last_seq if head else 0):
        head = sequence.follow(head, event_of(table, item), item.received_at, item.seq, item.chain)
    if head is not None and head.combined is not None:
        current = {name: data.accounts[name].keys_hash for name in head.members}
        sequence.see_bundles(head, lines_in(data, sequence.moved(head, current)))
    return head


def lines_in(data: MemoryData, usernames: Iterable[str]) -> Lines:
    """The lines of those of them who have a bundle."""
    return {name: line_of(data.bundles[name]) for name in usernames if data.bundles.get(name)}


def event_of(table: ChatTable, item: StoredItem) -> NewEvent | None:
    """The event of an event item, with the wraps of the one attempt at its epoch that it names."""
    if item.event is None or not item.attempt:
        return item.event
    return replace(item.event, epoch=NewEpoch(item.epoch, table.wraps[item.attempt]))


def _above(table: ChatTable, seq: int) -> Iterator[StoredItem]:
    while item := table.items.get(seq := seq + 1):
        yield item
