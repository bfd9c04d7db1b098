"""What the server says of itself, who may read its metrics, and that its log keeps secrets out."""

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
from apiflask import APIFlask
from flask import Response, request

from chatsec import logs
from chatsec.domain.limits import Limits
from chatsec.errors import ChatSecError
from chatsec.metrics import Metrics
from chatsec.rest import create_app, log, ops
from tests.api.conftest import PASSWORD, World, refused
from tests.support.direct import DirectOffload

TOKEN = "the metrics token of this test"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJlc2lnbmF0dXJl"
HASH = "q1w2e3r4t5y6u7i8o9p0q1w2e3r4t5y6u7i8o9p0q1w"
CANARY = "canary-that-must-not-sing"


class Store:
    """A store that can be pinged, until it cannot."""

    def __init__(self) -> None:
        self.error: ChatSecError | None = None
        self.pings = 0

    def ping(self) -> None:
        self.pings += 1
        if self.error:
            raise self.error


class Site:
    def __init__(self, world: World) -> None:
        self.store = Store()
        self.metrics = Metrics()
        self.app = self.new_app(world, TOKEN)

    def new_app(self, world: World, token: str, **options: Any) -> APIFlask:
        routes = ops.blueprint(
            ping=self.store.ping,
            metrics=self.metrics,
            metrics_token=token,
            version="9.8.7",
            key_mode="server",
            registration="closed",
        )
        app = create_app(
            [routes], sessions=world.sessions, limits=Limits(world.clock, enabled=False), **options
        )
        log.install(app, self.metrics)
        return app

    def get(self, path: str, address: str = "127.0.0.1", **headers: str) -> Any:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.app.test_client().get(path, headers=sent, environ_overrides={"REMOTE_ADDR": address})


