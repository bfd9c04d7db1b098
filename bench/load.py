"""The load generator: raw Socket.IO clients in one light process, so that the server has a core to itself.

python -m bench.load PLAN RESULT    PLAN and RESULT are JSON files (`Plan`, `Result`)

Every lane sends one message at a time, the next one after the ack. What is sent is encoded and masked beforehand, and
what comes in is kept unparsed until the end, when every delivered envelope is compared with the one that was sent. Says
`warm` on stdout when the first messages of every lane are through, waits for a line on stdin, and says `done` when all
are. Refuses to give figures (exit 1, one line on stderr) where anything was refused, lost, altered, doubled or out of order.
"""

from __future__ import annotations

import os
import selectors
import socket
import statistics
import struct
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any, TypedDict

import orjson

NAMESPACE = "/chat"
PATIENCE = 30.0  # seconds without any progress
CHUNK = 1 << 18
ACK, DELIVERED = b"43/chat,", b'42/chat,["message",'
FIELDS = ("chat", "protected", "iv", "ciphertext", "signature")


class Client(TypedDict):
    """One socket; each of its lanes is a list of envelopes. A socket without lanes only receives."""

    token: str
    lanes: list[list[dict[str, str]]]


class Plan(TypedDict):
    host: str
    port: int
    warm: int  # messages of each lane that come before the measurement
    clients: list[Client]


class Result(TypedDict):
    messages: int
    seconds: float
    ack_ms: dict[str, float]  # p50 and p95 from the send
    delivery_ms: dict[str, float]


class Wrong(Exception):
    """The server did not do what it must."""


