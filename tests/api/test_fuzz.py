"""Every route of the OpenAPI page and every client event of protocol §7, walked with a fixed corpus of bad input.

Nothing may be answered with a 5xx, with anything but problem details or an ack, or not at all; the server must live on,
and its log may hold no traceback (the `server` fixture looks).
"""

from __future__ import annotations

import copy
import http.client
import json
import uuid
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import pytest
import requests

from chatsec.errors import CODES
from tests.api.corpus import BEYOND, BODIES, HEADERS, LONE, METHODS, PATHS, VALUES
from tests.support import protocol as p
from tests.support.client import Json, RawSocket, Signer, User
from tests.support.server import ServerProcess

SECONDS = 20  # within which an answer must come


class Walker:
    """Sends requests as they are written, keeps count, and notes every answer that may not be."""

    def __init__(self, server: ServerProcess, token: str) -> None:
        self._port = server.port
        self._token = token
        self._connection: http.client.HTTPConnection | None = None
        self.cases = 0
        self.wrong: list[str] = []
        self.statuses: set[int] = set()

    def send(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> None:
        self.cases += 1
        sent = {"Authorization": f"Bearer {self._token}"} | (headers or {})
        if body is not None:
            sent.setdefault("Content-Type", "application/json")
        try:
            answer, content = self._exchange(method, path, body, sent)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            self.wrong.append(f"{method} {path[:120]} {(body or b'')[:120]!r}: {error!r}")
            return
        self.statuses.add(answer.status)
        if complaint := judge(method, path, answer, content):
            self.wrong.append(f"{method} {path[:120]} {(body or b'')[:120]!r} {headers}: {complaint}")

    def _exchange(
        self, method: str, path: str, body: bytes | None, headers: dict[str, str]
    ) -> tuple[http.client.HTTPResponse, bytes]:
        if self._connection is None:
            self._connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=SECONDS)
        try:
            self._connection.request(method, path, body, headers)
            answer = self._connection.getresponse()
        except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
            # A connection that was kept may have been closed meanwhile; a new one must be answered.
            self.close()
            self._connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=SECONDS)
            self._connection.request(method, path, body, headers)
            answer = self._connection.getresponse()
        content = answer.read()
        if answer.will_close:
            self.close()
        return answer, content

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def judge(method: str, path: str, answer: http.client.HTTPResponse, content: bytes) -> str:
    """What is wrong with an answer; "" for nothing."""
    if answer.status >= 500:
        return f"{answer.status} {content[:200]!r}"
    if answer.status < 400 or method in ("HEAD", "TRACE", "BREW") or not path.startswith("/api/v1/"):
        return ""
    if answer.headers.get_content_type() != "application/problem+json":
        return f"{answer.status} as {answer.headers.get_content_type()}: {content[:200]!r}"
    try:
        problem = json.loads(content)
    except ValueError:
        return f"no JSON: {content[:200]!r}"
    code = problem.get("code")
    if code not in CODES or CODES[code][0] != answer.status or problem.get("status") != answer.status:
        return f"{answer.status} with {problem}"
    if code == "invalid" and not all(one["field"] and one["message"] for one in problem["errors"]):
        return f"`invalid` that names nothing: {problem}"
    return ""


def places(body: Any, depth: int = 3) -> Iterator[tuple[Any, ...]]:
    """The way to every field of a body, and to the first element of its lists."""
    if depth and isinstance(body, dict):
        for name, value in body.items():
            yield (name,)
            yield from ((name, *rest) for rest in places(value, depth - 1))
    elif depth and isinstance(body, list) and body:
        yield (0,)
        yield from ((0, *rest) for rest in places(body[0], depth - 1))


def changed(body: Json, place: tuple[Any, ...], value: Any) -> Json:
    """The body with one field replaced."""
    made = copy.deepcopy(body)
    at: Any = made
    for step in place[:-1]:
        at = at[step]
    at[place[-1]] = value
    return made


@pytest.fixture(scope="module")
def alice(users: Callable[..., User]) -> User:
    return users("alice", 0)


@pytest.fixture(scope="module")
def mallory(users: Callable[..., User], alice: User) -> User:
    """Who walks. Alice's chat, where Mallory is no member, has id 1."""
    user = users("mallory", 1)
    alice.create_chat("mallory", id=str(uuid.UUID(int=2)))
    users("carol", 2)
    alice.create_chat("carol", id=str(uuid.UUID(int=1)))
    return user


