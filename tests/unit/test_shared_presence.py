"""Presence that workers share: what each tells its own sockets, whatever becomes of the others, of what they tell, of Redis.

Real services and a real Redis. The links stand in, so that a test can cut them; time and loops go on when told to.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis

from chatsec.cluster.link import LinkDown
from chatsec.cluster.presence import BEAT, EXPIRY, GRACE, LINGER, PEOPLE, RedisPresence
from chatsec.domain.models import Account, Json
from chatsec.domain.presence import PresenceService
from chatsec.storage.memory import MemoryData, MemoryStorage
from tests.support.chats import make_chat
from tests.support.presence import Sockets, Steps
from tests.support.redis import RedisProcess


class Time:
    """Seconds, and the `Clock`'s milliseconds."""

    def __init__(self) -> None:
        self.seconds = 1_000_000.0

    def __call__(self) -> float:
        return self.seconds

    def now(self) -> int:
        return int(self.seconds * 1000)


class Line:
    """A worker's link: commands reach Redis, what is told reaches the others at once. `up` and `deaf` cut it; while
    `slow`, what it is told waits."""

    def __init__(self, worker: str, client: redis.Redis, lines: list[Line]) -> None:
        self.worker = worker
        self.up, self.deaf, self.slow = True, False, False
        self._waiting: list[tuple[str, Json]] = []
        self._client = client
        self._lines = lines
        lines.append(self)
        self._ups: list[Callable[[bool], None]] = []

    def call(self, command: Callable[[redis.Redis], Any]) -> Any:
        if not self.up:
            raise LinkDown("cut")
        return command(self._client)

    def tell(self, kind: str, fact: Json) -> None:
        for line in self._lines if self.up else []:
            if line is not self and line.up and not line.deaf:
                line._waiting.append((self.worker, json.loads(json.dumps(fact))))
                line.hear()

    def hear(self) -> None:
        while self._waiting and not self.slow:
            self.handler(*self._waiting.pop(0))

    def on(self, kind: str, handler: Callable[[str, Json], None]) -> None:
        self.handler = handler

    def on_up(self, handler: Callable[[bool], None]) -> None:
        self._ups.append(handler)

    def rise(self, missed: bool) -> None:
        self.up = True
        for handler in self._ups:
            handler(missed)


class Worker:
    def __init__(self, name: str, cluster: Cluster, linger: float = 0) -> None:
        self.cluster = cluster
        self.sockets, self.steps = Sockets(), Steps()
        self.storage = MemoryStorage(data=cluster.data)
        self.line = Line(name, cluster.client, cluster.lines)
        self.shared = RedisPresence(self.line, self.steps, cluster.time)
        self.presence = PresenceService(
            accounts=self.storage.accounts,
            chats=self.storage.chats,
            publisher=self.sockets,
            offload=self.steps,
            clock=cluster.time,
            share=self.shared.share,
            linger=linger,
        )
        self.crashes = 0  # of others, as far as this worker was told
        self.shared.attach(self.presence, self._crashed)
        self.line.rise(missed=False)

    def _crashed(self) -> None:
        self.crashes += 1

    def step(self) -> None:
        try:
            self.shared.step()
        except LinkDown:
            self.shared._anew = True  # as its greenlet does
        self.steps.settle()

    def enter(self, *sids: str) -> None:
        for sid in sids:
            self.sockets.users[sid] = sid.rstrip("0123456789")
            self.presence.connect(self.sockets.users[sid], sid)
        self.cluster.settle()

    def leave(self, sid: str) -> None:
        self.sockets.users.pop(sid)
        self.presence.disconnect(sid)
        self.cluster.settle()

    def set(self, sid: str, status: str) -> None:
        self.presence.set_status(self.sockets.users[sid], status)
        self.cluster.settle()

    def told(self, sid: str) -> list[tuple[str, str]]:
        return [(one["username"], one["status"]) for _, said in self.sockets.take(sid) for one in said]

    def seen(self, username: str, viewer: str = "eve") -> str:
        account = self.storage.accounts.get(username)
        assert account is not None
        return self.presence.of(account, viewer)[0]

    def online(self) -> list[str]:
        return [account.username for account in self.presence.search("", "", 10, True)]


