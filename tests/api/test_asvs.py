"""What docs/security-checklist.md asks for and no other test shows: a fresh server, guessing, secrets, what lies open."""

from __future__ import annotations

import math
from pathlib import Path

import bcrypt
import jwt
import pytest

from chatsec.config import from_env
from chatsec.crypto import b64u_decode
from chatsec.passwords import BcryptHasher
from tests.api.conftest import PASSWORD, World, refused
from tests.support.direct import DirectOffload


@pytest.mark.parametrize("name", ["admin", "root", "test", "chatsec", "administrator"])
def test_a_fresh_server_knows_nobody(world: World, name: str) -> None:
    """ASVS 6.3.2: nobody can log in before they have registered, under any password that might be a default."""
    for password in (name, "password", "changeme", "chatsec123"):
        answer = world.post("/auth/login", {"username": name, "password": password})
        assert answer.status_code in (400, 401), answer.get_data(as_text=True)
    found = world.register("alice").call("GET", "/users?query=").get_json()["items"]
    assert [user["username"] for user in found] == ["alice"]


def test_guessing_is_slow_and_an_open_session_goes_on(world: World) -> None:
    """ASVS 6.3.1, 6.1.1: 1,000 guesses at an account get 10 answers; who is logged in does not notice."""
    world.new_app(rate_limits=True)
    alice = world.register()
    codes = [
        world.post("/auth/login", {"username": "alice", "password": f"wrong password {number}"}).status_code
        for number in range(1000)
    ]
    assert codes.count(401) == 10 and codes.count(429) == 990
    refused(
        world.post("/auth/login", {"username": "alice", "password": PASSWORD}), 429, "rate_limited"
    )  # the right one, from where all the guesses came
    assert alice.call("GET", "/me").status_code == 200
    assert world.post("/auth/refresh", {"refresh_token": alice.refresh}).status_code == 200
    world.clock.forward(seconds=300)
    assert world.log_in().username == "alice"


def test_secrets_have_256_bits(world: World, tmp_path: Path) -> None:
    """ASVS 7.2.3, 11.5.1: tokens end in a MAC of 256 bits; the server's secret is as long, and new for each server."""
    alice = world.register(refresh_in="cookie")
    bob = world.register("bob")
    assert len(b64u_decode(bob.refresh)) == 24 + 32 and len(b64u_decode(alice.csrf)) == 32
    assert jwt.get_unverified_header(alice.access)["alg"] == "HS256"
    assert len(b64u_decode(alice.access.rpartition(".")[2])) == 32
    secrets = {from_env({"DATA_DIR": str(tmp_path / name)}).secret_key for name in ("one", "two")}
    assert len(secrets) == 2
    assert all(len(set(secret)) > 8 and len(secret) * math.log2(16) >= 256 for secret in secrets)


def test_stored_passwords_are_bcrypt_of_cost_12(world: World, tmp_path: Path) -> None:
    """ASVS 11.4.2: unless somebody sets another cost, and never cut at 72 bytes."""
    settings = from_env({"DATA_DIR": str(tmp_path)})
    assert settings.bcrypt_rounds == 12
    hashed = BcryptHasher(rounds=settings.bcrypt_rounds, offload=DirectOffload()).hash(PASSWORD)
    assert hashed.startswith(b"$2b$12$")
    assert not bcrypt.checkpw(PASSWORD.encode(), hashed)  # what is hashed is no prefix of 72 bytes of it


def test_nothing_lies_open(world: World) -> None:
    """ASVS 13.4.1, 13.4.2, 13.4.3, 13.4.4: ASVS 13.4.1 to 13.4.5, 13.3.1: no repository, settings, database, debugger or list of files is served."""
    client = world.app.test_client()
    assert not world.app.debug and not world.app.testing
    for path in (
        "/.git/config",
        "/.env",
        "/chatsec.db",
        "/secret_key",
        "/data/",
        "/backend/app.py",
        "/console",
        "/server-status",
        "/api/",
        "/api/v1/",
        "/socket.io.js",
        "/static/",
        "/attachments/",
    ):
        answer = client.get(path)
        assert answer.status_code == 404, path
        assert "Traceback" not in answer.get_data(as_text=True)
        assert "Werkzeug" not in answer.headers.get("Server", "")


def test_no_answer_may_be_kept(world: World) -> None:
    """ASVS 14.3.2: whatever the API answers, refusals too, no cache may keep."""
    alice = world.register()
    for method, path in (
        ("GET", "/me"),
        ("GET", "/me/key-backup"),
        ("GET", "/me/sessions"),
        ("GET", "/chats"),
        ("GET", "/nothing"),
        ("POST", "/auth/refresh"),
        ("DELETE", "/me"),
    ):
        assert alice.call(method, path).headers["Cache-Control"] == "no-store", path
