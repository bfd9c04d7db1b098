"""The bare grouped ceiling: what the same stack costs when it does nothing but relay and keep.

python -m bench.ceiling PORT DATABASE

Flask-SocketIO on eventlet with handlers on python-socketio itself, fast unmasking, TCP_NODELAY, no permessage-deflate,
orjson, and one greenlet that commits whatever waits to SQLite (`synchronous=FULL`) on a thread, relays it to the
partner's room and lets the senders ack. No accounts, no sessions, no membership, no check of any envelope. A token is
`<room> <partner's room>`.
"""

import eventlet

eventlet.monkey_patch()

import signal  # noqa: E402 - after the patch
import sqlite3  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402
from collections import defaultdict, deque  # noqa: E402
from typing import Any  # noqa: E402

import eventlet.wsgi  # noqa: E402
import orjson  # noqa: E402
from eventlet import tpool, websocket  # noqa: E402
from eventlet.event import Event  # noqa: E402
from flask import Flask  # noqa: E402
from flask_socketio import SocketIO  # noqa: E402

from chatsec.realtime.packets import Json  # noqa: E402
from chatsec.serve import listen, unmask  # noqa: E402

NAMESPACE = "/chat"


class Ceiling:
    def __init__(self, server: Any, database: str) -> None:
        self._server = server
        self._database = sqlite3.connect(database, check_same_thread=False, isolation_level=None)
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=FULL")
        self._database.execute(
            "CREATE TABLE items (chat TEXT, seq INTEGER, received_at INTEGER, body BLOB, PRIMARY KEY (chat, seq))"
        )
        self._partner: dict[str, str] = {}
        self._last: dict[str, int] = defaultdict(int)
        self._waiting: deque[tuple[str, dict[str, Any], Event]] = deque()
        self._wake = Event()

    def connect(self, sid: str, environ: dict[str, Any], auth: dict[str, str]) -> None:
        room, self._partner[sid] = auth["token"].split()
        self._server.enter_room(sid, room, namespace=NAMESPACE)

    def send(self, sid: str, envelope: dict[str, Any]) -> dict[str, Any]:
        done = Event()
        self._waiting.append((sid, envelope, done))
        if not self._wake.ready():
            self._wake.send()
        return {"ok": True, "seq": done.wait()}

    def commit(self) -> None:
        """The one writer, for ever."""
        while True:
            self._wake.wait()
            self._wake = Event()
            batch = list(self._waiting)
            self._waiting.clear()
            now = time.time_ns() // 1_000_000
            rows = []
            for _, envelope, _ in batch:
                seq = self._last[envelope["chat"]] = self._last[envelope["chat"]] + 1
                rows.append((envelope["chat"], seq, now, orjson.dumps(envelope)))
            tpool.execute(self._write, rows)
            for (sid, envelope, done), (_, seq, _, _) in zip(batch, rows, strict=True):
                item = {"seq": seq, "received_at": now, **envelope}
                self._server.emit("message", item, to=self._partner[sid], skip_sid=sid, namespace=NAMESPACE)
                done.send(seq)

    def _write(self, rows: list[tuple[Any, ...]]) -> None:
        self._database.execute("BEGIN IMMEDIATE")
        self._database.executemany("INSERT INTO items VALUES (?, ?, ?, ?)", rows)
        self._database.execute("COMMIT")


def main(port: str, database: str) -> None:
    websocket.RFC6455WebSocket._apply_mask = staticmethod(unmask)
    app = Flask(__name__)
    sio = SocketIO(app, async_mode="eventlet", json=Json, max_http_buffer_size=256 * 1024)
    ceiling = Ceiling(sio.server, database)
    sio.server.on("connect", ceiling.connect, namespace=NAMESPACE)
    sio.server.on("message:send", ceiling.send, namespace=NAMESPACE)
    eventlet.spawn(ceiling.commit)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    eventlet.wsgi.server(listen("127.0.0.1", int(port)), _plain(app), log_output=False, max_size=1000)


def _plain(app: Flask) -> Any:
    """The app without permessage-deflate, which is never agreed to where nobody is seen to offer it."""

    def serve(environ: dict[str, Any], start_response: Any) -> Any:
        environ.pop("HTTP_SEC_WEBSOCKET_EXTENSIONS", None)
        return app(environ, start_response)

    return serve


if __name__ == "__main__":
    main(*sys.argv[1:3])
