"""Sessions: rotation and reuse, cookies and CSRF, lifetimes, and that an end is an end (protocol §6)."""

from __future__ import annotations

from typing import Any

import jwt
import pytest

from chatsec.crypto import b64u_decode, b64u_encode
from chatsec.tokens import DerivedTokens
from tests.api.conftest import PASSWORD, SECRET_KEY, Person, World, refused

HTTPS = {"base_url": "https://chat.example"}


def refresh(world: World, token: str) -> Any:
    return world.post("/auth/refresh", {"refresh_token": token})


def test_a_refresh_gives_new_tokens_and_the_old_access_token_lives_on(world: World) -> None:
    alice = world.register()
    answer = refresh(world, alice.refresh).get_json()
    assert set(answer) == {"access_token", "refresh_token", "expires_in"}
    assert answer["refresh_token"] != alice.refresh and answer["access_token"] != alice.access
    assert alice.call("GET", "/me").status_code == 200
    alice.access = answer["access_token"]
    assert alice.call("GET", "/me").status_code == 200


def test_a_lost_answer_is_given_again_while_its_successor_is_unused(world: World) -> None:
    alice = world.register()
    first = refresh(world, alice.refresh).get_json()["refresh_token"]
    world.clock.forward(seconds=29)
    assert refresh(world, alice.refresh).get_json()["refresh_token"] == first
    assert refresh(world, first).status_code == 200


def test_a_reused_token_ends_the_session(world: World) -> None:
    """H12: after its successor was used."""
    alice, other = world.register(), world.log_in()
    second = refresh(world, alice.refresh).get_json()["refresh_token"]
    third = refresh(world, second).get_json()["refresh_token"]
    refused(refresh(world, alice.refresh), 401, "unauthorized")
    refused(refresh(world, third), 401, "unauthorized")
    refused(alice.call("GET", "/me"), 401, "unauthorized")
    assert world.ended_sessions == [session_of(alice)]
    assert other.call("GET", "/me").status_code == 200  # that session, no other


def test_a_reused_token_ends_the_session_after_the_grace(world: World) -> None:
    """H12: or when 30 s have passed, successor used or not."""
    alice = world.register()
    successor = refresh(world, alice.refresh).get_json()["refresh_token"]
    world.clock.forward(seconds=31)
    refused(refresh(world, alice.refresh), 401, "unauthorized")
    refused(refresh(world, successor), 401, "unauthorized")
    assert world.ended_sessions == [session_of(alice)]


def test_two_tabs_at_once_get_the_same_successor(world: World) -> None:
    """The second comes while the first is being stored: it loses the race, looks again, and is in the grace."""
    alice = world.register()
    rotate, seen = world.storage.sessions.rotate, []

    def slow(session_id: str, counter: int, at: int) -> bool:
        if not seen:
            seen.append("first")
            seen.append(refresh(world, alice.refresh).get_json()["refresh_token"])
        return rotate(session_id, counter, at)

    world.storage.sessions.rotate = slow  # type: ignore[method-assign]
    assert refresh(world, alice.refresh).get_json()["refresh_token"] == seen[1]


def test_forged_refresh_tokens_are_nothing(world: World) -> None:
    alice = world.register()
    raw = b64u_decode(alice.refresh)
    forged = [
        b64u_encode(raw[:23] + bytes([raw[23] + 1]) + raw[24:]),
        b64u_encode(raw[:-1] + bytes([raw[-1] ^ 1])),
        b64u_encode(raw[:24]),
        alice.refresh[:-1],
        alice.refresh + "A",
        alice.access,
        "",
        "é",
    ]
    for token in forged:
        answer = refresh(world, token)
        assert answer.get_json(force=True)["code"] in ("unauthorized", "invalid"), token
        assert answer.status_code in (400, 401)
    refused(world.post("/auth/refresh", {}), 401, "unauthorized")
    refused(world.post("/auth/refresh", {"refresh_token": 5}), 400, "invalid")
    assert refresh(world, alice.refresh).status_code == 200  # nobody was logged out by that


