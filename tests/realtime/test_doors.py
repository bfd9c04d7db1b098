"""Who may knock from where, and in which wrapping: `Origin` on both transports, bodies without a length."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
import websocket

from tests.support.server import ServerProcess

LISTED, FOREIGN = "https://chat.example", "https://evil.example"


@pytest.fixture(scope="module", params=["", LISTED], ids=["own only", "own and listed"])
def door(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("door"), CORS_ORIGINS=request.param) as process:
        yield process


def polls(url: str, origin: str) -> bool:
    answer = requests.get(
        f"{url}/socket.io/?EIO=4&transport=polling", headers={"Origin": origin} if origin else {}, timeout=10
    )
    assert answer.status_code in (200, 400)
    return answer.status_code == 200


def opens(url: str, origin: str) -> bool:
    address = url.replace("http", "ws", 1) + "/socket.io/?EIO=4&transport=websocket"
    try:
        websocket.create_connection(
            address, timeout=10, origin=origin or None, suppress_origin=not origin
        ).shutdown()
    except websocket.WebSocketBadStatusException as refused:
        assert refused.status_code == 400
        return False
    return True


@pytest.mark.parametrize("lets_in", [polls, opens])
def test_the_own_origin_and_listed_ones_are_let_in(door: ServerProcess, lets_in: "type[polls]") -> None:
    """ASVS 4.4.2."""
    listed = door._env["CORS_ORIGINS"] == LISTED
    assert lets_in(door.url, "")  # no browser
    assert lets_in(door.url, door.url)
    assert lets_in(door.url, LISTED) is listed
    assert not lets_in(door.url, FOREIGN)
    assert not lets_in(door.url, "null")
    assert not lets_in(door.url, f"{door.url}.evil.example")


def chunked(server: ServerProcess, body: bytes, parts: int = 3) -> tuple[int, dict[str, object]]:
    """The answer to a prelogin whose body comes in chunks."""
    size = len(body) // parts + 1
    chunks = [body[at : at + size] for at in range(0, len(body), size)]
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as raw:
        raw.sendall(
            b"POST /api/v1/auth/prelogin HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
            b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
            + b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)
            + b"0\r\n\r\n"
        )
        answer = b""
        while part := raw.recv(65536):
            answer += part
    head, _, rest = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(rest)


def test_a_chunked_body_is_a_body_like_any(server: ServerProcess) -> None:
    status, answer = chunked(server, b'{"username": "somebody"}')
    assert status == 200 and set(answer) == {"kdf"}
    status, answer = chunked(server, b'{"username": "somebody"} trailing')
    assert (status, answer["code"]) == (400, "invalid")
    status, answer = chunked(server, b'{"username": "' + b"x" * 300_000 + b'"}')
    assert (status, answer["code"]) == (413, "too_large")


def test_a_polling_request_that_breaks_off_is_no_fault(server: ServerProcess, tmp_path: Path) -> None:
    """The module's server looks at its log in the end."""
    for linger in (b"\x01\0\0\0\0\0\0\0", b"\0" * 8):  # a reset; an orderly end
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as raw:
            raw.sendall(
                b"POST /socket.io/?EIO=4&transport=polling&sid=x HTTP/1.1\r\nHost: a\r\n"
                b"Content-Length: 100\r\n\r\n4"
            )
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    assert requests.get(f"{server.url}/healthz", timeout=10).ok