def frame(text: bytes) -> bytes:
    """A masked text frame (RFC 6455 §5.2), the XOR as one of two large integers."""
    size = len(text)
    if size < 126:
        head = struct.pack("!BB", 0x81, 0x80 | size)
    elif size < 1 << 16:
        head = struct.pack("!BBH", 0x81, 0x80 | 126, size)
    else:
        head = struct.pack("!BBQ", 0x81, 0x80 | 127, size)
    mask = os.urandom(4)
    key = int.from_bytes((mask * (size // 4 + 1))[:size], "little")
    return head + mask + (int.from_bytes(text, "little") ^ key).to_bytes(size, "little")


class Connection:
    """A WebSocket with a Socket.IO session on it."""

    def __init__(self, host: str, port: int, token: str) -> None:
        self.socket = socket.create_connection((host, port), timeout=PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._received = bytearray()
        self._unsent = bytearray()
        self._upgrade(host, port)
        self.send(frame(b"40/chat," + orjson.dumps({"token": token})))
        while not any(text.startswith(b"40/chat,") for text in self.receive()):
            pass
        self.socket.setblocking(False)

    def _upgrade(self, host: str, port: int) -> None:
        self.socket.sendall(
            f"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
        )
        while b"\r\n\r\n" not in self._received:
            if not (part := self.socket.recv(CHUNK)):
                raise Wrong("no upgrade to WebSocket")
            self._received += part
        head, _, rest = self._received.partition(b"\r\n\r\n")
        if b" 101 " not in head.split(b"\r\n")[0]:
            raise Wrong(f"no upgrade to WebSocket: {bytes(head[:60])!r}")
        self._received = rest

    def send(self, data: bytes) -> bool:
        """Whether all of it went; else `flush` when the socket can take more."""
        if not self._unsent:
            try:
                sent = self.socket.send(data)
            except BlockingIOError:
                sent = 0
            if sent == len(data):
                return True
            data = data[sent:]
        self._unsent += data
        return False

    def flush(self) -> bool:
        """As `send`, of what is left."""
        data = bytes(self._unsent)
        self._unsent.clear()
        return self.send(data)

    def receive(self) -> list[bytes]:
        """The texts that came in; pings among them are answered here."""
        part = self.socket.recv(CHUNK)
        if not part:
            raise Wrong("the server closed a connection")
        data = self._received + part if self._received else part
        texts, at = [], 0
        while len(data) - at >= 2:
            size, start = data[at + 1], at + 2
            if size == 126:
                size, start = int.from_bytes(data[at + 2 : at + 4], "big"), at + 4
            elif size == 127:
                size, start = int.from_bytes(data[at + 2 : at + 10], "big"), at + 10
            if len(data) < start + size:
                break
            if data[at] != 0x81:
                raise Wrong(f"unexpected frame {data[at]:#x}")
            text = bytes(data[start : start + size])
            if text == b"2":
                self.send(frame(b"3"))
            else:
                texts.append(text)
            at = start + size
        self._received = bytearray(data[at:])
        return texts


class Lane:
    """Messages that go one after another; `numbers` are their ack ids."""

    def __init__(self, connection: Connection, numbers: list[int]) -> None:
        self.connection = connection
        self.numbers = numbers
        self.next = 0


class Load:
    def __init__(self, plan: Plan) -> None:
        self.warm = plan["warm"]
        self.envelopes: list[dict[str, str]] = []
        self.frames: list[bytes] = []
        self.lanes: list[Lane] = []
        self.lane_of: list[Lane] = []
        self.sent: list[float] = []
        self.acks: list[tuple[float, bytes]] = []
        self.delivered: list[tuple[float, bytes]] = []
        self._selector = selectors.DefaultSelector()
        for client in plan["clients"]:
            connection = Connection(plan["host"], plan["port"], client["token"])
            self._selector.register(connection.socket, selectors.EVENT_READ, connection)
            for envelopes in client["lanes"]:
                self._prepare(connection, envelopes)
        self.sent = [0.0] * len(self.frames)

    def _prepare(self, connection: Connection, envelopes: list[dict[str, str]]) -> None:
        first = len(self.frames)
        lane = Lane(connection, list(range(first, first + len(envelopes))))
        for number, envelope in zip(lane.numbers, envelopes, strict=True):
            text = b"42/chat,%d" % number + orjson.dumps(["message:send", envelope])
            self.frames.append(frame(text))
        self.envelopes += envelopes
        self.lane_of += [lane] * len(envelopes)
        self.lanes.append(lane)

    def run(self, until: int) -> float:
        """Every lane goes on up to its message `until`; seconds until all are acked and delivered."""
        goal = sum(min(until, len(lane.numbers)) for lane in self.lanes)
        began = time.perf_counter()
        for lane in self.lanes:
            self._send_next(lane, until)
        while len(self.acks) < goal or len(self.delivered) < goal:
            ready = self._selector.select(PATIENCE)
            if not ready:
                raise Wrong(f"stuck: {len(self.acks)} acks and {len(self.delivered)} deliveries of {goal}")
            for key, events in ready:
                if events & selectors.EVENT_WRITE and key.data.flush():
                    self._selector.modify(key.fileobj, selectors.EVENT_READ, key.data)
                if events & selectors.EVENT_READ:
                    self._take(key.data, until)
        return time.perf_counter() - began

    def _take(self, connection: Connection, until: int) -> None:
        texts = connection.receive()
        now = time.perf_counter()
        for text in texts:
            if text.startswith(ACK):
                self.acks.append((now, text))
                if b'"ok":true' not in text:
                    raise Wrong(f"refused: {text[:200]!r}")
                self._send_next(self.lane_of[int(text[len(ACK) : text.index(b"[")])], until)
            elif text.startswith(DELIVERED):
                self.delivered.append((now, text))

    def _send_next(self, lane: Lane, until: int) -> None:
        if lane.next >= min(until, len(lane.numbers)):
            return
        number = lane.numbers[lane.next]
        lane.next += 1
        self.sent[number] = time.perf_counter()
        if not lane.connection.send(self.frames[number]):
            both = selectors.EVENT_READ | selectors.EVENT_WRITE
            self._selector.modify(lane.connection.socket, both, lane.connection)

    def check(self, seconds: float) -> Result:
        """Every message acked once, delivered once as it was sent, in the order of a gapless seq; then the figures."""
        seqs: dict[int, int] = {}
        ack_at: dict[int, float] = {}
        for at, text in self.acks:
            start = text.index(b"[")
            number = int(text[len(ACK) : start])
            seqs[number], ack_at[number] = orjson.loads(text[start:])[0]["seq"], at
        if len(seqs) != len(self.acks):
            raise Wrong("a message was acked twice")
        delivered_at = self._check_deliveries(seqs)
        measured = [n for lane in self.lanes for n in lane.numbers[self.warm :]]
        return {
            "messages": len(measured),
            "seconds": seconds,
            "ack_ms": _spread([ack_at[n] - self.sent[n] for n in measured]),
            "delivery_ms": _spread([delivered_at[n] - self.sent[n] for n in measured]),
        }

    def _check_deliveries(self, seqs: dict[int, int]) -> dict[int, float]:
        numbers = {envelope["signature"]: n for n, envelope in enumerate(self.envelopes)}
        last: dict[str, int] = defaultdict(int)
        delivered_at: dict[int, float] = {}
        for at, text in self.delivered:
            item: dict[str, Any] = orjson.loads(text[text.index(b"[") :])[1]
            number = numbers.get(item["signature"])
            if number is None or any(item[name] != self.envelopes[number][name] for name in FIELDS):
                raise Wrong("a delivered envelope is not one that was sent")
            chat, seq = item["chat"], item["seq"]
            if seq != seqs[number] or (last[chat] and seq != last[chat] + 1):
                raise Wrong(f"seq {seq} follows {last[chat]}, acked as {seqs[number]}")
            last[chat], delivered_at[number] = seq, at
        if len(delivered_at) != len(self.delivered) or len(delivered_at) != len(self.envelopes):
            raise Wrong("not every message was delivered just once")
        return delivered_at


def _spread(seconds: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(seconds, n=100)
    return {"p50": cuts[49] * 1000, "p95": cuts[94] * 1000}


def main(plan_file: str, result_file: str) -> int:
    try:
        load = Load(orjson.loads(Path(plan_file).read_bytes()))
        load.run(load.warm)
        print("warm", flush=True)
        sys.stdin.readline()
        seconds = load.run(sys.maxsize)
        print("done", flush=True)
        Path(result_file).write_bytes(orjson.dumps(load.check(seconds)))
    except (Wrong, OSError) as error:
        print(f"load: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
