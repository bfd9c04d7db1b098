"""Envelopes whose every header field can be wrong, sealed under a key that nobody has: the server cannot know."""

import json
import os
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from tests.support import protocol as p
from tests.support.client import ApiError, User

KEY = os.urandom(32)


def forge(
    user: User, chat: str, /, *, by: str = p.ED25519, size: int = 10, drop: str = "", **fields: Any
) -> p.Envelope:
    """An envelope by `user`, signed with `by`; `fields` replace header fields, `drop` leaves one out."""
    header: dict[str, Any] = {
        "v": 1,
        "chat": chat,
        "epoch": 1,
        "id": str(uuid.uuid4()),
        "from": user.username,
        "dev": p.b64u(os.urandom(16)),
        "n": 1,
        "prev": "",
        "seen": {"seq": 1, "hash": p.H(b"seen")},
        "log": "",
        "at": p.now(),
        "alg": by,
        "kid": user.keys.kid(by),
        "kc": p.commitment(KEY),
    } | fields
    header.pop(drop, None)
    return p.seal_raw(user.keys, KEY, json.dumps(header).encode(), os.urandom(size), chat, by)


def forge_text(user: User, chat: str, header: bytes, alg: str = p.ED25519) -> p.Envelope:
    """An envelope with exactly these header bytes."""
    return p.seal_raw(user.keys, KEY, header, b"\x80".ljust(32, b"\x00"), chat, alg)


def raw_ciphertext(user: User, chat: str, size: int, /, **fields: Any) -> p.Envelope:
    """An envelope whose ciphertext has `size` bytes, tag included."""
    return forge(user, chat, size=size - 16, **fields)


def header_of(envelope: p.Envelope) -> dict[str, Any]:
    """The header JSON of an envelope."""
    return p.parse_object(p.un64u(envelope["protected"]))


def refusal(ack: dict[str, Any]) -> str:
    """The code of a refused ack; of `invalid` with the field."""
    assert ack["ok"] is False and isinstance(ack["detail"], str)
    return f"invalid {ack['errors'][0]['field']}" if "errors" in ack else ack["code"]


def problem(call: Callable[..., Any], *args: Any) -> dict[str, Any]:
    """What a refused call was answered."""
    with pytest.raises(ApiError) as caught:
        call(*args)
    return caught.value.body
