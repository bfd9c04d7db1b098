"""Registering, logging in, profile: what comes back, and what is refused by which name (protocol §3, §6)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.conftest import PASSWORD, World, fields, refused
from tests.support.protocol import auth, b64u, make_bundle, make_kdf, pool

KDF = make_kdf()
AUTH = auth(b"m" * 32)


def register(world: World, **body: Any) -> Any:
    return world.post("/auth/register", {"username": "alice", "password": PASSWORD, **body})


def test_register_gives_the_user_and_tokens(world: World) -> None:
    answer = register(world, username="Alice", display_name="Alice A.")
    assert answer.status_code == 201
    body = answer.get_json()
    assert body["user"]["username"] == "alice" and body["user"]["display_name"] == "Alice A."
    assert body["user"]["created_at"].endswith("Z") and body["user"]["keys_version"] == 0
    assert set(body["user"]) == {
        "username",
        "display_name",
        "created_at",
        "status",
        "last_seen",
        "keys_version",
    }
    assert body["expires_in"] == 900 and len(body["refresh_token"]) == 75 and "csrf_token" not in body
    assert answer.headers["Cache-Control"] == "no-store"


def test_a_name_is_given_once(world: World) -> None:
    world.register("alice")
    refused(register(world, username="ALICE"), 409, "username_taken")


def test_the_same_name_never_again_after_the_account_ended(world: World) -> None:
    alice = world.register()
    assert alice.call("POST", "/me/deletion", {"password": PASSWORD}).status_code == 204
    refused(register(world), 409, "username_taken")
    refused(
        world.post("/auth/login", {"username": "alice", "password": PASSWORD}), 401, "invalid_credentials"
    )


@pytest.mark.parametrize(
    "username",
    [
        "al",
        "a" * 33,
        ".alice",
        "alice-",
        "al ice",
        "älice",
        "a\u212ace",
        "alice\n",
        "",
        "al\0ice",
        7,
        None,
        {},
    ],
)
def test_bad_usernames_are_invalid(world: World, username: Any) -> None:
    assert fields(refused(register(world, username=username), 400, "invalid")) == {"username"}


@pytest.mark.parametrize("display_name", ["", " ", "a\nb", "a\0", "x" * 65, 5, ["a"], {"$ne": ""}])
def test_bad_display_names_are_invalid(world: World, display_name: Any) -> None:
    assert fields(refused(register(world, display_name=display_name), 400, "invalid")) == {"display_name"}


@pytest.mark.parametrize("password", ["short", "password", "PassWord1", "alice123", "1234567"])
def test_weak_passwords_are_refused_where_the_server_sees_them(world: World, password: str) -> None:
    """ASVS 6.2.4, 6.2.12."""
    username = "alice123" if password == "alice123" else "alice"
    refused(register(world, username=username, password=password), 400, "weak_password")


def test_passwords_of_8_to_1024_characters_of_any_kind_are_taken_whole(world: World) -> None:
    """ASVS 6.2.1, 6.2.9, 6.2.5, 6.2.6, 6.2.7, 6.2.8."""
    for number, password in enumerate(["x7 käse☃", "☃" * 1024, "a" * 99 + "b", " leading and trailing "]):
        world.register(f"user{number}", password=password)
        assert world.log_in(f"user{number}", password).username == f"user{number}"
    wrong = world.post("/auth/login", {"username": "user2", "password": "a" * 99 + "c"})
    refused(wrong, 401, "invalid_credentials")  # bcrypt alone would stop at 72 bytes
    refused(register(world, password="a" * 1025), 400, "invalid")
    refused(register(world, password="with a \0 in it"), 400, "invalid")


def test_with_a_kdf_the_password_is_exactly_the_derived_secret(world: World) -> None:
    for wrong in (PASSWORD, AUTH[:-1], AUTH + "A", AUTH[:-1] + "=", "B" * 43):
        assert fields(refused(register(world, password=wrong, kdf=KDF), 400, "invalid")) == {"password"}, (
            wrong
        )
    world.register(password=AUTH, kdf=KDF)
    assert world.log_in(password=AUTH).answer["key_backup"] is None


@pytest.mark.parametrize(
    "change",
    [
        {"name": "scrypt"},
        {"m": 65535},
        {"m": 2**20 + 1},
        {"m": "65536"},
        {"m": True},
        {"m": 65536.5},
        {"t": 2},
        {"t": 17},
        {"p": 0},
        {"p": 5},
        {"salt": b64u(b"s" * 15)},
        {"salt": b64u(b"s" * 17)},
        {"salt": "!" * 22},
        {"salt": None},
    ],
)
def test_a_kdf_that_clients_would_refuse_is_invalid(world: World, change: dict[str, Any]) -> None:
    """ASVS 11.4.2, 11.4.4: H10, the server's side: it never stores what would talk a client down."""
    problem = refused(register(world, password=AUTH, kdf={**KDF, **change}), 400, "invalid")
    assert fields(problem) == {f"kdf.{next(iter(change))}"}


def test_numbers_count_however_they_are_written(world: World) -> None:
    world.register(password=AUTH, kdf={**KDF, "m": 65536.0, "t": 3.0})
    kdf = world.post("/auth/prelogin", {"username": "alice"}).get_json()["kdf"]
    assert kdf == KDF and isinstance(kdf["m"], int)


