"""Sessions: a refresh token is used up by exactly one of those who try."""

from __future__ import annotations

import threading
from dataclasses import replace

from tests.contract.world import T0, World, new_id, session


def test_a_session_comes_back_as_it_was_made(world: World) -> None:
    sessions = world.storage.sessions
    made = replace(session(1, "alice"), agent="Ünicode ✨", counter=3, rotated_at=7)
    sessions.create(made)
    assert sessions.get(made.id) == made
    assert sessions.get(new_id(9)) is None


def test_list_is_newest_first_and_mine_only(world: World) -> None:
    sessions = world.storage.sessions
    for number, at in ((1, T0), (2, T0 + 20), (3, T0 + 10)):
        sessions.create(session(number, "alice", at))
    sessions.create(session(4, "bob"))
    assert [s.created_at for s in sessions.list("alice")] == [T0 + 20, T0 + 10, T0]
    assert sessions.list("nobody") == []


def test_living_are_those_that_have_not_ended(world: World) -> None:
    sessions = world.storage.sessions
    for number, username in ((1, "alice"), (2, "alice"), (3, "alice"), (4, "bob")):
        sessions.create(session(number, username))
    sessions.end(new_id(2))
    asked = [new_id(number) for number in (1, 2, 4, 9)]
    assert sessions.living(asked) == {new_id(1), new_id(4)}
    assert sessions.living([]) == set()
    assert sessions.living(["' OR 1=1 --", "$where"]) == set()


def test_rotation_is_compare_and_set(world: World) -> None:
    sessions = world.storage.sessions
    made = session(1, "alice")
    sessions.create(made)
    assert sessions.rotate(made.id, 0, T0 + 5)
    assert not sessions.rotate(made.id, 0, T0 + 6)
    assert not sessions.rotate(made.id, 2, T0 + 6)
    assert not sessions.rotate(new_id(9), 0, T0 + 6)
    assert sessions.get(made.id) == replace(made, counter=1, rotated_at=T0 + 5, used_at=T0 + 5)


def test_of_many_rotations_at_once_one_wins(world: World) -> None:
    sessions = world.storage.sessions
    made = session(1, "alice")
    sessions.create(made)
    start, won = threading.Barrier(8), []

    def rotate() -> None:
        start.wait()
        for counter in range(20):
            if sessions.rotate(made.id, counter, T0):
                won.append(counter)

    threads = [threading.Thread(target=rotate) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    last = sessions.get(made.id)
    assert last is not None
    assert sorted(won) == list(range(last.counter))
    assert won, "somebody must win"


def test_end_and_end_again(world: World) -> None:
    sessions = world.storage.sessions
    sessions.create(session(1, "alice"))
    sessions.create(session(2, "alice"))
    sessions.end(new_id(1))
    sessions.end(new_id(1))
    assert sessions.get(new_id(1)) is None
    assert [s.id for s in sessions.list("alice")] == [new_id(2)]


def test_idle_and_old_sessions_end(world: World) -> None:
    sessions = world.storage.sessions
    ages = {1: (T0, T0 + 90), 2: (T0 + 50, T0 + 60), 3: (T0 + 50, T0 + 90)}
    for number, (created_at, used_at) in ages.items():
        sessions.create(replace(session(number, "alice"), created_at=created_at, used_at=used_at))
    ended = sessions.end_idle(used_before=T0 + 70, created_before=T0 + 10)
    assert sorted(ended) == [new_id(1), new_id(2)]
    assert [s.id for s in sessions.list("alice")] == [new_id(3)]
    assert sessions.end_idle(T0 + 70, T0 + 10) == []