def test_logout_ends_tokens_at_once(world: World) -> None:
    """ASVS 7.2.4, 7.4.1."""
    alice = world.register()
    assert alice.call("POST", "/auth/logout").status_code == 204
    refused(alice.call("GET", "/me"), 401, "unauthorized")
    refused(refresh(world, alice.refresh), 401, "unauthorized")
    refused(alice.call("POST", "/auth/logout"), 401, "unauthorized")
    assert world.ended_sessions == [session_of(alice)]
    again = world.log_in()
    assert world.post("/auth/logout", {"refresh_token": again.refresh}).status_code == 204
    refused(again.call("GET", "/me"), 401, "unauthorized")


# ---------------------------------------------------------------- lifetimes


def test_access_tokens_live_15_minutes(world: World) -> None:
    alice = world.register()
    world.clock.forward(seconds=14 * 60)
    assert alice.call("GET", "/me").status_code == 200
    world.clock.forward(seconds=60)
    refused(alice.call("GET", "/me"), 401, "token_expired")


def test_a_session_dies_of_30_idle_days(world: World) -> None:
    """ASVS 7.3.1, 7.3.2."""
    alice = world.register()
    for _ in range(3):
        world.clock.forward(days=29)
        alice.refresh = refresh(world, alice.refresh).get_json()["refresh_token"]
    world.clock.forward(days=30)
    refused(refresh(world, alice.refresh), 401, "unauthorized")


def test_a_session_dies_of_180_days_in_all(world: World) -> None:
    """ASVS 7.3.1, 7.3.2."""
    alice = world.register()
    for _ in range(8):
        world.clock.forward(days=22)
        alice.refresh = refresh(world, alice.refresh).get_json()["refresh_token"]
    world.clock.forward(days=4)
    refused(refresh(world, alice.refresh), 401, "unauthorized")
    assert world.log_in().call("GET", "/me/sessions").get_json()["items"][1:] == []


def test_the_sweep_ends_what_outlived_itself_and_nothing_else(world: World) -> None:
    old = world.register()
    world.clock.forward(days=20)
    young = world.log_in()
    world.clock.forward(days=11)
    world.sessions.sweep()
    assert world.ended_sessions == [session_of(old)]
    assert refresh(world, young.refresh).status_code == 200


# ---------------------------------------------------------------- devices


def test_devices_are_listed_and_ended_one_by_one(world: World) -> None:
    """ASVS 7.5.1, 7.5.2."""
    alice = world.register()
    world.clock.forward(seconds=1)
    phone = world.app.test_client().post(
        "/api/v1/auth/login",
        json={"username": "alice", "password": PASSWORD},
        headers={"User-Agent": "Phone\t1" + "x" * 500},
    )
    devices = alice.call("GET", "/me/sessions").get_json()["items"]
    assert [device["current"] for device in devices] == [False, True]
    assert devices[0]["agent"].startswith("Phone1xxx") and len(devices[0]["agent"]) == 200
    assert alice.call("DELETE", f"/me/sessions/{devices[0]['id']}").status_code == 204
    refused(refresh(world, phone.get_json()["refresh_token"]), 401, "unauthorized")
    assert world.ended_sessions == [devices[0]["id"]]
    refused(alice.call("DELETE", f"/me/sessions/{devices[0]['id']}"), 404, "not_found")


@pytest.mark.parametrize(
    "wrong", ["", "x", "../me", "00000000-0000-4000-8000-000000000000", "%00", "' OR 1=1"]
)
def test_what_is_no_device_of_mine_is_not_found(world: World, wrong: str) -> None:
    alice = world.register()
    answer = alice.call("DELETE", f"/me/sessions/{wrong}")
    assert (
        answer.status_code in (404, 405) and len(alice.call("GET", "/me/sessions").get_json()["items"]) == 1
    )


