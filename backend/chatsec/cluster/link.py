"""This worker's link to Redis: commands, channels to the other workers, and whether it is up.

    link = Link(url, offload)
    link.on("cut", handler)      # handler(worker that told, fact)
    link.start()                 # tries for ever
    link.tell("cut", fact)       # to all other workers, in order, never waits
    link.call(lambda redis: redis.get(key))

Redis is no store here: what is told while the link is down is gone. So each side that may have missed something learns
of it: after every loss of its own link, and when another worker could not tell what it had to tell (`gap`), the
handlers of `on_up` are called with True. A link is lost when a connection breaks, when Redis is silent for two
seconds, when a command takes longer than one, and when more waits to be told than may. Redis' publish knows no
databases: a Redis serves one deployment.

What waits is published as one: the worker's id and frames, `kind json`, between record separators, which no JSON text
holds. So a worker passes over what it said itself without a look into it.
"""

from __future__ import annotations

import logging
import secrets
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

import orjson
import redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError
from redis.retry import Retry

from chatsec.domain.models import Json
from chatsec.domain.ports import Offload, Signal

TIMEOUT = 1.0  # seconds for a connect, a read, a write
PAUSES = (0.5, 2.0)  # seconds between attempts, first and longest
QUIET = 0.5  # seconds without a word after which Redis is asked whether it lives
SILENT = 4  # times QUIET after which it does not
TURN = 16  # frames between two turns of the loop
MAX_CALLS = 32  # commands at once; more wait for one another
MAX_BATCH = 128  # frames in one message,
MAX_BYTES = 1024 * 1024  # and after how many bytes none is added
MAX_WAITING = 16 * 1024 * 1024  # bytes that wait to be sent
WORKERS = b"chatsec:workers"
SEPARATOR = b"\x1e"

logger = logging.getLogger(__name__)
T = TypeVar("T")


class LinkDown(Exception):
    """Redis cannot be asked now."""


class _Lost(Exception):
    """The connection that listens is of no use any more."""