def good_bodies(user: User, chat: str) -> dict[tuple[str, str], Json]:
    """A body for each route that takes JSON, right or nearly: what would end or lock the walker has a wrong password."""
    backup = p.seal_backup(user.username, user.keys, bytes(32))
    bundle = p.make_bundle(user.username, p.pool(3), 2, (user.bundle, user.keys), p.ED25519)
    state = {"v": 1, "n": 1, "iv": p.b64u(bytes(12)), "ciphertext": p.b64u(bytes(64))}
    kdf = p.make_kdf()
    wrong = p.b64u(bytes(32))
    first = p.make_bundle("newcomer", p.pool(3))
    return {
        ("PATCH", "/me"): {"display_name": "Mallory"},
        ("POST", "/chats"): Signer(user).create_body("alice", name="Team"),
        ("POST", "/me/keys"): {"bundle": bundle, "key_backup": backup, "state": state, "password": wrong},
        ("PUT", "/me/state"): {"state": state},
        ("POST", "/auth/login"): {"username": "mallory", "password": wrong, "refresh_in": "cookie"},
        ("POST", "/auth/logout"): {"refresh_token": wrong},
        ("POST", "/me/deletion"): {"password": wrong},
        ("PUT", "/me/password"): {
            "password": wrong,
            "new_password": wrong,
            "kdf": kdf,
            "key_backup": backup,
            "recovery_auth": wrong,
            "bundle": bundle,
            "state": state,
        },
        ("POST", "/auth/recover"): {"username": "mallory", "recovery_auth": wrong},
        ("POST", "/auth/refresh"): {"refresh_token": wrong},
        ("POST", "/auth/prelogin"): {"username": "mallory"},
        ("POST", "/auth/register"): {
            "username": "newcomer",
            "password": wrong,
            "display_name": "New",
            "kdf": kdf,
            "keys": first,
            "key_backup": p.seal_backup("newcomer", p.pool(3), bytes(32)),
            "recovery_auth": wrong,
            "refresh_in": "cookie",
        },
        ("PUT", "/me/key-backup"): {"key_backup": backup, "password": wrong, "recovery_auth": wrong},
        ("POST", "/chats/{chat_id}/events"): {
            "kind": "add",
            "usernames": ["carol"],
            "role": "member",
            "name": "x",
            "membership": None,
            "client_share": None,
        },
        ("POST", "/chats/{chat_id}/messages"): dict(user.seal(chat, "hello")),
    }


def test_every_route_answers_everything(server: ServerProcess, mallory: User) -> None:
    """ASVS 2.2.1, 2.2.2."""
    chat = str(uuid.UUID(int=2))
    spec = requests.get(f"{server.url}/api/v1/openapi.json", timeout=SECONDS).json()
    bodies = good_bodies(mallory, chat)
    walker = Walker(server, mallory.log_in_again().token)
    known = {"chat_id": chat, "username": "alice", "session_id": str(uuid.UUID(int=3))}
    known["attachment_id"] = known["session_id"]
    taken = set()
    for path, operations in spec["paths"].items():
        good = path.format(**known)
        for method in METHODS:
            if (method, path.removeprefix("/api/v1")) not in (
                ("POST", "/me/deletion"),
                ("POST", "/auth/logout"),
            ):
                walker.send(method, good, b"{}" if method in ("POST", "PUT", "PATCH") else None)
        for method, operation in operations.items():
            walk_parameters(walker, method.upper(), path, known, operation.get("parameters", []))
            content = operation.get("requestBody", {}).get("content", {})
            body = bodies.get((method.upper(), path.removeprefix("/api/v1")))
            assert ("application/json" in content) == (body is not None), (
                f"{method} {path}: a body for the walk?"
            )
            for headers in HEADERS:
                walker.send(method.upper(), good, json.dumps(body).encode() if body else None, headers)
            if body is not None:
                taken.add((method.upper(), path.removeprefix("/api/v1")))
                walk_body(walker, method.upper(), good, body)
    walker.close()
    assert taken == set(bodies)
    assert not walker.wrong, "\n".join([f"{len(walker.wrong)} of {walker.cases}", *walker.wrong[:40]])
    assert walker.cases >= 2000
    assert {200, 201, 204, 400, 401, 403, 404, 405, 409, 413, 415} <= walker.statuses, "the walk reaches deep"
    assert mallory.rest.get("/me")["username"] == "mallory"
    assert requests.get(f"{server.url}/readyz", timeout=SECONDS).ok


def walk_parameters(
    walker: Walker, method: str, path: str, known: dict[str, str], parameters: list[Json]
) -> None:
    for parameter in parameters:
        name = parameter["name"]
        if parameter["in"] == "path":
            for value in PATHS:
                walker.send(method, path.format(**known | {name: quote(value, safe="%/.;=*'-\\")}))
        else:
            for value in [*PATHS, "0", "1e3", "1.0", "99999999999999999999", "true", "true&" + name + "=1"]:
                walker.send(method, f"{path.format(**known)}?{name}={quote(value, safe='%&=')}")