def test_anothers_device_is_not_found(world: World) -> None:
    alice, mallory = world.register(), world.register("mallory")
    refused(mallory.call("DELETE", f"/me/sessions/{session_of(alice)}"), 404, "not_found")
    assert alice.call("GET", "/me").status_code == 200


# ---------------------------------------------------------------- access tokens that are none


def test_access_tokens_are_judged_whole(world: World) -> None:
    """ASVS 9.1.1, 9.1.2, 9.2.1, 9.2.2, 9.2.3: each part of a token by itself is enough to refuse it."""
    alice, mallory = world.register(), world.register("mallory")
    claims = jwt.decode(alice.access, options={"verify_signature": False})
    bad = [
        jwt.encode(claims, None, algorithm="none"),
        jwt.encode(claims, "another server's secret, as long as ours", algorithm="HS256"),
        alice.access[:-2] + ("A" if alice.access[-2] != "A" else "B") + alice.access[-1],
        alice.access.rsplit(".", 1)[0] + ".",
        ".".join([*alice.access.split(".")[:1], mallory.access.split(".")[1], alice.access.split(".")[2]]),
        alice.refresh,
        "x" * 5000,
        "ey",
        "",
    ]
    for token in bad:
        alice.access = token
        refused(alice.call("GET", "/me"), 401, "unauthorized")


@pytest.mark.parametrize(
    "change",
    [
        {"type": "refresh"},
        {"type": "recovery"},
        {"iss": "other"},
        {"aud": "other"},
        {"sid": "00000000-0000-4000-8000-000000000000"},
        {"sub": "mallory"},
        {"sub": 5},
        {"sid": None},
        {"exp": "soon"},
    ],
)
def test_a_token_signed_by_us_must_still_be_the_right_one(world: World, change: dict[str, Any]) -> None:
    """ASVS 9.2.1, 9.2.2, 9.2.3: another type, audience, session or time, under the right key."""
    alice = world.register()
    claims = jwt.decode(alice.access, options={"verify_signature": False})
    secret = DerivedTokens(secret_key=SECRET_KEY, clock=world.clock)._mac("jwt", b"").hex()
    alice.access = jwt.encode(claims, secret, algorithm="HS256")
    assert alice.call("GET", "/me").status_code == 200  # so it is the change that is refused
    alice.access = jwt.encode({**claims, **change}, secret, algorithm="HS256")
    refused(alice.call("GET", "/me"), 401, "unauthorized")
    alice.access = jwt.encode(claims, secret, algorithm="HS512")
    refused(alice.call("GET", "/me"), 401, "unauthorized")


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Basic YTpi", "bearer x y", "Token x"])
def test_without_a_bearer_token_it_is_unauthorized(world: World, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header}
    answer = world.app.test_client().get("/api/v1/me", headers=headers)
    refused(answer, 401, "unauthorized")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_a_token_in_the_url_is_no_token(world: World) -> None:
    """ASVS 14.2.1."""
    alice = world.register()
    for name in ("access_token", "token", "jwt"):
        refused(alice.client.get(f"/api/v1/me?{name}={alice.access}"), 401, "unauthorized")


# ---------------------------------------------------------------- the cookie


def log_in_with_cookie(world: World, **options: Any) -> tuple[Person, str]:
    """Someone whose refresh token is in a cookie, and the Set-Cookie header."""
    client = world.app.test_client()
    body = {"username": "alice", "password": PASSWORD, "refresh_in": "cookie"}
    answer = client.post("/api/v1/auth/login", json=body, **options)
    return Person(client, answer), answer.headers["Set-Cookie"]


