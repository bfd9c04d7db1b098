"""Whom REST finds, by name and by who is online, and what it says of them."""

from __future__ import annotations

import pytest

from tests.api.conftest import World, fields, refused
from tests.api.hall import Hall


@pytest.fixture
def hall(world: World) -> Hall:
    return Hall(world)


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
