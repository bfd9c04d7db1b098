"""Serves the app on eventlet: listener, WebSockets that are fast and strict, and a stop that leaves nobody waiting.

Eventlet's own WebSocket unmasks byte by byte, accepts permessage-deflate and passes any frame on; here one XOR unmasks,
compression is never agreed to (ciphertext does not compress), and a frame that no client may send ends the connection.
"""

from __future__ import annotations

import contextlib
import gc
import io
import logging
import resource
import signal
import socket
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, Protocol
from urllib.parse import parse_qs

import eventlet
import eventlet.wsgi
import socketio
from engineio.async_drivers.eventlet import WebSocketWSGI
from eventlet import queue, websocket

from chatsec.offload import Task, Turn
from chatsec.realtime.packets import acceptable

MAX_CONNECTIONS = 100_000
MAX_FRAME = 256 * 1024  # bytes of a packet; protocol §8 wants 64 KiB of ciphertext to fit
MAX_PACKETS = 16  # of one polling request, as engineio decodes them
MAX_WAITING = 16 * 1024 * 1024  # characters that wait for a client which does not read
SOCKET_TIMEOUT = 60  # seconds that a client may be silent in the middle of a request
BACKLOG = 1024
READ_BYTES = 16 * 1024
# New objects between two looks for garbage: about as many live while messages are under way, and few make cycles.
GC_THRESHOLD = 10_000
MAX_DISCARDED = 128 * 1024 * 1024  # bytes of a refused body: more than any that is taken
logger = logging.getLogger(__name__)

WsgiApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class Drainable(Protocol):
    def drain(self) -> None:
        """Returns when every request and event under way is answered."""


