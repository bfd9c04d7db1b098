"""Workers that share presence, without sockets: real services and Redis, links that a test cuts, time that goes on when
told to."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import redis

from chatsec.cluster.link import LinkDown
from chatsec.cluster.presence import BEAT, PEOPLE, RedisPresence
from chatsec.domain.models import Account, Json
from chatsec.domain.presence import PresenceService
from chatsec.storage.memory import MemoryData, MemoryStorage
from tests.support.chats import make_chat
from tests.support.presence import Sockets, Steps


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
