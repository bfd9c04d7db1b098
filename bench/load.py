"""The load generator: raw Socket.IO clients in one light process, so that the server has a core to itself.

python -m bench.load PLAN RESULT    PLAN and RESULT are JSON files (`Plan`, `Result`)

Every lane sends one message at a time, the next one after the ack; or, where `every` is given, at its time, acked or
not, and latencies count from when it was due. What is sent is encoded and masked beforehand, and what comes in is kept
unparsed until the end, when every delivered envelope is compared with the one that was sent. Says `warm` on stdout when
the first messages of every lane are through, waits for a line on stdin, and says `done` when all are. Refuses to give
figures (exit 1, one line on stderr) where anything was refused, lost, altered, doubled or, unless that is allowed, out
of order.
"""

from __future__ import annotations

import os
import selectors
import socket
import statistics
import struct
import sys
import time
from collections import defaultdict, deque
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, TypedDict

import orjson

NAMESPACE = "/chat"
PATIENCE = 30.0  # seconds without any progress
CHUNK = 1 << 18
ACK, DELIVERED = b"43/chat,", b'42/chat,["message",'
FIELDS = ("chat", "protected", "iv", "ciphertext", "signature")


Envelope = dict[str, str]


class Client(TypedDict):
    """One socket: the chats whose messages it gets, its own apart, and its lanes, each a list of envelopes."""

    token: str
    chats: list[str]
    lanes: list[list[Envelope]]


class Plan(TypedDict):
    host: str
    port: int
    warm: int  # messages of each lane that come before the measurement
    every: float  # seconds between two messages of a lane; 0: after the ack
    ordered: bool  # whether every socket must get a chat's messages in the order of seq
    clients: list[Client]


class Result(TypedDict):
    messages: int
    deliveries: int
    out_of_order: int  # deliveries of a seq below one that had come before it
    seconds: float
    load_cpu: float  # seconds of CPU that this process took meanwhile
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

    def __init__(self, connection: Any, numbers: list[int]) -> None:
        self.connection = connection
        self.numbers = numbers
        self.next = 0


