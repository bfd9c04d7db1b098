"""Many at once on the live server: nobody gets a 5xx, and the sequence stays one that every reader can follow."""

import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.realtime.forge import forge
from tests.support import protocol as p
from tests.support.client import LiveClient, User

Users = Callable[..., User]
Connect = Callable[[User], LiveClient]
MANY = 24


@pytest.fixture(scope="module")
def crowd(users: Users) -> list[User]:
    return [users(f"crowd{number:02d}", number % 6) for number in range(MANY)]


@pytest.fixture
def together() -> Iterator[Callable[..., list[Any]]]:
    """Runs a function for each of some values, all at once."""
    with ThreadPoolExecutor(MANY) as pool:
        yield lambda function, values: list(pool.map(function, values))


def items(user: User, chat: str) -> list[dict[str, Any]]:
    """Everything of the chat that the user may read."""
    found: list[dict[str, Any]] = []
    while page := user.history(chat, after=found[-1]["seq"] if found else 0, limit=200)["items"]:
        found += page
    return found


def kinds(user: User, chat: str) -> Counter[str]:
    return Counter(item["event"]["kind"] if "event" in item else "message" for item in items(user, chat))


def next_bundle(user: User) -> dict[str, Any]:
    version = user.bundle["version"] + 1
    return p.make_bundle(user.username, p.pool(version + 5), version, (user.bundle, user.keys), p.ED25519)


def put_bundle(user: User, bundle: dict[str, Any]) -> int:
    return user.rest.request("POST", "/me/keys", {"bundle": bundle, "password": user.secret}).status_code


def test_everybody_changes_keys_at_once(crowd: list[User], together: Callable[..., list[Any]]) -> None:
    chat = crowd[0].create_chat(*(user.username for user in crowd[1:]))
    bundles = {user.username: next_bundle(user) for user in crowd}
    assert set(together(lambda user: put_bundle(user, bundles[user.username]), crowd)) == {201}
    for user in crowd:
        user.bundle, user.keys = bundles[user.username], p.pool(bundles[user.username]["version"] + 5)
    for user in crowd:
        view = user.chat(chat)
        assert view["epoch"]["kid"] == user.keys.kid(p.WRAPPING)
        assert len(user.epoch_key(chat, view["epoch"])) == 32
    sequence = items(crowd[0], chat)
    assert [item["seq"] for item in sequence] == list(range(1, len(sequence) + 1))


def test_the_same_bundle_twice_at_once_is_one(crowd: list[User], together: Callable[..., list[Any]]) -> None:
    bundle = next_bundle(crowd[1])
    assert together(lambda _: put_bundle(crowd[1], bundle), range(4)) == [201] * 4
    crowd[1].bundle, crowd[1].keys = bundle, p.pool(bundle["version"] + 5)


def test_every_chat_of_a_member_hears_of_new_keys_while_others_send(
    crowd: list[User], together: Callable[..., list[Any]]
) -> None:
    owner, rotating = crowd[2], crowd[3]
    chats = [owner.create_chat(rotating.username) for _ in range(50)]
    bundle = next_bundle(rotating)

    def act(number: int) -> int:
        if number == 5:
            return put_bundle(rotating, bundle)
        envelope = forge(owner, chats[number])
        return owner.rest.request("POST", f"/chats/{chats[number]}/messages", envelope).status_code

    assert set(together(act, range(50))) <= {201, 409}  # 409: stale_epoch
    rotating.bundle, rotating.keys = bundle, p.pool(bundle["version"] + 5)
    for chat in chats:
        found = items(owner, chat)
        (event,) = [item["event"] for item in found if item.get("event", {}).get("kind") == "keys"]
        assert (event["by"], event["keys"]) == (rotating.username, p.bundle_hash(rotating.username, bundle))
        assert rotating.chat(chat)["epoch"]["kid"] == rotating.keys.kid(p.WRAPPING)


