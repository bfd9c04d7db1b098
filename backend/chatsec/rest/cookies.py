"""The refresh token in a cookie, and the CSRF token that goes with it (protocol §6).

HttpOnly, SameSite=Strict, for this host alone. Over HTTPS the cookie is Secure and bears the `__Host-` prefix, so that
no other host and no plain connection can set it; over plain HTTP, which is for one's own machine, it bears another name.
"""

from __future__ import annotations

import hmac

from flask import Response, request

from chatsec.domain.ports import Tokens
from chatsec.errors import ChatSecError

SECURE, PLAIN = "__Host-chatsec_refresh", "chatsec_refresh"
MAX_AGE = 30 * 24 * 60 * 60  # as long as the session may idle
CSRF_HEADER = "X-CSRF-Token"


def read() -> str | None:
    """The refresh token that came in the cookie, unproven."""
    return request.cookies.get(_name())


def read_checked(tokens: Tokens) -> str:
    """The refresh token of the cookie, with its CSRF token in the header: `unauthorized`, `csrf_failed`."""
    token = read()
    if not token:
        raise ChatSecError("unauthorized", "a refresh token is needed")
    session_id, _ = tokens.read_refresh(token)
    sent = request.headers.get(CSRF_HEADER, "")
    if not hmac.compare_digest(sent.encode(), tokens.csrf(session_id).encode()):
        raise ChatSecError("csrf_failed")
    return token


def keep(response: Response, refresh_token: str) -> None:
    """Sets the cookie."""
    response.set_cookie(
        _name(),
        refresh_token,
        max_age=MAX_AGE,
        path="/",
        secure=request.is_secure,
        httponly=True,
        samesite="Strict",
    )


def forget(response: Response) -> None:
    """Takes the cookie away, where there was one."""
    if read() is not None:
        response.delete_cookie(_name(), path="/", secure=request.is_secure, httponly=True, samesite="Strict")


def _name() -> str:
    return SECURE if request.is_secure else PLAIN