class Cluster:
    """Workers on one store and one Redis; alice and bob share a chat, eve watches the directory where she is."""

    def __init__(self, client: redis.Redis) -> None:
        self.client = client
        self.time = Time()
        self.data = MemoryData()
        self.lines: list[Line] = []
        self.workers: list[Worker] = []
        storage = MemoryStorage(data=self.data)
        for name in ("alice", "bob", "eve"):
            storage.accounts.create(Account(name, name, 1, b""), None)
        make_chat(storage, "alice", "bob")
        self.accounts = storage.accounts

    def worker(self, name: str, linger: float = 0) -> Worker:
        self.workers.append(Worker(name, self, linger))
        self.settle()
        return self.workers[-1]

    def settle(self) -> None:
        for _ in range(3):  # what one tells, another answers, and that is told
            for worker in self.workers:
                worker.step()

    def beats(self, count: int = 1) -> None:
        for _ in range(count):
            self.time.seconds += BEAT
            self.settle()

    def kill(self, worker: Worker) -> None:
        """Gone without a word, and its time in Redis is over."""
        self.workers.remove(worker)
        self.lines.remove(worker.line)
        self.client.delete(f"{PEOPLE}:{worker.line.worker}")

    def last_seen(self, username: str) -> int | None:
        account = self.accounts.get(username)
        assert account is not None
        return account.last_seen

    def clear(self) -> None:
        for worker in self.workers:
            worker.sockets.mail.clear()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisProcess]:
    with RedisProcess(tmp_path_factory.mktemp("redis")) as process:
        yield process


@pytest.fixture
def cluster(server: RedisProcess) -> Iterator[Cluster]:
    with server.client() as client:
        client.flushall()
        yield Cluster(client)


@pytest.fixture
def two(cluster: Cluster) -> tuple[Worker, Worker]:
    """Past the time in which they are patient with one another."""
    workers = cluster.worker("A"), cluster.worker("B")
    cluster.beats(4)
    return workers


def test_statuses_are_told_on_every_worker(two: tuple[Worker, Worker]) -> None:
    a, b = two
    a.enter("alice1")
    b.enter("bob1")
    assert a.told("alice1") == [("alice", "online"), ("bob", "online")]
    a.set("alice1", "away")
    assert b.told("bob1") == [("bob", "online"), ("alice", "away")]
    assert b.online() == a.online() == ["alice", "bob"]
    a.set("alice1", "invisible")
    assert b.told("bob1") == [("alice", "offline")] and a.told("alice1")[-1] == ("alice", "invisible")
    assert b.online() == a.online() == ["bob"] and b.seen("alice") == "offline"
    assert b.seen("alice", viewer="alice") == "invisible"
    assert b.presence.connect("bob", "bob2") == a.presence.connect("bob", "bob3")
    a.leave("alice1")
    assert b.told("bob1") == []


def test_a_status_set_on_one_worker_holds_for_the_sockets_on_another(two: tuple[Worker, Worker]) -> None:
    a, b = two
    a.enter("alice1")
    b.enter("alice2", "bob1")
    b.sockets.mail.clear()
    a.set("alice1", "invisible")
    assert b.told("alice2") == [("alice", "invisible")] and b.told("bob1") == [("alice", "offline")]
    a.leave("alice1")  # with it the fact of who set it
    assert b.told("bob1") == b.told("alice2") == [] and b.seen("alice") == "offline"
    b.set("alice2", "online")
    assert b.told("bob1") == [("alice", "online")]


def test_one_of_two_sockets_that_dies_makes_no_noise(two: tuple[Worker, Worker]) -> None:
    a, b = two
    a.enter("alice1", "bob1")
    b.enter("alice2", "bob2")
    for worker in two:
        worker.presence.watch("bob", "bob1" if worker is a else "bob2", True)
    a.cluster.clear()
    a.leave("alice1")
    assert a.sockets.mail == b.sockets.mail == {}
    b.leave("alice2")
    assert a.told("bob1") == b.told("bob2") == [("alice", "offline")]


def test_both_sockets_at_once_are_seen_last_by_someone(two: tuple[Worker, Worker]) -> None:
    a, b = two
    a.enter("alice1")
    b.enter("alice2", "bob1")
    b.sockets.mail.clear()
    a.presence.disconnect("alice1")
    b.presence.disconnect("alice2")
    a.cluster.settle()
    assert b.told("bob1") == [("alice", "offline")]
    assert a.cluster.last_seen("alice") == a.cluster.time.now()


def test_who_goes_to_another_worker_was_never_away(cluster: Cluster) -> None:
    a, b = cluster.worker("A", LINGER), cluster.worker("B", LINGER)
    a.enter("alice1", "bob1")
    cluster.clear()
    a.steps.meanwhile = [
        lambda: (b.presence.connect("alice", "alice2"), b.step())
    ]  # while the socket lingers
    a.leave("alice1")
    assert LINGER in a.steps.slept
    assert a.told("bob1") == [] and a.seen("alice") == b.seen("alice") == "online"


