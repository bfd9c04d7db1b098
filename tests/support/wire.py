"""A proxy in front of a MongoDB, on the real wire, where a test lets the database fail.

It knows requests (OP_MSG) from one another by their command; what drivers ask to find a server goes through always.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator

import bson

HEADER = struct.Struct("<iiii")
OP_MSG = 2013
FINDING = ("hello", "isMaster", "ismaster", "endSessions", "ping")
FULL = {"ok": 0.0, "errmsg": "no space left", "code": 14031, "codeName": "OutOfDiskSpace"}


class Wire:
    """Listens on a port of loopback and passes all on to `host` and `port`.

    `left`: so many commands get through, then every one is refused as by a full disk; None: all do.
    `lose`: the next so many commands of the name in `lost` are done, but the connection is cut before their answer.
    """

    def __init__(self, host: str, port: int) -> None:
        self._to = (host, port)
        self._lock = threading.Lock()
        self.left: int | None = None
        self.lost, self.lose = "", 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)  # which wakes who waits for the next one
        self._listener.close()

    @contextlib.contextmanager
    def failing(self, after: int) -> Iterator[None]:
        self.left = after
        try:
            yield
        finally:
            self.left = None

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        """One request, one answer, as drivers do; the connection ends with either side."""
        ended = contextlib.suppress(OSError, EOFError)
        with ended, client, socket.create_connection(self._to) as server:
            while True:
                request = _message(client)
                name = _command(request)
                if self._refuses(name):
                    client.sendall(_answer(request))
                    continue
                server.sendall(request)
                reply = _message(server)
                if self._loses(name):
                    return
                client.sendall(reply)

    def _refuses(self, name: str) -> bool:
        with self._lock:
            if self.left is None or name in FINDING:
                return False
            self.left -= 1
            return self.left < 0

    def _loses(self, name: str) -> bool:
        with self._lock:
            if self.lose <= 0 or name != self.lost:
                return False
            self.lose -= 1
            return True


def _message(sock: socket.socket) -> bytes:
    head = _exactly(sock, HEADER.size)
    return head + _exactly(sock, HEADER.unpack(head)[0] - HEADER.size)


def _exactly(sock: socket.socket, size: int) -> bytes:
    parts = []
    while size:
        part = sock.recv(min(size, 1 << 20))
        if not part:
            raise EOFError
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _command(request: bytes) -> str:
    """The first name in the command's document: after flags, the kind of section, the document's length and a type."""
    if HEADER.unpack_from(request)[3] != OP_MSG:
        return "hello"
    start = HEADER.size + 4 + 1 + 4 + 1
    return request[start : request.index(b"\0", start)].decode()


def _answer(request: bytes) -> bytes:
    body = struct.pack("<i", 0) + b"\0" + bson.encode(FULL)
    return HEADER.pack(HEADER.size + len(body), 0, HEADER.unpack_from(request)[1], OP_MSG) + body
