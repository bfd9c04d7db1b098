"""What holds for every route: problem details, sizes and types, headers, CORS, limits, and the OpenAPI page."""

from __future__ import annotations

from typing import Any

import pytest

from chatsec.errors import CODES
from tests.api.conftest import PASSWORD, Person, World, refused

LOGIN = {"username": "alice", "password": PASSWORD}
WRONG = {"username": "alice", "password": "not the password"}


# ---------------------------------------------------------------- paths, types, sizes


@pytest.mark.parametrize(
    "path", ["/api/v1/nothing", "/api/v2/me", "/api/v1/me/", "/api/v1//me", "/api/v1/%00"]
)
def test_unknown_paths_are_not_found(world: World, path: str) -> None:
    refused(world.app.test_client().get(path), 404, "not_found")


def test_a_wrong_method_names_the_right_ones(world: World) -> None:
    answer = world.app.test_client().delete("/api/v1/auth/login")
    refused(answer, 405, "method_not_allowed")
    assert "POST" in answer.headers["Allow"]


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""]
)
def test_only_json_is_read(world: World, content_type: str) -> None:
    """What an HTML form on another page can send is never taken for a request."""
    answer = world.app.test_client().post("/api/v1/auth/login", data=b"{}", content_type=content_type)
    refused(answer, 415, "unsupported_media_type")


def test_a_charset_beside_the_type_is_fine(world: World) -> None:
    world.register()
    answer = world.app.test_client().post(
        "/api/v1/auth/login", json=LOGIN, content_type="application/json; charset=utf-8"
    )
    assert answer.status_code == 200


def test_what_cannot_be_accepted_is_said(world: World) -> None:
    alice = world.register()
    for accept in ("text/html", "application/xml", "application/json;q=0", "garbage"):
        refused(alice.call("GET", "/me", headers={"Accept": accept}), 406, "not_acceptable")
    for accept in ("*/*", "application/*", "text/html, application/json;q=0.1", ""):
        assert alice.call("GET", "/me", headers={"Accept": accept}).status_code == 200, accept


@pytest.mark.parametrize(
    ("method", "path", "limit"),
    [
        ("POST", "/auth/login", 256),
        ("PATCH", "/me", 256),
        ("POST", "/auth/register", 1024),
        ("PUT", "/me/key-backup", 1024),
        ("PUT", "/me/state", 1024),
        ("PUT", "/me/password", 3 * 1024),
        ("POST", "/me/keys", 3 * 1024),
    ],
)
def test_bodies_have_limits(world: World, method: str, path: str, limit: int) -> None:
    alice = world.register()
    for size, status in ((limit * 1024, 400), (limit * 1024 + 1, 413)):
        body = b'{"junk":"' + b"x" * (size - 11) + b'"}'
        answer = alice.client.open(
            f"/api/v1{path}",
            method=method,
            data=body,
            content_type="application/json",
            headers={"Authorization": f"Bearer {alice.access}"},
        )
        # PATCH /me has no field that must be there.
        expected = 200 if (path, status) == ("/me", 400) else status
        assert answer.status_code == expected, (size, answer.get_data(as_text=True))


