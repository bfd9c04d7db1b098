"""What the log says of requests and faults, and that it keeps secrets out."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import structlog
from flask import Response, request

from chatsec import logs
from chatsec.errors import ChatSecError
from chatsec.metrics import Metrics
from chatsec.rest import log
from tests.api.conftest import PASSWORD, World, refused
from tests.api.site import CANARY, TOKEN, Site

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJlc2lnbmF0dXJl"
HASH = "q1w2e3r4t5y6u7i8o9p0q1w2e3r4t5y6u7i8o9p0q1w"


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """What the log wrote; puts everything back afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    logs.configure("debug", stream)
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.fixture
def site(world: World) -> Site:
    return Site(world)


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_both_loggers_write_one_json_object_a_line(written: io.StringIO) -> None:
    structlog.get_logger("ours").warning("one\nline", size=3)
    logging.getLogger("theirs").error("number %d", 7, extra={"chat": "x"})
    first, second = lines(written)
    assert (first["event"], first["size"], first["level"], first["logger"]) == (
        "one\nline",
        3,
        "warning",
        "ours",
    )
    assert (second["event"], second["chat"], second["level"], second["logger"]) == (
        "number 7",
        "x",
        "error",
        "theirs",
    )
    assert first["timestamp"].endswith("Z")


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "new_password",
        "access_token",
        "refresh_token",
        "Authorization",
        "cookie",
        "secret_key",
        "recovery_auth",
        "key_backup",
        "client_share",
        "wrapped",
        "ciphertext",
        "pkcs8",
        "plaintext",
        "body",
        "csrf_token",
    ],
)
def test_what_is_named_like_a_secret_is_blanked(written: io.StringIO, name: str) -> None:
    structlog.get_logger("x").info("e", **{name: CANARY})
    structlog.get_logger("x").info("e", deep={"list": [{name: {"deeper": CANARY}}]})
    logging.getLogger("y").info("e", extra={name: [CANARY]})
    assert CANARY not in written.getvalue() and written.getvalue().count("[removed]") == 3


@pytest.mark.parametrize(
    "text", [JWT, f"Bearer {CANARY}", f"bearer   {CANARY}", f"GET /x?token={CANARY}&a=b", HASH, f"x={HASH}"]
)
def test_what_looks_like_a_secret_is_removed(written: io.StringIO, text: str) -> None:
    structlog.get_logger("x").info(f"before {text}", detail=[text], map={text: 1})
    logging.getLogger("y").info("%s", text)
    for secret in (JWT, CANARY, HASH):
        assert secret not in written.getvalue()


def test_what_is_no_secret_stays(written: io.StringIO) -> None:
    chat = "0b4b9a3e-0000-4000-8000-000000000000"
    structlog.get_logger("x").info(
        "request", route=f"/api/v1/chats/{chat}/attachments", status=200, ok=True, ms=1.5
    )
    (line,) = lines(written)
    assert line["route"] == f"/api/v1/chats/{chat}/attachments"
    assert (line["status"], line["ok"], line["ms"]) == (200, True, 1.5)


def test_bytes_and_what_is_too_deep_are_blanked(written: io.StringIO) -> None:
    deep: Any = CANARY
    for _ in range(50):
        deep = [deep]
    structlog.get_logger("x").info("e", data=CANARY.encode(), deep=deep, view=memoryview(CANARY.encode()))
    assert CANARY not in written.getvalue()


def test_an_exception_is_types_and_places_without_what_it_quotes(written: io.StringIO) -> None:
    def fails(password: str) -> None:
        try:
            raise ValueError(f"bad input {password}")
        except ValueError as error:
            raise KeyError(password) from error

    for logger in (structlog.get_logger("x"), logging.getLogger("y")):
        try:
            fails(CANARY)
        except KeyError:
            logger.exception("fault")
    first, second = lines(written)
    for line in (first, second):
        assert line["error"] == ["KeyError", "ValueError"]
        assert any(place.startswith("test_log.py:") and place.endswith(" fails") for place in line["places"])
    assert CANARY not in written.getvalue()


def test_our_own_and_the_systems_errors_keep_their_words(written: io.StringIO) -> None:
    for error in (ChatSecError("unavailable", "the disk is full"), OSError(28, "No space left on device")):
        try:
            raise error
        except (ChatSecError, OSError):
            structlog.get_logger("x").exception("fault")
    text = written.getvalue()
    assert "the disk is full" in text and "No space left on device" in text


