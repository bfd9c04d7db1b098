"""Passwords and recovery codes: which may be set, and checking the ones that are shown.

With a kdf the password is the client's derived secret, 32 bytes as 43 b64u characters; without one it is any 8 to 1024
characters that are not on the list of common ones (protocol §3). Checking takes as long for nobody as for somebody.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Container

from chatsec.crypto import b64u_decode
from chatsec.domain.limits import Limits
from chatsec.domain.models import Account, Json
from chatsec.domain.ports import PasswordHasher, Storage
from chatsec.errors import ChatSecError, invalid

SHORTEST = 8
AUTH_BYTES = 32
NO_CODE = b""  # the recovery hash of who has none: no code has it


class Credentials:
    """`common` holds lower-case passwords that everybody knows."""

    def __init__(
        self, *, storage: Storage, hasher: PasswordHasher, limits: Limits, common: Container[str]
    ) -> None:
        self._accounts = storage.accounts
        self._hasher = hasher
        self._limits = limits
        self._common = common

    def identify(self, username: str, password: str) -> Account:
        """Who logs in, or `invalid_credentials`, alike for a wrong password and for nobody."""
        account = self._living(username)
        if not self._hasher.verify(password, account.password_hash if account else None) or account is None:
            raise ChatSecError("invalid_credentials")
        return account

    def recover(self, username: str, recovery_auth: str) -> Account:
        """Who holds the recovery code, or `invalid_credentials`, alike for a wrong code, no code and nobody."""
        account = self._living(username)
        expected = (account.recovery_hash if account else None) or NO_CODE
        if not hmac.compare_digest(recovery_hash(recovery_auth), expected) or account is None:
            raise ChatSecError("invalid_credentials")
        return account

    def confirm(self, username: str, password: str) -> Account:
        """The caller, who proves again who they are before something grave: `wrong_password`, `rate_limited`."""
        self._limits.take("login", f"confirm:{username}")
        account = self._living(username)
        if not self._hasher.verify(password, account.password_hash if account else None) or account is None:
            raise ChatSecError("wrong_password")
        return account

    def hash(self, username: str, password: str, kdf: Json | None, field: str = "password") -> bytes:
        """What to store of a new password: `invalid` naming `field`, `weak_password`."""
        if kdf is not None:
            if len(b64u_decode(password, field)) != AUTH_BYTES:
                raise invalid(field, "with a kdf, exactly 43 b64u characters")
        elif len(password) < SHORTEST:
            raise ChatSecError("weak_password", f"at least {SHORTEST} characters")
        elif password.lower() in self._common or password.lower() == username:
            raise ChatSecError("weak_password", "one of the passwords that are tried first")
        return self._hasher.hash(password)

    def _living(self, username: str) -> Account | None:
        account = self._accounts.get(username)
        return account if account is not None and account.ended_at is None else None


def recovery_hash(recovery_auth: str) -> bytes:
    """What the server keeps of a recovery code's auth (protocol §3)."""
    return hashlib.sha256(recovery_auth.encode()).digest()