def test_a_fault_is_unavailable_and_tells_nothing(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """ASVS 16.5.1: Fail closed, generic, and without what was sent in the log."""
    alice = world.register()

    def broken(username: str) -> Any:
        raise KeyError(f"canary-{username}")

    world.storage.accounts.get = broken  # type: ignore[method-assign]
    answer = alice.call("GET", "/me")
    refused(answer, 503, "unavailable")
    said = answer.get_data(as_text=True) + "".join(capsys.readouterr())
    assert "KeyError" in said and "canary" not in said and alice.access not in said


def test_a_store_that_is_down_is_unavailable_and_no_open_door(world: World) -> None:
    """ASVS 16.5.3."""
    alice = world.register()
    world.storage.close()
    world.path.write_bytes(b"no database any more" * 1000)
    for answer in (
        alice.call("GET", "/me"),
        world.post("/auth/login", LOGIN),
        world.post("/auth/login", WRONG),
    ):
        refused(answer, 503, "unavailable")


# ---------------------------------------------------------------- headers


def test_every_answer_carries_the_security_headers(world: World) -> None:
    """ASVS 3.4.4, 3.4.5."""
    alice = world.register()
    for answer in (alice.call("GET", "/me"), alice.call("GET", "/nothing"), world.post("/auth/login", {})):
        headers = answer.headers
        assert headers["X-Content-Type-Options"] == "nosniff" and headers["Referrer-Policy"] == "no-referrer"
        assert headers["Cache-Control"] == "no-store" and "Strict-Transport-Security" not in headers
        for part in ("default-src 'none'", "object-src 'none'", "base-uri 'none'", "frame-ancestors 'none'"):
            assert part in headers["Content-Security-Policy"]
        assert "Access-Control-Allow-Origin" not in headers


def test_hsts_over_https_only(world: World) -> None:
    """ASVS 3.4.1."""
    answer = world.app.test_client().get("/api/v1/me", base_url="https://chat.example")
    assert answer.headers["Strict-Transport-Security"] == "max-age=63072000; includeSubDomains"


def test_only_listed_origins_may_read_answers(world: World) -> None:
    """ASVS 3.4.2."""
    world.new_app(cors_origins=("https://page.example",))
    client = world.app.test_client()
    good = client.get("/api/v1/me", headers={"Origin": "https://page.example"}).headers
    assert good["Access-Control-Allow-Origin"] == "https://page.example" and good["Vary"] == "Origin"
    assert good["Access-Control-Allow-Credentials"] == "true"
    preflight = client.options("/api/v1/me", headers={"Origin": "https://page.example"}).headers
    assert "PATCH" in preflight["Access-Control-Allow-Methods"]
    assert "X-CSRF-Token" in preflight["Access-Control-Allow-Headers"]
    for origin in (
        "https://evil.example",
        "https://page.example.evil.example",
        "http://page.example",
        "null",
        "*",
    ):
        for method in ("GET", "OPTIONS"):
            answer = client.open("/api/v1/me", method=method, headers={"Origin": origin})
            assert not [name for name, _ in answer.headers if name.startswith("Access-Control")], origin


# ---------------------------------------------------------------- limits


def attempt(world: World, body: dict[str, Any], address: str = "192.0.2.1", **headers: str) -> Any:
    return world.app.test_client().post(
        "/api/v1/auth/login", json=body, headers=headers, environ_overrides={"REMOTE_ADDR": address}
    )


def test_ten_logins_by_account_wherever_they_come_from(world: World) -> None:
    """ASVS 6.3.1."""
    world.new_app(rate_limits=True)
    alice = world.register()
    for number in range(10):
        refused(attempt(world, WRONG, f"192.0.2.{number}"), 401, "invalid_credentials")
    answer = attempt(world, LOGIN, "192.0.2.99")
    problem = refused(answer, 429, "rate_limited")
    assert int(answer.headers["Retry-After"]) == problem["retry_after"] <= 300
    world.register("bobby")
    assert attempt(world, {**LOGIN, "username": "bobby"}, "192.0.2.99").status_code == 200
    # The owner on a session that is known is not locked out.
    assert alice.call("GET", "/me").status_code == 200
    refreshed = world.post("/auth/refresh", {"refresh_token": alice.refresh})
    assert refreshed.status_code == 200
    change = {"password": PASSWORD, "new_password": "another long passphrase"}
    assert alice.call("PUT", "/me/password", change).status_code == 200
    world.clock.forward(seconds=300)
    assert attempt(world, {**LOGIN, "password": change["new_password"]}).status_code == 200


def test_ten_logins_by_address_whoever_is_meant(world: World) -> None:
    """ASVS 2.4.1."""
    world.new_app(rate_limits=True)
    world.register()
    for number in range(10):
        refused(attempt(world, {**WRONG, "username": f"user{number}"}), 401, "invalid_credentials")
    refused(attempt(world, LOGIN), 429, "rate_limited")
    assert attempt(world, LOGIN, "192.0.2.2").status_code == 200


def test_an_ipv6_subscriber_is_one_address(world: World) -> None:
    world.new_app(rate_limits=True)
    for number in range(10):
        attempt(world, {**WRONG, "username": f"user{number}"}, f"2001:db8:1:2::{number + 1:x}")
    refused(attempt(world, WRONG, "2001:db8:1:2:ffff::1"), 429, "rate_limited")
    refused(attempt(world, WRONG, "2001:db8:1:3::1"), 401, "invalid_credentials")


def test_forwarded_addresses_count_only_behind_proxies_we_trust(world: World) -> None:
    """ASVS 4.1.3, 15.3.4."""
    world.new_app(rate_limits=True)
    for number in range(10):
        forged = {"X-Forwarded-For": f"198.51.100.{number}", "Forwarded": f"for=198.51.100.{number}"}
        attempt(world, {**WRONG, "username": f"user{number}"}, **forged)
    refused(attempt(world, WRONG, **{"X-Forwarded-For": "198.51.100.99"}), 429, "rate_limited")
    world.new_app(rate_limits=True, trusted_proxies=1)
    for number in range(11):
        # What stands left of the trusted proxy's own entry is the caller's invention.
        chain = f"203.0.113.{number}, 198.51.100.{number}"
        answer = attempt(world, {**WRONG, "username": f"user{number}"}, **{"X-Forwarded-For": chain})
        refused(answer, 401, "invalid_credentials")
    for number in range(10):
        chain = f"203.0.113.{number}, 198.51.100.200"
        attempt(world, {**WRONG, "username": f"more{number}"}, **{"X-Forwarded-For": chain})
    refused(attempt(world, WRONG, **{"X-Forwarded-For": "198.51.100.200"}), 429, "rate_limited")


def test_https_is_believed_only_of_trusted_proxies(world: World) -> None:
    said = {"X-Forwarded-Proto": "https"}
    assert "Strict-Transport-Security" not in world.app.test_client().get("/api/v1/me", headers=said).headers
    world.new_app(trusted_proxies=1)
    assert "Strict-Transport-Security" in world.app.test_client().get("/api/v1/me", headers=said).headers


def test_other_limits_answer_with_retry_after(world: World) -> None:
    """ASVS 2.4.1: who makes accounts or fetches keys by the hundred waits; the others do not."""
    world.new_app(rate_limits=True)
    alice = world.register()
    for ask in (
        lambda: world.post("/auth/register", LOGIN),
        lambda: alice.call("GET", "/keys?usernames=alice"),
        lambda: alice.call("GET", "/users/alice/keys"),
    ):
        limited = next(answer for answer in iter(ask, None) if answer.status_code == 429)
        refused(limited, 429, "rate_limited")
        assert int(limited.headers["Retry-After"]) > 0
    assert alice.call("GET", "/me").status_code == 200
    assert world.log_in().call("GET", "/me").status_code == 200


def test_recovery_is_limited_like_login(world: World) -> None:
    world.new_app(rate_limits=True)
    world.register(recovery_auth="A" * 43)
    body = {"username": "alice", "recovery_auth": "B" * 42 + "A"}
    for _ in range(10):
        refused(world.post("/auth/recover", body), 401, "invalid_credentials")
    refused(world.post("/auth/recover", {**body, "recovery_auth": "A" * 43}), 429, "rate_limited")


# ---------------------------------------------------------------- the OpenAPI page


def test_the_page_describes_every_route(world: World) -> None:
    spec = world.app.test_client().get("/api/v1/openapi.json").get_json()
    assert spec["openapi"].startswith("3.1")
    described = {(method.upper(), path) for path, item in spec["paths"].items() for method in item}
    routed = {
        (method, rule.rule.replace("<", "{").replace(">", "}"))
        for rule in world.app.url_map.iter_rules()
        for method in rule.methods - {"HEAD", "OPTIONS"}
        if rule.endpoint != "openapi.spec"
    }
    assert described == routed
    assert set(spec["components"]["schemas"]["Problem"]["properties"]["code"]["enum"]) == set(CODES)
    for item in spec["paths"].values():
        for operation in item.values():
            assert "application/problem+json" in operation["responses"]["default"]["content"]
            assert operation["summary"] and any(code.startswith("2") for code in operation["responses"])


def test_the_page_is_whole(world: World) -> None:
    """Every reference leads somewhere, and bodies say what they need."""
    spec = world.app.test_client().get("/api/v1/openapi.json").get_json()
    for reference in references(spec):
        at: Any = spec
        for part in reference.removeprefix("#/").split("/"):
            at = at[part]
        assert at
    body = spec["paths"]["/api/v1/me/keys"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    name = body["$ref"].rsplit("/", 1)[1]
    assert set(spec["components"]["schemas"][name]["required"]) == {"bundle", "password"}
    assert spec["paths"]["/api/v1/me"]["get"]["security"] == [{"bearer": []}]
    assert "security" not in spec["paths"]["/api/v1/auth/login"]["post"]


def references(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
        return own + [found for value in node.values() for found in references(value)]
    return [found for value in node for found in references(value)] if isinstance(node, list) else []


def test_the_page_does_not_remember_who_asked_first(world: World) -> None:
    client = world.app.test_client()
    first = client.get("/api/v1/openapi.json", headers={"Host": "evil.example"}).get_data()
    assert b"evil.example" not in first and client.get("/api/v1/openapi.json").get_data() == first


# ---------------------------------------------------------------- who may what

NEEDS_A_SESSION = [
    ("GET", "/me"),
    ("PATCH", "/me"),
    ("POST", "/me/deletion"),
    ("PUT", "/me/password"),
    ("GET", "/me/key-backup"),
    ("PUT", "/me/key-backup"),
    ("GET", "/me/state"),
    ("PUT", "/me/state"),
    ("GET", "/me/sessions"),
    ("DELETE", "/me/sessions/00000000-0000-4000-8000-000000000000"),
    ("POST", "/me/keys"),
    ("GET", "/users/alice/keys"),
    ("GET", "/keys"),
]


@pytest.mark.parametrize(("method", "path"), NEEDS_A_SESSION)
def test_nobody_gets_nothing(world: World, method: str, path: str) -> None:
    """Refused before the body is looked at."""
    client = world.app.test_client()
    refused(client.open(f"/api/v1{path}", method=method, json={"junk": 1}), 401, "unauthorized")
    gone: Person = world.register()
    assert gone.call("POST", "/auth/logout").status_code == 204
    refused(gone.call(method, path, {"junk": 1}), 401, "unauthorized")