def test_one_id_asked_for_by_many(crowd: list[User], together: Callable[..., list[Any]]) -> None:
    """Same creator and body: one chat; another creator: `id_conflict`."""
    chat = str(uuid.uuid4())
    body = {"id": chat, "members": [crowd[4].username], "key_mode": "server"}

    def create(number: int) -> tuple[int, str | None]:
        answer = crowd[number % 2].rest.request("POST", "/chats", body)
        return answer.status_code, answer.json().get("code")

    answers = Counter(together(create, range(MANY)))
    assert answers == {(201, None): 1, (200, None): MANY // 2 - 1, (409, "id_conflict"): MANY // 2}


def test_members_come_and_go_while_others_write(
    crowd: list[User], together: Callable[..., list[Any]]
) -> None:
    owner = crowd[0]
    inside, outside = crowd[1:9], crowd[9:17]
    chat = owner.create_chat(*(user.username for user in inside))
    seen = {"seq": 1, "hash": p.b64u(p.chain(items(owner, chat)))}

    def act(number: int) -> int:
        if number % 4 == 0:
            body = {"kind": "add", "usernames": [outside[number // 4].username]}
        elif number % 4 == 1:
            body = {"kind": "remove", "usernames": [inside[number // 4].username]}
        elif number % 4 == 2:
            body = {"kind": "rekey"}
        else:
            writer = inside[number // 4]
            return writer.rest.request(
                "POST", f"/chats/{chat}/messages", forge(writer, chat, seen=seen)
            ).status_code
        return owner.rest.request("POST", f"/chats/{chat}/events", body).status_code

    assert set(together(act, range(24))) <= {200, 201, 404, 409}
    view = owner.chat(chat)
    there = {user.username for user in [owner, *inside[6:], *outside[:6]]}
    assert {member["username"] for member in view["members"]} == there
    assert set(view["epoch"]["members"]) == there
    sequence = items(owner, chat)
    assert [item["seq"] for item in sequence] == list(range(1, len(sequence) + 1))
    reader = owner.reader(chat)
    assert (reader.last_seq, reader.warnings) == (len(sequence), set())


def test_a_chat_is_erased_while_it_is_read_and_written(
    crowd: list[User], together: Callable[..., list[Any]]
) -> None:
    owner, other = crowd[2], crowd[4]
    for _ in range(8):
        chat = owner.create_chat(other.username)

        def act(number: int, chat: str = chat) -> int:
            if number == 6:
                return owner.rest.request("DELETE", f"/chats/{chat}").status_code
            if number % 2:
                return other.rest.request("GET", f"/chats/{chat}/messages").status_code
            envelope = forge(other, chat)
            return other.rest.request("POST", f"/chats/{chat}/messages", envelope).status_code

        assert set(together(act, range(MANY))) <= {200, 201, 204, 404}
        assert other.rest.request("GET", f"/chats/{chat}").status_code == 404


def test_a_member_who_was_removed_meanwhile_changes_keys(
    crowd: list[User], together: Callable[..., list[Any]]
) -> None:
    owner, gone = crowd[5], crowd[6]
    chats = [owner.create_chat(gone.username, crowd[7].username) for _ in range(12)]
    bundle = next_bundle(gone)

    def act(number: int) -> int:
        if number == 12:
            return put_bundle(gone, bundle)
        body = {"kind": "remove", "usernames": [gone.username]}
        return owner.rest.request("POST", f"/chats/{chats[number]}/events", body).status_code

    assert together(act, range(13)) == [200] * 12 + [201]
    gone.bundle, gone.keys = bundle, p.pool(bundle["version"] + 5)


def test_an_account_ends_while_it_is_added(users: Users, together: Callable[..., list[Any]]) -> None:
    """Whichever comes first, nobody who has ended stays in a chat."""
    owner = users("host", 0)
    for number in range(6):
        leaver = users(f"leaver{number}", 1)
        chat = owner.create_chat()

        def act(which: int, leaver: User = leaver, chat: str = chat) -> int:
            if which:
                body = {"kind": "add", "usernames": [leaver.username]}
                return owner.rest.request("POST", f"/chats/{chat}/events", body).status_code
            return leaver.rest.request("POST", "/me/deletion", {"password": leaver.secret}).status_code

        assert together(act, range(2))[0] == 204
        assert [member["username"] for member in owner.chat(chat)["members"]] == ["host"]
