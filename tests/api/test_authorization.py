"""Who may do what to a chat: each chat route and event × anonymous, stranger, former member, member, owner (ASVS 8.2).

Another's chat is as if it were not there, and so is one that somebody was removed from.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests

from tests.support.client import Json, RawSocket, User
from tests.support.server import ServerProcess

ROLES = ("anonymous", "stranger", "former", "member", "owner")
KINDS: dict[str, tuple[Json, int, int]] = {
    # kind → body, what a member gets, what an owner gets
    "rename": ({"name": "New"}, 403, 200),
    "add": ({"usernames": ["stranger"]}, 403, 200),
    "remove": ({"usernames": ["other"]}, 403, 200),
    "role": ({"usernames": ["other"], "role": "owner"}, 403, 200),
    "rekey": ({}, 200, 200),
    "leave": ({}, 204, 409),
}

# What is asked before there is a session; all else wants one.
OPEN = {
    "/server": {"get"},
    **{
        f"/auth/{name}": {"post"}
        for name in ("prelogin", "register", "login", "recover", "refresh", "logout")
    },
}


@dataclass
class Stage:
    """Everybody who plays, and a chat that is made anew for each try."""

    url: str
    people: dict[str, User]
    chat: str = ""
    attachment: str = ""
    envelope: Json = field(default_factory=dict)

    def set(self) -> None:
        owner = self.people["owner"]
        self.chat = owner.create_chat("member", "other", "former")
        answer = self.people["former"].rest.request(
            "POST",
            f"/chats/{self.chat}/attachments",
            data=b"ciphertext",
            headers={"Content-Type": "application/octet-stream"},
        )
        self.attachment = answer.json()["id"]
        self.envelope = dict(self.people["former"].seal(self.chat, "hello"))
        self.people["former"].post(self.envelope)
        owner.change(self.chat, "remove", usernames=["former"])

    def path(self, pattern: str) -> str:
        path = pattern.removeprefix("/api/v1")
        return path.replace("{chat_id}", self.chat).replace("{attachment_id}", self.attachment)


@pytest.fixture(scope="module")
def stage(server: ServerProcess, users: Callable[..., User]) -> Stage:
    names = ("stranger", "former", "member", "owner", "other")
    people = {name: users(name, at % 4) for at, name in enumerate(names)}
    return Stage(server.url, people)


Try = tuple[str, str, Callable[[Stage, User], dict[str, Any]], int, int]


def tries() -> list[Try]:
    """(method, path, the request's rest, what a member gets, what an owner gets)."""

    def nothing(stage: Stage, user: User) -> dict[str, Any]:
        return {}

    def upload(stage: Stage, user: User) -> dict[str, Any]:
        return {"data": b"bytes", "headers": {"Content-Type": "application/octet-stream"}}

    def message(stage: Stage, user: User) -> dict[str, Any]:
        """Sealed to the chat by who is in it; by the others made up of one that was."""
        inside = user.username in ("member", "owner")
        return {
            "json": dict(
                user.seal(stage.chat, "hi")
                if inside
                else stage.people["owner"].seal(stage.chat, "hi", sender=user.username)
            )
        }

    def event(kind: str) -> Callable[[Stage, User], dict[str, Any]]:
        return lambda stage, user: {"json": {"kind": kind, **KINDS[kind][0]}}

    chat = "/api/v1/chats/{chat_id}"
    return [
        ("GET", chat, nothing, 200, 200),
        ("DELETE", chat, nothing, 403, 204),
        ("GET", f"{chat}/keys", nothing, 200, 200),
        ("GET", f"{chat}/epochs", nothing, 200, 200),
        ("GET", f"{chat}/membership", nothing, 200, 200),
        ("GET", f"{chat}/messages", nothing, 200, 200),
        ("POST", f"{chat}/messages", message, 201, 201),
        ("POST", f"{chat}/attachments", upload, 201, 201),
        ("GET", chat + "/attachments/{attachment_id}", nothing, 200, 200),
        *(("POST", f"{chat}/events", event(kind), *KINDS[kind][1:]) for kind in KINDS),
    ]


def test_every_chat_route_is_tried(stage: Stage) -> None:
    """ASVS 8.2.1, 8.2.2, 8.2.3, 8.3.1."""
    spec = requests.get(f"{stage.url}/api/v1/openapi.json", timeout=20).json()
    routes = {
        (method.upper(), path)
        for path, operations in spec["paths"].items()
        for method in operations
        if "{chat_id}" in path
    }
    assert {(method, path) for method, path, *_ in tries()} == routes


def test_whatever_is_not_open_needs_a_session(stage: Stage) -> None:
    """ASVS 8.2.1, 8.3.1: a route that nobody thought of here is closed."""
    spec = requests.get(f"{stage.url}/api/v1/openapi.json", timeout=20).json()
    tried = 0
    for path, operations in spec["paths"].items():
        for method in operations.keys() - OPEN.get(path.removeprefix("/api/v1"), set()):
            if path.startswith("/api/v1"):
                url = stage.url + re.sub(r"{\w+}", str(uuid.UUID(int=1)), path)
                answer = requests.request(method, url, timeout=20)
                assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized"), (method, path)
                tried += 1
    assert tried > 25


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("one", tries(), ids=lambda one: f"{one[0]} {one[1].removeprefix('/api/v1')}")
def test_matrix(stage: Stage, one: Try, role: str) -> None:
    """ASVS 8.2.1, 8.2.2, 8.2.3, 8.3.1."""
    method, pattern, rest, as_member, as_owner = one
    expected = {"anonymous": 401, "stranger": 404, "former": 404, "member": as_member, "owner": as_owner}[
        role
    ]
    stage.set()
    before = stage.people["owner"].chat(stage.chat)
    user = stage.people.get(role, stage.people["stranger"])
    options = rest(stage, user)
    if role == "anonymous":
        answer = requests.request(method, f"{stage.url}/api/v1{stage.path(pattern)}", timeout=20, **options)
    else:
        answer = user.rest.request(method, stage.path(pattern), **options)
    assert answer.status_code == expected, answer.text
    if expected >= 400:
        codes = {401: "unauthorized", 403: "forbidden", 404: "not_found", 409: "last_owner"}
        assert answer.json()["code"] == codes[expected]
        assert stage.people["owner"].chat(stage.chat) == before, "a refused request changes nothing"
    if role in ("stranger", "former"):
        missing = user.rest.request(
            method, stage.path(pattern).replace(stage.chat[:8], "00000000"), **options
        )
        if method != "POST" or "messages" not in pattern:  # an envelope names its chat
            assert missing.json() == answer.json(), "as if it were not there"


@pytest.mark.parametrize(
    ("role", "code"),
    [("stranger", "not_found"), ("former", "not_found"), ("member", "forbidden"), ("owner", "invalid")],
)
def test_an_unknown_name_tells_nobody_that_a_chat_is_there(stage: Stage, role: str, code: str) -> None:
    """ASVS 8.2.2."""
    stage.set()
    body = {"kind": "add", "usernames": ["nobody.here"]}
    answer = stage.people[role].rest.request("POST", f"/chats/{stage.chat}/events", json=body)
    assert answer.json()["code"] == code, answer.text


@pytest.mark.parametrize("role", ROLES[1:])
@pytest.mark.parametrize("event", ["message:send", "message:delivered", "message:read", "typing", "sync"])
def test_events(stage: Stage, event: str, role: str) -> None:
    """ASVS 8.2.1, 8.2.2, 8.2.3, 8.3.1."""
    stage.set()
    inside = role in ("member", "owner")
    user = stage.people[role]
    sender = user if inside else stage.people["owner"]
    payloads = {
        "message:send": dict(sender.seal(stage.chat, "hi", sender=user.username)),
        "typing": {"chat": stage.chat, "active": True},
        "sync": {"chats": {stage.chat: 0}},
    }
    socket = RawSocket(stage.url, user.token)
    ack = socket.emit(_text(event, payloads.get(event, {"chat": stage.chat, "seq": 1})))
    socket.close()
    assert ack is not None
    if event == "sync":
        assert ack["ok"] and (stage.chat in ack["behind"]) == inside
    else:
        assert (ack["ok"], ack.get("code")) == ((True, None) if inside else (False, "not_found"))


def test_a_former_member_is_told_only_what_was_said_before(stage: Stage) -> None:
    """The one answer that is left to them: the place of a message of their own (protocol §7)."""
    stage.set()
    former = stage.people["former"]
    answer = former.rest.request("POST", f"/chats/{stage.chat}/messages", stage.envelope)
    assert (answer.status_code, answer.json()["duplicate"]) == (200, True)
    changed = stage.envelope | {"iv": "A" * 16}
    answer = former.rest.request("POST", f"/chats/{stage.chat}/messages", changed)
    assert answer.json()["code"] == "id_conflict"


def _text(event: str, payload: Json) -> str:
    return json.dumps([event, payload])
