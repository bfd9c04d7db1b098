"""SIGTERM: what is under way is answered, everyone is told, and no client can hold the server up."""

import json
import queue
import socket
from pathlib import Path
from typing import Any

import pytest
import socketio

from tests.realtime.forge import forge
from tests.support.client import RawSocket, User
from tests.support.server import ServerProcess


@pytest.fixture
def own_server(tmp_path: Path) -> ServerProcess:
    """A server that the test itself ends."""
    return ServerProcess(tmp_path).start()


def test_sockets_are_told_and_acks_in_flight_are_answered(own_server: ServerProcess) -> None:
    alice, bob = User.register(own_server.url, "alice", 0), User.register(own_server.url, "bob", 1)
    chat = alice.create_chat("bob")
    live, listener = alice.connect(), bob.connect()
    acks = [live.emit("message:send", forge(alice, chat)) for _ in range(50)]
    assert own_server.stop() == 0
    answered = [ack.get(timeout=10) for ack in acks if live.gone.wait(10) and not ack.empty()]
    assert all(ack["ok"] for ack in answered)
    assert listener.gone.wait(10)
    own_server.start()
    assert bob.history(chat)["last_seq"] >= 1 + len(answered)
    alice.close()
    bob.close()
    assert own_server.stop() == 0
    assert "Traceback" not in own_server.log()


@pytest.mark.parametrize("transport", ["websocket", "polling"])
def test_programs_come_back_by_themselves(own_server: ServerProcess, transport: str) -> None:
    alice = User.register(own_server.url, "alice", 0)
    connected = queue.Queue[None]()
    program = socketio.Client(handle_sigint=False, reconnection_delay=0.1, reconnection_delay_max=0.5)
    used: list[Any] = []  # Engine.IO's client leaves them open where the server has gone

    def seen(_: Any) -> None:
        used.append(program.eio.ws.shutdown if program.eio.ws else program.eio.http.close)
        connected.put(None)

    program.on("presence:list", seen, namespace="/chat")
    program.connect(own_server.url, auth={"token": alice.token}, namespaces=["/chat"], transports=[transport])
    connected.get(timeout=10)
    own_server.restart()
    connected.get(timeout=20)
    program.disconnect()
    for close in used:
        close()
    assert own_server.stop() == 0


def test_clients_that_do_not_read_do_not_hold_it_up(own_server: ServerProcess) -> None:
    alice, bob = User.register(own_server.url, "alice", 0), User.register(own_server.url, "bob", 1)
    chat = alice.create_chat("bob")
    deaf = RawSocket(own_server.url, bob.token)
    deaf.ws.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
    live = alice.connect()
    for _ in range(200):  # more than any buffer between the two takes
        assert live.call("message:send", forge(alice, chat, size=60_000))["ok"]
    gone = RawSocket(own_server.url, bob.token)
    gone.send(f"42/chat,{json.dumps(['sync', {'chats': {}}])}")
    gone.close()
    assert own_server.stop() == 0
    deaf.close()
    alice.close()
    bob.close()