class Link:
    """`up`: subscribed and answering. Handlers run one after another in the greenlet that listens; they must not wait
    for another worker's word."""

    def __init__(self, url: str, offload: Offload) -> None:
        self.worker = secrets.token_hex(8)
        self.up = False
        self.dropped = 0  # frames that could not be sent
        self._offload = offload
        pool = redis.BlockingConnectionPool.from_url(
            url,
            max_connections=MAX_CALLS,
            timeout=TIMEOUT,
            socket_timeout=TIMEOUT,
            socket_connect_timeout=TIMEOUT,
            socket_keepalive=True,
            retry=Retry(NoBackoff(), 0),
            protocol=2,
        )
        self._redis = redis.Redis(connection_pool=pool)
        self._channels: dict[bytes, Callable[[bytes], None]] = {WORKERS: self._hear_worker}
        self._handlers: dict[bytes, Callable[[str, bytes], None]] = {
            b"gap": lambda _, __: self._tell_up(True)
        }
        self._on_up: list[Callable[[bool], None]] = []
        self._on_down: list[Callable[[], None]] = []
        self._own = self.worker.encode()
        self._waiting: deque[bytes] = deque()
        self._bytes = 0
        self._sending = False
        self._wake: Signal | None = None
        self._losses = 0
        self._unsent = False  # something that others should know is lost
        self._said = False  # in the log, that it is down
        self._closed = False

    # ------------------------------------------------------------ for those who use it

    def start(self) -> None:
        self._offload.start(self._keep_listening)
        self._offload.start(self._keep_sending)

    def close(self) -> None:
        """Sends what waits, for which it waits a second at most. Both greenlets end within another."""
        for _ in range(20):
            if not self.up or not (self._waiting or self._sending):
                break
            self._offload.sleep(0.05)
        self._closed = True
        self.up = False
        self._rouse()
        self._redis.connection_pool.disconnect()

    def call(self, command: Callable[[redis.Redis], T]) -> T:
        """What the command answers; `LinkDown` at once when not up, or when it fails."""
        if not self.up:
            raise LinkDown("not up")
        losses = self._losses
        try:
            return command(self._redis)
        except ResponseError as error:  # Redis is there and does not want to
            logger.warning("Redis refuses a command: %s", error)
            raise LinkDown("refused") from error
        except (RedisError, OSError) as error:
            if losses == self._losses:  # else it was lost meanwhile, and may be back
                self._lose(error)
            raise LinkDown("failed") from error

    def tell(self, kind: str, fact: Json) -> None:
        """To all other workers, in order with all else that is told; never waits, dropped when down."""
        self.send(kind.encode(), orjson.dumps(fact))

    def send(self, kind: bytes, json: bytes) -> None:
        """As `tell`, of what is encoded already."""
        if not self.up:
            self._unsent = True
            self.dropped += 1
            return
        frame = b"%b %b" % (kind, json)
        self._waiting.append(frame)
        self._bytes += len(frame)
        if self._bytes > MAX_WAITING:
            self._lose(_Lost("more waits than may"))
        self._rouse()

    def on(self, kind: str, handler: Callable[[str, Json], None]) -> None:
        """`handler(worker that told, fact)`."""
        self.hear(kind.encode(), lambda worker, json: handler(worker, orjson.loads(json)))

    def hear(self, kind: bytes, handler: Callable[[str, bytes], None]) -> None:
        """As `on`, of what is not decoded."""
        self._handlers[kind] = handler

    def listen(self, channel: bytes, handler: Callable[[bytes], None]) -> None:
        """What others than workers publish there; before `start`."""
        self._channels[channel] = handler

    def on_up(self, handler: Callable[[bool], None]) -> None:
        """After each subscription; with True if something may have been missed."""
        self._on_up.append(handler)

    def on_down(self, handler: Callable[[], None]) -> None:
        """Within half a second of `up` becoming False."""
        self._on_down.append(handler)

    # ------------------------------------------------------------ up and down

    def _lose(self, error: Exception) -> None:
        """From now on nobody waits for Redis; the listener sees it and begins anew."""
        if self.up or not self._said:
            self._said = True
            logger.warning(
                "no link to Redis: %s", error if isinstance(error, _Lost) else type(error).__name__
            )
        self._losses += self.up
        self.up = False
        self._drop(len(self._waiting))
        self._waiting.clear()
        self._bytes = 0

    def _drop(self, count: int) -> None:
        self.dropped += count
        self._unsent = self._unsent or count > 0

    def _tell_up(self, missed: bool) -> None:
        for handler in self._on_up:
            self._run(handler, missed)

    def _run(self, handler: Callable[..., None], *args: object) -> None:
        try:
            handler(*args)
        except Exception:
            logger.exception("a handler of the link failed")

    # ------------------------------------------------------------ hearing

    def _keep_listening(self) -> None:
        pause, missed, down = PAUSES[0], False, False
        while not self._closed:
            connection = self._connection()
            try:
                self._subscribe(connection)
                self.up, self._said = True, False
                pause, down = PAUSES[0], False
                logger.info("the link to Redis is up")
                if self._unsent:
                    self._unsent = False
                    self.tell("gap", {})
                self._tell_up(missed)
                missed = True
                self._listen(connection)
            except Exception as error:
                if not isinstance(error, RedisError | OSError | _Lost):
                    logger.exception("a fault in listening to Redis")
                if not self._closed:
                    self._lose(error)
                if not down:
                    down = True
                    for handler in self._on_down:
                        self._run(handler)
            finally:
                connection.disconnect()
                self._redis.connection_pool.disconnect(inuse_connections=False)
            if not self._closed:
                self._offload.sleep(pause)
                pause = min(2 * pause, PAUSES[1])

    def _connection(self) -> Any:
        """A connection beside the pool's; redis-py does not type its methods."""
        pool = self._redis.connection_pool
        return pool.connection_class(**pool.connection_kwargs)

    def _subscribe(self, connection: Any) -> None:
        connection.send_command("SUBSCRIBE", *self._channels)
        for _ in self._channels:
            connection.read_response()

    def _listen(self, connection: Any) -> None:
        """Until the link is lost, which it raises."""
        quiet = 0
        while self.up:
            if not connection.can_read(QUIET):
                if quiet == SILENT:
                    raise _Lost("silent")
                if quiet == 0:
                    connection.send_command("PING", check_health=False)
                quiet += 1
                continue
            quiet = 0
            match connection.read_response():
                case [b"message", channel, data]:
                    self._run(self._channels[channel], data)
                    self._offload.turn()
        raise _Lost("elsewhere")

    def _hear_worker(self, data: bytes) -> None:
        if data.startswith(self._own):
            return
        worker, *frames = data.split(SEPARATOR)
        for count, frame in enumerate(frames, 1):
            kind, _, json = frame.partition(b" ")
            if handler := self._handlers.get(kind):  # an older or newer worker may know other kinds
                self._run(handler, worker.decode(), json)
            if count % TURN == 0:
                self._offload.turn()

    # ------------------------------------------------------------ sending

    def _rouse(self) -> None:
        if self._wake is not None:
            wake, self._wake = self._wake, None
            wake.send()

    def _keep_sending(self) -> None:
        connection = self._connection()
        while not self._closed:
            wake = self._wake = self._offload.event()  # before looking, or a wake-up could be missed
            if not self._waiting:
                self._sending = False
                wake.wait()
            self._wake = None
            self._sending = True
            batch = self._take()
            losses = self._losses
            try:
                self._publish(connection, batch)
            except Exception as error:  # whatever it was, this greenlet must go on
                if not isinstance(error, RedisError | OSError):
                    logger.exception("a fault in sending to Redis")
                connection.disconnect()
                self._drop(len(batch))
                if losses == self._losses:
                    self._lose(error)
        connection.disconnect()

    def _take(self) -> list[bytes]:
        batch: list[bytes] = []
        size = 0
        while self._waiting and len(batch) < MAX_BATCH and size < MAX_BYTES:
            batch.append(self._waiting.popleft())
            size += len(batch[-1])
        self._bytes -= size
        return batch

    def _publish(self, connection: Any, batch: list[bytes]) -> None:
        message = SEPARATOR.join((self._own, *batch))
        connection.send_packed_command(
            connection.pack_command("PUBLISH", WORKERS, message), check_health=False
        )
        connection.read_response()
