"""The Socket.IO namespace `/chat`: who is let in, which events there are, and that every one of them is answered.

Handlers are functions `(service, connection, payload) → ack`. One wrapper looks up the socket, counts the arguments and
turns refusals into acks; an event that nobody knows gets `invalid`; a packet that cannot be read ends its connection.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

import socketio

from chatsec.domain.limits import Limits
from chatsec.domain.models import Json
from chatsec.errors import ChatSecError, invalid
from chatsec.realtime.connection import NAMESPACE, Connection, Connections
from chatsec.wire.errors import extra_json

logger = logging.getLogger(__name__)
Handler = Callable[[Connection, Any], Json]


def register(
    sio: socketio.Server,
    connections: Connections,
    handlers: Mapping[str, Handler],
    limits: Limits,
    opened: Callable[[Connection], None],
    closed: Callable[[Connection], None],
) -> None:
    """Puts the handlers on the server. `opened` and `closed` run beside, when a socket was let in or is gone."""

    def connect(sid: str, environ: Json, auth: Any = None) -> None:
        connection = connections.open(sid, auth)
        sio.start_background_task(opened, connection)

    def disconnect(sid: str, reason: Any = None) -> None:
        if connection := connections.close(sid):
            sio.start_background_task(closed, connection)

    sio.on("connect", connect, namespace=NAMESPACE)
    sio.on("disconnect", disconnect, namespace=NAMESPACE)
    for event, handler in handlers.items():
        # Messages have a budget of their own, taken by their service.
        counted = None if event == "message:send" else limits
        sio.on(event, _guarded(connections, handler, counted), namespace=NAMESPACE)
    sio.on("*", lambda event, sid, *args: refusal(invalid("event", "unknown")), namespace=NAMESPACE)
    sio.eio.on("message", _strict(sio))


def _guarded(connections: Connections, handler: Handler, limits: Limits | None) -> Callable[..., Json]:
    """The one wrapper: whatever happens, there is an ack."""

    def handle(sid: str, *args: Any) -> Json:
        try:
            connection = connections.get(sid)
            if connection is None:
                raise ChatSecError("unauthorized")
            if len(args) != 1:
                raise invalid("payload", "exactly one is taken")
            if limits is not None:
                limits.take("event", connection.username)
            return {"ok": True, **handler(connection, args[0])}
        except ChatSecError as error:
            return refusal(error)
        except Exception as error:  # noqa: BLE001 - a fault of ours must not be silence; its values are not logged
            logger.error("fault in %s: %s", handler, type(error).__name__)
            return refusal(ChatSecError("unavailable"))

    return handle


def refusal(error: ChatSecError) -> Json:
    """The ack of a refused event (protocol §7)."""
    return {"ok": False, "code": error.code, "detail": error.detail, **extra_json(error)}


def _strict(sio: socketio.Server) -> Callable[[str, Any], None]:
    """python-socketio's dispatcher, which ends the connection when a packet cannot be read."""

    def dispatch(eio_sid: str, data: Any) -> None:
        try:
            sio._handle_eio_message(eio_sid, data)
        except ValueError:  # BadPacket, or what python-socketio itself refuses
            sio.start_background_task(sio.eio.disconnect, eio_sid)

    return dispatch
