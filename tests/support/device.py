"""A client as people have them: sends, hears, comes back by itself and catches up; and what it saw of all that.

    device = Device(user, chat, sends=0.05)     # a message so many seconds after the last is acked
    …
    device.rest()                               # sends nothing new
    until(device.is_still, …)
    device.leave()

It does what the protocol asks of a client: orders by seq, checks each item's `before` against its own chain, syncs after
every connect and reads the pages that it lacks, sends what has no ack again as it was, seals anew under the same id
after `stale_epoch`, and waits longer and longer, never in step with others, before it tries again. In a `combined` chat it
says which entry it saw last, and waits while a share is due; it signs nothing. What no server may do it notes in `complaints`.
"""

from __future__ import annotations

import json
import random
import threading
import time
import uuid
from collections import Counter
from typing import Any

import websocket

from tests.support import protocol as p
from tests.support.client import User
from tests.support.connections import ApiError, Json, RestClient

FIRST_PAUSE, LAST_PAUSE = 0.5, 5.0  # seconds before it tries again; the page waits as long
HANDSHAKE = 20  # seconds that a connection may take to be made
ANSWER = 40  # seconds in which whatever is asked by a socket that stays open must be answered
TICK = 0.25
PASSING = ("unavailable", "rate_limited", "share_due")


class _Cut(Exception):
    """The connection is over."""


