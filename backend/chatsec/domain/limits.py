"""How often something may be done: token buckets, one per kind and key (a username, an address).

A bucket that is empty refuses with `rate_limited` and `retry_after` in whole seconds. Buckets are in memory and this
worker's own, unless workers share them: then all kinds but those of sockets (`OWN`), for which asking would cost more
than what is limited, and which one worker sees all of for as long as a socket lives. While those that are shared cannot
be asked, the worker's own hold.
"""

from __future__ import annotations

import math

from chatsec.domain.ports import Clock, SharedBuckets
from chatsec.errors import ChatSecError

# kind → (burst, refill per second). The page (§8) gives the first three; GET /server tells them.
RATES: dict[str, tuple[float, float]] = {
    "message": (60, 20),
    "epoch": (10, 10 / 3600),
    "change": (30, 30 / 3600),
    "login": (10, 10 / 300),
    "register": (20, 20 / 3600),
    "search": (120, 2),
    "keys": (240, 4),
    "upload": (60, 1),
    "event": (120, 30),
}
OWN = frozenset({"message", "event"})
KEPT_BUCKETS = 100_000


class Limits:
    def __init__(self, clock: Clock, enabled: bool = True, shared: SharedBuckets | None = None) -> None:
        self._clock = clock
        self._shared = shared
        self._enabled = enabled
        self._buckets: dict[tuple[str, str], tuple[float, int]] = {}  # → tokens left, at

    def take(self, kind: str, key: str) -> None:
        """Takes one token of `key`'s bucket, or refuses."""
        if not self._enabled:
            return
        burst, rate = RATES[kind]
        wait = None
        if self._shared is not None and kind not in OWN:
            wait = self._shared.take(kind, key, burst, rate)
        if wait is None:
            wait = self._take_own(kind, key, burst, rate)
        if wait > 0:
            raise ChatSecError("rate_limited", retry_after=math.ceil(wait))

    def _take_own(self, kind: str, key: str, burst: float, rate: float) -> float:
        now = self._clock.now()
        left, at = self._buckets.get((kind, key), (burst, now))
        left = min(burst, left + max(0, now - at) * rate / 1000)
        if left < 1:
            self._buckets[kind, key] = (left, now)
            return (1 - left) / rate
        if len(self._buckets) >= KEPT_BUCKETS:
            self._forget_full(now)
        self._buckets[kind, key] = (left - 1, now)
        return 0

    def _forget_full(self, now: int) -> None:
        """A bucket that has filled up again says nothing; if none has, all start anew rather than memory growing."""
        self._buckets = {
            key: (left, at)
            for key, (left, at) in self._buckets.items()
            if left + (now - at) * RATES[key[0]][1] / 1000 < RATES[key[0]][0]
        }
        if len(self._buckets) >= KEPT_BUCKETS:
            self._buckets.clear()
