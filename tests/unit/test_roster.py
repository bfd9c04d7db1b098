"""Who is here on which workers, and that all of them come to the same status."""

from __future__ import annotations

from itertools import permutations

import pytest

from chatsec.domain.roster import UNKNOWN, Fact, Roster

Told = tuple[str, Fact, bool]


def shared() -> tuple[Roster, list[Told]]:
    """A roster, and what it shares."""
    told: list[Told] = []
    return Roster(lambda *fact: told.append(fact)), told


def at(worker: Roster, username: str, status: str, since: int, sid: str = "") -> None:
    """A socket whose person has this status in the store."""
    assert worker.enter(username, sid or f"{username}1")
    worker.know(username, status, since)


def test_someone_is_here_while_any_worker_has_them() -> None:
    roster = Roster()
    at(roster, "bob", "away", 1)
    assert roster.hear("A", {"bob": (Fact(1, "away"), True)}) == {}
    assert roster.hear("B", {"bob": (Fact(1, "away"), True)}) == {}
    assert roster.leave("bob1")
    assert roster.status("bob") == "away" and not roster.own_names()
    assert roster.hear("A", {"bob": (Fact(1, "away"), False)}) == {}
    assert roster.hear("B", {"bob": (Fact(1, "away"), False)}) == {"bob": "away"}
    assert roster.status("bob") == UNKNOWN and not roster.names()
    assert roster.hear("B", {"bob": (Fact(1, "away"), False)}) == {}


def test_what_others_must_know_is_shared_and_no_more() -> None:
    roster, told = shared()
    at(roster, "bob", "online", 5, "bob1")
    assert not roster.enter("bob", "bob2")
    assert not roster.leave("bob1") and not roster.leave("bob1") and not roster.leave("nobody")
    assert told == [("bob", Fact(5, "online"), True)]
    assert roster.set("bob", "away", 7) and not roster.set("bob", "away", 8)
    assert roster.own() == {"bob": Fact(8, "away")}
    assert roster.leave("bob2") and roster.own() == {}
    assert told[1:] == [
        ("bob", Fact(7, "away"), True),
        ("bob", Fact(8, "away"), True),
        ("bob", Fact(8, "away"), False),
    ]


def test_nobody_is_shared_before_their_status_is_known() -> None:
    roster, told = shared()
    roster.enter("bob", "bob1")
    assert roster.status("bob") == UNKNOWN and roster.own() == {}
    roster.leave("bob1")
    assert told == []


def test_who_is_here_elsewhere_is_shared_at_once() -> None:
    roster, told = shared()
    roster.hear("A", {"bob": (Fact(5, "away"), True)})
    assert roster.enter("bob", "bob1")
    assert told == [("bob", Fact(5, "away"), True)]
    assert not roster.know("bob", "away", 9)
    assert len(told) == 1


def test_a_reading_older_than_the_status_is_not_believed() -> None:
    roster = Roster()
    roster.enter("bob", "bob1")
    roster.set("bob", "invisible", 5)
    for since in (4, 5):
        assert not roster.know("bob", "online", since)
    assert roster.status("bob") == "invisible"
    assert roster.know("bob", "online", 6)
    assert not roster.know("nobody", "online", 6)


def test_all_come_to_the_newest_status_in_whatever_order_they_hear() -> None:
    facts = {
        "A": Fact(3, "online"),
        "B": Fact(7, "invisible"),
        "C": Fact(7, "away"),
        "D": Fact(1, "online"),
    }
    for order in permutations(facts):
        roster, told = shared()
        at(roster, "bob", "online", 2)
        for worker in order:
            roster.hear(worker, {"bob": (facts[worker], True)})
        assert roster.status("bob") == "invisible", order
        assert told[-1] == ("bob", Fact(7, "invisible"), True)  # what this worker says of them is true again


def test_the_last_who_sets_wins_with_a_clock_that_is_behind() -> None:
    ahead, told = shared()
    behind = Roster()
    at(ahead, "bob", "online", 100_000)
    at(behind, "bob", "online", 10)
    behind.hear("ahead", {"bob": (told[0][1], True)})
    behind.set("bob", "invisible", 20)
    ahead.hear("behind", {"bob": (behind.own()["bob"], True)})
    assert ahead.status("bob") == behind.status("bob") == "invisible"


def test_the_status_of_one_who_leaves_counts_for_their_other_sockets() -> None:
    first, told = shared()
    second = Roster()
    at(second, "bob", "online", 1)
    first.hear("second", {"bob": (Fact(1, "online"), True)})
    at(first, "bob", "online", 2)
    first.leave("bob1")
    assert first.set("bob", "invisible", 5)  # handled after the socket was gone
    name, fact, here = told[-1]
    assert (name, fact, here) == ("bob", Fact(5, "invisible"), False)
    assert second.hear("first", {name: (fact, here)}) == {"bob": "online"}
    assert second.status("bob") == "invisible"


@pytest.mark.parametrize("own", [False, True])
def test_learning_all_of_a_worker_tells_what_is_different(own: bool) -> None:
    roster = Roster()
    for name in ("bob", "carol", "dave"):
        roster.hear("A", {name: (Fact(1, "online"), True)})
    roster.hear("B", {"carol": (Fact(1, "online"), True)})
    if own:
        at(roster, "dave", "online", 1)
    changes = roster.learn("A", {"bob": Fact(2, "away"), "eve": Fact(1, "invisible")})
    assert changes == {"bob": "online", "eve": UNKNOWN} | ({} if own else {"dave": "online"})
    assert roster.names() == {"bob", "carol", "eve"} | ({"dave"} if own else set())
    assert roster.learn("A", {}) == {"bob": "away", "eve": "invisible"}
