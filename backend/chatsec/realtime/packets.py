"""Socket.IO and Engine.IO packets as this server takes them; anything else ends the connection (protocol §7).

Refused: binary, packet types above 3, JSON that does not parse, events that are no array starting with a text.
"""

from __future__ import annotations

from typing import Any

import orjson
from socketio import packet

RESERVED = frozenset({"connect", "disconnect", "*"})
MAX_ID_DIGITS = 16
# What a client may send at Engine.IO's level: close, pong, message, upgrade; a ping only to probe an upgrade.
FRAMES = frozenset("1345")


class BadPacket(ValueError):
    """A packet that this server does not take."""


class Json:
    """orjson with the two calls that python-socketio makes."""

    @staticmethod
    def dumps(value: Any, **_: Any) -> str:
        return orjson.dumps(value).decode()

    @staticmethod
    def loads(text: str) -> Any:
        return orjson.loads(text)


class Packet(packet.Packet):  # type: ignore[misc]
    """A packet without binary parts, parsed strictly. An event that calls itself `connect`, `disconnect` or `*` is
    renamed, since python-socketio would run the handlers of those for it."""

    uses_binary_events = False
    json = Json

    def decode(self, encoded_packet: str | bytes) -> int:
        if not isinstance(encoded_packet, str) or encoded_packet[:1] not in ("0", "1", "2", "3"):
            raise BadPacket("type")
        self.packet_type = int(encoded_packet[0])
        rest = encoded_packet[1:]
        self.namespace = None
        if rest.startswith("/"):
            self.namespace, _, rest = rest.partition(",")
            self.namespace = self.namespace.partition("?")[0]
        digits = len(rest) - len(rest.lstrip("0123456789")) if rest[:1].isdigit() else 0
        if digits > MAX_ID_DIGITS:
            raise BadPacket("id")
        self.id = int(rest[:digits]) if digits else None
        try:
            self.data = orjson.loads(rest[digits:]) if len(rest) > digits else None
        except orjson.JSONDecodeError as error:
            raise BadPacket("json") from error
        self._judge()
        return 0

    def _judge(self) -> None:
        data = self.data
        if self.packet_type == packet.EVENT:
            if not isinstance(data, list) or not data or not isinstance(data[0], str):
                raise BadPacket("event")
            if data[0] in RESERVED:
                data[0] = f"reserved:{data[0]}"
        elif self.packet_type == packet.ACK:
            if not isinstance(data, list) or self.id is None:
                raise BadPacket("ack")
        elif not isinstance(data, dict | None):
            raise BadPacket("data")


def acceptable(frame: object) -> bool:
    """Whether an Engine.IO packet may come from a client; what a message holds is judged by `Packet`."""
    if not isinstance(frame, str) or frame in (
        "",
        "4",
    ):  # an empty message is one that python-socketio never parses
        return False
    return frame[0] in FRAMES or frame == "2probe"
