"""Presence that workers share: what each tells its own sockets, whatever becomes of the others, of what they tell, of Redis.

Real services and a real Redis. The links stand in, so that a test can cut them; time and loops go on when told to.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from chatsec.cluster.presence import BEAT, EXPIRY, GRACE, LINGER, PEOPLE
from tests.support.presence_workers import Cluster, Worker
from tests.support.redis import RedisProcess


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
