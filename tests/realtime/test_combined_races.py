"""Many at once in `combined` chats on the live server, answers that are lost, a server that dies: one log, each entry named by
one item, and no reader ever finds a fault (protocol §4, H5)."""

from __future__ import annotations

import json
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.realtime.forge import forge
from tests.support import protocol as p
from tests.support.client import ApiError, Json, User
from tests.support.cluster import until
from tests.support.device import Device
from tests.support.judgement import View, faults
from tests.support.server import ServerProcess

Users = Callable[..., User]
CONFLICTS = ("membership_conflict", "epoch_conflict")


@pytest.fixture(scope="module")
def crowd(users: Users) -> list[User]:
    return [users(f"member{number}", number) for number in range(6)]


@pytest.fixture
def together() -> Iterator[Callable[..., list[Any]]]:
    """Runs a function for each of some values, all at once."""
    with ThreadPoolExecutor(12) as pool:
        yield lambda function, values: list(pool.map(function, values))


def items(user: User, chat: str) -> list[Json]:
    page = user.history(chat, after=user.chat(chat)["first_seq"] - 1, limit=200)
    assert page["items"][-1]["seq"] == page["last_seq"]
    found: list[Json] = page["items"]
    return found


def stands(user: User, chat: str) -> list[Json]:
    """The chat's items, once a reader has found no fault, and each entry is named by one item, in order."""
    found, log = items(user, chat), [p.signed_hash(entry) for entry in user.log(chat)]
    assert [item["event"]["log"] for item in found if item.get("event", {}).get("log")] == log
    shares = [item["event"]["epoch"] for item in found if item.get("event", {}).get("share")]
    assert shares == list(range(1, len(shares) + 1))
    reader = user.reader(chat)
    assert (reader.warnings, reader.failures()) == (set(), {})
    assert not any(judged.warnings for judged in reader.judged.values())
    return found


def persist(user: User, chat: str, change: str, *args: Any) -> None:
    """Makes a change of `Signer` as a client does: after a conflict it looks, and signs anew."""
    while True:
        try:
            getattr(user.signer(chat), change)(*args)
            return
        except ApiError as error:
            assert error.code in CONFLICTS, error


def test_owners_who_change_at_once_make_one_log(
    crowd: list[User], together: Callable[..., list[Any]]
) -> None:
    names = [user.username for user in crowd[1:4]]
    chat = crowd[0].create_combined(*names, crowd[4].username, owners=names)

    def act(number: int) -> None:
        for turn in range(3):
            persist(crowd[number], chat, "rename", f"{number} {turn}")
        persist(crowd[number], chat, "rekey")

    together(act, range(4))
    found = stands(crowd[4], chat)
    assert Counter(item["event"]["kind"] for item in found) == {"create": 1, "rename": 12, "rekey": 4}
    view = crowd[4].chat(chat)
    assert (view["membership"]["n"], view["epoch"]["number"]) == (13, 5)


def test_of_entries_with_one_n_one_is_taken(crowd: list[User], together: Callable[..., list[Any]]) -> None:
    names = [user.username for user in crowd[1:]]
    chat = crowd[0].create_combined(*names, owners=names)
    bodies = [user.signer(chat).rename_body(user.username) for user in crowd]

    def act(number: int) -> tuple[int, Any]:
        answer = crowd[number].rest.request("POST", f"/chats/{chat}/events", bodies[number])
        return answer.status_code, answer.json().get("n")

    answers = Counter(together(act, range(6)))
    assert answers == {(200, None): 1, (409, 2): 5}
    assert len(stands(crowd[0], chat)) == 2
    # All of them again: the one that was taken gets its answer, the others are refused as before.
    assert Counter(together(act, range(6))) == answers
    assert len(items(crowd[0], chat)) == 2


def test_a_share_that_is_due_is_posted_by_many_and_taken_once(
    crowd: list[User], together: Callable[..., list[Any]]
) -> None:
    chat = crowd[0].create_combined(*(user.username for user in crowd[1:]))
    crowd[1].change(chat, "leave")
    there = [crowd[0], *crowd[2:]]
    bodies = [user.signer(chat).retire_body() for user in there]

    def act(number: int) -> tuple[int, str | None]:
        answer = there[number].rest.request("POST", f"/chats/{chat}/events", bodies[number])
        return answer.status_code, answer.json().get("code")

    assert Counter(together(act, range(5))) == {(200, None): 1, (409, "membership_conflict"): 4}
    assert [item["event"]["kind"] for item in stands(crowd[0], chat)] == ["create", "leave", "retire"]


def test_nothing_of_a_removed_member_comes_after_the_removal(
    crowd: list[User], together: Callable[..., list[Any]]
) -> None:
    owner, gone, other = crowd[:3]
    for _ in range(3):
        chat = owner.create_combined(gone.username, other.username)
        remove, lane = owner.signer(chat).remove_body(gone.username), gone.connect()
        envelopes = [forge(gone, chat) for _ in range(12)]

        def act(number: int, chat: str = chat, remove: Json = remove) -> str:
            if number == 4:
                owner.rest.post(f"/chats/{chat}/events", remove)
                return "removed"
            return str(lane.call("message:send", envelopes[number]).get("code", "sent"))  # noqa: B023

        answers = Counter(together(act, range(12)))
        assert set(answers) <= {"removed", "sent", "not_found"}
        kinds = [item["event"]["kind"] if "event" in item else "message" for item in items(other, chat)]
        assert kinds == ["create", *["message"] * answers["sent"], "remove"]
        assert owner.send(chat, "without them")["seq"] == len(kinds) + 1
        lane.close()


