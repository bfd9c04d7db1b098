"""One line in the log for each request, and the caller's address on every line that is written during it.

A request's line says method, route, status, milliseconds, and who called; the route is the pattern
(`/api/v1/chats/<chat_id>`), never the path, so that nothing a client wrote gets into it: no query, no token, no body.
"""

from __future__ import annotations

import time

import structlog
from flask import Flask, Response, g, request

from chatsec.metrics import Metrics
from chatsec.rest.guard import address

UNMATCHED = "-"
QUIET = frozenset({"/healthz", "/readyz", "/metrics"})  # asked for all the time: counted, not logged

logger = structlog.get_logger("chatsec.requests")


def install(app: Flask, metrics: Metrics) -> None:
    """Watches every request of the app."""

    def begin() -> None:
        g.began = time.monotonic()
        structlog.contextvars.clear_contextvars()  # a connection's earlier request ran in the same context
        structlog.contextvars.bind_contextvars(address=address())

    # Before all other checks: a request that they refuse has a line too.
    app.before_request_funcs.setdefault(None, []).insert(0, begin)

    @app.after_request
    def end(response: Response) -> Response:
        rule = request.url_rule.rule if request.url_rule else UNMATCHED
        seconds = time.monotonic() - g.get("began", time.monotonic())
        # A method is free text; what is not HTTP's own would let clients make counters.
        method = request.method if request.url_rule else "other"
        metrics.requests.labels(method, rule, response.status_code).inc()
        metrics.durations.observe(seconds)
        if response.status_code >= 400:
            metrics.errors.labels(_code(response)).inc()
        if rule not in QUIET:
            caller = g.get("caller")
            logger.info(
                "request",
                method=method,
                route=rule,
                status=response.status_code,
                ms=round(seconds * 1000, 1),
                username=caller.username if caller else None,
            )
        return response


def _code(response: Response) -> str:
    """The problem's code where there is one."""
    if response.mimetype != "application/problem+json":
        return str(response.status_code)
    body = response.get_json(silent=True)
    return str(body.get("code")) if isinstance(body, dict) else str(response.status_code)
