"""bcrypt behind the domain's `PasswordHasher`, and the passwords that everybody knows.

What is hashed is base64(SHA-256(password)), 44 bytes, so that bcrypt's limit of 72 never cuts a password short
(protocol §3). Hashing takes a fifth of a second by design and runs through `Offload.hash` only.
"""

from __future__ import annotations

import base64
import hashlib

import bcrypt

from chatsec.domain.ports import Offload


class BcryptHasher:
    """`PasswordHasher`; `rounds` is bcrypt's cost, log2 of its iterations."""

    def __init__(self, *, rounds: int, offload: Offload) -> None:
        self._rounds = rounds
        self._offload = offload
        # Well-formed, of the same cost, and the hash of nothing known.
        self._nobody = f"$2b${rounds:02d}$".encode() + b"." * 53

    def hash(self, password: str) -> bytes:
        return self._offload.hash(bcrypt.hashpw, _digest(password), bcrypt.gensalt(self._rounds))

    def verify(self, password: str, hashed: bytes | None) -> bool:
        matches = self._offload.hash(bcrypt.checkpw, _digest(password), hashed or self._nobody)
        return matches and hashed is not None


def common_passwords() -> frozenset[str]:
    """30,000 passwords seen most often in leaks, lower case: the list of the zxcvbn package."""
    from zxcvbn.frequency_lists import FREQUENCY_LISTS

    return frozenset(FREQUENCY_LISTS["passwords"])


def _digest(password: str) -> bytes:
    return base64.b64encode(hashlib.sha256(password.encode()).digest())
