"""The cluster shape on loopback: a database, a Redis, workers under `python app.py --workers`, and nginx before them.

    cluster = Cluster(folder).start()
    cluster.kill_worker(1)              # kill -9; its supervisor starts it again
    cluster.database.kill(); cluster.database.start()
    cluster.to_database.hold(); cluster.to_redis.cut(); cluster.to_nginx.cut_after(1000)
    with cluster.failing("insert", errorCode=10107): …

Every part is a process of its own. Workers reach database and Redis by a `Line` each; `to_nginx` is one more way in,
for clients that shall be cut off while others are not.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import requests

from tests.support.line import Line
from tests.support.mongo import Address, MongoProcess, failing
from tests.support.nginx import NginxProcess
from tests.support.ports import free_ports
from tests.support.redis import RedisProcess
from tests.support.server import ServerProcess

WAIT = 60  # seconds in which a part is as it should be
READY = 200, {"status": "ready"}
DEGRADED = 200, {"status": "degraded", "redis": "down"}
RED = 503, "unavailable"


def until(true: Callable[[], object], what: str, seconds: float = WAIT) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.05)


def workers(supervisor: int) -> dict[int, int]:
    """port → pid of those that it started and that live."""
    found = {}
    for pid in Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split():
        try:
            environ = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        except (FileNotFoundError, ProcessLookupError):
            continue
        found |= {int(line.removeprefix(b"PORT=")): int(pid) for line in environ if line.startswith(b"PORT=")}
    return found


class Cluster:
    """`url` is nginx; `env` overrides the workers' settings."""

    def __init__(self, folder: Path, count: int = 3, **env: str) -> None:
        self._folder = folder
        self.database = MongoProcess(folder)
        self.redis = RedisProcess(folder)
        self.to_database, self.to_redis = Line(self.database.port), Line(self.redis.port)
        first = free_ports(count)
        self.ports = range(first, first + count)
        settings = {
            "PORT": str(first),
            "MONGO_URI": f"mongodb://127.0.0.1:{self.to_database.port}/chatsec?directConnection=true",
            "REDIS_URL": f"redis://127.0.0.1:{self.to_redis.port}/0",
            "SECRET_KEY": "only-for-tests-" * 3,
            "TRUSTED_PROXIES": "1",
            "RATE_LIMITS": "on",
        }
        self.server = ServerProcess(folder, **(settings | env))
        self.server.command = ("app.py", "--workers", str(count))
        place = folder / "nginx"
        place.mkdir()
        self.nginx = NginxProcess(place, self.ports)
        self.to_nginx = Line(self.nginx.port)
        self.url = self.nginx.url
        self.other_url = f"http://127.0.0.1:{self.to_nginx.port}"

    def start(self) -> Cluster:
        try:
            for part in (self.database, self.redis, self.to_database, self.to_redis, self.server):
                part.start()  # type: ignore[attr-defined]
            self.wait_ready()
            self.nginx.start()
            self.to_nginx.start()
        except BaseException:
            self.end()
            raise
        return self

    def end(self) -> None:
        for part in (self.nginx, self.server, self.redis, self.database):
            if part.process is not None:
                part.kill()  # type: ignore[attr-defined]
        for line in (self.to_nginx, self.to_redis, self.to_database):
            line.end()

    # ------------------------------------------------------------ workers

    def worker_pids(self) -> dict[int, int]:
        """port → pid."""
        assert self.server.process is not None
        return workers(self.server.process.pid)

    def signal_worker(self, number: int, how: signal.Signals) -> None:
        os.kill(self.worker_pids()[self.ports[number]], how)

    def kill_worker(self, number: int) -> None:
        self.signal_worker(number, signal.SIGKILL)

    def replace_worker(self, number: int) -> None:
        """Stops it in good order; returns when its successor serves."""
        before = self.worker_pids()[self.ports[number]]
        os.kill(before, signal.SIGTERM)
        until(
            lambda: (
                self.worker_pids().get(self.ports[number], before) != before and self.readyz(number) == READY
            ),
            "it is back",
        )

    def readyz(self, number: int) -> tuple[int, Any]:
        """Status, and problem code or body; (0, None) if nobody answers."""
        try:
            answer = requests.get(f"http://127.0.0.1:{self.ports[number]}/readyz", timeout=30)
        except requests.RequestException:
            return 0, None
        told = answer.json()
        return answer.status_code, told.get("code") or told

    def wait_ready(self) -> None:
        """Until every worker has its store and its Redis."""
        self._wait_for(READY, "ready")

    def wait_red(self) -> None:
        """Until every worker says that it has no store."""
        self._wait_for(RED, "red")

    def wait_degraded(self) -> None:
        """Until every worker says that it has no Redis."""
        self._wait_for(DEGRADED, "degraded")

    def _wait_for(self, answer: tuple[int, Any], what: str) -> None:
        """Of all at once, since one may take its time."""

        def wait(number: int) -> None:
            until(lambda: self.readyz(number) == answer, f"worker {number} is {what}")

        with ThreadPoolExecutor() as pool:
            list(pool.map(wait, range(len(self.ports))))

    # ------------------------------------------------------------ the database

    def failing(self, *commands: str, **how: Any) -> AbstractContextManager[None]:
        """These commands of the workers fail, as `tests.support.mongo.failing` has it."""
        return failing(Address("127.0.0.1", self.database.port), *commands, **how)
