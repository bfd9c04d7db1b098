"""Work that must not hold the event loop, and the loop's few primitives, behind the domain's `Offload` port.

With worker.py and serve.py this is all that knows eventlet; leaving eventlet means writing these three anew.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import eventlet
from eventlet import hubs, tpool
from eventlet.semaphore import Semaphore
from greenlet import getcurrent, greenlet

from chatsec.domain.ports import Signal

T = TypeVar("T")


class EventletOffload:
    """`Offload` on eventlet's thread pool; a thread hop costs about 76 µs, so work below 0.1 ms stays on the loop."""

    def __init__(self) -> None:
        self._hashing = Semaphore(max(1, (os.cpu_count() or 1) - 1))
        self._writing = Semaphore(1)
        self._turn = Turn()

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
        Task(self._turn, function, args).start()

    def sleep(self, seconds: float) -> None:
        eventlet.sleep(seconds)

    def event(self) -> Signal:
        return _Signal(self._turn)


class Turn:
    """What is to be called at the loop's next turn, all behind one timer: a timer each was most of what a wake-up cost."""

    def __init__(self) -> None:
        self._calls: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()

    def call(self, function: Callable[..., object], *args: Any) -> None:
        self._calls.append((function, args))
        if len(self._calls) == 1:
            hubs.get_hub().schedule_call_global(0, self._run)

    def _run(self) -> None:
        calls, self._calls = self._calls, deque()
        try:
            while calls:
                function, args = calls.popleft()
                function(*args)
        finally:
            for function, args in calls:  # left only by a fault, which the loop reports
                self.call(function, *args)


class Task:
    """A function that runs beside, cooperatively; what Engine.IO calls a thread."""

    def __init__(
        self,
        turn: Turn,
        target: Callable[..., object],
        args: Iterable[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        self._turn = turn
        self._target = target
        self._args = args
        self._kwargs = kwargs or {}
        self._ended = _Signal(turn)

    def start(self) -> None:
        self._turn.call(greenlet(self._run, hubs.get_hub().greenlet).switch)

    def join(self) -> None:
        self._ended.wait()

    def _run(self) -> None:
        try:
            self._target(*self._args, **self._kwargs)
        finally:
            self._ended.send()


class _Signal:
    """A one-shot signal for any number of greenlets; a `wait` that times out answers None."""

    def __init__(self, turn: Turn) -> None:
        self._turn = turn
        self._sent = False
        self._result: Any = None
        self._waiters: list[greenlet] = []

    def send(self, result: Any = None) -> None:
        self._sent, self._result = True, result
        for waiter in self._waiters:
            self._turn.call(self._wake, waiter)

    def _wake(self, waiter: greenlet) -> None:
        if waiter in self._waiters:  # else its time was over first
            waiter.switch(self._result)

    def wait(self, timeout: float | None = None) -> Any:
        if self._sent:
            return self._result
        current = getcurrent()
        self._waiters.append(current)
        try:
            if timeout is None:
                return hubs.get_hub().switch()
            with eventlet.Timeout(timeout, False):
                return hubs.get_hub().switch()
            return None
        finally:
            self._waiters.remove(current)
