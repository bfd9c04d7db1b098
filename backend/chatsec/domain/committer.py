"""The one writer of all sequences in this process: takes what waits, appends it, publishes, then wakes the senders.

Commits are grouped, so that the disk is waited for once per batch and never by the loop. What was refused is told to
its sender alone; what was appended is published in the order of the commit. When the store fails nothing is published
and every sender of the batch gets `unavailable`.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from chatsec.domain.models import Appended, Mark, NewEvent, NewMessage
from chatsec.domain.ports import Clock, Log, Offload, Signal
from chatsec.errors import ChatSecError

MAX_BATCH = 256
MARK_DELAY = 0.5  # seconds that marks wait for company
logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Waiting:
    item: NewMessage | NewEvent | Mark
    publish: Callable[[Any], None]  # with Appended or Mark, as the item has it
    signal: Signal


class Committer:
    def __init__(self, log: Log, offload: Offload, clock: Clock) -> None:
        self._log = log
        self._offload = offload
        self._clock = clock
        self._waiting: deque[_Waiting] = deque()
        self._marks: dict[tuple[str, str, str], _Waiting] = {}
        self._wake: Signal | None = None
        self._busy = False

    def start(self) -> None:
        self._offload.start(self._run)

    def append(self, item: NewMessage | NewEvent, publish: Callable[[Appended], None]) -> Appended:
        """Waits until `item` is durable and published; raises what it was refused with."""
        waiting = _Waiting(item, publish, self._offload.event())
        self._waiting.append(waiting)
        self._rouse()
        placed: Appended = _result(waiting.signal.wait())
        return placed

    def mark(self, mark: Mark, publish: Callable[[Mark], None], source: str = "") -> Mark:
        """As `append`; marks of one person in one chat from one source that come within half a second become one."""
        key = (mark.chat, mark.username, source)
        waiting = self._marks.get(key)
        if waiting is None:
            waiting = self._marks[key] = _Waiting(mark, publish, self._offload.event())
            if len(self._marks) == 1:
                self._offload.start(self._flush_marks)
        else:
            old = waiting.item
            assert isinstance(old, Mark)  # only marks are kept here
            waiting.item = Mark(
                mark.chat, mark.username, max(old.delivered, mark.delivered), max(old.read, mark.read)
            )
        placed: Mark = _result(waiting.signal.wait())
        return placed

    def drain(self) -> None:
        """Returns when everything that waits is answered."""
        self._take_marks()
        while self._waiting or self._busy:
            self._offload.sleep(0.01)

    def _flush_marks(self) -> None:
        self._offload.sleep(MARK_DELAY)
        self._take_marks()

    def _take_marks(self) -> None:
        marks, self._marks = self._marks, {}
        self._waiting.extend(marks.values())
        self._rouse()

    def _rouse(self) -> None:
        if self._wake is not None:
            wake, self._wake = self._wake, None
            wake.send()

    def _run(self) -> None:
        while True:
            wake = self._wake = self._offload.event()  # before looking, or a wake-up could be missed
            if not self._waiting:
                self._busy = False
                wake.wait()
            self._wake = None
            self._busy = True
            if batch := self._take():
                self._commit(batch)

    def _take(self) -> list[_Waiting]:
        """The next batch. An event is the last of its batch, so that its chat is shown as it was just then."""
        batch: list[_Waiting] = []
        while self._waiting and len(batch) < MAX_BATCH:
            batch.append(self._waiting.popleft())
            if isinstance(batch[-1].item, NewEvent):
                break
        return batch

    def _commit(self, batch: list[_Waiting]) -> None:
        try:
            results = self._log.append([waiting.item for waiting in batch], self._clock.now())
        except ChatSecError as error:
            results = [error] * len(batch)
        except Exception:
            logger.exception("a batch could not be appended")
            results = [ChatSecError("unavailable")] * len(batch)
        for waiting, result in zip(batch, results, strict=True):
            if not isinstance(result, ChatSecError) and not getattr(result, "duplicate", False):
                self._publish(waiting, result)
        for waiting, result in zip(batch, results, strict=True):
            waiting.signal.send(result)

    def _publish(self, waiting: _Waiting, result: Appended | Mark) -> None:
        try:
            waiting.publish(result)
        except Exception:
            logger.exception("an item could not be published")


def _result(result: Any) -> Any:
    if isinstance(result, ChatSecError):
        raise result
    return result
