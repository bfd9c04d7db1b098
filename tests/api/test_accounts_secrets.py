"""Passwords and deletion: what guards a person's secrets (protocol §3, §6)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.backups import (
    AUTH,
    CODE,
    KDF,
    NEW_AUTH,
    NEW_CODE,
    NEW_KDF,
    NEW_PASSWORD,
    backup,
    backup_of,
    change,
    recover,
    register,
    state,
)
from tests.api.conftest import PASSWORD, Person, World, fields, refused
from tests.support.protocol import make_bundle, pool

# ---------------------------------------------------------------- a new password


def test_a_new_password_ends_the_other_sessions_and_answers_as_login(world: World) -> None:
    """ASVS 7.4.2, 7.4.3."""
    alice = register(world)
    other = world.log_in(password=AUTH)
    answer = alice.call("PUT", "/me/password", change())
    assert answer.status_code == 200
    body = answer.get_json()
    assert set(body) == set(other.answer) and body["key_backup"] == backup_of(alice) is not None
    refused(other.call("GET", "/me"), 401, "unauthorized")
    refused(world.post("/auth/refresh", {"refresh_token": other.refresh}), 401, "unauthorized")
    assert len(world.ended_sessions) == 1
    assert alice.call("GET", "/me").status_code == 200
    assert world.post("/auth/refresh", {"refresh_token": body["refresh_token"]}).status_code == 200
    old = world.post("/auth/login", {"username": "alice", "password": AUTH})
    refused(old, 401, "invalid_credentials")
    assert world.log_in(password=NEW_AUTH).answer["key_backup"]["version"] == 2
    assert world.post("/auth/prelogin", {"username": "alice"}).get_json() == {"kdf": NEW_KDF}


def unchanged(world: World, alice: Person) -> None:
    """Nothing of a refused change is there."""
    assert backup_of(alice)["version"] == 1
    assert alice.call("GET", "/me").get_json()["keys_version"] == 1
    assert alice.call("GET", "/me/state").get_json() == {"state": None}
    assert world.log_in(password=AUTH).username == "alice"


@pytest.mark.parametrize(
    ("more", "status", "code"),
    [
        ({"password": NEW_AUTH}, 403, "wrong_password"),
        ({"password": None}, 400, "invalid"),
        ({"new_password": PASSWORD}, 400, "invalid"),  # not a derived one
        ({"new_password": "short", "kdf": None}, 400, "weak_password"),
        ({"new_password": "password1", "kdf": None}, 400, "weak_password"),
        ({"kdf": {**NEW_KDF, "m": 1024}}, 400, "invalid"),
        ({"key_backup": None}, 400, "invalid"),  # it would stay wrapped under the old password
        ({"key_backup": backup(1)}, 409, "backup_conflict"),
        ({"key_backup": backup(3)}, 409, "backup_conflict"),
        ({"state": state(2)}, 409, "state_conflict"),
        ({"bundle": make_bundle("alice", pool(1), 3)}, 409, "keys_conflict"),
        ({"bundle": make_bundle("bobby", pool(1), 2)}, 400, "invalid_proof"),
        ({"recovery_auth": "short"}, 400, "invalid"),
    ],
)
def test_a_refused_change_changes_nothing(world: World, more: dict[str, Any], status: int, code: str) -> None:
    """ASVS 6.2.2, 6.2.3."""
    alice = register(world)
    refused(alice.call("PUT", "/me/password", change(**more)), status, code)
    unchanged(world, alice)


def test_who_derives_is_not_talked_down_by_leaving_the_kdf_out(world: World) -> None:
    alice = register(world)
    body = change()
    del body["kdf"]
    assert fields(refused(alice.call("PUT", "/me/password", body), 400, "invalid")) == {"kdf"}
    unchanged(world, alice)


def test_someone_may_know_my_password_all_in_one_request(world: World) -> None:
    """New password, B, keys with continuity, state and recovery code together (§3)."""
    alice = register(world)
    one = alice.call("GET", "/users/alice/keys").get_json()
    two = make_bundle("alice", pool(1), 2, after=(one, pool(0)))
    answer = alice.call("PUT", "/me/password", change(bundle=two, state=state(1), recovery_auth=NEW_CODE))
    assert answer.status_code == 200 and answer.get_json()["user"]["keys_version"] == 2
    assert answer.get_json()["state"] == state(1)
    assert world.told("keys") == [{"username": "alice", "version": 2}]
    old = world.post("/auth/recover", {"username": "alice", "recovery_auth": CODE})
    refused(old, 401, "invalid_credentials")
    assert recover(world, NEW_CODE)["key_backup"]["version"] == 2


def test_a_plain_user_changes_a_plain_password(world: World) -> None:
    alice = world.register()
    answer = alice.call("PUT", "/me/password", {"password": PASSWORD, "new_password": NEW_PASSWORD})
    assert answer.status_code == 200
    assert world.log_in(password=NEW_PASSWORD).username == "alice"


def test_a_login_that_was_under_way_leaves_no_session_behind(world: World) -> None:
    """The old password is checked, then changed elsewhere, then the session would begin."""
    alice = world.register()
    opened = world.storage.sessions.create
    body = {"password": PASSWORD, "new_password": NEW_PASSWORD}

    def late(session: Any) -> None:
        world.storage.sessions.create = opened  # type: ignore[method-assign]
        assert alice.call("PUT", "/me/password", body).status_code == 200
        opened(session)

    world.storage.sessions.create = late  # type: ignore[method-assign]
    refused(
        world.post("/auth/login", {"username": "alice", "password": PASSWORD}), 401, "invalid_credentials"
    )
    assert len(alice.call("GET", "/me/sessions").get_json()["items"]) == 1


def test_a_session_with_a_cookie_keeps_its_cookie(world: World) -> None:
    world.register()
    alice = world.log_in(refresh_in="cookie")
    answer = alice.call("PUT", "/me/password", {"password": PASSWORD, "new_password": NEW_PASSWORD})
    assert "refresh_token" not in answer.get_json() and "chatsec_refresh=" in answer.headers["Set-Cookie"]
    headers = {"X-CSRF-Token": answer.get_json()["csrf_token"]}
    assert alice.client.post("/api/v1/auth/refresh", json={}, headers=headers).status_code == 200


# ---------------------------------------------------------------- the end


def test_deletion_ends_everything_but_what_others_need(world: World) -> None:
    """ASVS 7.4.2, 7.4.3."""
    alice, bobby = register(world), world.register("bobby")
    second = world.log_in(password=AUTH)
    refused(alice.call("POST", "/me/deletion", {"password": "wrong password"}), 403, "wrong_password")
    assert alice.call("GET", "/me").status_code == 200
    assert alice.call("POST", "/me/deletion", {"password": AUTH}).status_code == 204
    assert len(world.ended_sessions) == 2
    for person in (alice, second):
        refused(person.call("GET", "/me"), 401, "unauthorized")
        refused(world.post("/auth/refresh", {"refresh_token": person.refresh}), 401, "unauthorized")
    refused(world.post("/auth/login", {"username": "alice", "password": AUTH}), 401, "invalid_credentials")
    answer = world.post("/auth/recover", {"username": "alice", "recovery_auth": CODE})
    refused(answer, 401, "invalid_credentials")
    assert world.post("/auth/prelogin", {"username": "alice"}).get_json()["kdf"] not in (None, KDF)
    assert bobby.call("GET", "/users/alice/keys").status_code == 200
    account = world.storage.accounts.get("alice")
    assert account is not None and account.password_hash == b"" and account.backup is None


def test_a_last_owner_names_another_before_the_account_ends(world: World) -> None:
    alice = register(world)
    bobby = world.register("bobby", keys=make_bundle("bobby", pool(1)))
    chat = alice.call("POST", "/chats", {"members": ["bobby"]}).get_json()["id"]
    end = {"password": AUTH}
    refused(alice.call("POST", "/me/deletion", end), 409, "last_owner")
    assert alice.call("GET", "/me").status_code == 200
    heir = {"kind": "role", "usernames": ["bobby"], "role": "owner"}
    assert alice.call("POST", f"/chats/{chat}/events", heir).status_code == 200
    assert alice.call("POST", "/me/deletion", end).status_code == 204
    left = bobby.call("GET", f"/chats/{chat}").get_json()
    assert [member["username"] for member in left["members"]] == ["bobby"] and left["epoch"]["number"] == 2
    items = bobby.call("GET", f"/chats/{chat}/messages").get_json()["items"]
    assert [item["event"]["kind"] for item in items] == ["create", "role", "ended"]


def test_grave_changes_ask_for_the_password(world: World) -> None:
    """ASVS 7.5.1, 7.5.2: an open session alone is not enough."""
    alice = world.register()
    for method, path, body in (
        ("POST", "/me/deletion", {}),
        ("POST", "/me/keys", {"bundle": make_bundle("alice", pool(0))}),
        ("PUT", "/me/key-backup", {"key_backup": backup(1)}),
        ("PUT", "/me/password", {"new_password": NEW_PASSWORD}),
    ):
        refused(alice.call(method, path, {**body, "password": "wrong password"}), 403, "wrong_password")
        assert "password" in fields(refused(alice.call(method, path, body), 400, "invalid"))


def test_no_secret_gets_into_the_log(world: World, capfd: pytest.CaptureFixture[str]) -> None:
    """ASVS 16.2.5, 16.3.1: who did what is logged; with what, never.

    A name that is none may be a password in the wrong field.
    """
    alice = register(world)
    tokens = [alice.access, alice.refresh]
    other = world.log_in(password=AUTH, refresh_in="cookie")
    tokens += [
        other.access,
        other.csrf,
        world.post("/auth/refresh", {"refresh_token": alice.refresh}).json["refresh_token"],
    ]
    refused(
        world.post("/auth/login", {"username": "hunter2hunter2", "password": "swordfish1"}),
        401,
        "invalid_credentials",
    )
    refused(
        world.post("/auth/login", {"username": "alice", "password": "swordfish1"}), 401, "invalid_credentials"
    )
    refused(
        world.post("/auth/recover", {"username": "hunter3hunter3", "recovery_auth": CODE}),
        401,
        "invalid_credentials",
    )
    tokens.append(recover(world)["recovery_token"])
    assert alice.call("PUT", "/me/password", change(recovery_auth=NEW_CODE)).status_code == 200
    refused(world.app.test_client().get(f"/api/v1/me?token={tokens[0]}"), 401, "unauthorized")
    said = "".join(capfd.readouterr())
    assert "log-in refused" in said and "password changed" in said and "alice" in said
    for secret in (
        *tokens,
        AUTH,
        NEW_AUTH,
        CODE,
        NEW_CODE,
        KDF["salt"],
        "swordfish",
        "hunter",
        backup_of(alice)["ciphertext"],
    ):
        assert secret not in said, secret
