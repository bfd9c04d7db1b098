"""The composition root: settings in, a server that is ready to serve out. Everything is built here and handed down.

Nothing else knows which adapter stands behind a port. What is built does nothing yet: `Server.start` opens the epochs
that a crash left due and starts the committer and the sweeps; `Server.stop` answers what is under way.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import socketio
from apiflask import APIFlask
from flask_socketio import SocketIO

from chatsec import __version__, passwords
from chatsec.config import Settings
from chatsec.domain.accounts import AccountService
from chatsec.domain.attachments import AttachmentService
from chatsec.domain.chats import ChatService
from chatsec.domain.committer import Committer
from chatsec.domain.credentials import Credentials
from chatsec.domain.epochs import EpochService
from chatsec.domain.keys import KeyService
from chatsec.domain.limits import Limits
from chatsec.domain.messages import MessageService
from chatsec.domain.ports import Clock, Offload, Storage
from chatsec.domain.presence import PresenceService
from chatsec.domain.sessions import SessionService
from chatsec.metrics import Metrics
from chatsec.realtime import messages as message_events
from chatsec.realtime import presence as presence_events
from chatsec.realtime import register
from chatsec.realtime.connection import NAMESPACE, Connection, Connections
from chatsec.realtime.gateway import Gateway
from chatsec.realtime.packets import Json, Packet
from chatsec.rest import (
    accounts,
    attachments,
    chats,
    create_app,
    keys,
    log,
    messages,
    ops,
    page,
    presence,
)
from chatsec.storage import open_storage
from chatsec.tokens import DerivedTokens

if TYPE_CHECKING:
    from chatsec.cluster.workers import Workers

PING = 15  # seconds; interval and timeout together leave a third of the 45 s in which a crash must show
GOODBYE = 3  # seconds that clients get to take what was queued for them, at the end
MAX_PACKET = 256 * 1024  # bytes


class SystemClock:
    """`Clock` by the system's time."""

    def now(self) -> int:
        return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class Services:
    """What the server can do, a service for each noun."""

    accounts: AccountService
    sessions: SessionService
    keys: KeyService
    chats: ChatService
    messages: MessageService
    attachments: AttachmentService
    presence: PresenceService


@dataclass(frozen=True, slots=True)
class Server:
    """The built server: `app` is the WSGI application with REST, page and Socket.IO."""

    app: APIFlask
    sio: socketio.Server
    services: Services
    storage: Storage
    committer: Committer
    offload: Offload
    metrics: Metrics
    workers: Workers | None  # the others, where there may be some

    def start(self) -> None:
        """What must be done before the first request, and what runs beside from then on."""
        if self.workers is not None:
            self.workers.start()
        self.committer.start()
        self.services.chats.catch_up()
        self.offload.start(self.services.attachments.sweep_hourly, self.offload)
        self.offload.start(self.services.sessions.sweep_hourly, self.offload)
        self.metrics.watch_loop(self.offload)

    def stop(self) -> None:
        """Answers what is under way, tells the sockets, and closes the store."""
        self.committer.drain()
        if self.workers is not None:
            self.workers.leave()
        self._say_goodbye()
        self.services.presence.close()
        self.storage.close()
        if self.workers is not None:
            self.workers.stop()

    def _say_goodbye(self) -> None:
        """Ends every socket when what is queued for it is written, which never comes true for one that does not read
        or has just gone: each gets a greenlet, and all together a few seconds. Without a word, as `Connections.hang_up`
        says why: clients come back, to whoever serves them then."""
        left = set(self.sio.eio.sockets)

        def close(sid: str) -> None:
            try:
                if client := self.sio.eio.sockets.get(sid):
                    client.close(wait=True, abort=True, reason=self.sio.eio.reason.TRANSPORT_CLOSE)
            finally:
                left.discard(sid)

        for sid in tuple(left):
            self.offload.start(close, sid)
        for _ in range(GOODBYE * 20):
            if not left:
                break
            self.offload.sleep(0.05)


def build(
    settings: Settings,
    offload: Offload,
    *,
    async_mode: str = "eventlet",
    storage: Storage | None = None,
    clock: Clock | None = None,
    random: Callable[[int], bytes] = secrets.token_bytes,
) -> Server:
    """Builds the server; tests pass another store, clock, generator or async mode."""
    clock = clock or SystemClock()
    storage = storage or open_storage(settings.data_dir, settings.mongo_uri, offload)
    metrics = Metrics()
    workers = _workers(settings.redis_url, offload)
    limits = Limits(clock, enabled=settings.rate_limits, shared=workers.buckets if workers else None)
    tokens = DerivedTokens(secret_key=settings.secret_key, clock=clock)
    sio = _socketio(settings, async_mode, workers)
    gateway = Gateway(sio, workers)
    connections = Connections(sio, tokens, storage.sessions)
    gateway.attach(connections)
    committer = Committer(storage.log, offload, clock)
    services = _services(
        settings, offload, storage, clock, limits, tokens, gateway, committer, random, workers
    )
    if workers is not None:
        workers.attach(connections, storage.sessions, services.presence, gateway.change)
        metrics.watch_redis(workers.is_up, lambda: workers.link.dropped)
    _register_events(sio, connections, services, limits, metrics, gateway)
    site = page.open_site(settings.page_dir, (settings.api_url, settings.socket_url))
    app = create_app(
        [
            accounts.blueprint(
                accounts=services.accounts,
                sessions=services.sessions,
                tokens=tokens,
                presence=services.presence,
            ),
            keys.blueprint(keys=services.keys),
            presence.blueprint(services.presence),
            chats.blueprint(services.chats, services.keys),
            messages.blueprint(services.messages),
            attachments.blueprint(services.attachments),
            ops.blueprint(
                ping=storage.ping,
                metrics=metrics,
                metrics_token=settings.metrics_token,
                version=__version__,
                key_mode=settings.chat_key_mode,
                registration=settings.registration,
                redis_is_up=workers.is_up if workers else lambda: True,
            ),
            *([site.blueprint()] if site else []),
        ],
        sessions=services.sessions,
        limits=limits,
        version=__version__,
        cors_origins=settings.cors_origins,
        trusted_proxies=settings.trusted_proxies,
        not_found_page=site.not_found if site else None,
    )
    log.install(app, metrics)
    app.wsgi_app = socketio.WSGIApp(sio, app.wsgi_app)  # type: ignore[method-assign]
    return Server(app, sio, services, storage, committer, offload, metrics, workers)