class Load:
    def __init__(self, plan: Plan) -> None:
        self.warm, self.every, self.ordered = plan["warm"], plan["every"], plan["ordered"]
        self.envelopes: list[Envelope] = []
        self.frames: list[bytes] = []
        self.lanes: list[Lane] = []
        self.lane_of: list[Lane] = []
        self.readers: dict[str, list[Any]] = defaultdict(list)  # chat → whose connections get its messages
        self.acks: list[tuple[float, bytes]] = []
        self.delivered: dict[Any, list[tuple[float, bytes]]] = {}
        self._arrived = 0
        self._selector = selectors.DefaultSelector()
        for client in plan["clients"]:
            connection = Connection(plan["host"], plan["port"], client["token"])
            self._selector.register(connection.socket, selectors.EVENT_READ, connection)
            self.delivered[connection] = []
            for chat in client["chats"]:
                self.readers[chat].append(connection)
            for envelopes in client["lanes"]:
                self._prepare(connection, envelopes)
        self.sent = [0.0] * len(self.frames)

    def _prepare(self, connection: Connection, envelopes: list[Envelope]) -> None:
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
        sending = [n for lane in self.lanes for n in lane.numbers[: min(until, len(lane.numbers))]]
        deliveries = sum(len(self.readers[self.envelopes[n]["chat"]]) - 1 for n in sending)
        began = moved = time.perf_counter()
        due = self._timetable(began, until)
        if not due:
            for lane in self.lanes:
                self._send_next(lane, until, began)
        while len(self.acks) < len(sending) or self._arrived < deliveries:
            while due and due[0][0] <= time.perf_counter():
                at, lane = due.popleft()
                self._send_next(lane, until, at)
            came = len(self.acks) + self._arrived
            self._turn(max(0.0, due[0][0] - time.perf_counter()) if due else PATIENCE, until)
            if due or len(self.acks) + self._arrived > came:
                moved = time.perf_counter()
            elif time.perf_counter() - moved > PATIENCE:  # pings alone are no progress
                acks, arrived = len(self.acks), self._arrived
                raise Wrong(f"stuck: {acks} acks of {len(sending)}, {arrived} deliveries of {deliveries}")
        return time.perf_counter() - began

    def _turn(self, pause: float, until: int) -> None:
        """Writes and reads what can be; waits `pause` seconds at most for anything."""
        for key, events in self._selector.select(pause):
            if events & selectors.EVENT_WRITE and key.data.flush():
                self._selector.modify(key.fileobj, selectors.EVENT_READ, key.data)
            if events & selectors.EVENT_READ:
                self._take(key.data, until)

    def _timetable(self, began: float, until: int) -> deque[tuple[float, Lane]]:
        """When which lane sends, evenly spread; empty where the next message waits for the ack."""
        if not self.every:
            return deque()
        due = [
            (began + (turn + place / len(self.lanes)) * self.every, place)
            for place, lane in enumerate(self.lanes)
            for turn in range(min(until, len(lane.numbers)) - lane.next)
        ]
        return deque((at, self.lanes[place]) for at, place in sorted(due))

    def _take(self, connection: Connection, until: int) -> None:
        texts = connection.receive()
        now = time.perf_counter()
        for text in texts:
            if text.startswith(ACK):
                self.acks.append((now, text))
                if b'"ok":true' not in text:
                    raise Wrong(f"refused: {text[:200]!r}")
                if not self.every:
                    self._send_next(self.lane_of[int(text[len(ACK) : text.index(b"[")])], until, now)
            elif text.startswith(DELIVERED):
                self.delivered[connection].append((now, text))
                self._arrived += 1

    def _send_next(self, lane: Lane, until: int, at: float) -> None:
        if lane.next >= min(until, len(lane.numbers)):
            return
        number = lane.numbers[lane.next]
        lane.next += 1
        self.sent[number] = at
        if not lane.connection.send(self.frames[number]):
            both = selectors.EVENT_READ | selectors.EVENT_WRITE
            self._selector.modify(lane.connection.socket, both, lane.connection)

    def check(self, seconds: float, load_cpu: float = 0.0) -> Result:
        """Every message acked once, every socket given every message of others once, as it was sent, and in order of a
        gapless seq; then the figures."""
        seqs: dict[int, int] = {}
        acked_at: dict[int, float] = {}
        for at, text in self.acks:
            start = text.index(b"[")
            number = int(text[len(ACK) : start])
            seqs[number], acked_at[number] = orjson.loads(text[start:])[0]["seq"], at
        if len(seqs) != len(self.acks):
            raise Wrong("a message was acked twice")
        measured = {n for lane in self.lanes for n in lane.numbers[self.warm :]}
        waits, out_of_order = self._check_deliveries(seqs, measured)
        return {
            "messages": len(measured),
            "deliveries": len(waits),
            "out_of_order": out_of_order,
            "seconds": seconds,
            "load_cpu": load_cpu,
            "ack_ms": _spread([acked_at[n] - self.sent[n] for n in measured]),
            "delivery_ms": _spread(waits),
        }

    def _check_deliveries(self, seqs: dict[int, int], measured: set[int]) -> tuple[list[float], int]:
        """How long each delivery of the measured messages took, and how many came out of order."""
        by_chat = self._in_order(seqs)
        read: dict[bytes, int] = {}  # what all members of a chat get is the same text
        waits, out_of_order = [], 0
        for connection, texts in self.delivered.items():
            got = []
            for at, text in texts:
                number = read.get(text)
                if number is None:
                    number = read[text] = self._read(text, seqs)
                got.append(number)
                if number in measured:
                    waits.append(at - self.sent[number])
            for chat, numbers in by_chat.items():
                if connection not in self.readers[chat]:
                    continue
                expected = [n for n in numbers if self.lane_of[n].connection is not connection]
                came = [n for n in got if self.envelopes[n]["chat"] == chat]
                out_of_order += sum(seqs[b] < seqs[a] for a, b in pairwise(came))
                if (came if self.ordered else sorted(came, key=seqs.__getitem__)) != expected:
                    raise Wrong("a socket did not get every message of others just once and in order")
        if len(waits) < len(measured):
            raise Wrong("not every message was delivered")
        return waits, out_of_order

    def _in_order(self, seqs: dict[int, int]) -> dict[str, list[int]]:
        """chat → its messages by seq, which has no gap."""
        by_chat: dict[str, list[int]] = defaultdict(list)
        for number in sorted(seqs, key=seqs.__getitem__):
            by_chat[self.envelopes[number]["chat"]].append(number)
        for numbers in by_chat.values():
            first, last = seqs[numbers[0]], seqs[numbers[-1]]
            if [seqs[number] for number in numbers] != list(range(first, last + 1)):
                raise Wrong(f"seqs from {first} to {last} have a gap")
        return by_chat

    def _read(self, text: bytes, seqs: dict[int, int]) -> int:
        """The number of the message that was delivered so."""
        item: dict[str, Any] = orjson.loads(text[text.index(b"[") :])[1]
        number = self._numbers.get(item["signature"])
        if number is None or any(item[name] != self.envelopes[number][name] for name in FIELDS):
            raise Wrong("a delivered envelope is not one that was sent")
        if item["seq"] != seqs[number]:
            raise Wrong(f"seq {item['seq']} was acked as {seqs[number]}")
        return number

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {envelope["signature"]: number for number, envelope in enumerate(self.envelopes)}


def _spread(seconds: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(seconds, n=100)
    return {"p50": cuts[49] * 1000, "p95": cuts[94] * 1000}


def main(plan_file: str, result_file: str) -> int:
    try:
        load = Load(orjson.loads(Path(plan_file).read_bytes()))
        load.run(load.warm)
        print("warm", flush=True)
        sys.stdin.readline()
        before = time.process_time()
        seconds = load.run(sys.maxsize)
        load_cpu = time.process_time() - before
        print("done", flush=True)
        Path(result_file).write_bytes(orjson.dumps(load.check(seconds, load_cpu)))
    except (Wrong, OSError) as error:
        print(f"load: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