def walk_body(walker: Walker, method: str, path: str, body: Json) -> None:
    for raw in BODIES:
        walker.send(method, path, raw)
    for value in VALUES:
        walker.send(method, path, json.dumps(value).encode())
    walker.send(method, path, json.dumps(body | {"admin": True, "$set": {"role": "owner"}}).encode())
    for place in places(body):
        for value in [*VALUES, LONE]:
            walker.send(method, path, json.dumps(changed(body, place, value)).encode())


# ---------------------------------------------------------------- events

UNREADABLE = [
    '["sync",{"chats":NaN}]',
    f'["sync",{{"chats":{BEYOND}}}]',
    '["sync",' + "[" * 5000,
    '["sync",{"chats":"\\ud800"}]',
    "{}",
    "[]",
    '[{"$ne":1}]',
    "[1]",
    '["sync"',
    '["sync",{"chats":"' + "x" * 300_000 + '"}]',
]


def good_events(user: User, chat: str) -> dict[str, Json]:
    return {
        "message:send": dict(user.seal(chat, "hello")),
        "message:delivered": {"chat": chat, "seq": 1},
        "message:read": {"chat": chat, "seq": 1},
        "typing": {"chat": chat, "active": True},
        "presence:set": {"status": "online"},
        "presence:watch": {"directory": True},
        "sync": {"chats": {chat: 1}},
    }


def judge_ack(ack: Any) -> str:
    if not isinstance(ack, dict) or not isinstance(ack.get("ok"), bool):
        return f"no ack: {ack!r}"
    if not ack["ok"] and (
        ack.get("code") not in CODES or CODES[ack["code"]][0] >= 500 or not ack.get("detail")
    ):
        return repr(ack)
    return ""


def event_texts(user: User, chat: str) -> Iterator[str]:
    """Events as JSON text that can be read, and so must be acknowledged."""
    good = good_events(user, chat)
    values = [value for value in VALUES if value != BEYOND]
    for event, payload in good.items():
        yield json.dumps([event, payload])
        yield json.dumps([event])
        yield json.dumps([event, payload, payload])
        yield json.dumps([event, *values])
        for value in values:
            yield json.dumps([event, value])
        for place in places(payload, 2):
            for value in values:
                yield json.dumps([event, changed(payload, place, value)])
    header = json.loads(p.un64u(good["message:send"]["protected"]))
    for place in places(header):
        for value in values:
            other = changed(header, place, value)
            yield json.dumps(
                ["message:send", good["message:send"] | {"protected": p.b64u(json.dumps(other).encode())}]
            )
    for raw in BODIES:
        protected = p.b64u(raw[:8000])
        yield json.dumps(["message:send", good["message:send"] | {"protected": protected}])
    for event in (
        "connect",
        "disconnect",
        "message",
        "*",
        "",
        "__proto__",
        "join",
        "x" * 1000,
        "message:send ",
    ):
        for value in ({}, {"token": "x"}, None):
            yield json.dumps([event, value])


def test_every_event_is_acknowledged(server: ServerProcess, mallory: User) -> None:
    """ASVS 2.2.1, 2.2.2."""
    chat = str(uuid.UUID(int=2))
    raw = RawSocket(server.url, mallory.token)
    wrong, cases, codes = [], 0, set()
    for text in event_texts(mallory, chat):
        cases += 1
        ack = raw.emit(text)
        codes.add("ok" if ack and ack.get("ok") else ack and ack.get("code"))
        if complaint := judge_ack(ack):
            wrong.append(f"{text[:200]}: {complaint}")
            if ack is None:
                raw.close()
                raw = RawSocket(server.url, mallory.token)
    raw.close()
    assert not wrong, "\n".join([f"{len(wrong)} of {cases}", *wrong[:40]])
    assert cases >= 1000
    assert {"ok", "invalid", "not_found", "id_conflict", "too_large"} <= codes, "the walk reaches deep"


@pytest.mark.parametrize("text", UNREADABLE, ids=range(len(UNREADABLE)))
def test_what_cannot_be_read_ends_the_connection_alone(
    server: ServerProcess, mallory: User, text: str
) -> None:
    bystander, raw = RawSocket(server.url, mallory.token), RawSocket(server.url, mallory.token)
    assert raw.emit(text) is None
    assert raw.ended()
    ack = bystander.emit('["sync",{"chats":{}}]')
    assert ack is not None and ack["ok"]
    raw.close()
    bystander.close()
