"""Presence: who is here, who is told what and how often; on real SQLite, with sockets that write down what they get."""

from __future__ import annotations

from typing import Any

import pytest

from chatsec.domain.models import Json
from chatsec.domain.presence import DIRECTORY_PAUSE
from chatsec.errors import ChatSecError
from chatsec.realtime import presence as events
from chatsec.realtime.connection import Connection
from tests.api.conftest import World
from tests.api.hall import Hall
from tests.support.chats import remove


@pytest.fixture
def hall(world: World) -> Hall:
    return Hall(world)


def names(people: list[Json]) -> set[tuple[str, str]]:
    return {(one["username"], one["status"]) for one in people}


def test_the_list_has_who_shares_a_chat_and_is_here(hall: Hall) -> None:
    assert names(hall.enter("bob1")) == {("bob", "online")}
    hall.enter("dave1", "eve1", "carol1")
    assert names(hall.enter("alice1")) == {("alice", "online"), ("bob", "online"), ("carol", "online")}


def test_a_change_reaches_who_shares_a_chat_and_nobody_else(hall: Hall) -> None:
    hall.enter("bob1", "carol1", "dave1", "eve1")
    hall.sockets.mail.clear()
    hall.enter("alice1")
    assert hall.told("bob1") == hall.told("carol1") == [("alice", "online")]
    assert hall.told("dave1") == hall.told("eve1") == []
    hall.set("alice1", "away")
    assert hall.told("bob1") == [("alice", "away")]
    hall.leave("alice1")
    assert hall.told("bob1") == [("alice", "offline")]
    assert hall.told("dave1") == hall.told("eve1") == []


def test_someone_is_here_while_any_of_their_sockets_is(hall: Hall) -> None:
    hall.enter("alice1", "alice2", "bob1")
    hall.sockets.mail.clear()
    hall.leave("alice1")
    assert hall.told("bob1") == [] and hall.seen("alice")[0] == "online"
    hall.leave("alice2")
    assert hall.told("bob1") == [("alice", "offline")] and hall.seen("alice")[0] == "offline"


def test_disconnect_may_come_twice_and_for_nobody(hall: Hall) -> None:
    hall.enter("alice1", "alice2")
    for _ in range(3):
        hall.presence.disconnect("alice1")
        hall.presence.disconnect("nobody")
    assert hall.seen("alice")[0] == "online"


def test_who_comes_back_at_once_was_never_away(hall: Hall) -> None:
    hall.enter("alice1", "bob1")
    hall.sockets.mail.clear()
    hall.leave("alice1", settle=False)
    hall.enter("alice2")
    assert set(hall.told("bob1")) == {("alice", "online")}


def test_another_socket_is_no_news(hall: Hall) -> None:
    hall.enter("alice1", "bob1")
    hall.sockets.mail.clear()
    hall.enter("alice2")
    hall.set("alice2", "online")
    assert hall.told("bob1") == []


@pytest.mark.parametrize("status", ["online", "away"])
def test_a_list_taken_in_between_is_put_right(hall: Hall, status: str) -> None:
    """Whatever happens between two packets, a list and what follows it end in the truth."""
    hall.enter("alice1")
    hall.set("alice1", status)
    hall.leave("alice1", settle=False)
    assert names(hall.enter("bob1", settle=False)) == {("bob", "online")}
    hall.enter("alice2")
    assert dict(hall.told("bob1"))["alice"] == status
    hall.enter("carol1", settle=False)
    assert ("carol", "online") in names(hall.enter("bob2", settle=False))
    hall.leave("carol1")
    assert dict(hall.told("bob2"))["carol"] == "offline"


def test_changes_that_come_together_are_one_packet(hall: Hall) -> None:
    hall.enter("carol1")
    hall.sockets.mail.clear()
    hall.enter("alice1", "bob1", settle=False)
    hall.settle()
    mail = hall.sockets.take("carol1")
    assert len(mail) == 1 and names(mail[0][1]) == {("alice", "online"), ("bob", "online")}


def test_last_seen_is_when_they_left_and_outlives_the_process(hall: Hall) -> None:
    hall.enter("alice1")
    hall.world.clock.forward(seconds=100)
    before = hall.world.clock.now()
    hall.leave("alice1")
    status, at = hall.seen("alice")
    assert status == "offline" and at is not None and before <= at <= hall.world.clock.now()
    hall.presence = hall.new_service()
    assert hall.seen("alice") == ("offline", at)


