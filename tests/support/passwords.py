"""Password, login secret and key backup (protocol §3)."""

import json
import os
import unicodedata
from collections.abc import Mapping
from typing import Any

from argon2.low_level import Type, hash_secret_raw
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from tests.support.encoding import Failure, b64u, field, number, parse_object, un64u
from tests.support.keys import KeySet

PAGE_KDF = {"name": "argon2id", "m": 65536, "t": 3, "p": 1}
SMALL_KDF = {"name": "argon2id", "m": 8, "t": 1, "p": 1}
LIMITS = {"m": (65536, 2**20), "t": (3, 16), "p": (1, 4)}


def hkdf(key: bytes, info: str, length: int = 32) -> bytes:
    """HKDF-SHA-256 with an empty salt."""
    return HKDF(SHA256(), length, b"", info.encode()).derive(key)


def make_kdf(base: Mapping[str, Any] = PAGE_KDF) -> dict[str, Any]:
    """Parameters with a fresh salt."""
    return {**base, "salt": b64u(os.urandom(16))}


def judge_kdf(kdf: Mapping[str, Any] | None) -> None:
    """`weak_kdf` for what a client of the project refuses from prelogin."""
    try:
        if kdf is None or field(kdf, "name") != "argon2id":
            raise Failure("weak_kdf")
        un64u(field(kdf, "salt"), 16)
        fits = all(low <= number(field(kdf, name)) <= high for name, (low, high) in LIMITS.items())
    except Failure as failure:
        raise Failure("weak_kdf") from failure
    if not fits:
        raise Failure("weak_kdf")


def master(password: str, kdf: Mapping[str, Any]) -> bytes:
    """Argon2id over NFKC."""
    secret = unicodedata.normalize("NFKC", password).encode()
    return hash_secret_raw(secret, un64u(kdf["salt"], 16), kdf["t"], kdf["m"], kdf["p"], 32, Type.ID)


def auth(master_key: bytes) -> str:
    """What travels as `password`: 43 characters."""
    return b64u(hkdf(master_key, "chatsec/auth/v1"))


def password_key(master_key: bytes) -> bytes:
    """Wraps B."""
    return hkdf(master_key, "chatsec/backup/v1")


def seal(key: bytes, plaintext: bytes, aad: str, iv: bytes | None = None) -> tuple[str, str]:
    """(iv, ciphertext) of AES-256-GCM, as b64u."""
    iv = iv or os.urandom(12)
    return b64u(iv), b64u(AESGCM(key).encrypt(iv, plaintext, aad.encode()))


def unseal(key: bytes, iv: str, ciphertext: str, aad: str) -> bytes:
    """Opens, or `undecryptable`."""
    try:
        return AESGCM(key).decrypt(un64u(iv, 12), un64u(ciphertext), aad.encode())
    except InvalidTag as error:
        raise Failure("undecryptable") from error


def seal_backup(
    username: str,
    keys: KeySet,
    key: bytes,
    version: int = 1,
    keys_version: int = 1,
    secret: bytes | None = None,
) -> dict[str, Any]:
    """A key backup with a password wrap; `secret` is B."""
    secret = secret or os.urandom(32)
    body = {
        "keys_version": keys_version,
        "keys": [{"alg": alg, "kid": keys.kid(alg), "pkcs8": pkcs8} for alg, pkcs8 in keys.pkcs8.items()],
        "retired": [],
        "state_n": 0,
    }
    iv, ciphertext = seal(secret, json.dumps(body).encode(), f"chatsec/backup/v1\n{username}\n{version}")
    wrap_iv, wrapped = seal(key, secret, f"chatsec/backup-wrap/v1\npassword\n{username}")
    wraps = [{"type": "password", "iv": wrap_iv, "wrapped": wrapped}]
    return {"v": 1, "version": version, "iv": iv, "ciphertext": ciphertext, "wraps": wraps}


def open_backup(
    username: str, backup: Mapping[str, Any], key: bytes, kind: str = "password"
) -> tuple[bytes, dict[str, Any]]:
    """(B, contents) by the way in `kind`."""
    version = number(field(backup, "version"), 1)
    if number(field(backup, "v")) != 1 or not isinstance(backup["wraps"], list):
        raise Failure("malformed", "backup")
    wraps = [wrap for wrap in backup["wraps"] if wrap["type"] == kind]
    if len(wraps) > 1:
        raise Failure("malformed", "wraps")
    if not wraps:
        raise Failure("undecryptable", f"no {kind} wrap")
    aad = f"chatsec/backup-wrap/v1\n{kind}\n{username}"
    secret = unseal(key, wraps[0]["iv"], wraps[0]["wrapped"], aad)
    if len(secret) != 32:
        raise Failure("malformed", "B")
    aad = f"chatsec/backup/v1\n{username}\n{version}"
    contents = parse_object(unseal(secret, backup["iv"], backup["ciphertext"], aad))
    number(field(contents, "keys_version"), 1), number(field(contents, "state_n"))
    for name in ("keys", "retired"):
        if not isinstance(field(contents, name), list):
            raise Failure("malformed", name)
    return secret, contents


def backup_keys(contents: Mapping[str, Any]) -> KeySet:
    """The current keys of opened contents."""
    return KeySet({entry["alg"]: entry["pkcs8"] for entry in contents["keys"]})
