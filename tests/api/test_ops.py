"""What the server says of itself, and who may read its metrics."""

from __future__ import annotations

from typing import Any

import pytest

from chatsec.errors import ChatSecError
from chatsec.metrics import Metrics
from chatsec.rest import ops
from tests.api.conftest import World, refused
from tests.api.site import CANARY, TOKEN, Site
from tests.support.direct import DirectOffload


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