def _workers(redis_url: str, offload: Offload) -> Workers | None:
    """What joins this process to others; the only worker does not even load it."""
    if not redis_url:
        return None
    from chatsec.cluster.workers import Workers

    return Workers(redis_url, offload)


def _socketio(settings: Settings, async_mode: str, workers: Workers | None) -> socketio.Server:
    """Flask-SocketIO's server; its Flask context for every event is a third of an event's cost and not wanted."""
    sio = SocketIO()
    sio.init_app(
        None,
        async_mode=async_mode,
        serializer=Packet,
        namespaces=[NAMESPACE],  # else "/" lets everyone in, and hears nothing there
        json=Json,
        ping_interval=PING,
        ping_timeout=PING,
        max_http_buffer_size=MAX_PACKET,
        http_compression=False,
        cors_allowed_origins=_own_or_listed(settings.cors_origins),
        logger=False,
        engineio_logger=False,
        **({"client_manager": workers.fanout} if workers else {}),
    )
    return sio.server


def _own_or_listed(origins: tuple[str, ...]) -> Callable[[str, dict[str, str]], bool] | None:
    """Engine.IO's check of `Origin`, which knows its own (None) or a list, not both."""
    if not origins:
        return None

    def allowed(origin: str, environ: dict[str, str]) -> bool:
        scheme = environ.get("HTTP_X_FORWARDED_PROTO", environ["wsgi.url_scheme"]).split(",")[0].strip()
        host = environ.get("HTTP_X_FORWARDED_HOST", environ.get("HTTP_HOST", "")).split(",")[0].strip()
        own = {f"{environ['wsgi.url_scheme']}://{environ.get('HTTP_HOST')}", f"{scheme}://{host}"}
        return origin in own or origin in origins

    return allowed


def _services(
    settings: Settings,
    offload: Offload,
    storage: Storage,
    clock: Clock,
    limits: Limits,
    tokens: DerivedTokens,
    gateway: Gateway,
    committer: Committer,
    random: Callable[[int], bytes],
    workers: Workers | None,
) -> Services:
    credentials = Credentials(
        storage=storage,
        hasher=passwords.BcryptHasher(rounds=settings.bcrypt_rounds, offload=offload),
        limits=limits,
        common=passwords.common_passwords(),
    )
    attachment_service = AttachmentService(
        chats=storage.chats,
        attachments=storage.attachments,
        files=storage.files,
        clock=clock,
    )
    chat_service = ChatService(
        storage=storage,
        committer=committer,
        epochs=EpochService(storage.keys, offload, random),
        publisher=gateway,
        limits=limits,
        offload=offload,
        erased=attachment_service.forget,
    )
    session_service = SessionService(storage=storage, tokens=tokens, clock=clock, publisher=gateway)
    key_service = KeyService(
        storage=storage,
        credentials=credentials,
        publisher=gateway,
        limits=limits,
        clock=clock,
        offload=offload,
        on_new_bundle=chat_service.catch_up,
    )
    return Services(
        accounts=AccountService(
            storage=storage,
            credentials=credentials,
            keys=key_service,
            sessions=session_service,
            tokens=tokens,
            limits=limits,
            clock=clock,
            registration_open=settings.registration == "open",
            before_deletion=chat_service.require_successors,
            on_ended=chat_service.catch_up,
        ),
        sessions=session_service,
        keys=key_service,
        chats=chat_service,
        messages=MessageService(
            storage=storage,
            committer=committer,
            chats=chat_service,
            publisher=gateway,
            limits=limits,
            offload=offload,
        ),
        attachments=attachment_service,
        presence=PresenceService(
            accounts=storage.accounts,
            chats=storage.chats,
            publisher=gateway,
            offload=offload,
            clock=clock,
            **({"share": workers.presence.share, "linger": workers.linger} if workers else {}),
        ),
    )


def _register_events(
    sio: socketio.Server,
    connections: Connections,
    services: Services,
    limits: Limits,
    metrics: Metrics,
    gateway: Gateway,
) -> None:
    handlers = {
        "message:send": partial(message_events.send, services.messages),
        "message:delivered": partial(message_events.delivered, services.messages),
        "message:read": partial(message_events.read, services.messages),
        "sync": partial(message_events.sync, services.messages),
        "presence:set": partial(presence_events.set_status, services.presence),
        "presence:watch": partial(presence_events.watch, services.presence),
        "typing": partial(presence_events.typing, services.presence),
    }

    def opened(connection: Connection) -> None:
        metrics.sockets.inc()
        people = services.presence.connect(connection.username, connection.sid)
        gateway.presence_list(people, connection.sid)

    def closed(connection: Connection) -> None:
        metrics.sockets.dec()
        services.presence.disconnect(connection.sid)

    counted = {event: metrics.counted(event, handler) for event, handler in handlers.items()}
    register(sio, connections, counted, limits, opened, closed)
