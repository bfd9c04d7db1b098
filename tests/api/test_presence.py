"""Presence: who is here, who is told what and how often; on real SQLite, with sockets that write down what they get.

The loops of the service run when `settle` is called, and sleeping takes no time: `meanwhile` says what happens during
it.
"""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from chatsec.domain.limits import Limits
from chatsec.domain.models import Json
from chatsec.domain.presence import DIRECTORY_PAUSE, PresenceService
from chatsec.errors import ChatSecError
from chatsec.realtime import presence as events
from chatsec.realtime.connection import Connection
from chatsec.rest import create_app
from chatsec.rest import presence as routes
from tests.api.conftest import World, fields, refused
from tests.support.chats import make_chat, remove
from tests.support.presence import Sockets, Steps


class Hall:
    """Alice, Bob and Carol share a chat; Dave shares one with Carol; Eve with nobody."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.people = {name: world.register(name) for name in ("alice", "bob", "carol", "dave", "eve")}
        self.chat = make_chat(world.storage, "alice", "bob", "carol")
        make_chat(world.storage, "carol", "dave")
        self.sockets = Sockets()
        self.steps = Steps()
        self.presence = self.new_service()

    def new_service(self) -> PresenceService:
        return PresenceService(
            accounts=self.world.storage.accounts,
            chats=self.world.storage.chats,
            publisher=self.sockets,
            offload=self.steps,
            clock=self.world.clock,
        )

    def enter(self, *sids: str, settle: bool = True) -> list[Json]:
        """Sockets named like `bob1`; the list that the last one got."""
        people: list[Json] = []
        for sid in sids:
            self.sockets.users[sid] = sid.rstrip("0123456789")
            people = self.presence.connect(self.sockets.users[sid], sid)
        if settle:
            self.settle()
        return people

    def leave(self, *sids: str, settle: bool = True) -> None:
        for sid in sids:
            self.sockets.users.pop(sid, None)
            self.presence.disconnect(sid)
        if settle:
            self.settle()

    def set(self, sid: str, status: str) -> None:
        self.presence.set_status(self.sockets.users[sid], status)
        self.settle()

    def watch(self, sid: str, directory: bool = True) -> None:
        self.presence.watch(self.sockets.users[sid], sid, directory)
        self.settle()

    def settle(self) -> None:
        self.steps.settle()

    def told(self, sid: str) -> list[tuple[str, str]]:
        """(username, status) of every change that the socket was told."""
        return [
            (change["username"], change["status"])
            for event, changes in self.sockets.take(sid)
            if event == "presence"
            for change in changes
        ]

    def seen(self, username: str, viewer: str = "bob") -> tuple[str, int | None]:
        account = self.world.storage.accounts.get(username)
        assert account is not None
        return self.presence.of(account, viewer)

    def client(self) -> FlaskClient:
        app = create_app(
            [routes.blueprint(self.presence)],
            sessions=self.world.sessions,
            limits=Limits(self.world.clock, enabled=False),
        )
        return app.test_client()

    def get(self, path: str, who: str = "bob") -> Any:
        token = {"Authorization": f"Bearer {self.people[who].access}"}
        return self.client().get(f"/api/v1{path}", headers=token)


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


# ---------------------------------------------------------------- REST


def test_a_person_as_the_protocol_says(hall: Hall) -> None:
    hall.enter("alice1")
    user = hall.get("/users/alice").get_json()
    assert set(user) == {"username", "display_name", "created_at", "status", "last_seen", "keys_version"}
    assert (user["username"], user["status"], user["keys_version"]) == ("alice", "online", 1)
    assert hall.get("/users/ALICE").get_json()["username"] == "alice"
    eve = hall.get("/users/eve").get_json()
    assert (eve["status"], eve["last_seen"], eve["keys_version"]) == ("offline", None, 0)


def test_invisible_shows_in_no_answer(hall: Hall) -> None:
    hall.enter("alice1", "bob1")
    hall.set("alice1", "invisible")
    assert hall.get("/users/alice").get_json()["status"] == "offline"
    assert [one["username"] for one in hall.get("/users?online=true").get_json()["items"]] == ["bob"]
    assert hall.get("/users/alice", "alice").get_json()["status"] == "invisible"


def test_people_are_found_by_name_page_by_page(hall: Hall) -> None:
    found, cursor = [], ""
    while True:
        page = hall.get(f"/users?limit=2&cursor={cursor}").get_json()
        found += [one["username"] for one in page["items"]]
        if not (cursor := page["next"] or ""):
            break
    assert found == ["alice", "bob", "carol", "dave", "eve"]
    assert [one["username"] for one in hall.get("/users?query=AR").get_json()["items"]] == ["carol"]
    assert hall.get("/users?query=%25").get_json()["items"] == []
    assert hall.get("/users?query=_").get_json()["items"] == []
    assert len(hall.get("/users?limit=100000").get_json()["items"]) == 5


def test_who_is_online_page_by_page(hall: Hall) -> None:
    hall.enter("alice1", "carol1", "dave1")
    first = hall.get("/users?online=true&limit=2").get_json()
    assert [one["username"] for one in first["items"]] == ["alice", "carol"]
    rest = hall.get(f"/users?online=true&limit=2&cursor={first['next']}").get_json()
    assert [one["username"] for one in rest["items"]] == ["dave"] and rest["next"] is None
    assert [one["username"] for one in hall.get("/users?online=true&query=AV").get_json()["items"]] == [
        "dave"
    ]


def test_an_account_that_ended_is_not_found(hall: Hall) -> None:
    hall.enter("eve1")
    hall.world.storage.accounts.end("eve", hall.world.clock.now())
    refused(hall.get("/users/eve"), 404, "not_found")
    assert "eve" not in hall.get("/users").get_data(as_text=True)
    assert "eve" not in hall.get("/users?online=true").get_data(as_text=True)


def test_what_is_not_answered(hall: Hall) -> None:
    refused(hall.client().get("/api/v1/users"), 401, "unauthorized")
    refused(hall.client().get("/api/v1/users/alice"), 401, "unauthorized")
    for name in ("nobody", "%00", "al%20ice", "x" * 5000, "%ed%a0%80"):
        refused(hall.get(f"/users/{name}"), 404, "not_found")
    for query, field in (
        ("online=yes", "online"),
        ("online=1", "online"),
        ("limit=0", "limit"),
        ("limit=-1", "limit"),
        ("limit=1.5", "limit"),
        ("query=%00", "query"),
        (f"query={'x' * 2000}", "query"),
        ("cursor=%00", "cursor"),
    ):
        assert fields(refused(hall.get(f"/users?{query}"), 400, "invalid")) == {field}, query
