"""Attachments through the real server: bodies of any length and manner take no memory, and a refused one is cut."""

from __future__ import annotations

import hashlib
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from pymongo import MongoClient

from tests.support.client import User
from tests.support.server import ServerProcess, store_env

MIB = 1 << 20
MOST = 100 * MIB


def mebibytes(count: int) -> Iterator[bytes]:
    """Sent chunked, since nobody says how long it is."""
    for number in range(count):
        yield number.to_bytes(4, "big") * (MIB // 4)


def digest(count: int) -> str:
    hashed = hashlib.sha256()
    for part in mebibytes(count):
        hashed.update(part)
    return hashed.hexdigest()


def memory(server: ServerProcess) -> int:
    """The most that the process ever held, in bytes."""
    assert server.process is not None
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024


def stored(server: ServerProcess) -> set[str]:
    """What there is of attachments, whole or not: files on the disk, or chunks and documents in GridFS."""
    if uri := store_env(server.data_dir).get("MONGO_URI"):
        assert not (server.data_dir / "data" / "attachments").exists()
        with MongoClient[dict[str, Any]](uri) as client:
            database = client.get_default_database()
            chunks = database["attachments.chunks"].distinct("files_id")
            return {*chunks, *database["attachments.files"].distinct("_id")}
    return {path.name for path in (server.data_dir / "data" / "attachments").iterdir()}


def post(alice: User, url: str, data: object, **headers: str) -> requests.Response:
    sent = {"Authorization": f"Bearer {alice.token}", "Content-Type": "application/octet-stream", **headers}
    return requests.post(url, data=data, headers=sent, timeout=60)  # type: ignore[arg-type]


@pytest.fixture
def url(server: ServerProcess, chat: str) -> str:
    return f"{server.url}/api/v1/chats/{chat}/attachments"


def test_the_largest_attachment_takes_no_memory(
    server: ServerProcess, alice: User, bob: User, url: str
) -> None:
    """ASVS 5.2.1."""
    before = memory(server)
    answer = post(alice, url, mebibytes(100))
    assert answer.status_code == 201 and answer.json()["size"] == MOST
    hashed = hashlib.sha256()
    path = f"{url}/{answer.json()['id']}"
    with requests.get(path, headers={"Authorization": f"Bearer {bob.token}"}, stream=True, timeout=60) as got:
        assert got.status_code == 200 and got.headers["Content-Length"] == str(MOST)
        for part in got.iter_content(MIB):
            hashed.update(part)
    assert hashed.hexdigest() == digest(100)
    assert memory(server) - before < 32 * MIB


def test_one_byte_more_is_refused(server: ServerProcess, alice: User, url: str) -> None:
    """ASVS 5.2.1."""

    def more() -> Iterator[bytes]:
        yield from mebibytes(100)
        yield b"x"

    before = memory(server)
    answer = post(alice, url, more())
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    assert memory(server) - before < 32 * MIB


def ask(server: ServerProcess, alice: User, url: str, *headers: str) -> socket.socket:
    """A connection on which the head of an upload was sent."""
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=30)
    path = url.removeprefix(server.url)
    lines = (
        f"POST {path} HTTP/1.1",
        "Host: localhost",
        f"Authorization: Bearer {alice.token}",
        "Content-Type: application/octet-stream",
        *headers,
    )
    connection.sendall("\r\n".join((*lines, "", "")).encode())
    return connection


def test_a_length_that_is_too_large_is_answered_before_the_body(
    server: ServerProcess, alice: User, url: str
) -> None:
    with ask(server, alice, url, f"Content-Length: {1 << 40}") as connection:
        answer = connection.recv(4096)
        assert answer.startswith(b"HTTP/1.1 413 ") and b"too_large" in answer


def test_who_waits_to_be_asked_is_told_at_once(server: ServerProcess, alice: User, url: str) -> None:
    with ask(server, alice, url, f"Content-Length: {MOST + 1}", "Expect: 100-continue") as connection:
        assert connection.recv(4096).startswith(b"HTTP/1.1 413 ")
    with ask(server, alice, url, "Content-Length: 3", "Expect: 100-continue") as connection:
        assert connection.recv(4096).startswith(b"HTTP/1.1 100 ")
        connection.sendall(b"abc")
        assert b" 201 " in connection.recv(4096)


@pytest.mark.parametrize("head", [f"Content-Length: {1 << 40}", "Transfer-Encoding: chunked"])
def test_a_body_without_end_is_cut(server: ServerProcess, alice: User, url: str, head: str) -> None:
    """The server stops listening to it; how much it takes until then is bounded."""
    part = b"x" * MIB
    if "chunked" in head:
        part = b"%x\r\n" % len(part) + part + b"\r\n"
    before = memory(server)
    sent = 0
    with ask(server, alice, url, head) as connection, pytest.raises(OSError):
        while sent < 4 * MOST:
            connection.sendall(part)
            sent += len(part)
    assert sent < 3 * MOST
    assert memory(server) - before < 32 * MIB
    assert alice.rest.request("GET", "/me").ok


def test_who_goes_away_in_the_middle_leaves_nothing(server: ServerProcess, alice: User, url: str) -> None:
    before = stored(server)
    for head, body in (
        ("Content-Length: 1000000", b"x" * 70_000),
        ("Transfer-Encoding: chunked", b"fffff\r\n" + b"x" * 70_000),
        ("Transfer-Encoding: chunked", b"5\r\nabcde\r\nno number\r\n"),
    ):
        with ask(server, alice, url, head) as connection:
            connection.sendall(body)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(4096):
                pass
    deadline = time.monotonic() + 10
    while stored(server) != before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert stored(server) == before


def test_other_people_are_served_meanwhile(server: ServerProcess, alice: User, bob: User, url: str) -> None:
    """A body that comes slowly holds its own connection only."""
    with ask(server, alice, url, "Content-Length: 1000") as slow:
        slow.sendall(b"x" * 10)
        assert bob.rest.request("GET", "/me").ok
        slow.sendall(b"x" * 990)
        assert b" 201 " in slow.recv(4096)