def test_the_cookie_over_https_is_host_bound(world: World) -> None:
    """ASVS 3.3.1, 3.3.2, 3.3.3, 3.3.4."""
    world.register()
    alice, cookie = log_in_with_cookie(world, **HTTPS)
    parts = [part.strip() for part in cookie.split(";")]
    assert parts[0].startswith("__Host-chatsec_refresh=")
    assert {"Secure", "HttpOnly", "SameSite=Strict", "Path=/"} <= set(parts)
    assert not any(part.startswith("Domain") for part in parts)
    assert "refresh_token" not in alice.answer and alice.csrf


def test_the_cookie_over_plain_http_bears_another_name(world: World) -> None:
    world.register()
    _, cookie = log_in_with_cookie(world)
    assert cookie.startswith("chatsec_refresh=") and "HttpOnly" in cookie and "SameSite=Strict" in cookie
    assert "Secure" not in cookie


@pytest.mark.parametrize("options", [{}, HTTPS])
def test_refresh_by_cookie_needs_the_csrf_token(world: World, options: dict[str, str]) -> None:
    """ASVS 3.5.1, 3.5.2, 3.5.3."""
    world.register()
    alice, first = log_in_with_cookie(world, **options)
    for headers in ({}, {"X-CSRF-Token": ""}, {"X-CSRF-Token": "é"}, {"X-CSRF-Token": alice.csrf[:-1]}):
        answer = alice.client.post("/api/v1/auth/refresh", json={}, headers=headers, **options)
        refused(answer, 403, "csrf_failed")
    answer = alice.client.post("/api/v1/auth/refresh", headers={"X-CSRF-Token": alice.csrf}, **options)
    assert answer.status_code == 200 and "refresh_token" not in answer.get_json()
    assert answer.headers["Set-Cookie"].split(";")[0] != first.split(";")[0]
    alice.access = answer.get_json()["access_token"]
    assert alice.call("GET", "/me").status_code == 200


def test_anothers_csrf_token_does_not_do(world: World) -> None:
    world.register()
    alice, _ = log_in_with_cookie(world)
    other, _ = log_in_with_cookie(world)
    answer = alice.client.post("/api/v1/auth/refresh", json={}, headers={"X-CSRF-Token": other.csrf})
    refused(answer, 403, "csrf_failed")


def test_logout_by_cookie_needs_the_csrf_token_and_takes_the_cookie_away(world: World) -> None:
    """ASVS 3.5.1, 3.5.2, 3.5.3."""
    world.register()
    alice, _ = log_in_with_cookie(world, **HTTPS)
    refused(alice.client.post("/api/v1/auth/logout", json={}, **HTTPS), 403, "csrf_failed")
    assert alice.call("GET", "/me").status_code == 200
    answer = alice.client.post("/api/v1/auth/logout", headers={"X-CSRF-Token": alice.csrf}, **HTTPS)
    assert answer.status_code == 204
    assert "Max-Age=0" in answer.headers["Set-Cookie"] and "Secure" in answer.headers["Set-Cookie"]
    refused(alice.call("GET", "/me"), 401, "unauthorized")
    headers = {"X-CSRF-Token": alice.csrf}
    refused(alice.client.post("/api/v1/auth/refresh", headers=headers, **HTTPS), 401, "unauthorized")


def test_the_cookie_alone_authenticates_nothing(world: World) -> None:
    world.register()
    alice, _ = log_in_with_cookie(world)
    for method, path in (("GET", "/me"), ("PATCH", "/me"), ("GET", "/me/sessions"), ("PUT", "/me/state")):
        refused(alice.client.open(f"/api/v1{path}", method=method, json={}), 401, "unauthorized")


def test_no_get_changes_anything(world: World) -> None:
    """ASVS 3.5.3."""
    alice = world.register()
    for path in ("/auth/logout", "/auth/refresh", "/auth/login", "/me/deletion", "/me/password"):
        refused(alice.call("GET", path), 405, "method_not_allowed")
    assert alice.call("GET", "/me").status_code == 200


def session_of(person: Person) -> str:
    """The id of the session that an access token belongs to."""
    sid: str = jwt.decode(person.access, options={"verify_signature": False})["sid"]
    return sid
