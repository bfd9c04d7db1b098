"""Limits that workers share, over a real Redis, and what holds while it is away."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from chatsec.bootstrap import SystemClock
from chatsec.cluster.limits import PREFIX, RedisBuckets
from chatsec.cluster.link import Link
from chatsec.domain.limits import OWN, RATES, Limits
from chatsec.errors import ChatSecError
from tests.support.direct import DirectOffload
from tests.support.redis import RedisProcess


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisProcess]:
    with RedisProcess(tmp_path) as process:
        yield process


@pytest.fixture
def two(redis: RedisProcess) -> Iterator[tuple[Limits, Limits]]:
    links = [Link(redis.url, DirectOffload()) for _ in range(2)]
    for link in links:
        link.start()
    deadline = time.monotonic() + 10
    while not all(link.up for link in links):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    one, other = (Limits(SystemClock(), shared=RedisBuckets(link)) for link in links)
    yield one, other
    for link in links:
        link.close()


def taken(limits: Limits, kind: str, key: str, most: int) -> int:
    for count in range(most):
        try:
            limits.take(kind, key)
        except ChatSecError as error:
            assert error.code == "rate_limited"
            assert 1 <= error.extra["retry_after"] <= math.ceil(1 / RATES[kind][1])
            return count
    return most


def test_a_bucket_is_one_for_all_workers(two: tuple[Limits, Limits]) -> None:
    one, other = two
    assert taken(one, "login", "account:alice", 6) == 6
    assert taken(other, "login", "account:alice", 99) == 4
    assert taken(one, "login", "account:alice", 99) == 0
    assert taken(one, "login", "account:bob", 99) == 10, "another's is not touched"
    assert taken(other, "register", "account:alice", 99) == 20, "nor another kind"


def test_a_bucket_fills_up_again_and_is_forgotten(
    two: tuple[Limits, Limits], redis: RedisProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(RATES, "login", (2, 2))
    one, other = two
    assert taken(one, "login", "x", 3) == 2
    with redis.client() as client:
        assert 0 < client.pttl(f"{PREFIX}:login:x") <= 1000
        deadline = time.monotonic() + 10
        while client.exists(f"{PREFIX}:login:x"):
            assert time.monotonic() < deadline
            time.sleep(0.01)
    assert taken(other, "login", "x", 3) == 2


@pytest.mark.parametrize("kind", sorted(OWN))
def test_what_sockets_do_is_counted_by_each_worker(
    two: tuple[Limits, Limits], kind: str, redis: RedisProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(RATES, kind, (5, 0.001))
    one, other = two
    assert taken(one, kind, "alice", 99) == taken(other, kind, "alice", 99) == 5
    with redis.client() as client:
        assert client.keys("*") == []


def test_without_redis_each_has_its_own(two: tuple[Limits, Limits], redis: RedisProcess) -> None:
    one, other = two
    assert taken(one, "login", "x", 99) == 10
    redis.kill()
    assert taken(one, "login", "x", 99) == 10
    assert taken(other, "login", "x", 99) == 10
