"""Presence across three real workers on one MongoDB and one Redis: a worker that dies or stops, a Redis that comes back.

Nobody waits here for nothing to happen: what must not be told would come before something that must.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import socketio

from tests.support import mongo
from tests.support.client import WAIT, User
from tests.support.connections import NAMESPACE
from tests.support.redis import RedisProcess
from tests.support.server import ServerProcess

GONE_SECONDS = 45  # protocol §7
PEOPLE = "chatsec:presence"
Change = tuple[str, str]
logger = logging.getLogger(__name__)
Servers = tuple[ServerProcess, ServerProcess, ServerProcess]
People = tuple[User, User, User]


class View:
    """What a user's page shows: who is online, away or offline, in order. Its socket comes back by itself."""

    def __init__(self, user: User, worker: ServerProcess) -> None:
        self._user, self._url = user, worker.url
        self._people: dict[str, str] = {}
        self._shown: list[Change] = []
        self._read = 0
        self._news = threading.Condition()
        self._sio: socketio.Client | None = None
        self._transports: list[Any] = []
        self._gone, self._closed = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._stay_connected)
        self._thread.start()
        self.until(*((user.username, status) for status in ("online", "away", "invisible")), every=False)
        self._read = 0

    def _stay_connected(self) -> None:
        while not self._closed.is_set():
            sio = socketio.Client(reconnection=False, handle_sigint=False)
            self._gone.clear()
            for event in ("connect", "connect_error"):
                sio.on(event, lambda *_, sio=sio: self._transports.append(sio.eio.ws), namespace=NAMESPACE)
            sio.on("disconnect", lambda *_: self._gone.set(), namespace=NAMESPACE)
            sio.on("presence:list", self._list, namespace=NAMESPACE)
            sio.on("presence", self._changes, namespace=NAMESPACE)
            with contextlib.suppress(socketio.exceptions.ConnectionError):
                token = {"token": self._user.token}
                sio.connect(self._url, auth=token, transports=["websocket"], namespaces=[NAMESPACE])
                self._sio = sio
                if not self._closed.is_set():
                    self._gone.wait()
            self._sio = None
            sio.disconnect()
            self._closed.wait(0.5)  # as the page does

    def _list(self, people: list[dict[str, str]]) -> None:
        listed = {one["username"]: one["status"] for one in people}
        self._show(dict.fromkeys(self._people, "offline") | listed)

    def _changes(self, changes: list[dict[str, str]]) -> None:
        self._show({one["username"]: one["status"] for one in changes})

    def _show(self, people: dict[str, str]) -> None:
        with self._news:
            changed = {
                name: said for name, said in people.items() if self._people.get(name, "offline") != said
            }
            self._people |= changed
            self._shown += changed.items()
            self._news.notify_all()

    def until(self, *awaited: Change, timeout: float = WAIT, every: bool = True) -> list[Change]:
        """What was shown since the last time, once all of what is awaited (or any of it) is shown now."""
        enough = all if every else any
        with self._news:
            came = self._news.wait_for(
                lambda: enough(self._people.get(name, "offline") == said for name, said in awaited), timeout
            )
            assert came, f"{awaited} not in {self._people} after {self._shown}"
            new, self._read = self._shown[self._read :], len(self._shown)
        return new

    def set(self, status: str) -> None:
        """At once, or when the socket is back."""

        def done() -> bool:
            try:
                return (sio := self._sio) is not None and sio.call(
                    "presence:set", {"status": status}, namespace=NAMESPACE, timeout=1
                ) == {"ok": True}
            except socketio.exceptions.SocketIOError:
                return False

        poll(done)

    def close(self) -> None:
        self._closed.set()
        self._gone.set()
        self._thread.join(WAIT)
        for transport in filter(None, self._transports):
            transport.shutdown()  # else the descriptor stays open once the server has said goodbye


Connect = Callable[[User, ServerProcess], View]


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisProcess]:
    with RedisProcess(tmp_path_factory.mktemp("redis")) as process:
        yield process