def test_a_request_is_one_line_of_what_we_know(site: Site, written: io.StringIO) -> None:
    site.get(f"/api/v1/server?password={CANARY}", "192.0.2.7", Authorization=f"Bearer {JWT}", Cookie=CANARY)
    (line,) = [line for line in lines(written) if line["event"] == "request"]
    assert line["method"] == "GET" and line["route"] == "/api/v1/server" and line["status"] == 200
    assert line["address"] == "192.0.2.7" and line["username"] is None and line["ms"] >= 0
    assert CANARY not in written.getvalue() and JWT not in written.getvalue()


def test_a_forged_address_is_not_believed(site: Site, world: World, written: io.StringIO) -> None:
    """ASVS 4.1.3, 15.3.4."""
    site.get("/api/v1/server", "192.0.2.7", X_Forwarded_For="203.0.113.9", X_Real_IP="203.0.113.9")
    assert "203.0.113.9" not in written.getvalue()
    site.app = site.new_app(world, TOKEN, trusted_proxies=1)
    site.get("/api/v1/server", "127.0.0.1", X_Forwarded_For="198.51.100.5, 203.0.113.9")
    assert lines(written)[-1]["address"] == "203.0.113.9"


def test_what_clients_write_is_in_no_line(site: Site, written: io.StringIO) -> None:
    client = site.app.test_client()
    for method in ("GET", "POST", "PUT", "DELETE", "BREW"):
        for path in (f"/{CANARY}", f"/api/v1/{CANARY}?{CANARY}={CANARY}", "/api/v1/server"):
            client.open(
                path,
                method=method,
                data=orjson.dumps({CANARY: CANARY, "password": CANARY}),
                content_type="application/json",
                headers={"User-Agent": CANARY, "Authorization": f"Bearer {CANARY}", "Referer": CANARY},
            )
    assert CANARY not in written.getvalue()
    assert len(lines(written)) >= 15


def test_a_fault_of_ours_is_logged_without_its_values(site: Site, written: io.StringIO) -> None:
    def broken() -> Response:
        raise RuntimeError(f"{CANARY} {request.data!r}")

    site.app.add_url_rule("/broken", "broken", broken)
    refused(site.get("/broken"), 503, "unavailable")
    assert CANARY not in written.getvalue() and "RuntimeError" in written.getvalue()


def test_the_whole_life_of_an_account_leaves_no_secret(world: World, written: io.StringIO) -> None:
    app = world.new_app()
    log.install(app, Metrics())
    alice = world.register("alice", display_name="Alice")
    secrets = {PASSWORD, alice.access, alice.refresh, "a quite different passphrase", CANARY}
    again = world.log_in("alice")
    secrets |= {again.access, again.refresh}
    refused(world.post("/auth/login", {"username": "alice", "password": CANARY}), 401, "invalid_credentials")
    refreshed = world.post("/auth/refresh", {"refresh_token": again.refresh}).get_json()
    secrets |= {refreshed["access_token"], refreshed["refresh_token"]}
    alice.call(
        "PUT",
        "/me/password",
        {
            "password": PASSWORD,
            "new_password": "a quite different passphrase",
            "kdf": None,
            "key_backup": None,
        },
    )
    world.post("/auth/logout", {"refresh_token": alice.refresh})
    text = written.getvalue()
    for secret in secrets:
        assert secret not in text
        for part in secret.split("."):
            assert len(part) < 12 or part not in text
    events = [line for line in lines(written) if line["logger"] == "chatsec.auth"]
    assert [line["event"] for line in events] == [
        "registered",
        "logged in",
        "log-in refused",
        "password changed",
        "logged out",
    ]
    assert all(line["username"] == "alice" and line["address"] == "127.0.0.1" for line in events)


def test_the_log_level_holds_for_both_loggers(tmp_path: Path, written: io.StringIO) -> None:
    logs.configure("warning", written)
    structlog.get_logger("x").info("quiet")
    logging.getLogger("y").info("quiet")
    structlog.get_logger("x").warning("loud")
    assert [line["event"] for line in lines(written)] == ["loud"]
