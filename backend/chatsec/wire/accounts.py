"""Accounts, log-in and sessions on the wire (protocol §3, §6).

A `kdf` weaker or larger than what the project's clients accept is `invalid`: nobody could log in with it.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from chatsec.domain.accounts import NewPassword, Registration
from chatsec.domain.models import Account, Json, Session, timestamp
from chatsec.domain.sessions import Grant
from chatsec.wire import DisplayName, Hash, Model, Password, Username, b64u, integral
from chatsec.wire.keys import Bundle, ClientState, KeyBackup, json_or_none

RefreshIn = Literal["body", "cookie"]
RefreshToken = Annotated[str, Field(max_length=200)]


def _within(low: int, high: int) -> object:
    return Annotated[int, Field(ge=low, le=high), BeforeValidator(integral)]


class Kdf(Model):
    """Argon2id; `m` in KiB (protocol §3)."""

    name: Literal["argon2id"]
    m: _within(64 * 1024, 1024 * 1024)  # type: ignore[valid-type]
    t: _within(3, 16)  # type: ignore[valid-type]
    p: _within(1, 4)  # type: ignore[valid-type]
    salt: b64u(exactly=16)  # type: ignore[valid-type]


class Prelogin(Model):
    username: Username


class Register(Model):
    username: Username
    password: Password
    display_name: DisplayName | None = None
    kdf: Kdf | None = None
    keys: Bundle | None = None
    key_backup: KeyBackup | None = None
    recovery_auth: Hash | None = None
    refresh_in: RefreshIn | None = None

    def registration(self) -> Registration:
        return Registration(
            username=self.username,
            password=self.password,
            display_name=self.display_name,
            kdf=json_or_none(self.kdf),
            keys=self.keys.body() if self.keys else None,
            backup=json_or_none(self.key_backup),
            recovery_auth=self.recovery_auth,
        )


class LogIn(Model):
    username: Username
    password: Password
    refresh_in: RefreshIn | None = None


class Recover(Model):
    username: Username
    recovery_auth: Hash


class Refresh(Model):
    """POST /auth/refresh and /auth/logout; nothing where the token is in a cookie."""

    refresh_token: RefreshToken | None = None


class Profile(Model):
    """PATCH /me."""

    display_name: DisplayName | None = None


class ChangePassword(Model):
    """PUT /me/password."""

    password: Password | None = None
    new_password: Password
    kdf: Kdf | None = None
    key_backup: KeyBackup | None = None
    recovery_auth: Hash | None = None
    bundle: Bundle | None = None
    state: ClientState | None = None
    refresh_in: RefreshIn | None = None

    def wanted(self) -> NewPassword:
        return NewPassword(
            new_password=self.new_password,
            password=self.password,
            kdf=json_or_none(self.kdf) if "kdf" in self.model_fields_set else "same",
            backup=json_or_none(self.key_backup),
            recovery_auth=self.recovery_auth,
            bundle=self.bundle.body() if self.bundle else None,
            state=json_or_none(self.state),
        )


class Deletion(Model):
    """POST /me/deletion."""

    password: Password


def grant_json(granted: Grant, *, in_cookie: bool) -> Json:
    """The tokens of an answer; with the refresh token in a cookie, the CSRF token stands in its place."""
    kept = {"csrf_token": granted.csrf_token} if in_cookie else {"refresh_token": granted.refresh_token}
    return {"access_token": granted.access_token, **kept, "expires_in": granted.expires_in}


def secrets_json(account: Account) -> Json:
    """What log-in gives beside the tokens, for the client to open."""
    return {"key_backup": account.backup, "state": account.state}


def session_json(found: Session, current: str) -> Json:
    """A device, as GET /me/sessions lists it."""
    return {
        "id": found.id,
        "created_at": timestamp(found.created_at),
        "used_at": timestamp(found.used_at),
        "agent": found.agent,
        "current": found.id == current,
    }
