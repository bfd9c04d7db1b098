"""The cluster under load, while each of its parts is killed, cut off, slowed or refuses; each time it comes right by itself.

Nothing acked is lost, seq has no gap and no repeat, every client holds the same chain, presence is right: `Scene.judge`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.scene import Scene
from tests.support.client import User
from tests.support.cluster import Cluster

NAMES = ("alice", "bob", "carol", "dora", "eve")
SHORT = 3  # seconds that a fault lasts
READS = ("find", "aggregate", "getMore")
WRITES = ("insert", "update", "delete", "findAndModify")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    made = Cluster(tmp_path_factory.mktemp("cluster")).start()
    yield made
    made.end()
    log = made.server.log()
    assert "Traceback" not in log and "fault in" not in log, log[-6000:]


@pytest.fixture(scope="module")
def people(cluster: Cluster) -> Iterator[dict[str, User]]:
    made = {name: User.register(cluster.url, name, number) for number, name in enumerate(NAMES)}
    yield made
    for user in made.values():
        user.close()


@pytest.fixture
def scene(cluster: Cluster, people: dict[str, User]) -> Iterator[Scene]:
    """All is well before, and load is on."""
    cluster.wait_ready()
    with Scene(people, cluster.url, [f"http://127.0.0.1:{port}" for port in cluster.ports]) as made:
        made.flow()
        yield made


# ---------------------------------------------------------------- kill -9


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_worker_is_killed(cluster: Cluster, scene: Scene, number: int) -> None:
    """One who was on it may be gone for good: within 45 s all know."""
    scene.fault()
    cluster.kill_worker(number)
    scene.leave("eve")
    scene.flow()
    cluster.wait_ready()
    scene.judge("a worker is killed")


def test_redis_is_killed_and_started_again(cluster: Cluster, scene: Scene) -> None:
    scene.fault()
    cluster.redis.kill()
    cluster.wait_degraded()
    scene.flow()
    scene.leave("eve")
    cluster.redis.start()
    cluster.wait_ready()
    scene.flow()
    scene.judge("Redis is killed")


def test_the_database_is_killed_and_started_again(cluster: Cluster, scene: Scene) -> None:
    scene.fault()
    cluster.database.kill()
    cluster.wait_red()
    scene.leave("eve")
    cluster.database.start()
    cluster.wait_ready()
    scene.flow()
    scene.judge("the database is killed")


# ---------------------------------------------------------------- networks


def test_the_database_is_cut_off(cluster: Cluster, scene: Scene) -> None:
    scene.fault()
    cluster.to_database.cut()
    cluster.wait_red()
    cluster.to_database.mend()
    cluster.wait_ready()
    scene.flow()
    scene.judge("the database resets every connection")


def test_the_database_is_in_a_black_hole(cluster: Cluster, scene: Scene) -> None:
    scene.fault()
    cluster.to_database.hold()
    cluster.wait_red()
    cluster.to_database.flow()
    cluster.wait_ready()
    scene.flow()
    scene.judge("the database is in a black hole")


def test_redis_is_in_a_black_hole(cluster: Cluster, scene: Scene) -> None:
    """Nothing waits for it."""
    scene.fault()
    cluster.to_redis.hold()
    scene.flow()
    cluster.wait_degraded()
    scene.flow()
    assert max(scene.acks_since_fault()) < 5, "an ack waited for Redis"
    scene.leave("eve")
    cluster.to_redis.flow()
    cluster.wait_ready()
    scene.flow()
    scene.judge("Redis is in a black hole")


def test_redis_resets_every_connection(cluster: Cluster, scene: Scene) -> None:
    scene.fault()
    cluster.to_redis.cut()
    cluster.wait_degraded()
    scene.flow()
    cluster.to_redis.mend()
    cluster.wait_ready()
    scene.flow()
    scene.judge("Redis resets every connection")


# ---------------------------------------------------------------- a database that does not do its work

REFUSALS: dict[str, dict[str, Any]] = {
    "closes connections": {"closeConnection": True},
    "is not primary": {"errorCode": 10107},
    "has no space left": {"errorCode": 14031},
    "cannot make sure": {"writeConcernError": {"code": 64, "errmsg": "waiting for replication timed out"}},
}


@pytest.mark.parametrize("how", REFUSALS)
def test_the_database_refuses(cluster: Cluster, scene: Scene, how: str) -> None:
    scene.fault()
    with cluster.failing(*WRITES, **REFUSALS[how]):
        cluster.wait_red()
        time.sleep(SHORT)  # clients try again and again meanwhile
    cluster.wait_ready()
    scene.flow()
    scene.judge(f"the database {how}")


def test_the_database_is_slow(cluster: Cluster, scene: Scene) -> None:
    """Two seconds a call: what is acked is true, however late."""
    scene.fault()
    with cluster.failing(*READS, *WRITES, blockConnection=True, blockTimeMS=2000):
        scene.flow(1)
    scene.flow()
    scene.judge("the database takes 2 s a call")
