"""Two workers on one MongoDB: one starts, and sweeps, while an upload comes in through the other; nothing is lost."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import requests
from gridfs import GridFSBucket
from pymongo import MongoClient

from tests.support.client import User
from tests.support.mongo import empty, shared
from tests.support.server import ServerProcess

PART = b"0123456789abcdef" * 40_000
DEADLINE = 20  # seconds


def test_a_worker_starts_while_another_takes_an_upload(tmp_path: Path) -> None:
    uri = shared().uri("uploads")
    empty(uri)
    env = {"MONGO_URI": uri, "SECRET_KEY": "only-for-tests-" * 3}
    (tmp_path / "b").mkdir()
    first, second = ServerProcess(tmp_path, **env), ServerProcess(tmp_path / "b", **env)

    def body() -> Iterator[bytes]:
        yield PART
        plant_orphan(uri)
        second.start()
        wait_for_sweep(uri)
        yield PART

    with first:
        alice, bob = User.register(first.url, "alice", 0), User.register(first.url, "bob", 1)
        path = f"/api/v1/chats/{alice.create_chat('bob')}/attachments"
        try:
            made = requests.post(first.url + path, body(), headers=headers(alice), timeout=60)
            assert made.status_code == 201, made.text
            got = requests.get(f"{second.url}{path}/{made.json()['id']}", headers=headers(bob), timeout=30)
            assert got.status_code == 200 and got.content == PART * 2
        finally:
            second.stop()
        alice.close()
        bob.close()
    for server in (first, second):
        assert "Traceback" not in server.log()


def headers(user: User) -> dict[str, str]:
    return {"Authorization": f"Bearer {user.token}", "Content-Type": "application/octet-stream"}


def plant_orphan(uri: str) -> None:
    """A file of two hours ago, that no chat has."""
    with MongoClient[dict[str, Any]](uri) as client:
        database = client.get_default_database()
        GridFSBucket(database, "attachments").upload_from_stream_with_id("orphan", "orphan", b"x")
        (doc,) = database["attachments.files"].find({"_id": "orphan"})
        then = doc["uploadDate"] - timedelta(hours=2)
        database["attachments.files"].update_one({"_id": "orphan"}, {"$set": {"uploadDate": then}})


def wait_for_sweep(uri: str) -> None:
    deadline = time.monotonic() + DEADLINE
    with MongoClient[dict[str, Any]](uri) as client:
        files = client.get_default_database()["attachments.files"]
        while files.find_one({"_id": "orphan"}):
            assert time.monotonic() < deadline, "the worker that starts did not sweep"
            time.sleep(0.05)
        assert files.find_one({}), "the upload is still on its way"
