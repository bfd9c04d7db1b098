"""The link to Redis, over a real one: what is told arrives in order, and whoever may have missed something learns it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from chatsec.cluster import link as link_module
from chatsec.cluster.link import Link, LinkDown
from tests.support.direct import DirectOffload
from tests.support.redis import RedisProcess

WAIT = 15.0


def wait_until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + WAIT
    while not true():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.01)


class Worker:
    """A link that remembers what became of it."""

    def __init__(self, url: str) -> None:
        self.ups: list[bool] = []
        self.downs = 0
        self.heard: list[tuple[str, object]] = []
        self.link = Link(url, DirectOffload())
        self.link.on("fact", lambda worker, fact: self.heard.append((worker, fact)))
        self.link.on_up(self.ups.append)
        self.link.on_down(self._count)

    def _count(self) -> None:
        self.downs += 1

    def start(self) -> Worker:
        self.link.start()
        return self


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisProcess]:
    with RedisProcess(tmp_path) as process:
        yield process


@pytest.fixture
def workers(redis: RedisProcess) -> Iterator[tuple[Worker, Worker]]:
    pair = Worker(redis.url).start(), Worker(redis.url).start()
    wait_until(lambda: all(worker.link.up for worker in pair))
    yield pair
    for worker in pair:
        worker.link.close()
    time.sleep(0)


def test_what_is_told_reaches_all_others_in_order_and_not_oneself(workers: tuple[Worker, Worker]) -> None:
    one, two = workers
    for number in range(1000):
        one.link.tell("fact", {"n": number})
    one.link.tell("unknown", {})
    two.link.tell("fact", {"n": "back"})
    wait_until(lambda: len(two.heard) == 1000 and one.heard)
    assert two.heard == [(one.link.worker, {"n": number}) for number in range(1000)]
    assert one.heard == [(two.link.worker, {"n": "back"})]
    assert one.ups == two.ups == [False]


def test_a_fault_in_a_handler_ends_nothing(workers: tuple[Worker, Worker]) -> None:
    one, two = workers
    two.link.on("fault", lambda worker, fact: fact["missing"])
    one.link.tell("fault", {})
    one.link.tell("fact", {})
    wait_until(lambda: two.heard)


def test_commands_answer_and_a_refused_one_does_not_lose_the_link(workers: tuple[Worker, Worker]) -> None:
    one, _ = workers
    assert one.link.call(lambda redis: redis.set("a", 1)) is True
    with pytest.raises(LinkDown):
        one.link.call(lambda redis: redis.lpush("a", 1))
    assert one.link.up


def test_killed_and_back(redis: RedisProcess, workers: tuple[Worker, Worker]) -> None:
    one, two = workers
    redis.kill()
    wait_until(lambda: one.downs == two.downs == 1)
    started = time.monotonic()
    for _ in range(100):
        with pytest.raises(LinkDown):
            one.link.call(lambda redis: redis.ping())
        one.link.tell("fact", {"lost": True})
    assert time.monotonic() - started < 0.5, "something waited for Redis"
    redis.start()
    wait_until(lambda: one.link.up and two.link.up)
    # The second learns both that its own link was lost and that the first could not tell something.
    wait_until(lambda: one.ups == [False, True] and two.ups[:2] == [False, True])
    one.link.tell("fact", {"lost": False})
    wait_until(lambda: two.heard)
    assert two.heard == [(one.link.worker, {"lost": False})]
    assert one.downs == two.downs == 1


def test_one_that_hangs_is_waited_for_once(redis: RedisProcess, workers: tuple[Worker, Worker]) -> None:
    one, two = workers
    redis.hang()
    started = time.monotonic()
    with pytest.raises(LinkDown):
        one.link.call(lambda redis: redis.ping())
    assert time.monotonic() - started < 2 * link_module.TIMEOUT
    started = time.monotonic()
    with pytest.raises(LinkDown):
        one.link.call(lambda redis: redis.ping())
    assert time.monotonic() - started < 0.1
    wait_until(lambda: two.downs == 1)  # which asked nothing
    redis.go_on()
    wait_until(lambda: one.ups == two.ups == [False, True])


def test_what_one_could_not_tell_the_others_learn(
    redis: RedisProcess, workers: tuple[Worker, Worker]
) -> None:
    """Only the first one's connections are cut: the second missed what was told meanwhile, and cannot know it."""
    one, two = workers
    one.link._lose(OSError())
    one.link.tell("fact", {})
    wait_until(lambda: one.ups == [False, True])
    wait_until(lambda: two.ups == [False, True])
    assert two.downs == 0 and two.heard == []


def test_more_than_may_wait_is_dropped_and_counted(
    redis: RedisProcess, workers: tuple[Worker, Worker], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = workers
    monkeypatch.setattr(link_module, "MAX_WAITING", 10_000)
    redis.hang()
    for _ in range(100):
        one.link.tell("fact", {"filling": "x" * 1000})
    assert not one.link.up
    redis.go_on()
    wait_until(lambda: one.link.up and True in one.ups and True in two.ups)
    assert one.link.dropped > 0


def test_started_before_redis(tmp_path: Path) -> None:
    redis = RedisProcess(tmp_path)
    worker = Worker(redis.url).start()
    try:
        wait_until(lambda: worker.downs == 1)
        with pytest.raises(LinkDown):
            worker.link.call(lambda redis: redis.ping())
        redis.start()
        wait_until(lambda: worker.ups == [False])
    finally:
        worker.link.close()
        redis.kill()