def test_a_new_worker_learns_who_is_here(two: tuple[Worker, Worker]) -> None:
    two[0].enter("alice1", "bob1")
    two[0].set("bob1", "away")
    c = two[0].cluster.worker("C")
    assert c.online() == ["alice", "bob"] and c.seen("bob") == "away"


# ---------------------------------------------------------------- a worker is gone


def test_people_of_a_killed_worker_are_gone_and_one_survivor_stores_it(cluster: Cluster) -> None:
    a, b, c = cluster.worker("A"), cluster.worker("B"), cluster.worker("C")
    cluster.beats(4)
    a.enter("alice1", "eve1")
    a.set("eve1", "invisible")
    eve = cluster.last_seen("eve")
    for worker, sid in ((b, "bob1"), (c, "bob2")):
        worker.enter(sid)
        worker.presence.watch("bob", sid, True)
    cluster.clear()
    stored: list[str] = []
    for worker in (b, c):
        put = worker.storage.accounts.set_presence
        worker.storage.accounts.set_presence = lambda *args, put=put: (stored.append(args[0]), put(*args))  # type: ignore[method-assign]
    cluster.kill(a)
    cluster.beats(3)
    assert b.told("bob1") == c.told("bob2") == [("alice", "offline")]
    assert stored == ["alice"] and cluster.last_seen("eve") == eve
    assert cluster.client.smembers(PEOPLE) == {b"B", b"C"}
    assert (b.crashes, c.crashes) == (1, 1)


def test_people_of_a_killed_worker_who_came_back_are_not_missed(two: tuple[Worker, Worker]) -> None:
    a, b = two
    a.enter("alice1")
    b.enter("bob1")
    a.cluster.kill(a)
    b.enter("alice2")
    b.sockets.mail.clear()
    b.cluster.beats(2)
    assert b.told("bob1") == [] and b.seen("alice") == "online"


def test_a_worker_that_stops_gives_its_people_time(two: tuple[Worker, Worker]) -> None:
    a, b = two
    a.enter("alice1", "eve1")
    b.enter("bob1")
    b.presence.watch("bob", "bob1", True)
    b.sockets.mail.clear()
    b.steps.meanwhile = [lambda: b.presence.connect("alice", "alice2")]  # eve does not come back
    a.shared.leave()
    a.presence.disconnect("alice1")
    a.presence.disconnect("eve1")
    a.steps.settle()
    b.cluster.workers.remove(a)
    assert 0 < b.cluster.client.ttl(f"{PEOPLE}:A") <= GRACE
    assert b.sockets.mail == {}  # before the grace is over
    b.cluster.settle()
    assert GRACE in b.steps.slept
    assert b.told("bob1") == [("eve", "offline")] and b.seen("alice") == "online"
    b.cluster.beats(4)
    assert b.crashes == 0


def test_a_worker_that_was_missed_and_goes_on_is_known_again(two: tuple[Worker, Worker]) -> None:
    a, b = two
    a.enter("alice1")
    b.enter("bob1")
    b.cluster.workers.remove(a)  # it hangs
    b.cluster.client.delete(f"{PEOPLE}:A")
    b.cluster.beats(1)
    assert b.told("bob1")[-1] == ("alice", "offline")
    b.cluster.workers.append(a)
    b.cluster.beats(1)
    assert b.told("bob1") == [("alice", "online")]


# ---------------------------------------------------------------- what is missed


def test_what_was_not_heard_is_read_after_two_beats(two: tuple[Worker, Worker]) -> None:
    a, b = two
    b.enter("bob1")
    b.line.deaf = True
    a.enter("alice1")
    b.sockets.mail.clear()
    assert b.seen("alice") == "offline"
    b.cluster.beats(2)
    assert b.told("bob1") == [("alice", "online")]


def test_a_gap_is_seen_with_the_next_thing_that_is_told(two: tuple[Worker, Worker]) -> None:
    a, b = two
    b.line.deaf = True
    a.enter("alice1")
    b.line.deaf = False
    a.enter("bob1")
    assert b.online() == ["alice", "bob"]


def test_what_happens_all_the_time_is_not_read_all_the_time(two: tuple[Worker, Worker]) -> None:
    a, b = two
    read: list[str] = []
    b.shared._read = read.append  # type: ignore[method-assign]
    for number in range(5):
        b.line.slow = True
        a.enter(f"alice{number}")
        b.cluster.beats(1)  # finds more than was heard
        b.line.slow = False
        b.line.hear()
        a.leave(f"alice{number}")
    assert read == [] and b.seen("alice") == "offline"


