"""A client that is there but takes nothing: it is given up before it costs memory, and nobody else notices."""

import contextlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from tests.realtime.forge import raw_ciphertext
from tests.support.client import LiveClient, RawSocket, User
from tests.support.server import ServerProcess

Connect = Callable[[User], LiveClient]
MESSAGES = 400  # of 87 KB each: about twice what may wait, whatever the buffers of the system hold


def memory(server: ServerProcess) -> int:
    """MiB that the server holds."""
    assert server.process is not None
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) // 1024


def poll(user: User) -> str:
    """The sid of a polling client in /chat."""
    address = f"{user.url}/socket.io/?EIO=4&transport=polling"
    sid: str = json.loads(requests.get(address, timeout=10).text[1:])["sid"]
    joins = f"40/chat,{json.dumps({'token': user.token})}"
    assert requests.post(f"{address}&sid={sid}", data=joins, timeout=10).ok
    return f"{address}&sid={sid}"


@pytest.mark.parametrize("transport", ["websocket", "polling"])
def test_who_takes_nothing_is_given_up(
    transport: str, server: ServerProcess, alice: User, bob: User, chat: str, connect: Connect
) -> None:
    own, live = connect(alice), connect(bob)
    for _ in range(MESSAGES):  # what the same load costs by itself is not counted
        assert own.call("message:send", raw_ciphertext(alice, chat, 65536))["ok"]
        live.message()
    deaf = RawSocket(bob.url, bob.token) if transport == "websocket" else None
    address = poll(bob) if transport == "polling" else ""
    before = memory(server)
    for number in range(MESSAGES):
        assert own.call("message:send", raw_ciphertext(alice, chat, 65536))["ok"]
        if number % 50 == 0:  # alive, as far as Engine.IO can see
            if deaf:
                with_silence(deaf)
            else:
                requests.post(address, data="3", timeout=10)
    assert [live.message()["seq"] for _ in range(MESSAGES)] == list(range(MESSAGES + 2, 2 * MESSAGES + 2))
    assert memory(server) - before < 40
    if deaf:
        assert deaf.ended()
        deaf.close()
    else:
        assert requests.get(address, timeout=10).status_code == 400
    assert own.call("sync", {"chats": {}})["ok"]


def with_silence(deaf: RawSocket) -> None:
    """A pong, unless the server has ended the connection."""
    with contextlib.suppress(OSError):
        deaf.send("3")
