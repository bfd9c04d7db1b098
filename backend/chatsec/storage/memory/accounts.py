"""Accounts in memory: people, their backups and client states, each replaced by its next version only."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from chatsec.domain.models import Account, Bundle, Json
from chatsec.domain.versions import bundle_changes, secret_changes
from chatsec.errors import ChatSecError
from chatsec.storage.memory.data import Handle, MemoryData


class MemoryAccounts:
    """`AccountStore`."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle

    def create(self, account: Account, bundle: Bundle | None) -> None:
        with self._handle.step() as data:
            if account.username in data.accounts:
                raise ChatSecError("username_taken")
            _change(data, account, bundle, **bundle_changes(account, bundle))

    def get(self, username: str) -> Account | None:
        with self._handle.step() as data:
            return data.accounts.get(username)

    def search(self, query: str, after: str, limit: int) -> list[Account]:
        with self._handle.step() as data:
            found = [
                account
                for name, account in data.accounts.items()
                if name > after
                and account.ended_at is None
                and (query.casefold() in name or query.casefold() in account.display_name.casefold())
            ]
        return sorted(found, key=lambda account: account.username)[:limit]

    def named(self, usernames: Iterable[str]) -> dict[str, Account]:
        with self._handle.step() as data:
            return {name: data.accounts[name] for name in usernames if name in data.accounts}

    def set_display_name(self, username: str, display_name: str) -> None:
        with self._handle.step() as data:
            data.accounts[username] = replace(data.accounts[username], display_name=display_name)

    def set_presence(self, username: str, status: str | None, last_seen: int | None) -> None:
        with self._handle.step() as data:
            account = data.accounts[username]
            data.accounts[username] = replace(
                account,
                status=account.status if status is None else status,
                last_seen=account.last_seen if last_seen is None else last_seen,
            )

    def put_backup(self, username: str, backup: Json, recovery_hash: bytes | None) -> None:
        with self._handle.step() as data:
            account = _living(data, username)
            _change(data, account, None, **secret_changes(account, backup, recovery_hash))

    def put_state(self, username: str, state: Json) -> None:
        with self._handle.step() as data:
            account = _living(data, username)
            _change(data, account, None, **secret_changes(account, state=state))

    def add_bundle(self, bundle: Bundle, backup: Json | None, state: Json | None) -> None:
        with self._handle.step() as data:
            account = _living(data, bundle.username)
            changes = bundle_changes(account, bundle) | secret_changes(account, backup, None, state)
            _change(data, account, bundle, **changes)

    def set_password(
        self,
        username: str,
        password_hash: bytes,
        kdf: Json | None,
        backup: Json | None,
        recovery_hash: bytes | None,
        bundle: Bundle | None,
        state: Json | None,
        keep_session: str,
        replaces: bytes | None = None,
    ) -> list[str]:
        with self._handle.step() as data:
            account = _living(data, username)
            if replaces is not None and replaces != account.password_hash:
                raise ChatSecError("wrong_password", "the password was changed meanwhile")
            changes = bundle_changes(account, bundle) | secret_changes(account, backup, recovery_hash, state)
            _change(data, account, bundle, password_hash=password_hash, kdf=kdf, **changes)
            return _end_sessions(data, username, keep_session)

    def end(self, username: str, at: int) -> list[str]:
        with self._handle.step() as data:
            nothing = dict.fromkeys(("kdf", "recovery_hash", "backup", "state"))
            _change(data, data.accounts[username], None, password_hash=b"", ended_at=at, **nothing)
            return _end_sessions(data, username, "")


def _living(data: MemoryData, username: str) -> Account:
    account = data.accounts.get(username)
    if account is None or account.ended_at is not None:
        raise ChatSecError("not_found")
    return account


def _change(data: MemoryData, account: Account, bundle: Bundle | None, **changes: Any) -> None:
    """After all judging, so that it is all or nothing."""
    data.accounts[account.username] = replace(account, **changes)
    if bundle is not None:
        data.bundles.setdefault(account.username, []).append(bundle)


def _end_sessions(data: MemoryData, username: str, keep: str) -> list[str]:
    ended = [s.id for s in data.sessions.values() if s.username == username and s.id != keep]
    for session_id in ended:
        del data.sessions[session_id]
    return ended