def test_a_change_told_while_all_is_read_is_not_undone(two: tuple[Worker, Worker]) -> None:
    a, b = two
    a.enter("alice1")
    old = a.cluster.client.hgetall(f"{PEOPLE}:A")
    a.enter("bob1")
    b.line.call = lambda command: old  # type: ignore[method-assign]
    b.shared._read("A")
    assert b.online() == ["alice", "bob"]


# ---------------------------------------------------------------- Redis is away


def test_without_redis_nothing_of_the_others_changes(two: tuple[Worker, Worker]) -> None:
    a, b = two
    a.enter("alice1")
    b.enter("bob1", "eve1")
    b.presence.watch("eve", "eve1", True)
    a.line.up = b.line.up = False
    b.cluster.clear()
    a.leave("alice1")
    b.leave("bob1")
    b.cluster.beats(10)
    assert b.told("eve1") == [("bob", "offline")]  # one's own go on
    assert b.seen("alice") == "online" and a.seen("alice") == "offline"
    for worker in two:
        worker.line.rise(missed=True)
    b.cluster.settle()
    assert b.told("eve1") == [("alice", "offline")]


def test_a_redis_that_lost_all_makes_nobody_offline(two: tuple[Worker, Worker]) -> None:
    a, b = two
    a.enter("alice1")
    b.enter("bob1")
    b.sockets.mail.clear()
    a.line.up = b.line.up = False
    b.cluster.client.flushall()
    b.line.rise(missed=True)
    b.cluster.beats(1)  # the other is not back yet
    assert b.told("bob1") == [] and b.seen("alice") == "online"
    a.line.rise(missed=True)
    b.cluster.beats(5)
    assert b.told("bob1") == [] and b.seen("alice") == a.seen("alice") == "online"
    assert a.seen("bob") == "online"


def test_a_hash_that_redis_lost_is_written_anew(two: tuple[Worker, Worker]) -> None:
    a, b = two
    a.enter("alice1")
    b.cluster.client.flushall()
    b.cluster.beats(5)
    assert b.seen("alice") == "online"
    assert b.cluster.worker("C").online() == ["alice"]


def test_who_did_not_come_through_a_loss_of_redis_is_missed_when_all_had_time(
    two: tuple[Worker, Worker],
) -> None:
    a, b = two
    a.enter("alice1")
    b.enter("bob1")
    b.sockets.mail.clear()
    b.line.up = False
    b.cluster.kill(a)
    b.line.rise(missed=True)
    b.cluster.beats(int(EXPIRY / BEAT) - 1)
    assert b.told("bob1") == []
    b.cluster.beats(2)
    assert b.told("bob1") == [("alice", "offline")]


def test_a_status_set_while_redis_was_away_is_found_in_the_store(two: tuple[Worker, Worker]) -> None:
    """Whoever set it is gone when the link comes back, and so is what they would have told."""
    a, b = two
    a.enter("alice1")
    b.enter("alice2", "bob1")
    a.line.up = b.line.up = False
    b.cluster.time.seconds += 1
    a.set("alice1", "invisible")
    a.leave("alice1")
    b.sockets.mail.clear()
    assert b.seen("alice") == "online"
    b.cluster.time.seconds += 1
    for worker in two:
        worker.line.rise(missed=True)
    b.cluster.settle()
    assert b.told("bob1") == [("alice", "offline")] and b.told("alice2") == [("alice", "invisible")]


def test_a_status_of_a_worker_that_died_without_redis_is_found_in_the_store(
    two: tuple[Worker, Worker],
) -> None:
    a, b = two
    a.enter("alice1")
    b.enter("alice2", "bob1")
    a.line.up = b.line.up = False
    b.cluster.time.seconds += 1
    a.set("alice1", "invisible")
    b.cluster.kill(a)
    b.sockets.mail.clear()
    b.cluster.time.seconds += 1
    b.line.rise(missed=True)
    b.cluster.settle()
    assert b.told("bob1") == [("alice", "offline")]


def test_only_the_one_who_tells_had_no_link(two: tuple[Worker, Worker]) -> None:
    a, b = two
    a.enter("alice1")
    b.enter("alice2", "bob1")
    a.line.up = False
    b.cluster.time.seconds += 1
    a.set("alice1", "invisible")
    a.leave("alice1")
    b.sockets.mail.clear()
    b.cluster.time.seconds += 1
    a.line.rise(missed=True)
    b.cluster.settle()
    assert b.told("bob1") == [("alice", "offline")]
