"""For those who run the server, and what it says of itself: `/healthz`, `/readyz`, `/metrics`, `GET /api/v1/server`.

Metrics are for who has METRICS_TOKEN, and for loopback unless a proxy speaks for somebody: behind one everyone comes
from loopback. `/readyz` asks the store five times a second at most, however often it is asked.
"""

from __future__ import annotations

import hmac
import ipaddress
import time
from collections.abc import Callable

from apiflask import APIBlueprint
from flask import Response, request

from chatsec import crypto
from chatsec.domain.attachments import MAX_ATTACHMENT
from chatsec.domain.limits import RATES
from chatsec.domain.models import MAX_MEMBERS, Json
from chatsec.errors import ChatSecError
from chatsec.metrics import Metrics
from chatsec.rest import BODY_LIMIT
from chatsec.rest.guard import MIB, bearer, gives, has_bearer
from chatsec.wire import MAX_PAGE

PROMETHEUS = "text/plain"
FORWARDED = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-IP", "Via")
PING_PAUSE = 0.2


def blueprint(
    *,
    ping: Callable[[], None],
    metrics: Metrics,
    metrics_token: str,
    version: str,
    key_mode: str,
    registration: str,
    redis_is_up: Callable[[], bool] = lambda: True,
    name: str = "Chat-Sec",
) -> APIBlueprint:
    """`ping` is the store's; it raises `unavailable`. `redis_is_up` where there are several workers."""
    bp = APIBlueprint("ops", __name__, tag="server")
    ready = _Once(ping)

    @bp.get("/healthz")
    def is_alive() -> Json:
        """Whether the process answers."""
        return {"status": "ok"}

    @bp.get("/readyz")
    def is_ready() -> Json:
        """Whether the store can be read and written: 503 with the reason if not.

        `degraded` is ready too: without Redis this worker serves all but what only other workers could tell it.
        """
        ready()
        return {"status": "ready"} if redis_is_up() else {"status": "degraded", "redis": "down"}

    @bp.get("/metrics")
    @gives(PROMETHEUS)
    @bp.doc(responses={200: "Prometheus' text format"})
    def read_metrics() -> Response:
        """Counters and gauges, with METRICS_TOKEN or from loopback."""
        if not (_has_token(metrics_token) or _is_loopback()):
            raise ChatSecError("unauthorized", "metrics need METRICS_TOKEN as bearer token")
        response = Response(metrics.text(), content_type="text/plain; version=0.0.4; charset=utf-8")
        response.headers["Cache-Control"] = "no-store"
        return response

    about = {
        "name": name,
        "version": version,
        "protocol": 1,
        "key_mode": key_mode,
        "registration": registration,
        "limits": limits(),
    }

    @bp.get("/api/v1/server")
    def get_server() -> Json:
        """What this server is, and its limits."""
        return about

    return bp


def limits() -> Json:
    """Protocol §8: sizes in bytes, counts, and rates."""
    burst, rate = RATES["message"]
    return {
        "message": crypto.MAX_CIPHERTEXT,
        "header": crypto.MAX_HEADER,
        "body": BODY_LIMIT,
        "large_body": MIB,
        "keys_body": 3 * MIB,
        "attachment": MAX_ATTACHMENT,
        "members": MAX_MEMBERS,
        "page": MAX_PAGE,
        "epochs_per_hour": int(RATES["epoch"][0]),
        "messages_per_second": int(rate),
        "messages_burst": int(burst),
        "logins_per_5_minutes": int(RATES["login"][0]),
    }


class _Once:
    """The store's answer, asked for anew when it is older than PING_PAUSE. Each ping is a write."""

    def __init__(self, ping: Callable[[], None]) -> None:
        self._ping = ping
        self._until = 0.0
        self._error: ChatSecError | None = None

    def __call__(self) -> None:
        if time.monotonic() >= self._until:
            self._until = time.monotonic() + PING_PAUSE  # before: who asks meanwhile gets the last answer
            try:
                self._ping()
                self._error = None
            except ChatSecError as error:
                self._error = error
            self._until = time.monotonic() + PING_PAUSE
        if self._error is not None:
            raise ChatSecError(self._error.code, self._error.detail)


def _has_token(token: str) -> bool:
    return bool(token) and has_bearer() and hmac.compare_digest(bearer().encode(), token.encode())


def _is_loopback() -> bool:
    """From this machine, and for nobody else."""
    if any(name in request.headers for name in FORWARDED):
        return False
    try:
        found = ipaddress.ip_address(request.remote_addr or "")
    except ValueError:
        return False
    mapped = getattr(found, "ipv4_mapped", None)
    return (mapped or found).is_loopback
