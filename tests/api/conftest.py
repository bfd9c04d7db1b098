"""The REST side on real parts: SQLite in a file, real bcrypt of the lowest cost, a clock that can be turned forward.

Two things stand in: the event loop (work runs at once) and the sockets (what they are told is written down).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from chatsec.bootstrap import build
from chatsec.config import from_env
from chatsec.storage.sqlite import SqliteStorage
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
    """The whole server as bootstrap builds it, but for the loop: work runs at once, each append by whoever asks for it.

    What sockets are told is written down in `packets`. `new_app` makes the server anew on the same store.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "chatsec.db"
        self.clock = ShiftedClock()
        self.offload = DirectOffload()
        self.storage = SqliteStorage(self.path, self.offload)
        self.packets: list[tuple[str, Any, Any]] = []  # (event, data, rooms)
        self.app = self.new_app()

    def new_app(self, *, rate_limits: bool = False, **settings: Any) -> APIFlask:
        wanted = from_env({"SECRET_KEY": SECRET_KEY, "DATA_DIR": str(self.folder), "BCRYPT_ROUNDS": "4"})
        wanted = replace(wanted, page_dir=self.folder / "no page", rate_limits=rate_limits, **settings)
        self.server = build(
            wanted, self.offload, async_mode="threading", storage=self.storage, clock=self.clock
        )
        self.sessions = self.server.services.sessions
        committer = self.server.committer
        committer._rouse = lambda: committer._commit(committer._take())  # type: ignore[method-assign]
        self.server.sio.emit = lambda event, data, to=None, **_: self.packets.append((event, data, to))
        self.app = self.server.app
        return self.app

    @property
    def ended_sessions(self) -> list[str]:
        """Whose sockets were cut, in order."""
        return [to.removeprefix("session:") for event, _, to in self.packets if event == "session:revoked"]

    def told(self, event: str) -> list[Any]:
        """What was said of one kind, in order."""
        return [data for name, data, _ in self.packets if name == event]

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
