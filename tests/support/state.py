"""Client state and recovery codes (protocol §3)."""

import json
import os
from collections.abc import Mapping
from typing import Any

from tests.support.encoding import (
    USERNAME,
    UUID,
    Failure,
    b64u,
    digest,
    field,
    number,
    parse_object,
    text,
)
from tests.support.passwords import hkdf, seal, unseal

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
MISREAD = str.maketrans("ILO", "110")


def state_key(secret: bytes) -> bytes:
    """The key of the client state; `secret` is B."""
    return hkdf(secret, "chatsec/state/v1")


def _aad(username: str, n: int) -> str:
    return f"chatsec/state/v1\n{username}\n{n}"


def seal_state(
    username: str, n: int, contents: Mapping[str, Any], secret: bytes, iv: bytes | None = None
) -> dict[str, Any]:
    """Client state n of `{"pins", "chats"}`."""
    return seal_text(username, n, json.dumps(contents, separators=(",", ":")), secret, iv)


def seal_text(
    username: str, n: int, plaintext: str, secret: bytes, iv: bytes | None = None
) -> dict[str, Any]:
    """The same of any text."""
    sealed_iv, ciphertext = seal(state_key(secret), plaintext.encode(), _aad(username, n), iv)
    return {"v": 1, "n": n, "iv": sealed_iv, "ciphertext": ciphertext}


def open_state(username: str, state: Mapping[str, Any], secret: bytes) -> dict[str, Any]:
    """The contents, nothing but what the protocol knows; `undecryptable`, `malformed`."""
    n = number(field(state, "n"), 1)
    if number(field(state, "v")) != 1:
        raise Failure("malformed", "client state")
    aad = _aad(username, n)
    contents = parse_object(unseal(state_key(secret), field(state, "iv"), field(state, "ciphertext"), aad))
    pins, chats = field(contents, "pins"), field(contents, "chats")
    if not isinstance(pins, dict) or not isinstance(chats, dict):
        raise Failure("malformed", "contents")
    return {
        "pins": {text(name, USERNAME): _pin(pin) for name, pin in pins.items()},
        "chats": {text(chat, UUID): _chat(known) for chat, known in chats.items()},
    }


def _pin(pin: Any) -> dict[str, Any]:
    if not isinstance(pin, dict) or not isinstance(field(pin, "verified"), bool):
        raise Failure("malformed", "pin")
    keys = digest(field(pin, "keys"))
    return {"version": number(field(pin, "version"), 1), "keys": keys, "verified": pin["verified"]}


def _chat(known: Any) -> dict[str, Any]:
    if not isinstance(known, dict) or not isinstance(field(known, "mode"), str):
        raise Failure("malformed", "chat")
    counts = {name: number(field(known, name)) for name in ("log_n", "epoch", "seq")}
    hashes = {name: field(known, name) and digest(known[name]) for name in ("log_hash", "chain")}
    if not all(isinstance(value, str) for value in hashes.values()):
        raise Failure("malformed", "hash")
    return {"mode": known["mode"]} | counts | hashes


# ---- recovery


def show_code(code: bytes) -> str:
    """20 bytes as eight groups of four characters."""
    whole = int.from_bytes(code, "big")
    letters = "".join(ALPHABET[whole >> shift & 31] for shift in range(155, -1, -5))
    return "-".join(letters[at : at + 4] for at in range(0, 32, 4))


def read_code(typed: str) -> bytes:
    """What a person typed, as 20 bytes; `invalid`."""
    letters = "".join(typed.replace("-", "").split()).upper().translate(MISREAD)
    if len(letters) != 32 or not set(letters) <= set(ALPHABET):
        raise Failure("invalid", "not a recovery code")
    whole = 0
    for letter in letters:
        whole = whole << 5 | ALPHABET.index(letter)
    return whole.to_bytes(20, "big")


def new_code() -> bytes:
    """A fresh code."""
    return os.urandom(20)


def recovery_key(code: bytes) -> bytes:
    """Wraps B."""
    return hkdf(code, "chatsec/recovery/v1")


def recovery_auth(code: bytes) -> str:
    """What the server is told."""
    return b64u(hkdf(code, "chatsec/recovery-auth/v1"))


def recovery_wrap(username: str, code: bytes, secret: bytes, iv: bytes | None = None) -> dict[str, str]:
    """B under the code, as it stands in a key backup."""
    aad = f"chatsec/backup-wrap/v1\nrecovery\n{username}"
    sealed_iv, wrapped = seal(recovery_key(code), secret, aad, iv)
    return {"type": "recovery", "iv": sealed_iv, "wrapped": wrapped}
