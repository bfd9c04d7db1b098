"""What a worker does while Redis is away and afterwards, with Redis and the sockets played."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from chatsec.cluster import outage as outage_module
from chatsec.cluster.link import Link
from chatsec.cluster.outage import Outage
from chatsec.domain.models import Session
from chatsec.errors import ChatSecError
from chatsec.storage.memory import MemoryStorage
from tests.support.direct import DirectOffload
from tests.support.redis import RedisProcess


class Sockets:
    def __init__(self, *ids: str) -> None:
        self.ids = set(ids)
        self.hung_up = 0

    def session_ids(self) -> set[str]:
        return set(self.ids)

    def cut(self, session_id: str) -> None:
        self.ids.remove(session_id)

    def hang_up(self, within: float) -> None:
        self.hung_up += 1


def until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + 15
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def storage() -> MemoryStorage:
    made = MemoryStorage()
    for number in range(3):
        made.sessions.create(Session(f"s{number}", "alice", 1, 1, rotated_at=1, agent=""))
    return made


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outage_module, "SETTLE", 0.3)
    monkeypatch.setattr(outage_module, "LOOK_PAUSE", 0.05)
    monkeypatch.setattr(outage_module, "LOOKS_SKIPPED", 1_000_000)


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisProcess]:
    with RedisProcess(tmp_path) as process:
        yield process


def test_looking_cuts_those_whose_session_ended_and_no_other(
    storage: MemoryStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outage_module, "CHUNK", 2)
    sockets = Sockets("s0", "s1", "s2", "ended", "ended too")
    outage = Outage(Link("redis://127.0.0.1:1", DirectOffload()), DirectOffload(), storage.sessions, sockets)
    outage.look()
    assert sockets.ids == {"s0", "s1", "s2"}
    storage.sessions.end("s1")

    def fails(ids: object) -> set[str]:
        raise ChatSecError("unavailable")

    with monkeypatch.context() as patch:
        patch.setattr(storage.sessions, "living", fails)
        outage.look()
    assert sockets.ids == {"s0", "s1", "s2"}, "nobody is cut because the store is away"
    outage.look()
    assert sockets.ids == {"s0", "s2"}


def test_sockets_are_closed_once_for_an_outage(
    storage: MemoryStorage, redis: RedisProcess, fast: None
) -> None:
    link, other = (Link(redis.url, DirectOffload()) for _ in range(2))
    sockets = Sockets("s0", "s1")
    outage = Outage(link, DirectOffload(), storage.sessions, sockets)
    for one in (link, other):
        one.start()
    outage.start()
    try:
        until(lambda: link.up and other.up and sockets.hung_up == 1)  # they were there before the link was
        storage.sessions.end("s1")
        time.sleep(0.2)
        assert sockets.ids == {"s0", "s1"}, "while the link is up others tell"
        redis.kill()
        until(lambda: sockets.ids == {"s0"})
        other.tell("something", {})
        assert sockets.hung_up == 1
        redis.start()
        until(lambda: link.up and other.up)
        until(lambda: sockets.hung_up == 2)
        other._lose(OSError())
        other.tell("something", {})
        until(lambda: sockets.hung_up == 3)
    finally:
        for one in (link, other):
            one.close()


def test_nobody_is_sent_away_at_the_start(storage: MemoryStorage, redis: RedisProcess, fast: None) -> None:
    link, sockets = Link(redis.url, DirectOffload()), Sockets()
    Outage(link, DirectOffload(), storage.sessions, sockets)
    link.start()
    try:
        until(lambda: link.up)
        sockets.ids.add("s0")
        time.sleep(0.6)
        assert sockets.hung_up == 0
    finally:
        link.close()