def test_unknown_fields_are_ignored_and_never_stored(world: World) -> None:
    """ASVS 15.3.1, 15.3.3, 15.3.6: Mass assignment: what the page does not name has no effect."""
    alice = world.register(
        created_at="2001-01-01T00:00:00.000Z",
        keys_version=9,
        ended_at=1,
        recovery_hash="x",
        status="invisible",
        is_admin=True,
        password_hash="x",
        __proto__={"a": 1},
        constructor=1,
    )
    before = alice.call("GET", "/me").get_json()
    assert before["keys_version"] == 0 and not before["created_at"].startswith("2001")
    changed = alice.call("PATCH", "/me", {"display_name": "A", "username": "mallory", "keys_version": 5})
    assert changed.get_json() == {**before, "display_name": "A"}
    state = {"v": 1, "n": 1, "iv": b64u(b"i" * 12), "ciphertext": b64u(b"c" * 16)}
    assert alice.call("PUT", "/me/state", {"state": {**state, "junk": 1}}).status_code == 204
    assert alice.call("GET", "/me/state").get_json() == {"state": state}


def test_login_is_refused_alike_for_wrong_password_and_nobody(world: World) -> None:
    """H11, in body; the time is the same because the same is computed, which the next test shows."""
    world.register()
    wrong = world.post("/auth/login", {"username": "alice", "password": "not the password"})
    nobody = world.post("/auth/login", {"username": "nobody", "password": "not the password"})
    refused(wrong, 401, "invalid_credentials")
    assert wrong.get_data() == nobody.get_data()
    assert wrong.headers.to_wsgi_list() == nobody.headers.to_wsgi_list()


def test_nobody_costs_one_hash_like_somebody(world: World) -> None:
    world.register()
    hashed: list[str] = []
    hash_now = world.offload.hash
    world.offload.hash = lambda function, *args: (
        hashed.append(function.__name__),
        hash_now(function, *args),
    )[1]
    for username, password in (("alice", PASSWORD), ("alice", "wrong one"), ("nobody", "wrong one")):
        world.post("/auth/login", {"username": username, "password": password})
    assert hashed == ["checkpw"] * 3


def test_prelogin_of_nobody_looks_like_somebody_and_stays_the_same(world: World) -> None:
    """H11: and the salt survives a restart, so that asking twice tells nothing."""
    world.register(password=AUTH, kdf=KDF)
    real = world.post("/auth/prelogin", {"username": "alice"}).get_json()
    first = world.post("/auth/prelogin", {"username": "nobody"}).get_json()
    assert real == {"kdf": KDF}
    assert {**first["kdf"], "salt": ""} == {**real["kdf"], "salt": ""} and len(first["kdf"]["salt"]) == 22
    world.new_app()
    assert world.post("/auth/prelogin", {"username": "NoBody"}).get_json() == first
    assert world.post("/auth/prelogin", {"username": "nobody2"}).get_json() != first


def test_prelogin_of_a_plain_user_is_null(world: World) -> None:
    world.register()
    assert world.post("/auth/prelogin", {"username": "alice"}).get_json() == {"kdf": None}


def test_registering_with_keys_stores_them_together_or_not_at_all(world: World) -> None:
    bundle = make_bundle("alice", pool(0))
    bad = {**bundle, "proofs": {kid: b64u(b"x" * 64) for kid in bundle["proofs"]}}
    refused(register(world, keys=bad), 400, "invalid_proof")
    refused(register(world, keys=make_bundle("bobby", pool(0))), 400, "invalid_proof")
    refused(register(world, keys={**bundle, "version": 2}), 409, "keys_conflict")
    alice = world.register(keys=bundle)  # so the name was never taken by the refused ones
    assert alice.answer["user"]["keys_version"] == 1
    assert alice.call("GET", "/users/alice/keys").get_json()["proofs"] == bundle["proofs"]


def test_registration_can_be_closed(world: World) -> None:
    world.new_app(registration="closed")
    refused(register(world), 403, "registration_closed")


# ---------------------------------------------------------------- what is no request at all

OPERATORS: list[Any] = [
    {"$ne": ""},
    {"$gt": ""},
    ["alice"],
    {"$where": "1"},
    "' OR '1'='1",
    'a"; DROP TABLE users',
    "\0",
]


@pytest.mark.parametrize("value", OPERATORS)
@pytest.mark.parametrize("field", ["username", "password"])
def test_operators_never_match(world: World, field: str, value: Any) -> None:
    """ASVS 1.2.4."""
    world.register()
    body = {"username": "alice", "password": PASSWORD, field: value}
    answer = world.post("/auth/login", body)
    assert answer.status_code in (400, 401) and answer.get_json(force=True)["code"].startswith("invalid")
    assert world.log_in().username == "alice"


@pytest.mark.parametrize(
    "raw",
    [
        b"{",
        b"[" * 200_000,
        b'{"a":' * 1000,
        b"\xff\xfe{}",
        b"\xef\xbb\xbf{}",
        b'{"username": "\\ud800", "password": "x"}',
        b'{"username": NaN}',
        b"null",
        b"[]",
        b'"text"',
        b"17",
        b"",
    ],
)
def test_bodies_that_are_none_are_invalid(world: World, raw: bytes) -> None:
    refused(
        world.app.test_client().post("/api/v1/auth/login", data=raw, content_type="application/json"),
        400,
        "invalid",
    )


def test_of_a_repeated_key_the_last_counts(world: World) -> None:
    world.register()
    raw = f'{{"username":"nobody","username":"alice","password":"{PASSWORD}"}}'
    answer = world.app.test_client().post("/api/v1/auth/login", data=raw, content_type="application/json")
    assert answer.get_json()["user"]["username"] == "alice"


def test_an_error_does_not_repeat_what_was_sent(world: World) -> None:
    answer = register(world, password="a secret that is far too long" * 50, kdf={"salt": "another secret"})
    assert "secret" not in answer.get_data(as_text=True)
