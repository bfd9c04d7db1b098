"""The ceilings: what the same stack costs when it does nothing but relay, and nothing but relay and keep.

python -m bench.ceiling PORT [DATABASE]

Flask-SocketIO on eventlet with handlers on python-socketio itself, fast unmasking, TCP_NODELAY, no permessage-deflate,
orjson. Without a database it relays at once (bare). With one, a greenlet commits whatever waits to SQLite
(`synchronous=FULL`) on a thread, relays it to the others' rooms and lets the senders ack (grouped and durable), and
`/history/<chat>?after=` gives pages of 200 of what is kept. No accounts, no sessions, no membership, no check of any
envelope. A token is `<room> <another's room> …`.
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
from flask import Flask, Response, request  # noqa: E402
from flask_socketio import SocketIO  # noqa: E402

from chatsec.realtime.packets import Json  # noqa: E402
from chatsec.serve import listen, unmask  # noqa: E402

NAMESPACE = "/chat"


class Bare:
    """Relays to the rooms that the sender's token names."""

    def __init__(self, server: Any) -> None:
        self._server = server
        self._others: dict[str, list[str]] = {}
        self._last: dict[str, int] = defaultdict(int)

    def connect(self, sid: str, environ: dict[str, Any], auth: dict[str, str]) -> None:
        room, *self._others[sid] = auth["token"].split()
        self._server.enter_room(sid, room, namespace=NAMESPACE)

    def send(self, sid: str, envelope: dict[str, Any]) -> dict[str, Any]:
        item = self.place(envelope)
        self.relay(sid, item)
        return {"ok": True, "seq": item["seq"]}

    def place(self, envelope: dict[str, Any]) -> dict[str, Any]:
        seq = self._last[envelope["chat"]] = self._last[envelope["chat"]] + 1
        return {"seq": seq, "received_at": time.time_ns() // 1_000_000, **envelope}

    def relay(self, sid: str, item: dict[str, Any]) -> None:
        self._server.emit("message", item, to=self._others[sid], skip_sid=sid, namespace=NAMESPACE)


class Durable(Bare):
    """Relays what is committed, in groups."""

    def __init__(self, server: Any, database: str) -> None:
        super().__init__(server)
        self._database = sqlite3.connect(database, check_same_thread=False, isolation_level=None)
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=FULL")
        self._database.execute(
            "CREATE TABLE items (chat TEXT, seq INTEGER, received_at INTEGER, body BLOB, PRIMARY KEY (chat, seq))"
        )
        self._waiting: deque[tuple[str, dict[str, Any], Event]] = deque()
        self._wake = Event()

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
            items = [self.place(envelope) for _, envelope, _ in batch]
            rows = [(item["chat"], item["seq"], item["received_at"], orjson.dumps(item)) for item in items]
            tpool.execute(self._write, rows)
            for item, (sid, _, done) in zip(items, batch, strict=True):
                self.relay(sid, item)
                done.send(item["seq"])

    def _write(self, rows: list[tuple[Any, ...]]) -> None:
        self._database.execute("BEGIN IMMEDIATE")
        self._database.executemany("INSERT INTO items VALUES (?, ?, ?, ?)", rows)
        self._database.execute("COMMIT")

    def history(self, chat: str) -> Response:
        rows = self._database.execute(
            "SELECT body FROM items WHERE chat = ? AND seq > ? ORDER BY seq LIMIT 200",
            (chat, int(request.args["after"])),
        )
        body = b'{"items":[' + b",".join(body for (body,) in rows) + b"]}"
        return Response(body, mimetype="application/json")


def main(port: str, database: str | None = None) -> None:
    websocket.RFC6455WebSocket._apply_mask = staticmethod(unmask)
    app = Flask(__name__)
    sio = SocketIO(app, async_mode="eventlet", json=Json, max_http_buffer_size=256 * 1024)
    ceiling = Durable(sio.server, database) if database else Bare(sio.server)
    sio.server.on("connect", ceiling.connect, namespace=NAMESPACE)
    sio.server.on("message:send", ceiling.send, namespace=NAMESPACE)
    if isinstance(ceiling, Durable):
        app.get("/history/<chat>")(ceiling.history)
        eventlet.spawn(ceiling.commit)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    eventlet.wsgi.server(listen("127.0.0.1", int(port)), _plain(app), log_output=False, max_size=10_000)


def _plain(app: Flask) -> Any:
    """The app without permessage-deflate, which is never agreed to where nobody is seen to offer it."""

    def serve(environ: dict[str, Any], start_response: Any) -> Any:
        environ.pop("HTTP_SEC_WEBSOCKET_EXTENSIONS", None)
        return app(environ, start_response)

    return serve


if __name__ == "__main__":
    main(*sys.argv[1:])
