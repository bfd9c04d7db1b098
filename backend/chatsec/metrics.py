"""What the server counts about itself, in Prometheus' form.

    metrics = Metrics()                        a registry of its own, nothing global
    metrics.counted("message:send", handler)   the handler of an event, its answers counted
    metrics.watch_loop(offload)                measures for ever, beside, how late the event loop turns
    metrics.text()                             what /metrics answers

Nobody's name is in it, and no label is anything that a client wrote.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

from chatsec.domain.ports import Offload
from chatsec.errors import ChatSecError

LAG_STEP = 0.05  # seconds between two looks at the loop
LAG_WINDOW = 10.0  # seconds that the gauge looks back
Handler = Callable[..., Any]
DURATIONS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)  # seconds


class Metrics:
    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._late: deque[tuple[float, float]] = deque()  # (when, how late), of the window
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self.events = Counter(
            "chatsec_events", "Socket events by what became of them", ["event", "result"], registry=registry
        )
        self.sockets = Gauge("chatsec_sockets", "Open sockets", registry=registry)
        self.requests = Counter(
            "chatsec_http_requests", "REST requests", ["method", "route", "status"], registry=registry
        )
        self.durations = Histogram(
            "chatsec_http_request_seconds", "How long they took", buckets=DURATIONS, registry=registry
        )
        self.errors = Counter("chatsec_errors", "Refusals by code", ["code"], registry=registry)
        lag = Gauge(
            "chatsec_loop_lag_seconds", "Latest turn of the event loop in the last 10 s", registry=registry
        )
        lag.set_function(self.loop_lag)

    def text(self) -> bytes:
        return generate_latest(self.registry)

    def counted(self, event: str, handler: Handler) -> Handler:
        """The same handler; how it answers is counted as `ok`, `duplicate` or the code of its refusal."""
        ok, duplicate = self.events.labels(event, "ok"), self.events.labels(event, "duplicate")

        def count(*args: Any) -> Any:
            try:
                ack = handler(*args)
            except ChatSecError as error:
                self.events.labels(event, error.code).inc()
                self.errors.labels(error.code).inc()
                raise
            (duplicate if ack.get("duplicate") else ok).inc()
            return ack

        return count

    def watch_loop(self, offload: Offload) -> None:
        """Starts measuring."""
        offload.start(self._watch, offload)

    def watch_redis(self, up: Callable[[], float], dropped: Callable[[], float]) -> None:
        """Shows the link to Redis, where there is one."""
        link = Gauge("chatsec_redis_up", "Whether the link to Redis is up", registry=self.registry)
        link.set_function(up)
        lost = Gauge(
            "chatsec_redis_dropped",
            "Messages to other workers that could not be sent",
            registry=self.registry,
        )
        lost.set_function(dropped)

    def look(self, late: float) -> None:
        """The loop turned so many seconds too late."""
        now = self._monotonic()
        while self._late and self._late[0][0] < now - LAG_WINDOW:
            self._late.popleft()
        self._late.append((now, max(0.0, late)))

    def loop_lag(self) -> float:
        """Seconds; the most of the last 10 s. A loop that does not turn cannot say so before it turns again."""
        since = self._monotonic() - LAG_WINDOW
        return max((late for when, late in self._late if when >= since), default=0.0)

    def _watch(self, offload: Offload) -> None:
        while True:
            due = self._monotonic() + LAG_STEP
            offload.sleep(LAG_STEP)
            self.look(self._monotonic() - due)
