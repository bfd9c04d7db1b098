"""The cluster under load, while each of its parts is killed, cut off, slowed or refuses; each time it comes right by itself.

Nothing acked is lost, seq has no gap and no repeat, every client holds the same chain, presence is right: `Scene.judge`.
"""

from __future__ import annotations

import itertools
import os
import random
import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.scene import RIGHT, Scene
from tests.support.client import User
from tests.support.cluster import Cluster, until

NAMES = ("alice", "bob", "carol", "dora", "eve")
MAKERS = itertools.cycle(NAMES)  # one person alone may not open so many epochs an hour
KILLS = 20
STARVED = 20  # seconds without an ack
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
    maker = next(MAKERS)
    with Scene(
        people, cluster.url, [f"http://127.0.0.1:{port}" for port in cluster.ports], maker=maker
    ) as made:
        made.flow()
        yield made


# ---------------------------------------------------------------- kill -9


def test_a_worker_is_killed(cluster: Cluster, scene: Scene) -> None:
    """One who may have been on it is gone for good: within 45 s all know. What it had stored and not told is fetched:
    everybody is sent away once, and syncs."""
    scene.fault()
    cluster.kill_worker(0)
    scene.leave("eve")
    connects = {device: device.connects for device in scene.devices}
    scene.flow()
    until(lambda: all(device.connects > was for device, was in connects.items()), "everybody is back")
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


def test_workers_and_the_database_are_killed_again_and_again(cluster: Cluster, scene: Scene) -> None:
    scene.fault()
    for _ in range(KILLS // 2):
        os.kill(random.choice(list(cluster.worker_pids().values())), signal.SIGKILL)
        scene.trickle(5)
        cluster.database.kill()
        cluster.database.start()
        scene.trickle(5)
    cluster.wait_ready()
    scene.flow()
    scene.judge(f"a worker and the database are killed in turn, {KILLS} times")


def test_workers_are_replaced_one_by_one(cluster: Cluster, scene: Scene) -> None:
    """As a new release is put in place: nobody is refused anything."""
    scene.fault()
    for number in range(len(cluster.ports)):
        cluster.replace_worker(number)
        scene.flow(2)
    scene.judge("workers are replaced one by one")


# ---------------------------------------------------------------- a crowd that comes back


def test_two_hundred_come_back_at_once(cluster: Cluster, scene: Scene) -> None:
    """The rest are not starved: their messages are acked all the while."""
    names = [f"guest-{number}" for number in range(10)]
    guests = {name: User.register(cluster.url, name, number) for number, name in enumerate(names)}
    with Scene(guests, cluster.other_url, copies=20, sends=False) as crowd:
        crowd.all_there()
        scene.fault()
        crowd.fault()
        cluster.to_nginx.cut()
        cluster.to_nginx.mend()
        while not crowd.are_back(1):
            scene.flow(1)
        assert max(scene.acks_since_fault()) < STARVED
        scene.judge("200 others come back at once")
        scene.fault()
        crowd.fault()
        cluster.nginx.kill()
        cluster.nginx.start()
        scene.flow()
        until(lambda: crowd.are_back(2), "all are back")
        scene.judge("nginx is killed")
        crowd.judge("200 lost nginx")
    for guest in guests.values():
        guest.close()


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
        scene.rest()  # so that no later message tells of one that was refused and is there
    cluster.wait_ready()
    scene.judge(f"the database {how}")


def test_the_database_is_slow(cluster: Cluster, scene: Scene) -> None:
    """Two seconds a call: what is acked is true, however late."""
    scene.fault()
    with cluster.failing(*READS, *WRITES, blockConnection=True, blockTimeMS=2000):
        scene.flow(1, within=3 * RIGHT)
    scene.flow()
    scene.judge("the database takes 2 s a call")
