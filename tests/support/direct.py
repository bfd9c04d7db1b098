"""`Offload` without an event loop: work runs where it is asked for, and `start` makes a real thread.

For tests of services and stores that need no eventlet. Several threads may share one: `serial` holds a lock, as
the port's single writer wants.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


class DirectOffload:
    """`chatsec.domain.ports.Offload`, at once."""

    def __init__(self) -> None:
        self._writing = threading.RLock()

    def run(self, function: Callable[..., T], *args: Any) -> T:
        return function(*args)

    def serial(self, function: Callable[..., T], *args: Any) -> T:
        with self._writing:
            return function(*args)

    def hash(self, function: Callable[..., T], *args: Any) -> T:
        return function(*args)

    def turn(self) -> None:
        """There is no loop to turn."""

    def start(self, function: Callable[..., object], *args: Any) -> None:
        threading.Thread(target=function, args=args, daemon=True).start()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def event(self) -> DirectSignal:
        return DirectSignal()


class DirectSignal:
    """`chatsec.domain.ports.Signal` on a threading.Event; `wait` answers None when its time is over."""

    def __init__(self) -> None:
        self._sent = threading.Event()
        self._result: Any = None

    def send(self, result: Any = None) -> None:
        self._result = result
        self._sent.set()

    def wait(self, timeout: float | None = None) -> Any:
        return self._result if self._sent.wait(timeout) else None
