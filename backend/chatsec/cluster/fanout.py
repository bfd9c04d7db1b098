"""Emits that reach the sockets of all workers: python-socketio's Redis manager, over the link.

    socketio.Server(client_manager=Fanout(link))

Own sockets first, without Redis; then the packet waits to be sent, and is dropped while the link is down. What is said
is what python-socketio's managers say to each other, and any of its emitters is heard on CHANNEL:
`RedisManager(url, channel="chatsec:socketio", write_only=True)`. A worker's own emits name all but the data first:
whoever has none of the sockets parses no data, and whoever has one passes its bytes on as they are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import socketio  # type: ignore[import-untyped]
from socketio.manager import Manager  # type: ignore[import-untyped]

from chatsec.cluster.link import Link

CHANNEL = "chatsec:socketio"
EMIT, OTHER = b"emit", b"socketio"  # kinds of frames
DATA = b',"data":['  # never inside a JSON text, where its quotes would be escaped


class Fanout(socketio.RedisManager):  # type: ignore[misc]
    def __init__(self, link: Link) -> None:
        super().__init__(channel=CHANNEL, write_only=True)  # else it starts a listener of its own
        self.host_id = link.worker
        self._link = link
        self._handlers: dict[str, Callable[[dict[str, Any]], None]] = {
            "emit": self._handle_emit,
            "disconnect": self._handle_disconnect,
            "enter_room": self._handle_enter_room,
            "leave_room": self._handle_leave_room,
            "close_room": self._handle_close_room,
            "callback": self._handle_callback,
        }
        link.hear(EMIT, self._hear_emit)
        link.hear(OTHER, lambda worker, json: self._hear(json))
        link.listen(CHANNEL.encode(), self._hear)

    def emit(
        self,
        event: str,
        data: Any,
        namespace: str | None = None,
        room: Any = None,
        skip_sid: Any = None,
        callback: Any = None,
        to: Any = None,
        **kwargs: Any,
    ) -> None:
        """As python-socketio's; with `ignore_queue` to own sockets only."""
        room = to or room
        if callback is not None or isinstance(data, tuple) or data is None:
            super().emit(event, data, namespace, room, skip_sid, callback, **kwargs)
            return
        encoded = orjson.dumps(data)
        self._emit_here(event, encoded, namespace or "/", room, skip_sid)
        if kwargs.get("ignore_queue"):
            return
        head = {
            "host_id": self.host_id,
            "method": "emit",
            "event": event,
            "binary": False,
            "namespace": namespace or "/",
            "room": room,
            "skip_sid": skip_sid,
            "callback": None,
        }
        self._link.send(EMIT, b"".join((orjson.dumps(head)[:-1], DATA, encoded, b"]}")))

    def _emit_here(self, event: str, encoded: bytes, namespace: str, room: Any, skip_sid: Any) -> None:
        """To own sockets: a packet that is for none of them is not even made."""
        rooms = self.rooms.get(namespace, ())
        if room is None or any(one in rooms for one in (room if isinstance(room, list) else (room,))):
            Manager.emit(self, event, orjson.Fragment(encoded), namespace, room, skip_sid)

    def _hear_emit(self, worker: str, data: bytes) -> None:
        head, _, rest = data.partition(DATA)
        said = orjson.loads(head + b"}")
        self._emit_here(said["event"], rest[:-2], said["namespace"], said["room"], said["skip_sid"])

    def _hear(self, data: bytes) -> None:
        said = orjson.loads(data)
        self._handlers[said["method"]](said)

    def _publish(self, data: dict[str, Any]) -> None:
        self._link.send(OTHER, orjson.dumps(data))
