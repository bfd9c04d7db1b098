"""Recovery codes, key backups and client state: what brings a person back, and nobody else (protocol §3, §6)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.backups import (
    AUTH,
    CODE,
    NEW_AUTH,
    NEW_CODE,
    NEW_KDF,
    backup,
    backup_of,
    change,
    recover,
    register,
    state,
)
from tests.api.conftest import PASSWORD, Person, World, fields, refused
from tests.support.protocol import auth, b64u

# ---------------------------------------------------------------- recovery


def reset(world: World, token: str, **more: Any) -> Any:
    body = {
        "new_password": NEW_AUTH,
        "kdf": NEW_KDF,
        "key_backup": backup(2),
        "recovery_auth": NEW_CODE,
        **more,
    }
    client = world.app.test_client()
    return client.put("/api/v1/me/password", json=body, headers={"Authorization": f"Bearer {token}"})


def test_recovery_sets_one_new_password_and_ends_all_sessions(world: World) -> None:
    alice = register(world)
    found = recover(world)
    assert found["key_backup"]["version"] == 1
    answer = reset(world, found["recovery_token"])
    assert answer.status_code == 200 and answer.get_json()["key_backup"]["version"] == 2
    refused(alice.call("GET", "/me"), 401, "unauthorized")
    assert world.log_in(password=NEW_AUTH).username == "alice"
    again = reset(world, found["recovery_token"], key_backup=backup(3), recovery_auth=b64u(b"3" * 32))
    refused(again, 401, "unauthorized")
    refused(
        world.post("/auth/recover", {"username": "alice", "recovery_auth": CODE}), 401, "invalid_credentials"
    )
    assert recover(world, NEW_CODE)


def test_a_recovery_token_is_good_once_even_when_used_twice_at_once(world: World) -> None:
    """The second comes while the first is hashing, when the old password is still the stored one."""
    register(world)
    token = recover(world)["recovery_token"]
    hash_now, answers = world.offload.hash, []

    def late(function: Any, *args: Any) -> Any:
        world.offload.hash = hash_now  # type: ignore[method-assign]
        answers.append(reset(world, token))
        return hash_now(function, *args)

    world.offload.hash = late  # type: ignore[method-assign]
    theirs = auth(b"t" * 32)
    refused(reset(world, token, new_password=theirs, key_backup=backup(3)), 403, "wrong_password")
    assert answers[0].status_code == 200
    assert world.log_in(password=NEW_AUTH).answer["key_backup"]["version"] == 2


def test_a_used_code_is_replaced(world: World) -> None:
    """By another; and where none is given, by none."""
    register(world)
    token = recover(world)["recovery_token"]
    assert fields(refused(reset(world, token, recovery_auth=CODE), 400, "invalid")) == {"recovery_auth"}
    assert reset(world, token, recovery_auth=None).status_code == 200
    for code in (CODE, NEW_CODE, b64u(bytes(32))):
        answer = world.post("/auth/recover", {"username": "alice", "recovery_auth": code})
        refused(answer, 401, "invalid_credentials")


def test_a_recovery_token_lives_10_minutes_and_dies_with_the_password(world: World) -> None:
    alice = register(world)
    late, outdated = recover(world)["recovery_token"], ""
    world.clock.forward(seconds=600)
    refused(reset(world, late), 401, "token_expired")
    outdated = recover(world)["recovery_token"]
    assert alice.call("PUT", "/me/password", change(), headers=bearer(world)).status_code == 200
    refused(reset(world, outdated, key_backup=backup(3)), 401, "unauthorized")


def bearer(world: World) -> dict[str, str]:
    return {"Authorization": f"Bearer {world.log_in(password=AUTH).access}"}


def test_a_recovery_token_is_good_for_nothing_else(world: World) -> None:
    alice = register(world)
    alice.access = recover(world)["recovery_token"]
    for method, path in (("GET", "/me"), ("GET", "/me/key-backup"), ("PATCH", "/me"), ("POST", "/me/keys")):
        refused(alice.call(method, path, {}), 401, "unauthorized")
    refused(alice.call("POST", "/auth/logout"), 401, "unauthorized")
    refused(world.post("/auth/refresh", {"refresh_token": alice.access[:200]}), 401, "unauthorized")


def test_recovery_is_refused_alike_for_wrong_code_no_code_and_nobody(world: World) -> None:
    register(world)
    world.register("plain")
    answers = [
        world.post("/auth/recover", {"username": name, "recovery_auth": NEW_CODE})
        for name in ("alice", "plain", "nobody")
    ]
    for answer in answers:
        refused(answer, 401, "invalid_credentials")
    assert len({answer.get_data() for answer in answers}) == 1


# ---------------------------------------------------------------- key backup and client state


def put_backup(person: Person, version: int, **more: Any) -> Any:
    body = {"key_backup": backup(version), "password": PASSWORD, **more}
    return person.call("PUT", "/me/key-backup", body)


def test_a_backup_is_replaced_only_by_the_next_and_with_the_password(world: World) -> None:
    alice = world.register()
    assert backup_of(alice) is None
    assert refused(put_backup(alice, 2), 409, "backup_conflict")["version"] == 0
    assert put_backup(alice, 1).status_code == 204
    for version in (1, 3):
        assert refused(put_backup(alice, version), 409, "backup_conflict")["version"] == 1
    refused(put_backup(alice, 2, password="wrong password"), 403, "wrong_password")
    assert backup_of(alice)["version"] == 1
    second = backup(2)
    assert put_backup(alice, 2, key_backup=second).status_code == 204
    assert backup_of(alice) == second == world.log_in().answer["key_backup"]


def test_a_backup_may_bring_a_new_recovery_code(world: World) -> None:
    alice = world.register()
    assert put_backup(alice, 1, recovery_auth=CODE).status_code == 204
    assert recover(world)["key_backup"] == backup_of(alice)
    assert put_backup(alice, 2).status_code == 204  # none given: the code stays
    assert recover(world)["key_backup"]["version"] == 2


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"v": 2}, "v"),
        ({"v": True}, "v"),
        ({"version": 0}, "version"),
        ({"version": "1"}, "version"),
        ({"iv": b64u(b"i" * 11)}, "iv"),
        ({"iv": None}, "iv"),
        ({"ciphertext": ""}, "ciphertext"),
        ({"ciphertext": "A=="}, "ciphertext"),
        ({"wraps": []}, "wraps"),
        ({"wraps": {}}, "wraps"),
        ({"wraps": backup(1)["wraps"] * 2}, "wraps"),
        ({"wraps": [{**backup(1)["wraps"][0], "type": "other"}]}, "wraps.0.type"),
        ({"wraps": [{**backup(1)["wraps"][0], "wrapped": b64u(b"w" * 47)}]}, "wraps.0.wrapped"),
    ],
)
def test_backup_shapes_are_named_when_wrong(world: World, change: dict[str, Any], field: str) -> None:
    alice = world.register()
    answer = put_backup(alice, 1, key_backup={**backup(1), **change})
    assert fields(refused(answer, 400, "invalid")) == {f"key_backup.{field}"}
    assert backup_of(alice) is None


def test_a_state_is_replaced_only_by_the_next(world: World) -> None:
    alice = world.register()
    assert alice.call("GET", "/me/state").get_json() == {"state": None}
    assert refused(alice.call("PUT", "/me/state", {"state": state(2)}), 409, "state_conflict")["n"] == 0
    for n in (1, 2):
        assert alice.call("PUT", "/me/state", {"state": state(n)}).status_code == 204
    for n in (1, 2, 4):
        assert refused(alice.call("PUT", "/me/state", {"state": state(n)}), 409, "state_conflict")["n"] == 2
    assert alice.call("GET", "/me/state").get_json() == {"state": state(2)}
    assert world.log_in().answer["state"] == state(2)


def test_a_state_of_512_kib_is_taken_and_no_more(world: World) -> None:
    alice = world.register()
    most = {**state(1), "ciphertext": b64u(bytes(512 * 1024))}
    assert alice.call("PUT", "/me/state", {"state": most}).status_code == 204
    more = {**state(2), "ciphertext": b64u(bytes(512 * 1024 + 1))}
    assert fields(refused(alice.call("PUT", "/me/state", {"state": more}), 400, "invalid")) == {
        "state.ciphertext"
    }
    huge = {**state(2), "ciphertext": "A" * (1024 * 1024)}
    refused(alice.call("PUT", "/me/state", {"state": huge}), 413, "too_large")
