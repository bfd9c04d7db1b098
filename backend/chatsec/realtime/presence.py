"""Client events about who is here: `presence:set`, `presence:watch`, `typing` (protocol §7)."""

from __future__ import annotations

from typing import Any

from chatsec.domain.models import Json
from chatsec.domain.presence import PresenceService
from chatsec.realtime.connection import Connection
from chatsec.wire import parse
from chatsec.wire.presence import PresenceSetBody, PresenceWatchBody, TypingBody


def set_status(presence: PresenceService, connection: Connection, data: Any) -> Json:
    """online, away or invisible, until it is changed."""
    presence.set_status(connection.username, parse(PresenceSetBody, data).status)
    return {}


def watch(presence: PresenceService, connection: Connection, data: Any) -> Json:
    """Everybody's presence, or that of those one shares a chat with; `presence:list` follows."""
    presence.watch(connection.username, connection.sid, parse(PresenceWatchBody, data).directory)
    return {}


def typing(presence: PresenceService, connection: Connection, data: Any) -> Json:
    """Somebody writes, or has stopped."""
    body = parse(TypingBody, data)
    presence.typing(connection.username, connection.sid, body.chat, body.active)
    return {}
