"""Work that must not hold the event loop, and the loop's few primitives, behind the domain's `Offload` port.

With app.py and serve.py this is all that knows eventlet; leaving eventlet means writing these three anew.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar

import eventlet
from eventlet import tpool
from eventlet.event import Event
from eventlet.semaphore import Semaphore

from chatsec.domain.ports import Signal

T = TypeVar("T")


class EventletOffload:
    """`Offload` on eventlet's thread pool; a thread hop costs about 76 µs, so work below 0.1 ms stays on the loop."""

    def __init__(self) -> None:
        self._hashing = Semaphore(max(1, (os.cpu_count() or 1) - 1))
        self._writing = Semaphore(1)

    def run(self, function: Callable[..., T], *args: Any) -> T:
        result: T = tpool.execute(function, *args)
        return result

    def serial(self, function: Callable[..., T], *args: Any) -> T:
        with self._writing:
            return self.run(function, *args)

    def hash(self, function: Callable[..., T], *args: Any) -> T:
        with self._hashing:
            return self.run(function, *args)

    def turn(self) -> None:
        eventlet.sleep(0)

    def start(self, function: Callable[..., object], *args: Any) -> None:
        eventlet.spawn(function, *args)

    def sleep(self, seconds: float) -> None:
        eventlet.sleep(seconds)

    def event(self) -> Signal:
        return _Signal()


class _Signal(Event):  # type: ignore[misc]
    """eventlet's one-shot event, with a `wait` that times out to None."""

    def wait(self, timeout: float | None = None) -> Any:
        if timeout is None:
            return super().wait()
        with eventlet.Timeout(timeout, False):
            return super().wait()
        return None
