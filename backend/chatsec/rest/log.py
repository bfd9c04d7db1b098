"""One line in the log for each request, and one more for what concerns who may get in.

A line says method, route, status, milliseconds, and who called from where; the route is the pattern
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
# (method, pattern below /api/v1) → what it is called in the log
EVENTS = {
    ("POST", "/auth/register"): "register",
    ("POST", "/auth/login"): "login",
    ("POST", "/auth/recover"): "recover",
    ("POST", "/auth/refresh"): "refresh",
    ("POST", "/auth/logout"): "logout",
    ("POST", "/me/deletion"): "account_deletion",
    ("PUT", "/me/password"): "password_change",
    ("PUT", "/me/key-backup"): "key_backup_change",
    ("POST", "/me/keys"): "keys_change",
    ("DELETE", "/me/sessions"): "session_end",
}

logger = structlog.get_logger("chatsec.requests")


def install(app: Flask, metrics: Metrics) -> None:
    """Watches every request of the app."""

    @app.before_request
    def begin() -> None:
        g.began = time.monotonic()

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
            line = {
                "method": method,
                "route": rule,
                "status": response.status_code,
                "ms": round(seconds * 1000, 1),
                "address": address(),
                "username": caller.username if (caller := g.get("caller")) else None,
            }
            logger.info("request", **line)
            if name := _event(method, rule):
                logger.info("auth", what=name, ok=response.status_code < 400, **line)
        return response


def _event(method: str, rule: str) -> str | None:
    below = rule.removeprefix("/api/v1").split("/<", 1)[0]
    return EVENTS.get((method, below))


def _code(response: Response) -> str:
    """The problem's code where there is one."""
    if response.mimetype != "application/problem+json":
        return str(response.status_code)
    body = response.get_json(silent=True)
    return str(body.get("code")) if isinstance(body, dict) else str(response.status_code)
