"""Accounts: registering, logging in, recovering, changing the password, keeping secrets, ending.

What could tell whether somebody exists answers alike for everybody (prelogin, log-in, recovery); `username_taken` and
the search for the logged in do tell, and that is said openly. Refusals are named at each method.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from chatsec.crypto import b64u_encode
from chatsec.domain.credentials import NO_CODE, Credentials, recovery_hash
from chatsec.domain.keys import KeyService
from chatsec.domain.limits import Limits
from chatsec.domain.models import Account, Caller, Json
from chatsec.domain.ports import Clock, Storage, Tokens
from chatsec.domain.sessions import Grant, SessionService
from chatsec.errors import ChatSecError, invalid


@dataclass(frozen=True, slots=True)
class Registration:
    """A new account as asked for; `kdf`, `keys` and `backup` are judged in form."""

    username: str
    password: str
    display_name: str | None = None
    kdf: Json | None = None
    keys: Json | None = None
    backup: Json | None = None
    recovery_auth: str | None = None


@dataclass(frozen=True, slots=True)
class NewPassword:
    """A new password with all that goes with it. `kdf` is "same" where nothing was said about it."""

    new_password: str
    password: str | None = None
    kdf: Json | str | None = "same"
    backup: Json | None = None
    recovery_auth: str | None = None
    bundle: Json | None = None
    state: Json | None = None


class AccountService:
    """`before_deletion(username)` may refuse (`last_owner`); `on_ended(username)` takes the account out of its chats."""

    def __init__(
        self,
        *,
        storage: Storage,
        credentials: Credentials,
        keys: KeyService,
        sessions: SessionService,
        tokens: Tokens,
        limits: Limits,
        clock: Clock,
        registration_open: bool,
        before_deletion: Callable[[str], None],
        on_ended: Callable[[str], None],
    ) -> None:
        self._accounts = storage.accounts
        self._credentials = credentials
        self._keys = keys
        self._sessions = sessions
        self._tokens = tokens
        self._limits = limits
        self._clock = clock
        self._registration_open = registration_open
        self._before_deletion = before_deletion
        self._on_ended = on_ended

    # -------------------------------------------------------- coming in

    def prelogin(self, username: str) -> Json | None:
        """How this person's password is derived; made up, but always the same, for people who do not exist."""
        account = self._accounts.get(username)
        if account is not None and account.ended_at is None:
            return account.kdf
        salt = b64u_encode(self._tokens.decoy_salt(username))
        return {"name": "argon2id", "m": 65536, "t": 3, "p": 1, "salt": salt}

    def register(self, wanted: Registration, address: str, agent: str) -> tuple[Account, Grant]:
        """`registration_closed`, `rate_limited`, `username_taken`, `weak_password`, `invalid`, and what keys refuse."""
        if not self._registration_open:
            raise ChatSecError("registration_closed")
        self._limits.take("register", address)
        if self._accounts.get(wanted.username) is not None:
            raise ChatSecError("username_taken")
        if wanted.backup and wanted.backup["version"] != 1:
            raise ChatSecError("backup_conflict", version=0)
        bundle = self._keys.judge(wanted.username, wanted.keys, None) if wanted.keys else None
        account = Account(
            username=wanted.username,
            display_name=wanted.display_name or wanted.username,
            created_at=self._clock.now(),
            password_hash=self._credentials.hash(wanted.username, wanted.password, wanted.kdf),
            kdf=wanted.kdf,
            recovery_hash=_hash_or_none(wanted.recovery_auth),
            backup=wanted.backup,
        )
        self._accounts.create(account, bundle)
        return self.get(account.username), self._sessions.open(account.username, agent)

    def log_in(self, username: str, password: str, address: str, agent: str) -> tuple[Account, Grant]:
        """`rate_limited`, `invalid_credentials`."""
        self._take_attempt(username, address)
        account = self._credentials.identify(username, password)
        grant = self._sessions.open(username, agent)
        # Hashing takes its time: a password changed, or an account ended, meanwhile must leave no session behind.
        now = self._accounts.get(username)
        if now is None or now.password_hash != account.password_hash:
            self._sessions.end(username, grant.session_id)
            raise ChatSecError("invalid_credentials")
        return now, grant

    def recover(self, username: str, recovery_auth: str, address: str) -> tuple[Json | None, str]:
        """(key backup, a token for one new password); `rate_limited`, `invalid_credentials`."""
        self._take_attempt(username, address)
        account = self._credentials.recover(username, recovery_auth)
        return account.backup, self._tokens.recovery(username, account.password_hash)

    # -------------------------------------------------------- being there

    def get(self, username: str) -> Account:
        """`not_found` for who does not exist or has ended."""
        account = self._accounts.get(username)
        if account is None or account.ended_at is not None:
            raise ChatSecError("not_found")
        return account

    def rename(self, username: str, display_name: str) -> Account:
        self._accounts.set_display_name(username, display_name)
        return self.get(username)

    def put_backup(self, username: str, backup: Json, password: str, recovery_auth: str | None) -> None:
        """`wrong_password`, `backup_conflict` with the stored `version`."""
        self._credentials.confirm(username, password)
        self._accounts.put_backup(username, backup, _hash_or_none(recovery_auth))

    def put_state(self, username: str, state: Json) -> None:
        """`state_conflict` with the stored `n`."""
        self._accounts.put_state(username, state)

    # -------------------------------------------------------- a new password

    def change_password(self, caller: Caller, wanted: NewPassword) -> tuple[Account, Grant]:
        """By who knows the old one: all other sessions end, this one gets new tokens. `wrong_password`, `invalid`,
        `weak_password`, `backup_conflict`, `state_conflict`, and what keys refuse."""
        if wanted.password is None:
            raise invalid("password", "the current password is needed")
        account = self._credentials.confirm(caller.username, wanted.password)
        self._set_password(account, wanted, _hash_or_none(wanted.recovery_auth), caller.session_id)
        return self.get(caller.username), self._sessions.renew(caller)

    def reset_password(self, recovery_token: str, wanted: NewPassword, agent: str) -> tuple[Account, Grant]:
        """By who holds the recovery code: all sessions end, a new one begins, and the used code works no more."""
        username, fingerprint = self._tokens.read_recovery(recovery_token)
        account = self._accounts.get(username)
        if account is None or self._tokens.fingerprint(account.password_hash) != fingerprint:
            raise ChatSecError("unauthorized", "this recovery token was used")
        code = _hash_or_none(wanted.recovery_auth) or NO_CODE
        if code == account.recovery_hash:
            raise invalid("recovery_auth", "a used code is replaced by another")
        self._set_password(account, wanted, code, "")
        return self.get(username), self._sessions.open(username, agent)

    def _set_password(
        self, account: Account, wanted: NewPassword, code: bytes | None, keep_session: str
    ) -> None:
        kdf = wanted.kdf
        if isinstance(kdf, str):
            if account.kdf is not None:
                raise invalid("kdf", "must be given, so that nobody falls back to a weaker one unawares")
            kdf = None
        if account.backup is not None and wanted.backup is None:
            raise invalid("key_backup", "must be wrapped under the new password")
        username = account.username
        bundle = self._keys.judge_next(username, wanted.bundle) if wanted.bundle else None
        hashed = self._credentials.hash(username, wanted.new_password, kdf, "new_password")
        ended = self._accounts.set_password(
            username,
            hashed,
            kdf,
            wanted.backup,
            code,
            bundle,
            wanted.state,
            keep_session,
            replaces=account.password_hash,
        )
        self._sessions.ended(ended)
        if bundle is not None:
            self._keys.announce(bundle)

    # -------------------------------------------------------- going

    def delete(self, username: str, password: str) -> None:
        """The account and its sessions end; `wrong_password`, `last_owner`."""
        self._credentials.confirm(username, password)
        self._before_deletion(username)
        self._sessions.ended(self._accounts.end(username, self._clock.now()))
        self._on_ended(username)

    def _take_attempt(self, username: str, address: str) -> None:
        self._limits.take("login", f"address:{address}")
        self._limits.take("login", f"account:{username}")


def _hash_or_none(recovery_auth: str | None) -> bytes | None:
    return None if recovery_auth is None else recovery_hash(recovery_auth)