@pytest.fixture
def site(world: World, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setattr(ops, "PING_PAUSE", 0.0)
    return Site(world)


# ---------------------------------------------------------------- what it is


def test_alive_and_ready(site: Site) -> None:
    assert site.get("/healthz").get_json() == {"status": "ok"}
    assert site.get("/readyz").get_json() == {"status": "ready"}


def test_a_store_that_is_down_shows_with_its_reason_and_comes_back(site: Site) -> None:
    site.store.error = ChatSecError("unavailable", "the disk is full")
    assert refused(site.get("/readyz"), 503, "unavailable")["detail"] == "the disk is full"
    assert site.get("/healthz").status_code == 200
    site.store.error = None
    assert site.get("/readyz").status_code == 200


def test_asking_often_is_no_load(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ops, "PING_PAUSE", 1000.0)
    site.store.error = ChatSecError("unavailable")
    for _ in range(20):
        refused(site.get("/readyz"), 503, "unavailable")
    assert site.store.pings == 1


def test_the_server_says_what_it_is(site: Site) -> None:
    about = site.get("/api/v1/server").get_json()
    limits = about.pop("limits")
    assert about == {
        "name": "Chat-Sec",
        "version": "9.8.7",
        "protocol": 1,
        "key_mode": "server",
        "registration": "closed",
    }
    assert limits == {  # protocol §8
        "message": 64 * 1024,
        "header": 4 * 1024,
        "body": 256 * 1024,
        "large_body": 1024 * 1024,
        "keys_body": 3 * 1024 * 1024,
        "attachment": 100 * 1024 * 1024,
        "members": 200,
        "page": 200,
        "epochs_per_hour": 10,
        "messages_per_second": 20,
        "messages_burst": 60,
        "logins_per_5_minutes": 10,
    }


# ---------------------------------------------------------------- metrics


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"])
def test_metrics_from_loopback(site: Site, address: str) -> None:
    answer = site.get("/metrics", address)
    assert answer.status_code == 200 and answer.mimetype == "text/plain"
    for name in ("chatsec_loop_lag_seconds", "chatsec_sockets", "chatsec_http_requests_total"):
        assert f"# HELP {name} " in answer.text


@pytest.mark.parametrize(
    "address", ["192.0.2.7", "10.0.0.1", "2001:db8::1", "::ffff:192.0.2.7", "", "localhost"]
)
def test_metrics_are_for_nobody_else(site: Site, address: str) -> None:
    """ASVS 13.4.5."""
    refused(site.get("/metrics", address), 401, "unauthorized")
    refused(site.get("/metrics", address, X_Forwarded_For="127.0.0.1"), 401, "unauthorized")
    refused(site.get("/metrics", address, Authorization=f"Bearer {TOKEN}x"), 401, "unauthorized")
    refused(site.get("/metrics", address, Authorization="Bearer ü"), 401, "unauthorized")
    refused(site.get(f"/metrics?token={TOKEN}", address), 401, "unauthorized")
    assert site.get("/metrics", address, Authorization=f"Bearer {TOKEN}").status_code == 200


@pytest.mark.parametrize(
    "forwarded", ["X_Forwarded_For", "Forwarded", "X_Real_IP", "X_Forwarded_Host", "X_Forwarded_Proto", "Via"]
)
def test_a_local_proxy_is_not_loopback(site: Site, world: World, forwarded: str) -> None:
    headers = {forwarded: "127.0.0.1"}
    refused(site.get("/metrics", **headers), 401, "unauthorized")
    assert site.get("/metrics", **headers, Authorization=f"Bearer {TOKEN}").status_code == 200
    site.app = site.new_app(world, TOKEN, trusted_proxies=1)
    refused(site.get("/metrics", **headers), 401, "unauthorized")


def test_no_token_means_no_token(site: Site, world: World) -> None:
    site.app = site.new_app(world, "")
    for value in ("Bearer ", "Bearer", "Bearer  ", "", "Bearer None"):
        refused(site.get("/metrics", "192.0.2.7", Authorization=value), 401, "unauthorized")
    assert site.get("/metrics").status_code == 200


def test_requests_are_counted_by_route_whatever_clients_write(site: Site) -> None:
    for path in ("/healthz", f"/{CANARY}", f"/api/v1/{CANARY}", f"/healthz?{CANARY}=1"):
        site.get(path)
    site.app.test_client().open("/healthz", method=CANARY.upper())
    text = site.get("/metrics").text
    assert 'chatsec_http_requests_total{method="GET",route="/healthz",status="200"} 2.0' in text
    assert 'chatsec_http_requests_total{method="other",route="-",status="404"} 2.0' in text
    assert 'chatsec_errors_total{code="not_found"} 2.0' in text
    assert CANARY not in text.lower()


def test_events_are_counted_by_what_became_of_them() -> None:
    metrics = Metrics()

    def handler(result: str) -> dict[str, bool]:
        if result == "refused":
            raise ChatSecError("stale_epoch")
        return {"duplicate": result == "again"}

    counted = metrics.counted("message:send", handler)
    assert counted("new") == {"duplicate": False} and counted("again") == {"duplicate": True}
    for _ in range(2):
        with pytest.raises(ChatSecError, match="stale_epoch"):
            counted("refused")
    text = metrics.text().decode()
    for result, count in (("ok", 1), ("duplicate", 1), ("stale_epoch", 2)):
        assert f'chatsec_events_total{{event="message:send",result="{result}"}} {count}.0' in text
    assert 'chatsec_errors_total{code="stale_epoch"} 2.0' in text


def test_the_gauge_tells_the_latest_turn_of_ten_seconds() -> None:
    now = [0.0]
    metrics = Metrics(lambda: now[0])
    assert metrics.loop_lag() == 0
    metrics.look(0.3)
    now[0] = 6
    metrics.look(0.001)
    metrics.look(-1)
    assert metrics.loop_lag() == 0.3
    now[0] = 10.5
    assert metrics.loop_lag() == 0.001
    now[0] = 100
    assert metrics.loop_lag() == 0


def test_the_loop_is_late_by_what_held_it() -> None:
    class Held(DirectOffload):
        """A loop whose every turn comes a quarter of a second late; the third one ends the test."""

        turns = 0

        def start(self, function: Any, *args: Any) -> None:
            with pytest.raises(StopIteration):
                function(*args)

        def sleep(self, seconds: float) -> None:
            self.turns += 1
            if self.turns == 3:
                raise StopIteration
            now[0] += seconds + 0.25

    now = [0.0]
    metrics = Metrics(lambda: now[0])
    metrics.watch_loop(Held())
    assert metrics.loop_lag() == pytest.approx(0.25)
    assert "chatsec_loop_lag_seconds 0.25" in metrics.text().decode()


# ---------------------------------------------------------------- the log


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
        assert any(place.startswith("test_ops.py:") and place.endswith(" fails") for place in line["places"])
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