@pytest.fixture(scope="module")
def workers(redis: RedisProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    shared = {
        "MONGO_URI": mongo.shared().uri(f"presence_{uuid.uuid4().hex}"),
        "SECRET_KEY": "only-for-tests-" * 3,
        "REDIS_URL": redis.url,
    }
    started: list[ServerProcess] = []
    try:
        for name in "abc":
            started.append(ServerProcess(tmp_path_factory.mktemp(f"worker_{name}"), **shared).start())
        yield started[0], started[1], started[2]
    finally:
        for worker in started:
            worker.kill()
    for worker in started:
        assert "Traceback" not in worker.log(), worker.log()[-4000:]


@pytest.fixture(scope="module")
def people(workers: Servers) -> Iterator[People]:
    """Alice, Bob and Carol, who share a chat. Their REST calls go to the third worker, which is never stopped."""
    url = workers[2].url
    made = User.register(url, "alice", 0), User.register(url, "bob", 1), User.register(url, "carol", 2)
    made[0].create_chat("bob", "carol")
    yield made
    for user in made:
        user.close()


@pytest.fixture
def connect() -> Iterator[Connect]:
    views: list[View] = []

    def make(user: User, worker: ServerProcess) -> View:
        views.append(View(user, worker))
        return views[-1]

    yield make
    for view in views:
        view.close()


def here(user: User, viewer: User) -> str:
    return str(viewer.rest.get(f"/users/{user.username}")["status"])


def workers_with(redis: RedisProcess, username: str) -> int:
    with redis.client() as client:
        return sum(client.hexists(key, username) for key in client.scan_iter(f"{PEOPLE}:*"))


def poll(condition: Callable[[], bool], timeout: float = 10) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_statuses_reach_every_worker(workers: Servers, people: People, connect: Connect) -> None:
    alice, bob, carol = people
    a, b, c = workers
    watcher, stranger = connect(alice, a), connect(carol, c)
    first, second = connect(bob, b), connect(bob, c)
    for view in (watcher, stranger):
        view.until(("bob", "online"))
    first.set("away")
    for view in (watcher, stranger, second):
        view.until(("bob", "away"))
    assert here(bob, alice) == "away"
    first.set("invisible")
    second.until(("bob", "invisible"))
    for view in (watcher, stranger):
        view.until(("bob", "offline"))
    assert here(bob, alice) == "offline" and here(bob, bob) == "invisible"
    late = connect(alice, b)
    assert sorted(late.until()) == [("alice", "online"), ("carol", "online")]
    second.set("online")
    for view in (watcher, stranger, late, first):
        view.until(("bob", "online"))
    online = alice.rest.get("/users", online="true")["items"]
    assert [one["username"] for one in online] == ["alice", "bob", "carol"]


def test_one_of_two_sockets_that_dies_makes_no_noise(
    redis: RedisProcess, workers: Servers, people: People, connect: Connect
) -> None:
    alice, bob, carol = people
    a, b, c = workers
    poll(lambda: not workers_with(redis, "bob") and not workers_with(redis, "carol"))
    watcher, marker = connect(alice, c), connect(carol, a)
    first, second = connect(bob, a), connect(bob, b)
    watcher.until(("carol", "online"), ("bob", "online"))
    first.close()
    poll(lambda: workers_with(redis, "bob") == 1)
    marker.set("away")
    assert watcher.until(("carol", "away")) == [("carol", "away")]
    second.close()
    connect(bob, c)  # on another worker
    poll(lambda: workers_with(redis, "bob") == 1)
    marker.set("online")
    assert watcher.until(("carol", "online")) == [("carol", "online")]


def test_redis_comes_back_and_then_a_worker_is_killed(
    redis: RedisProcess, workers: Servers, people: People, connect: Connect
) -> None:
    """Redis forgets everything, and all sockets come back to it. Nobody is told as offline who is not, until the worker
    that dies next is forgotten."""
    alice, bob, carol = people
    a, b, c = workers
    watcher, beside = connect(alice, c), connect(alice, a)
    dies, stays, moves = connect(bob, a), connect(carol, b), connect(carol, a)
    for view in (watcher, beside):
        view.until(("bob", "online"), ("carol", "online"))
    redis.kill()
    dies.set("away")
    beside.until(("bob", "away"))  # one's own worker goes on
    stays.set("away")
    redis.start()
    shown = watcher.until(("bob", "away"), ("carol", "away"))
    moves.until(("carol", "away"))
    poll(lambda: workers_with(redis, "carol") == 2 and workers_with(redis, "bob") == 1)
    time_killed = time.monotonic()
    a.kill()
    shown += watcher.until(("bob", "offline"), timeout=GONE_SECONDS)
    logger.info("people of a killed worker are offline after %.1f s", time.monotonic() - time_killed)
    assert [change for change in shown if change[1] == "offline"] == [("bob", "offline")]
    assert here(bob, alice) == "offline" and here(carol, alice) == "away"
    poll(lambda: alice.rest.get("/users/bob")["last_seen"] is not None)
    stays.set("online")
    assert watcher.until(("carol", "online")) == [("carol", "online")]
    dies.close()
    moves.close()
    a.start()


def test_people_of_a_worker_that_stops_come_back_elsewhere(
    redis: RedisProcess, workers: Servers, people: People, connect: Connect
) -> None:
    alice, bob, carol = people
    a, b, c = workers
    watcher = connect(alice, c)
    first, leaves = connect(bob, a), connect(carol, a)
    first.set("online")
    watcher.until(("bob", "online"), ("carol", "online"))
    poll(lambda: workers_with(redis, "bob") == workers_with(redis, "carol") == 1)
    assert a.stop() == 0
    first.close()
    leaves.close()
    connect(bob, b)
    assert watcher.until(("carol", "offline"), timeout=GONE_SECONDS) == [("carol", "offline")]
    assert here(bob, alice) == "online"
    a.start()
    watcher.set("away")
    assert watcher.until(("alice", "away")) == [("alice", "away")]