def test_people_write_while_members_names_and_keys_change(crowd: list[User]) -> None:
    """Whoever is a member all the time has sent everything in the end, and all hold one chain."""
    owner, second, third, guest = crowd[:4]
    chat = owner.create_combined(second.username, third.username)
    devices = [Device(user, chat, sends=0.01) for user in (owner, second, third)]
    try:
        for turn in range(3):
            persist(owner, chat, "add", guest.username)
            persist(owner, chat, "rename", f"turn {turn}")
            persist(second, chat, "rekey")
            guest.change(chat, "leave")  # without an entry: nobody can send before the next share
            persist(third, chat, "retire")
        for device in devices:
            until(lambda: len(device.acked) >= 20, "everybody has sent")  # noqa: B023
            device.rest()
        until(lambda: all(device.is_still() for device in devices), "all is sent")
        last = owner.chat(chat)["last_seq"]
        until(lambda: all(device.last == last for device in devices), "all is here")
    finally:
        for device in devices:
            device.leave()
    assert [device.complaints for device in devices] == [[], [], []]
    reader = third.reader(chat)
    views = [View(device.name, device.chain, device.sent, device.acked) for device in devices]
    assert faults(reader.items, views, []) == []
    assert (reader.warnings, reader.failures()) == (set(), {})
    assert not any(judged.warnings for judged in reader.judged.values())
    assert len(reader.texts()) == sum(len(device.acked) for device in devices)


def test_keys_change_while_shares_are_posted(users: Users, together: Callable[..., list[Any]]) -> None:
    """Whichever comes first, the share that stands is for the keys that everybody has now."""
    owner, rotating = users("owner", 0), users("rotating", 1)
    chat = owner.create_combined(rotating.username)
    for turn in range(4):

        def act(which: int, turn: int = turn) -> None:
            if which:
                persist(owner, chat, "rekey")
            else:
                rotating.rotate(p.pool(2 + turn))

        together(act, range(2))
        if owner.chat(chat)["share_due"]:
            persist(rotating, chat, "rekey")
        view = rotating.chat(chat)
        assert (view["share_due"], view["epoch"]["kid"]) == (False, rotating.keys.kid(p.WRAPPING))
        rotating.send(chat, f"turn {turn}")
    stands(owner, chat)
    assert owner.readers[chat].texts() == [f"turn {turn}" for turn in range(4)]


def test_an_account_ends_while_it_is_added(
    crowd: list[User], users: Users, together: Callable[..., list[Any]]
) -> None:
    """Whichever comes first, nobody who has ended stays in a chat, and whoever is left goes on."""
    owner, other = crowd[:2]
    for number in range(4):
        leaver = users(f"leaver{number}", 2)
        chat = owner.create_combined(other.username)
        body = owner.signer(chat).add_body(leaver.username)

        def act(which: int, leaver: User = leaver, chat: str = chat, body: Json = body) -> int:
            if which:
                return owner.rest.request("POST", f"/chats/{chat}/events", body).status_code
            return leaver.rest.request("POST", "/me/deletion", {"password": leaver.secret}).status_code

        ended, added = together(act, range(2))
        assert ended == 204 and added in (200, 400)
        assert {member["username"] for member in owner.chat(chat)["members"]} == {
            owner.username,
            other.username,
        }
        assert owner.chat(chat)["share_due"] is (added == 200)
        if added == 200:
            other.signer(chat).retire()
        owner.send(chat, "two of us")
        stands(other, chat)


def unheard(user: User, path: str, body: Json) -> None:
    """Sends a request, and is gone before the answer."""
    data = json.dumps(body).encode()
    with socket.create_connection(("127.0.0.1", int(user.url.rpartition(":")[2]))) as wire:
        head = (
            f"POST /api/v1{path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {user.token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
        )
        wire.sendall(head.encode() + data)


def test_who_lost_the_answer_asks_again(crowd: list[User]) -> None:
    owner, other = crowd[:2]
    chat = owner.create_combined(other.username, crowd[2].username)
    path = f"/chats/{chat}/events"
    for make in ("rename_body", "body", "remove_body"):
        signer = owner.signer(chat)
        body = getattr(signer, make)(
            *{"rename_body": ["x"], "body": ["rekey"], "remove_body": [crowd[2].username]}[make]
        )
        unheard(owner, path, body)
        answer = owner.rest.post(path, body)
        assert answer == owner.rest.post(path, body) == owner.chat(chat)
    leave = other.signer(chat).leave_body()
    unheard(other, path, leave)
    assert other.rest.post(path, leave) is None
    assert [item["event"]["kind"] for item in items(owner, chat)] == [
        "create",
        "rename",
        "rekey",
        "remove",
        "leave",
    ]


def test_a_server_that_dies_keeps_what_it_said(tmp_path: Path) -> None:
    """Killed while it works: whether the change was taken or not, the same again is taken once."""
    with ServerProcess(tmp_path) as server:
        alice, bob = User.register(server.url, "alice", 0), User.register(server.url, "bob", 1)
        chats = [alice.create_combined("bob", name="Team") for _ in range(4)]
        path = "/chats/{}/events".format
        bodies = [alice.signer(chat).rename_body("another") for chat in chats[:2]]
        bodies += [alice.signer(chat).body("rekey") for chat in chats[2:]]
        for chat, body in zip(chats, bodies, strict=True):
            alice.send(chat, "before")
            unheard(alice, path(chat), body)
        server.kill()
        server.start()
        for chat, body in zip(chats, bodies, strict=True):
            assert alice.rest.post(path(chat), body) == alice.chat(chat)
            alice.send(chat, "after")
            kinds = [item["event"]["kind"] if "event" in item else "message" for item in stands(bob, chat)]
            assert kinds == ["create", "message", body["kind"], "message"]
            assert bob.readers[chat].texts() == ["before", "after"]
        alice.close()
        bob.close()
