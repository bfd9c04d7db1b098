"""Who is calling, from where, and how much of it is allowed: the only reader of request headers.

`authenticated` refuses with `unauthorized` or `token_expired` before a view runs and before its body is read; the other
decorators mark a view for the checks that `rest.create_app` makes before every request.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from functools import wraps
from typing import Any, Protocol, TypeVar, cast

from flask import current_app, g, request

from chatsec.domain.limits import Limits
from chatsec.domain.models import Caller
from chatsec.errors import ChatSecError

View = TypeVar("View", bound=Callable[..., Any])

KIB, MIB = 1024, 1024 * 1024
EXTENSION = "chatsec"


class Authenticator(Protocol):
    """What the guard needs of the session service."""

    def authenticate(self, access_token: str) -> Caller:
        """`unauthorized` or `token_expired`; the session is looked up at each call."""


class Guards:
    """What the decorators find in the app: put there by `rest.create_app`."""

    def __init__(self, sessions: Authenticator, limits: Limits) -> None:
        self.sessions = sessions
        self.limits = limits


def authenticated(view: View) -> View:
    """Only with a good access token of a living session; `caller()` then says whose."""
    return identified(lambda token: _guards().sessions.authenticate(token))(view)


def identified(find: Callable[[str], Caller | None]) -> Callable[[View], View]:
    """As `authenticated`, where `find` knows other tokens as well; it answers None for who has no session."""

    def decorate(view: View) -> View:
        @wraps(view)
        def checked(*args: Any, **kwargs: Any) -> Any:
            g.caller = find(bearer())
            return view(*args, **kwargs)

        checked.needs_caller = True  # type: ignore[attr-defined]  # for the OpenAPI page
        return cast(View, checked)

    return decorate


def limited(kind: str) -> Callable[[View], View]:
    """Counts the call as `kind` of `domain.limits`: by account where the view is `authenticated` (put this below it), else by address."""

    def decorate(view: View) -> View:
        @wraps(view)
        def counted(*args: Any, **kwargs: Any) -> Any:
            who: Caller | None = g.get("caller")
            _guards().limits.take(kind, who.username if who else address())
            return view(*args, **kwargs)

        return cast(View, counted)

    return decorate


def body_limit(size: int) -> Callable[[View], View]:
    """A body of up to `size` bytes instead of 256 KiB; more is `too_large`."""
    return _mark(body_limit=size)


def takes(mimetype: str) -> Callable[[View], View]:
    """A body of this type instead of JSON; anything else is `unsupported_media_type`."""
    return _mark(takes=mimetype)


def gives(mimetype: str) -> Callable[[View], View]:
    """An answer of this type instead of JSON, for the sake of `Accept`."""
    return _mark(gives=mimetype)


def caller() -> Caller:
    """Who is calling, in a view that is `authenticated`."""
    return cast(Caller, g.caller)


def bearer() -> str:
    """The token of `Authorization: Bearer`, or `unauthorized`. Tokens are taken from nowhere else, least of all URLs."""
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() != "bearer" or not token.strip():
        raise ChatSecError("unauthorized", "a bearer token is needed")
    return token.strip()


def has_bearer() -> bool:
    return "Authorization" in request.headers


def address() -> str:
    """Where the caller is, as a key for limits: an IPv4 address or an IPv6 /64, which is what one subscriber gets.

    Behind proxies this is what they say, but only as many as `rest.create_app` was told to trust.
    """
    try:
        found = ipaddress.ip_address(request.remote_addr or "")
    except ValueError:
        return "unknown"
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped:
            return str(found.ipv4_mapped)
        return str(ipaddress.ip_network((found, 64), strict=False))
    return str(found)


def user_agent() -> str:
    """The device as it calls itself, printable and short."""
    return "".join(char for char in request.headers.get("User-Agent", "") if char.isprintable())[:200]


def _guards() -> Guards:
    return cast(Guards, current_app.extensions[EXTENSION])


def _mark(**marks: Any) -> Callable[[View], View]:
    def decorate(view: View) -> View:
        for name, value in marks.items():
            setattr(view, name, value)
        return view

    return decorate