class Device:
    """In a thread of its own. `chain` is the c after each item held, from the first on; `acked` id → seq; `shown` whom it
    shows as not offline."""

    def __init__(self, user: User, chat: str, url: str | None = None, sends: float | None = None) -> None:
        self.user, self.name, self.chat = user, user.username, chat
        self.chain: list[bytes] = []
        self.sent: dict[str, p.Envelope] = {}
        self.acked: dict[str, int] = {}
        self.acks: list[tuple[float, float]] = []  # when, and after how many seconds
        self.shown: dict[str, str] = {}
        self.complaints: list[str] = []
        self.refusals: Counter[str] = Counter()  # code → how often a message was refused with it
        self.connects = 0
        self.connected = False
        self._url = url or user.url
        self._rest = RestClient(self._url, user.token)
        self._refresh_token = user.refresh_token
        self.sends = sends
        self._due = 0.0  # when the next message goes
        self._pending: tuple[str, p.Envelope | None] | None = (
            None  # the message that has no ack; None: to be sealed
        )
        self._asked: tuple[int, float] | None = None  # number of the send that is under way, and since when
        self._lane = p.new_lane()
        self._epoch: Json = {}
        self._log = ""  # the last entry that an item held has named
        self._told = 0  # highest seq that it was told of
        self._read_at = 0.0  # not before that are pages asked for
        self._pause = FIRST_PAUSE
        self._numbers = 0
        self._resting = threading.Event()
        self._leaving = threading.Event()
        self._breaking = threading.Event()
        self._thread = threading.Thread(target=self._live, daemon=True)
        self._thread.start()

    @property
    def last(self) -> int:
        return len(self.chain)

    def at(self, url: str) -> User:
        """The same session, for REST calls to another address."""
        other = User(url, self.name, self.user.password, self.user.keys)
        other.bundle, other.rest.token = self.user.bundle, self._rest.token
        return other

    def rest(self) -> None:
        self._resting.set()

    def go_on(self) -> None:
        self._resting.clear()

    def is_still(self) -> bool:
        """Connected, has all that it was told of, and waits for no ack."""
        return self.connected and self.last >= self._told and self._pending is None

    def come_back(self) -> None:
        """Breaks its connection, and makes another."""
        self._breaking.set()

    def go(self) -> None:
        """It leaves soon, for good."""
        self._leaving.set()

    def leave(self) -> None:
        """For good; returns when it has."""
        self.go()
        self._thread.join()
        self._rest.close()

    # ------------------------------------------------------------ connections

    def _live(self) -> None:
        while not self._leaving.is_set():
            try:
                ws = self._open()
                try:
                    self._sync(ws)
                    self.connected = True
                    self.connects += 1
                    self._pause = FIRST_PAUSE
                    while not self._leaving.is_set():
                        self._turn(ws)
                finally:
                    self.connected, self._asked = False, None
                    ws.shutdown()
            except ApiError as error:
                if error.code not in PASSING:
                    self.complaints.append(f"REST says {error}")
            except (_Cut, OSError, websocket.WebSocketException):
                pass  # comes back
            self._leaving.wait(self._backoff())

    def _backoff(self) -> float:
        pause, self._pause = self._pause, min(2 * self._pause, LAST_PAUSE)
        return pause * random.uniform(0.5, 1.5)

    def _open(self) -> websocket.WebSocket:
        address = self._url.replace("http", "ws", 1) + "/socket.io/?EIO=4&transport=websocket"
        ws = websocket.create_connection(address, timeout=HANDSHAKE)
        try:
            told = json.loads(self._frame(ws)[1:])
            self._patience = (told["pingInterval"] + told["pingTimeout"]) / 1000
            self._heard_at = time.monotonic()
            ws.send(f"40/chat,{json.dumps({'token': self._rest.token})}")
            answer = self._frame(ws)
            if answer.startswith("44"):
                self._refused(json.loads(answer[answer.index("{") :])["message"])
            assert answer.startswith("40/chat,"), answer
        except BaseException:
            ws.shutdown()
            raise
        return ws

    def _refused(self, why: str) -> None:
        if why == "unauthorized":
            self._renew()
        elif why != "unavailable":
            self.complaints.append(f"not let in: {why}")
        raise _Cut

    def _renew(self) -> None:
        """New tokens, as when the old are over."""
        answer = self._rest.post("/auth/refresh", {"refresh_token": self._refresh_token})
        self._rest.token, self._refresh_token = answer["access_token"], answer["refresh_token"]

    def _get(self, path: str, **params: Any) -> Any:
        try:
            return self._rest.get(path, **params)
        except ApiError as error:
            if error.code not in ("unauthorized", "token_expired"):
                raise
        self._renew()
        return self._rest.get(path, **params)

    def _frame(self, ws: websocket.WebSocket) -> str:
        frame = ws.recv()
        if not isinstance(frame, str) or frame in ("", "1"):
            raise _Cut
        return frame

    # ------------------------------------------------------------ what it does while connected

    def _turn(self, ws: websocket.WebSocket) -> None:
        if self._breaking.is_set():
            self._breaking.clear()
            raise _Cut
        now = time.monotonic()
        if self.last < self._told and now >= self._read_at:
            self._read()
        if self.last >= self._told and self._asked is None and now >= self._due:
            self._send(ws)
        if self._asked is not None and now > self._asked[1] + ANSWER:
            self.complaints.append(f"no answer to a message within {ANSWER} s")
            raise _Cut
        if now > self._heard_at + self._patience:
            raise _Cut  # a server that does not ping is gone
        if (frame := self._next(ws)) is not None:
            self._take(ws, frame)

    def _next(self, ws: websocket.WebSocket) -> str | None:
        """A frame, or None after a moment."""
        ws.settimeout(TICK if self.sends is None or self._asked else min(TICK, self.sends))
        try:
            return self._frame(ws)
        except websocket.WebSocketTimeoutException:
            return None
        finally:
            ws.settimeout(HANDSHAKE)

    def _take(self, ws: websocket.WebSocket, frame: str) -> None:
        if frame == "2":
            self._heard_at = time.monotonic()
            ws.send("3")
        elif frame.startswith("42/chat,"):
            name, *payload = json.loads(frame.removeprefix("42/chat,"))
            self._hear(name, payload[0] if payload else None)
        elif frame.startswith("43/chat,"):
            number, _, answer = frame.removeprefix("43/chat,").partition("[")
            self._answered(int(number), json.loads("[" + answer)[0])
        elif frame.startswith("41"):
            raise _Cut

    def _hear(self, name: str, payload: Any) -> None:
        match name:
            case "message":
                if json.loads(p.un64u(payload["protected"]))["chat"] == self.chat:
                    self._hear_item(payload)
            case "event":
                if payload["chat"]["id"] == self.chat:
                    self._learn([payload["chat"]["epoch"]])
                    self._hear_item(payload)
            case "presence:list":
                self.shown = {one["username"]: one["status"] for one in payload}
            case "presence":
                for one in payload:
                    self.shown.pop(one["username"], None)
                    if one["status"] != "offline":
                        self.shown[one["username"]] = one["status"]
            case "session:revoked":
                self.complaints.append("session revoked")

    def _hear_item(self, item: Json) -> None:
        self._told = max(self._told, item["seq"])
        if item["seq"] == self.last + 1:
            self._append(p.un64u(item["before"], 32), [item])

    def _append(self, before: bytes, items: list[Json]) -> None:
        """Items that follow what is held."""
        if before != (self.chain[-1] if self.chain else p.CHAIN_START):
            self.complaints.append(f"what comes after {self.last} does not follow it")
        for item in items:
            if item["seq"] != self.last + 1:
                self.complaints.append(f"{item['seq']} comes after {self.last}")
            before = p.chain_step(before, p.item_hash(item))
            self.chain.append(before)
            self._log = item.get("event", {}).get("log") or self._log

    # ------------------------------------------------------------ catching up

    def _sync(self, ws: websocket.WebSocket) -> None:
        number = self._ask(ws, "sync", {"chats": {self.chat: self.last}})
        deadline = time.monotonic() + ANSWER
        while time.monotonic() < deadline:
            frame = self._frame(ws)
            if frame.startswith(f"43/chat,{number}["):
                answer = json.loads(frame[frame.index("[") :])[0]
                if not answer["ok"]:
                    raise _Cut
                self._told = max(self._told, answer["behind"].get(self.chat, 0))
                return
            self._take(ws, frame)
        self.complaints.append(f"no answer to sync within {ANSWER} s")
        raise _Cut

    def _read(self) -> None:
        """One page; not again at once if there is none to be had."""
        try:
            page = self._get(f"/chats/{self.chat}/messages", after=self.last, limit=200)
        except ApiError as error:
            if error.code not in PASSING:
                self.complaints.append(f"a page: {error}")
            self._read_at = time.monotonic() + self._backoff()
            return
        if not page["items"]:
            self.complaints.append(f"told of {self._told}, but {self.last + 1} is not to be had")
            self._read_at = time.monotonic() + self._backoff()
            return
        self._append(p.un64u(page["before"], 32), page["items"])
        self._learn(page["epochs"])

    def _learn(self, epochs: list[Json]) -> None:
        self._epoch = max([self._epoch, *epochs], key=lambda epoch: epoch.get("number", 0))

    # ------------------------------------------------------------ sending

    def _send(self, ws: websocket.WebSocket) -> None:
        """The message that has no ack, or the next."""
        if self._pending is None:
            if self.sends is None or self._resting.is_set():
                return
            self._pending = str(uuid.uuid4()), None
        message_id, envelope = self._pending
        if envelope is None:
            envelope = self._seal(message_id)
            self._pending = message_id, envelope
            self.sent[message_id] = envelope
        self._asked = self._ask(ws, "message:send", envelope), time.monotonic()

    def _seal(self, message_id: str) -> p.Envelope:
        epoch = self._epoch or self._get(f"/chats/{self.chat}")["epoch"]
        self._epoch = epoch
        payload = json.dumps({"type": "text", "body": f"{self.name} {len(self.sent)}"}).encode()
        return p.seal_envelope(
            self.user.keys,
            self.user.epoch_key(self.chat, epoch),
            payload,
            chat=self.chat,
            epoch=epoch["number"],
            id=message_id,
            sender=self.name,
            lane=self._lane,
            seen=(self.last, p.b64u(self.chain[-1])),
            log=self._log,
            alg=p.ED25519,
        )

    def _ask(self, ws: websocket.WebSocket, event: str, payload: Any) -> int:
        self._numbers += 1
        ws.send(f"42/chat,{self._numbers}{json.dumps([event, payload])}")
        return self._numbers

    def _answered(self, number: int, ack: Json) -> None:
        if self._asked is None or number != self._asked[0] or self._pending is None:
            return
        (_, since), self._asked = self._asked, None
        now = time.monotonic()
        message_id, envelope = self._pending
        assert envelope is not None
        if ack["ok"]:
            self._pending, self._pause = None, FIRST_PAUSE
            self._due = now + (self.sends or 0)
            self._lane.sent(p.parse_object(p.un64u(envelope["protected"]))["epoch"], envelope)
            self.acked[message_id] = ack["seq"]
            self.acks.append((now, now - since))
            self._hear_item({**envelope, "seq": ack["seq"], "before": ack["before"]})
            return
        self.refusals[ack["code"]] += 1
        if ack["code"] == "stale_epoch":
            self._epoch = ack["epoch"]
            self._told = max(self._told, ack["epoch"]["opened_seq"])  # the item that opened it is held first
            self._pending = message_id, None
        elif ack["code"] in PASSING:
            self._due = now + max(self._backoff(), ack.get("retry_after", 0))
        else:
            self.complaints.append(f"a message is refused: {ack['code']} {ack.get('detail')}")
            self._pending = None