def unmask(data: bytes, mask: Sequence[int], length: int | None = None, offset: int = 0) -> bytes:
    """RFC 6455 §5.3 as one XOR of two large integers; `offset` is how many bytes of the frame came before."""
    data = data if length is None else data[:length]
    turned = bytes(mask[offset % 4 :] + mask[: offset % 4])  # of eventlet's tuple: bytes repeat much faster
    size = len(data)
    key = (turned * (size // 4 + 1))[:size]
    return (int.from_bytes(data, "little") ^ int.from_bytes(key, "little")).to_bytes(size, "little")


class _BufferedSocket:
    """A socket that is read in large parts: eventlet's WebSocket asks for each frame in four small ones."""

    def __init__(self, sock: Any) -> None:
        self._sock = sock
        self._held, self._at = b"", 0
        self.sendall = sock.sendall

    def recv(self, size: int) -> bytes:
        if self._at == len(self._held):
            self._held, self._at = self._sock.recv(READ_BYTES), 0
        part: bytes = self._held[self._at : self._at + size]
        self._at += len(part)
        return part

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)


class _PacketQueue(queue.Queue):  # type: ignore[misc]
    """Engine.IO's queue of what a client is sent: before its reader waits again, what it took before is flushed.

    `held` is how many characters wait in it; `hang_up` ends the WebSocket that it feeds, if it feeds one.
    """

    flush = hang_up = staticmethod(lambda: None)
    held = 0
    given_up = False

    def _put(self, item: Any) -> None:
        self.held += _length(item)
        super()._put(item)

    def _get(self) -> Any:
        item = super()._get()
        self.held -= _length(item)
        return item

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        if block:
            try:
                self.flush()
            except OSError as error:  # the client is gone, and Engine.IO's writer ends on an empty queue
                raise queue.Empty from error
        return super().get(block, timeout)


def _length(packet: Any) -> int:
    return len(packet.data) if packet is not None and isinstance(packet.data, str) else 0


class _WebSocket(WebSocketWSGI):  # type: ignore[misc]
    """Engine.IO's WebSocket, which shows its handler no frame that a client may not send, reads in large parts, and
    sends the packets that wait for a client as one piece."""

    def __init__(self, handler: Callable[[Any], Any], server: Any) -> None:
        def prepared(ws: Any) -> Any:
            wait, send = ws.wait, ws.send
            frames: list[bytes] = []

            def judged() -> str | None:
                flush()
                frame = wait()
                return frame if acceptable(frame) else None  # None: the client is gone

            def gather(message: Any, **control: Any) -> None:
                if control:
                    send(message, **control)
                else:
                    frames.append(ws._pack_message(message))

            def flush() -> None:
                if frames:
                    together = b"".join(frames)
                    frames.clear()
                    ws._send(together)

            ws.socket = _BufferedSocket(ws.socket)
            ws.wait, ws.send = judged, gather
            packets = handler.__self__.queue  # type: ignore[attr-defined]
            packets.flush = flush
            packets.hang_up = lambda: ws.socket.shutdown(socket.SHUT_RDWR)
            return handler(ws)

        super().__init__(prepared, server)


def harden(sio: socketio.Server) -> None:
    """Makes this server's WebSockets fast and strict. Once, before it serves."""
    websocket.RFC6455WebSocket._apply_mask = staticmethod(unmask)
    sio.eio._async = {
        **sio.eio._async,
        "websocket": _WebSocket,
        "queue": _PacketQueue,
        "thread": partial(Task, Turn()),
    }
    sio.eio.send_packet = _within_bounds(sio, sio.eio.send_packet)
    eventlet.wsgi.Input.discard = _discard


def _within_bounds(sio: socketio.Server, send: Callable[[str, Any], None]) -> Callable[[str, Any], None]:
    """Engine.IO's `send_packet`, which gives up a client that does not take what it is sent: it may come back and sync."""

    def end(client: Any) -> None:
        with contextlib.suppress(OSError):  # gone already
            client.queue.hang_up()
        client.queue.queue.clear()
        client.close(wait=False, abort=True, reason=sio.eio.reason.TRANSPORT_ERROR)

    def send_within(sid: str, packet: Any) -> None:
        client = sio.eio.sockets.get(sid)
        if client is not None and client.queue.held > MAX_WAITING:
            if not client.queue.given_up:
                client.queue.given_up = True
                sio.start_background_task(end, client)
            return
        send(sid, packet)

    return send_within


def _discard(body: Any, buffer_size: int = 1 << 16) -> None:
    """What is still to come of a body that was refused, so that its sender gets to read the answer; eventlet would go on
    without end. The OSError makes it close the connection."""
    left = MAX_DISCARDED
    while part := body.read(min(buffer_size, left)):
        left -= len(part)
        if left <= 0:
            raise OSError("the body goes on and on")


def guarded(app: WsgiApp, sio: socketio.Server, path: str = "/socket.io/") -> WsgiApp:
    """The app, with what Engine.IO would let through or trip over refused before it: compression of WebSockets, and
    polling requests that hold a packet no client may send (those end the connection)."""

    def serve(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        environ.pop("HTTP_SEC_WEBSOCKET_EXTENSIONS", None)
        if getattr(environ["wsgi.input"], "chunked_input", False):
            environ["wsgi.input_terminated"] = True  # eventlet ends it; Werkzeug would take it for no body
        if environ["REQUEST_METHOD"] == "POST" and environ.get("PATH_INFO", "").startswith(path):
            body = _polled(environ)
            if body is None:
                sids = parse_qs(environ.get("QUERY_STRING", "")).get("sid", [])
                if sids and sids[0] in sio.eio.sockets:
                    sio.start_background_task(sio.eio.disconnect, sids[0])
                start_response("400 Bad Request", [("Content-Type", "text/plain"), ("Connection", "close")])
                return [b"not a packet of this protocol"]
            environ["wsgi.input"] = io.BytesIO(body)
        return app(environ, start_response)

    return serve


def _polled(environ: dict[str, Any]) -> bytes | None:
    """The body of a polling request, or None if it is none."""
    size = environ.get("CONTENT_LENGTH") or "0"
    if not size.isdecimal() or int(size) > MAX_FRAME:
        return None
    body: bytes = environ["wsgi.input"].read(int(size))
    try:
        packets = body.decode("utf-8").split("\x1e")
    except UnicodeDecodeError:
        return None
    return body if len(packets) <= MAX_PACKETS and all(map(acceptable, packets)) else None


def listen(host: str, port: int) -> socket.socket:
    """A listening socket whose connections send at once (TCP_NODELAY); raises OSError if the port is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = eventlet.listen((host, port), family=family, backlog=BACKLOG, reuse_port=False)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def raise_file_limit() -> None:
    """As many open sockets as the system allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def run(app: WsgiApp, sio: socketio.Server, listener: socket.socket, on_stop: Callable[[], None]) -> None:
    """Serves until SIGTERM or SIGINT; then takes no more connections, lets `on_stop` drain, and returns."""
    harden(sio)
    raise_file_limit()
    gc.collect()
    gc.freeze()  # what was built stays; looking through it again and again took 8 % of a message
    gc.set_threshold(GC_THRESHOLD)
    stop = eventlet.event.Event()

    def ask(*_: Any) -> None:
        if not stop.ready():
            stop.send()

    # The handler runs between two bytecodes of whatever greenlet: it only schedules.
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, lambda *_: eventlet.hubs.get_hub().schedule_call_global(0, ask))
    server = eventlet.spawn(
        eventlet.wsgi.server,
        listener,
        guarded(app, sio),
        custom_pool=eventlet.GreenPool(MAX_CONNECTIONS),
        log=logger,
        log_output=False,
        debug=False,
        socket_timeout=SOCKET_TIMEOUT,
    )
    stop.wait()
    logger.info("stopping")
    listener.close()
    on_stop()
    server.kill()
