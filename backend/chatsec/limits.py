"""How often somebody may do what: exact sliding windows in memory, behind the domain's `Limits` port.

A window keeps the times of what was let through, so what was refused does not lengthen the wait, and no more than the
number allowed ever fits into any window. Per process; keys nobody used for a window are forgotten.
"""

from __future__ import annotations

from collections import deque

from chatsec.domain.ports import Clock
from chatsec.errors import ChatSecError

SECOND, MINUTE, HOUR = 1_000, 60_000, 3_600_000

RULES: dict[str, tuple[int, int]] = {
    "login_account": (10, 5 * MINUTE),  # the first two are protocol §8
    "login_address": (10, 5 * MINUTE),
    "password": (10, 5 * MINUTE),  # asked again for a sensitive change, by session
    "prelogin": (60, MINUTE),  # by address
    "register": (60, 10 * MINUTE),  # by address
    "search": (120, MINUTE),  # from here on by account
    "key_fetch": (300, MINUTE),
    "upload": (60, MINUTE),
    "bundles": (10, HOUR),
    "epochs": (10, HOUR),
}
"""rule → (how many, in how many ms)."""

SWEEP = 1_000  # after so many new keys, those that no longer matter are dropped


class SlidingWindows:
    """`Limits` as promised in `RULES`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._taken: dict[tuple[str, str], deque[int]] = {}
        self._until_sweep = SWEEP

    def take(self, rule: str, key: str) -> None:
        """Counts one use, or `rate_limited` with `retry_after` in seconds."""
        count, window = RULES[rule]
        now = self._clock.now()
        taken = self._taken.get((rule, key))
        if taken is None:
            self._sweep(now)
            taken = self._taken[rule, key] = deque(maxlen=count)
        if len(taken) == count and (wait := taken[0] + window - now) > 0:
            raise ChatSecError("rate_limited", retry_after=min(-(-wait // SECOND), window // SECOND))
        taken.append(now)

    def _sweep(self, now: int) -> None:
        self._until_sweep -= 1
        if self._until_sweep > 0:
            return
        old = [key for key, taken in self._taken.items() if taken[-1] + RULES[key[0]][1] <= now]
        for key in old:
            del self._taken[key]
        self._until_sweep = SWEEP


class Unlimited:
    """`Limits` with RATE_LIMITS=off."""

    def take(self, rule: str, key: str) -> None:
        """Lets everything through."""
