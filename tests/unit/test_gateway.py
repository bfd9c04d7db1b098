"""A chat after a change, told across workers: everybody their own view, in one frame of little more than one view."""

from __future__ import annotations

import orjson
import pytest

from chatsec.domain.models import Appended, Chat, ChatMember, ClientShare, Epoch, Json, Mark
from chatsec.realtime.gateway import Gateway
from chatsec.wire.chats import chat_json
from tests.unit.test_fanout import Channel, Worker

NAMES = tuple(f"user{number:03}-with-a-name-of-full-size"[:32] for number in range(200))
BODY = b'"event":{"kind":"rekey"}'


def views(shared: bool) -> dict[str, Chat]:
    """Of the largest chat that there may be; in key mode `combined` if `shared`. The last one is excluded."""
    members = tuple(ChatMember(name, name.title(), "member", 1) for name in NAMES)
    marks = {name: Mark("c", name) for name in NAMES}

    def view(number: int, name: str) -> Chat:
        wrap = None if name == NAMES[-1] else f"{number:04}" * 128
        share = ClientShare("p" * 45_000, "s" * 86, wrap) if shared else None
        epoch = Epoch(2, 2, 0, NAMES, wrap and f"kid-{number}", wrap, share)
        mode = "combined" if shared else "server"
        return Chat("c", None, mode, NAMES[0], 0, members, epoch, 1 + number % 2, 2, marks, (1, "h"))

    return {name: view(number, name) for number, name in enumerate(NAMES)}


class Line:
    """The other worker, by what Redis would carry."""

    def __init__(self, other: Gateway) -> None:
        self.said: list[bytes] = []
        self._other = other

    def tell_ended(self, session_id: str) -> None: ...

    def tell_change(self, told: Json) -> None:
        self.said.append(orjson.dumps(told))
        self._other.change(orjson.loads(self.said[-1]))


@pytest.mark.parametrize("shared", [True, False], ids=["combined", "server"])
def test_a_change_of_a_large_chat(shared: bool) -> None:
    channel = Channel()
    here = Worker(channel, "here", NAMES[0], NAMES[3])
    there = Worker(channel, "there", NAMES[0], NAMES[7], NAMES[-1], "nobody")
    line = Line(Gateway(there.sio))
    seen = views(shared)
    Gateway(here.sio, line).event(Appended(2, 0, bytes(32), BODY), seen)

    def packets(worker: Worker) -> dict[str, Json]:
        found = {}
        for socket, packet in worker.sent:
            kind, item = orjson.loads(packet.removeprefix("42/chat,"))
            assert kind == "event" and (item["seq"], item["event"]) == (2, {"kind": "rekey"})
            found[socket] = item["chat"]
        return found

    def wanted(worker: str, *names: str) -> dict[str, Json]:
        return {f"{worker}-{name}": orjson.loads(orjson.dumps(chat_json(seen[name]))) for name in names}

    assert packets(here) == wanted("here", NAMES[0], NAMES[3])
    assert packets(there) == wanted("there", NAMES[0], NAMES[7], NAMES[-1])
    assert len(here.sent) == 2 and len(there.sent) == 3, "each once"
    one = len(orjson.dumps(chat_json(seen[NAMES[0]])))
    (frame,) = line.said
    assert len(frame) < one + 200 * 1300 and channel.said == []
