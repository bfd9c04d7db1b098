"""A connection that breaks: passes bytes between browsers and a server, and cuts one answer off in its middle."""

from __future__ import annotations

import contextlib
import socket
import threading

PART = 1 << 18


class Cut:
    """Listens on a port of loopback and passes all on to `to`. `after`: the first connection by which so many bytes
    have come from the server since it was set ends there, once; None: none does."""

    def __init__(self, to: int) -> None:
        self._to = to
        self._lock = threading.Lock()
        self._after: int | None = None
        self.cuts = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def after(self, size: int) -> None:
        with self._lock:
            self._after = size

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)  # which wakes who waits for the next one
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._to))
            for ends in ((client, server, False), (server, client, True)):
                threading.Thread(target=self._pass, args=ends, daemon=True).start()

    def _pass(self, source: socket.socket, sink: socket.socket, down: bool) -> None:
        """Until one side ends, which ends the other."""
        with contextlib.suppress(OSError):
            while part := source.recv(PART):
                if down and self._is_due(len(part)):
                    break  # what was passed on arrives still
                sink.sendall(part)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        if down:
            source.close()
            sink.close()

    def _is_due(self, size: int) -> bool:
        with self._lock:
            if self._after is None:
                return False
            self._after -= size
            if self._after > 0:
                return False
            self._after, self.cuts = None, self.cuts + 1
            return True
