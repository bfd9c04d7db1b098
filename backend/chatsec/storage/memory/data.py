"""What the handles on one memory store share: plain tables behind a lock, and the one way to reach them.

It stands where a database server would. Every access goes through `Handle.step`, which lets the loop turn first, as a
driver's socket does; so an `Offload` whose `turn` waits or raises puts other writers, or a failure, between any two
accesses. A step is atomic and works on nothing that another step could see half done.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from chatsec.domain.models import Account, Attachment, Bundle, Head, Mark, NewEvent, Session, Wrap


@dataclass(frozen=True, slots=True)
class StoredItem:
    """An item in its place: a message has `sender` and `id`; an event itself, with `epoch` and `attempt` if it opens one."""

    seq: int
    received_at: int
    chain: bytes
    body: bytes
    sender: str = ""
    id: str = ""
    event: NewEvent | None = None
    epoch: int = 0
    attempt: str = ""


@dataclass(slots=True)
class ChatTable:
    """One chat's documents. `items` is unique by seq, `ids` by (sender, id); `wraps` is keyed by the attempt at an epoch.

    `snapshot` is a head as it was at some time: where a fold starts, never what judges.
    """

    items: dict[int, StoredItem] = field(default_factory=dict)
    ids: dict[tuple[str, str], int] = field(default_factory=dict)
    wraps: dict[str, Mapping[str, Wrap]] = field(default_factory=dict)
    marks: dict[str, Mark] = field(default_factory=dict)
    snapshot: Head | None = None


@dataclass(slots=True)
class StoredBytes:
    """An attachment's ciphertext: `at` is the time of the last write to it, in seconds."""

    at: float
    parts: bytes = b""
    kept: bool = False


@dataclass(slots=True)
class MemoryData:
    """All tables. A chat's table is looked up by its id; after an erasure the same id would be another table.

    `bundles_changed` counts how often writers were told that somebody has a new bundle.
    """

    accounts: dict[str, Account] = field(default_factory=dict)
    bundles: dict[str, list[Bundle]] = field(default_factory=dict)
    sessions: dict[str, Session] = field(default_factory=dict)
    chats: dict[str, ChatTable] = field(default_factory=dict)
    attachments: dict[str, Attachment] = field(default_factory=dict)
    files: dict[str, StoredBytes] = field(default_factory=dict)
    bundles_changed: int = 0
    lock: Any = field(default_factory=threading.RLock)


@dataclass(frozen=True, slots=True)
class Handle:
    """One writer's door to the shared data."""

    data: MemoryData
    turn: Callable[[], None]

    @contextmanager
    def step(self) -> Iterator[MemoryData]:
        self.turn()
        with self.data.lock:
            yield self.data
