"""The REST side on real parts: SQLite in a file, real bcrypt of the lowest cost, a clock that can be turned forward.

Two things stand in: the event loop (work runs at once) and the sockets (what would be told to them is written down).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from chatsec.domain.accounts import AccountService
from chatsec.domain.credentials import Credentials
from chatsec.domain.keys import KeyService
from chatsec.domain.limits import Limits
from chatsec.domain.models import Account
from chatsec.domain.sessions import SessionService
from chatsec.errors import ChatSecError
from chatsec.passwords import BcryptHasher, common_passwords
from chatsec.rest import accounts as accounts_routes
from chatsec.rest import create_app
from chatsec.rest import keys as keys_routes
from chatsec.storage.sqlite import SqliteStorage
from chatsec.tokens import DerivedTokens
from tests.support.direct import DirectOffload

PASSWORD = "a long and plain passphrase"
SECRET_KEY = "for tests only, known to everyone"


class ShiftedClock:
    """The real time and so much more."""

    def __init__(self) -> None:
        self.shift = 0

    def now(self) -> int:
        return time.time_ns() // 1_000_000 + self.shift

    def forward(self, *, seconds: float = 0, days: float = 0) -> None:
        self.shift += int(seconds * 1000 + days * 86_400_000)


class Told:
    """Stands in for sockets and chats: writes down what they would be told, and refuses for `last_owners`."""

    def __init__(self) -> None:
        self.bundles: list[tuple[str, int]] = []
        self.ended_sessions: list[str] = []
        self.new_bundles: list[str] = []
        self.ended_accounts: list[str] = []
        self.last_owners: set[str] = set()

    def keys(self, username: str, version: int, peers: set[str]) -> None:
        assert username in peers
        self.bundles.append((username, version))

    def session_ended(self, session_id: str) -> None:
        self.ended_sessions.append(session_id)

    def before_deletion(self, username: str) -> None:
        if username in self.last_owners:
            raise ChatSecError("last_owner")

    def of(self, account: Account, viewer: str | None) -> tuple[str, int | None]:
        return "offline", account.last_seen


class Person:
    """Someone logged in on one device: requests with their access token, in a client that keeps their cookies."""

    def __init__(self, client: FlaskClient, answer: TestResponse) -> None:
        assert answer.status_code in (200, 201), answer.get_data(as_text=True)
        self.client = client
        self.answer: dict[str, Any] = answer.get_json()
        self.username: str = self.answer["user"]["username"]
        self.access: str = self.answer["access_token"]
        self.refresh: str = self.answer.get("refresh_token", "")
        self.csrf: str = self.answer.get("csrf_token", "")

    def call(self, method: str, path: str, json: Any = None, **options: Any) -> TestResponse:
        headers = {"Authorization": f"Bearer {self.access}", **options.pop("headers", {})}
        return self.client.open(f"/api/v1{path}", method=method, json=json, headers=headers, **options)


class World:
    """A server with its clock, its store and what it told. `new_app` makes it anew on the same store."""

    def __init__(self, folder: Path) -> None:
        self.clock = ShiftedClock()
        self.told = Told()
        self.offload = DirectOffload()
        self.path = folder / "chatsec.db"
        self.storage = SqliteStorage(self.path, self.offload)
        self.app = self.new_app()

    def new_app(
        self, *, rate_limits: bool = False, registration_open: bool = True, **options: Any
    ) -> APIFlask:
        told, storage, clock, offload = self.told, self.storage, self.clock, self.offload
        limits = Limits(clock, enabled=rate_limits)
        tokens = DerivedTokens(secret_key=SECRET_KEY, clock=clock)
        credentials = Credentials(
            storage=storage,
            hasher=BcryptHasher(rounds=4, offload=offload),
            limits=limits,
            common=common_passwords(),
        )
        self.sessions = SessionService(storage=storage, tokens=tokens, clock=clock, publisher=told)
        keys = KeyService(
            storage=storage,
            credentials=credentials,
            publisher=told,
            limits=limits,
            clock=clock,
            offload=offload,
            on_new_bundle=told.new_bundles.append,
        )
        accounts = AccountService(
            storage=storage,
            credentials=credentials,
            keys=keys,
            sessions=self.sessions,
            tokens=tokens,
            limits=limits,
            clock=clock,
            registration_open=registration_open,
            before_deletion=told.before_deletion,
            on_ended=told.ended_accounts.append,
        )
        self.app = create_app(
            [
                accounts_routes.blueprint(
                    accounts=accounts, sessions=self.sessions, tokens=tokens, presence=told
                ),
                keys_routes.blueprint(keys=keys),
            ],
            sessions=self.sessions,
            limits=limits,
            **options,
        )
        return self.app

    def post(self, path: str, json: Any = None, **options: Any) -> TestResponse:
        """Nobody's request."""
        return self.app.test_client().post(f"/api/v1{path}", json=json, **options)

    def register(self, username: str = "alice", **body: Any) -> Person:
        client = self.app.test_client()
        wanted = {"username": username, "password": PASSWORD, **body}
        return Person(client, client.post("/api/v1/auth/register", json=wanted))

    def log_in(self, username: str = "alice", password: str = PASSWORD, **body: Any) -> Person:
        client = self.app.test_client()
        wanted = {"username": username, "password": password, **body}
        return Person(client, client.post("/api/v1/auth/login", json=wanted))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.storage.close()


def refused(answer: TestResponse, status: int, code: str) -> dict[str, Any]:
    """The problem, after checking that it is this one and has the form of one."""
    problem: dict[str, Any] = answer.get_json(force=True)
    assert (answer.status_code, problem.get("code")) == (status, code), problem
    assert answer.mimetype == "application/problem+json"
    assert problem["status"] == status and problem["title"] and problem["detail"] and problem["type"]
    return problem


def fields(problem: dict[str, Any]) -> set[str]:
    """Which fields an `invalid` names."""
    return {error["field"] for error in problem["errors"]}
