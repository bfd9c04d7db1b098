"""Accounts that keep all they may with the server: a derived password, keys, key backup, client state, recovery code."""

from __future__ import annotations

from typing import Any

from tests.api.conftest import Person, World
from tests.support.protocol import auth, b64u, make_bundle, make_kdf, pool, seal_backup

KDF, NEW_KDF = make_kdf(), make_kdf()
AUTH, NEW_AUTH = auth(b"m" * 32), auth(b"n" * 32)
CODE, NEW_CODE = b64u(b"r" * 32), b64u(b"R" * 32)
NEW_PASSWORD = "another long passphrase"


def backup(version: int, key: bytes = b"k" * 32) -> dict[str, Any]:
    return seal_backup("alice", pool(0), key, version)


def state(n: int) -> dict[str, Any]:
    return {"v": 1, "n": n, "iv": b64u(b"i" * 12), "ciphertext": b64u(b"c" * 40)}


def register(world: World) -> Person:
    """As the project's clients do: derived password, keys, backup and a recovery code."""
    return world.register(
        password=AUTH,
        kdf=KDF,
        keys=make_bundle("alice", pool(0)),
        key_backup=backup(1),
        recovery_auth=CODE,
    )


def change(**more: Any) -> dict[str, Any]:
    return {"password": AUTH, "new_password": NEW_AUTH, "kdf": NEW_KDF, "key_backup": backup(2), **more}


def backup_of(person: Person) -> Any:
    return person.call("GET", "/me/key-backup").get_json()["key_backup"]


def recover(world: World, code: str = CODE) -> dict[str, Any]:
    answer = world.post("/auth/recover", {"username": "alice", "recovery_auth": code})
    assert answer.status_code == 200, answer.get_json(force=True)
    found: dict[str, Any] = answer.get_json()
    return found
