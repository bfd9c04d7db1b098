"""Messages for durability tests: sealed beforehand, each in a lane of its own, sent by several sockets at once."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field

import websocket

from tests.support import protocol as p
from tests.support.client import Json, RawSocket, User


@dataclass
class Book:
    """What was sent, and what the server said to it, by message id."""

    sent: dict[str, p.Envelope] = field(default_factory=dict)
    acked: dict[str, Json] = field(default_factory=dict)
    refused: dict[str, Json] = field(default_factory=dict)

    def note(self, message_id: str, ack: Json) -> None:
        (self.acked if ack["ok"] else self.refused)[message_id] = ack


def seal_many(user: User, chat: str, count: int, text: str = "text") -> list[tuple[str, p.Envelope]]:
    """(id, envelope) of so many messages, signed with the fastest algorithm."""
    view = user.chat(chat)
    if chat not in user.readers:
        user.reader(chat)  # so that `seen` needs no request for each
    made = []
    for number in range(count):
        envelope = user.seal(chat, f"{text} {number}", p.ED25519, view=view, lane=p.new_lane())
        made.append((json.loads(p.un64u(envelope["protected"]))["id"], envelope))
    return made


def open_socket(user: User, plain: bool = False) -> RawSocket:
    """A socket on /chat; with `plain` its frames are masked by zeros, so that a trace shows what they hold."""
    raw = RawSocket(user.url, user.token)
    if plain:
        raw.ws.set_mask_key(lambda size: "\0" * size)
    return raw


def burst(raw: RawSocket, messages: list[tuple[str, p.Envelope]], book: Book, first: int = 1) -> None:
    """Sends all without waiting; acks will have the numbers from `first` on."""
    for number, (message_id, envelope) in enumerate(messages, first):
        book.sent[message_id] = envelope
        text = json.dumps(["message:send", envelope])
        try:
            raw.send(f"42/chat,{number}{text}")
        except (OSError, websocket.WebSocketException):
            return  # the server is gone: the rest was not sent


def collect(
    raw: RawSocket, messages: list[tuple[str, p.Envelope]], book: Book, until: threading.Event | None = None
) -> None:
    """Notes acks until all are here or the connection ends; sets `until` at the first."""
    left = len(messages)
    while left:
        frame = raw.recv()
        if frame is None:
            return
        if frame.startswith("43/chat,"):
            number, _, answer = frame.removeprefix("43/chat,").partition("[")
            book.note(messages[int(number) - 1][0], json.loads("[" + answer)[0])
            left -= 1
            if until is not None:
                until.set()


def history(user: User, chat: str) -> list[Json]:
    """All items, page by page."""
    items: list[Json] = []
    while True:
        page = user.history(chat, after=len(items), limit=200)
        if not page["items"]:
            return items
        items += page["items"]


def check(user: User, chat: str, book: Book) -> dict[str, int]:
    """No gap, no repeat, everything acked in its place with its bytes. Answers id → seq of all that is stored."""
    items = history(user, chat)
    assert [item["seq"] for item in items] == list(range(1, len(items) + 1))
    places: dict[str, int] = {}
    for item in items:
        if "protected" in item:
            message_id = json.loads(p.un64u(item["protected"]))["id"]
            assert message_id not in places, "an id in two places"
            places[message_id] = item["seq"]
            sent = book.sent[message_id]
            assert all(item[name] == sent[name] for name in ("protected", "iv", "ciphertext", "signature"))
    lost = [message_id for message_id, ack in book.acked.items() if places.get(message_id) != ack["seq"]]
    assert not lost, f"{len(lost)} of {len(book.acked)} acked are not where they were said to be"
    return places
