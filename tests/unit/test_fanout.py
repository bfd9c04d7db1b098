"""What one worker's emits become on the channel, and what another makes of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import pytest
import socketio

from chatsec.cluster.fanout import CHANNEL, Fanout
from chatsec.realtime.packets import Json, Packet

TRICKY = {"text": ',"data":[', "data": [{"data": ["ü", None]}], '","data":[': '"'}


class Channel:
    """Redis between links: everyone else hears what one says."""

    def __init__(self) -> None:
        self.said: list[bytes] = []
        self.links: list[ChannelLink] = []


class ChannelLink:
    def __init__(self, channel: Channel, worker: str) -> None:
        self._channel, self.worker = channel, worker
        self._heard: dict[bytes, Callable[[str, bytes], None]] = {}
        self.outside: Callable[[bytes], None] = lambda data: None
        channel.links.append(self)

    def hear(self, kind: bytes, handler: Callable[[str, bytes], None]) -> None:
        self._heard[kind] = handler

    def listen(self, channel: bytes, handler: Callable[[bytes], None]) -> None:
        assert channel == CHANNEL.encode()
        self.outside = handler

    def send(self, kind: bytes, json: bytes) -> None:
        self._channel.said.append(json)
        for link in self._channel.links:
            if link is not self:
                link._heard[kind](self.worker, json)


class Worker:
    """A Socket.IO server with a socket for each name in its user's room, and what it sends to whom."""

    def __init__(self, channel: Channel, name: str, *users: str) -> None:
        self.fanout = Fanout(ChannelLink(channel, name))  # type: ignore[arg-type]
        self.sio = socketio.Server(
            client_manager=self.fanout,
            serializer=Packet,
            json=Json,
            async_mode="threading",
            namespaces=["/chat"],
        )
        self.sent: list[tuple[str, str]] = []
        self.sio._send_eio_packet = lambda eio_sid, packet: self.sent.append((eio_sid, packet.encode()))
        self.sids = {}
        for user in users:
            sid = self.fanout.connect(f"{name}-{user}", "/chat")
            self.fanout.enter_room(sid, "/chat", f"user:{user}")
            self.sids[user] = sid

    def emit(self, data: Any, *users: str, **options: Any) -> None:
        self.sio.emit("message", data, to=[f"user:{user}" for user in users], namespace="/chat", **options)


def packet(data: Any) -> str:
    return "42/chat," + orjson.dumps(["message", data]).decode()


@pytest.mark.parametrize("data", [TRICKY, [], [1, [2]], "text", 0, "", orjson.Fragment(b'{"a":1}')])
def test_the_same_bytes_reach_all_once(data: Any) -> None:
    channel = Channel()
    one, other = Worker(channel, "one", "alice", "bob"), Worker(channel, "other", "bob", "carol")
    one.emit(data, "alice", "bob", skip_sid=one.sids["alice"])
    assert one.sent == [("one-bob", packet(data))]
    assert other.sent == [("other-bob", packet(data))]


def test_what_is_for_own_sockets_is_not_said() -> None:
    channel = Channel()
    one, other = Worker(channel, "one", "alice"), Worker(channel, "other", "alice")
    one.emit(TRICKY, "alice", ignore_queue=True)
    assert one.sent == [("one-alice", packet(TRICKY))] and other.sent == channel.said == []


def test_who_has_none_of_the_sockets_makes_no_packet(monkeypatch: pytest.MonkeyPatch) -> None:
    channel = Channel()
    one, other = Worker(channel, "one", "alice"), Worker(channel, "other", "dora")
    made: list[object] = []
    monkeypatch.setattr(other.sio, "packet_class", lambda *args, **options: made.append(args))
    one.emit(TRICKY, "alice", "bob")
    assert made == other.sent == []


@pytest.mark.parametrize("data", [TRICKY, None, ("two", {"arguments": 2})])
def test_the_channel_speaks_python_socketio(data: Any) -> None:
    """Field for field what its own manager would publish; and what that publishes is understood."""
    channel, published = Channel(), []
    ours = Worker(channel, "ours", "alice")
    ours.emit(data, "alice", skip_sid="x")

    class Theirs(socketio.PubSubManager):  # type: ignore[misc]
        def _publish(self, message: Any) -> None:
            published.append(message)

    theirs = Theirs(write_only=True)
    theirs.host_id = "ours"
    theirs.emit("message", data, namespace="/chat", room=["user:alice"], skip_sid="x")
    wanted = orjson.loads(orjson.dumps(published[0]))
    assert orjson.loads(channel.said[0]) == wanted
    reader = Worker(channel, "reader", "alice")
    channel.links[-1].outside(orjson.dumps(wanted | {"host_id": "outside"}))
    ours.emit(data, "alice", skip_sid="x")
    assert len(reader.sent) == 2 and reader.sent[0] == reader.sent[1]


def test_a_socket_is_disconnected_where_it_is() -> None:
    channel = Channel()
    one, other = Worker(channel, "one", "alice"), Worker(channel, "other", "bob")
    one.sio.disconnect(other.sids["bob"], namespace="/chat")
    assert not other.fanout.is_connected(other.sids["bob"], "/chat")
    assert one.fanout.is_connected(one.sids["alice"], "/chat")
