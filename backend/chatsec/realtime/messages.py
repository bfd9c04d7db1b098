"""Client events about messages: `message:send`, `message:delivered`, `message:read`, `sync` (protocol §7)."""

from __future__ import annotations

from typing import Any

from chatsec.domain.messages import MessageService
from chatsec.domain.models import Json, Mark
from chatsec.realtime.connection import Connection
from chatsec.wire import parse
from chatsec.wire.chats import SyncBody
from chatsec.wire.messages import MarkBody, accept


def send(messages: MessageService, connection: Connection, data: Any) -> Json:
    """A message; the ack follows its durability."""
    return accept(messages, connection.username, data, connection.sid)


def delivered(messages: MessageService, connection: Connection, data: Any) -> Json:
    """This user's devices have everything up to a seq."""
    body = parse(MarkBody, data)
    messages.mark(Mark(body.chat, connection.username, delivered=body.seq), connection.sid)
    return {}


def read(messages: MessageService, connection: Connection, data: Any) -> Json:
    """This user has read everything up to a seq."""
    body = parse(MarkBody, data)
    messages.mark(Mark(body.chat, connection.username, read=body.seq), connection.sid)
    return {}


def sync(messages: MessageService, connection: Connection, data: Any) -> Json:
    """Which chats go on beyond what this client has."""
    return {"behind": messages.sync(connection.username, dict(parse(SyncBody, data).chats))}