def test_after_the_end_the_store_is_left_alone(hall: Hall) -> None:
    hall.enter("alice1", "bob1")
    hall.sockets.mail.clear()
    hall.enter("carol1", settle=False)
    hall.presence.close()
    hall.presence._accounts = hall.presence._chats = Failing(None, 100)  # type: ignore[assignment]
    hall.leave("alice1", "bob1", "carol1")
    assert hall.sockets.mail == {} and hall.presence._accounts.times == 100  # type: ignore[attr-defined]


def test_who_is_here_at_the_end_was_seen_then(hall: Hall) -> None:
    hall.enter("alice1", "bob1")
    hall.set("bob1", "invisible")
    bob = hall.world.storage.accounts.get("bob")
    hall.world.clock.forward(seconds=100)
    hall.presence.close()
    alice = hall.world.storage.accounts.get("alice")
    assert (
        alice is not None and alice.last_seen is not None and alice.last_seen >= hall.world.clock.now() - 5000
    )
    assert hall.world.storage.accounts.get("bob") == bob


# ---------------------------------------------------------------- statuses


def test_a_status_holds_until_it_is_changed(hall: Hall) -> None:
    hall.enter("alice1")
    hall.set("alice1", "away")
    hall.leave("alice1")
    hall.presence = hall.new_service()  # another process, on the same store
    hall.enter("alice2")
    assert hall.seen("alice")[0] == "away"


def test_invisible_is_told_as_offline_and_moves_no_last_seen(hall: Hall) -> None:
    hall.enter("alice1", "bob1")
    hall.sockets.mail.clear()
    hall.set("alice1", "invisible")
    assert hall.told("bob1") == [("alice", "offline")]
    hidden = hall.seen("alice")
    hall.world.clock.forward(seconds=1000)
    hall.enter("alice2")
    hall.set("alice2", "invisible")
    hall.leave("alice1", "alice2")
    hall.enter("alice3")
    assert hall.told("bob1") == [] and hall.seen("alice") == hidden
    assert names(hall.enter("bob2")) == {("bob", "online")}
    hall.set("alice3", "online")
    assert hall.told("bob1") == [("alice", "online")]


def test_ones_own_sockets_are_told_the_truth(hall: Hall) -> None:
    hall.enter("alice1", "alice2", "bob1")
    hall.sockets.mail.clear()
    hall.set("alice1", "invisible")
    assert hall.told("alice1") == hall.told("alice2") == [("alice", "invisible")]
    assert names(hall.enter("alice3")) == {("alice", "invisible"), ("bob", "online")}
    assert hall.seen("alice", viewer="alice")[0] == "invisible"


# ---------------------------------------------------------------- the directory


def test_watching_gives_everybody_and_the_list_of_them(hall: Hall) -> None:
    hall.enter("eve1", "alice1", "bob1")
    hall.set("bob1", "invisible")
    hall.sockets.mail.clear()
    hall.watch("eve1")
    ((event, people),) = hall.sockets.take("eve1")
    assert event == "presence:list" and names(people) == {("eve", "online"), ("alice", "online")}
    hall.enter("dave1")
    assert hall.told("eve1") == [("dave", "online")]
    hall.watch("eve1", directory=False)
    assert names(hall.sockets.take("eve1")[0][1]) == {("eve", "online")}
    hall.leave("dave1")
    assert hall.told("eve1") == []


def test_watchers_are_told_at_most_once_a_second(hall: Hall) -> None:
    hall.enter("eve1", "carol1")
    hall.watch("eve1")
    hall.watch("carol1")
    hall.sockets.mail.clear()
    hall.steps.slept.clear()
    # While the first packet's second passes, two more changes happen; they are told together, in the next one.
    hall.steps.meanwhile = [lambda: None, lambda: (hall.enter("bob1"), hall.enter("dave1"))]
    hall.enter("alice1")
    for watcher in ("eve1", "carol1"):
        mail = [names(changes) for _, changes in hall.sockets.take(watcher)]
        assert mail == [{("alice", "online")}, {("bob", "online"), ("dave", "online")}]
    assert hall.steps.slept.count(DIRECTORY_PAUSE) == 2  # one after each


def test_an_invisible_watcher_hears_the_truth_about_themself_only(hall: Hall) -> None:
    hall.enter("alice1", "eve1")
    hall.watch("alice1")
    hall.watch("eve1")
    hall.sockets.mail.clear()
    hall.set("alice1", "invisible")
    assert hall.told("alice1") == [("alice", "invisible")]
    assert hall.told("eve1") == [("alice", "offline")]


def test_a_watcher_who_left_is_forgotten(hall: Hall) -> None:
    hall.enter("eve1")
    hall.watch("eve1")
    hall.leave("eve1")
    hall.presence.watch("eve", "eve1", True)
    hall.sockets.mail.clear()
    hall.enter("alice1")
    assert hall.sockets.mail.get("eve1") is None


# ---------------------------------------------------------------- when the store fails


class Failing:
    """A store's part that fails as often as it is told to."""

    def __init__(self, real: Any, times: int = 0) -> None:
        self._real = real
        self.times = times

    def __getattr__(self, name: str) -> Any:
        if self.times > 0:
            self.times -= 1
            raise ChatSecError("unavailable")
        return getattr(self._real, name)


def test_what_could_not_be_told_is_told_later(hall: Hall) -> None:
    hall.enter("bob1")
    hall.sockets.mail.clear()
    chats = Failing(hall.world.storage.chats)
    hall.presence._chats = chats  # type: ignore[assignment]
    hall.enter("alice1", settle=False)
    chats.times = 2
    hall.settle()
    assert hall.told("bob1") == [("alice", "online")]


def test_a_connection_that_cannot_be_judged_leaves_nobody_here(hall: Hall) -> None:
    hall.presence._accounts = Failing(hall.world.storage.accounts, 1)  # type: ignore[assignment]
    with pytest.raises(ChatSecError, match="unavailable"):
        hall.presence.connect("alice", "alice1")
    hall.settle()
    assert hall.seen("alice")[0] == "offline"


def test_a_last_seen_that_could_not_be_stored_is_kept(hall: Hall) -> None:
    hall.enter("alice1")
    accounts = Failing(hall.world.storage.accounts)
    hall.presence._accounts = accounts  # type: ignore[assignment]
    accounts.times = 3
    hall.leave("alice1")
    stored = hall.world.storage.accounts.get("alice")
    assert stored is not None and stored.last_seen is not None


def test_a_status_that_cannot_be_stored_is_not_set(hall: Hall) -> None:
    hall.enter("alice1")
    hall.presence._accounts = Failing(hall.world.storage.accounts, 1)  # type: ignore[assignment]
    with pytest.raises(ChatSecError, match="unavailable"):
        hall.presence.set_status("alice", "invisible")
    assert hall.seen("alice")[0] == "online"


# ---------------------------------------------------------------- events


def test_typing_goes_to_the_members_other_sockets(hall: Hall) -> None:
    hall.enter("alice1", "alice2", "bob1", "dave1")
    hall.sockets.mail.clear()
    alice = Connection("alice1", "alice", "session")
    assert events.typing(hall.presence, alice, {"chat": hall.chat, "active": True}) == {}
    told = ("typing", {"chat": hall.chat, "username": "alice", "active": True})
    assert hall.sockets.take("bob1") == hall.sockets.take("alice2") == [told]
    assert hall.sockets.take("alice1") == hall.sockets.take("dave1") == []


def test_typing_is_for_members_only(hall: Hall) -> None:
    remove(hall.world.storage, hall.chat, "alice", "bob")
    for who in ("bob", "dave", "eve"):
        for chat in (hall.chat, "0b4b9a3e-0000-4000-8000-000000000000"):
            with pytest.raises(ChatSecError, match="not_found"):
                events.typing(hall.presence, Connection("x", who, "s"), {"chat": chat, "active": True})
    assert hall.sockets.mail == {}


@pytest.mark.parametrize(
    ("handler", "body"),
    [
        (events.set_status, {}),
        (events.set_status, {"status": "offline"}),
        (events.set_status, {"status": ["online"]}),
        (events.set_status, "online"),
        (events.watch, {"directory": 1}),
        (events.watch, {"directory": "true"}),
        (events.watch, None),
        (events.typing, {"chat": "x", "active": True}),
        (events.typing, {"chat": {"$ne": None}, "active": True}),
        (events.typing, {"chat": "0B4B9A3E-0000-4000-8000-000000000000", "active": True}),
        (events.typing, {"chat": "0b4b9a3e-0000-4000-8000-000000000000", "active": 1}),
        (events.typing, []),
    ],
)
def test_wrong_shapes_are_invalid(hall: Hall, handler: Any, body: Any) -> None:
    hall.enter("alice1")
    with pytest.raises(ChatSecError, match=r"^invalid"):
        handler(hall.presence, Connection("alice1", "alice", "session"), body)
    assert hall.seen("alice")[0] == "online"
