"""What may replace what in an account: bundle, key backup and client state follow the stored one by exactly one (§2, §3).

Pure; every store judges by these inside its change. They refuse by `keys_conflict`, `backup_conflict`, `state_conflict`,
each with where the stored one stands.
"""

from __future__ import annotations

from typing import Any

from chatsec.domain.models import Account, Bundle, Json
from chatsec.errors import ChatSecError


def bundle_changes(account: Account, bundle: Bundle | None) -> dict[str, Any]:
    """The fields of the account that change with its next bundle; None changes nothing."""
    if bundle is None:
        return {}
    if bundle.version != account.keys_version + 1:
        raise ChatSecError("keys_conflict", version=account.keys_version, hash=account.keys_hash)
    return {"keys_version": bundle.version, "keys_hash": bundle.hash}


def secret_changes(
    account: Account,
    backup: Json | None = None,
    recovery_hash: bytes | None = None,
    state: Json | None = None,
) -> dict[str, Any]:
    """The fields that change with what is given; None leaves what there is."""
    changes: dict[str, Any] = {}
    if backup is not None:
        version = account.backup["version"] if account.backup else 0
        if backup["version"] != version + 1:
            raise ChatSecError("backup_conflict", version=version)
        changes["backup"] = backup
    if state is not None:
        n = account.state["n"] if account.state else 0
        if state["n"] != n + 1:
            raise ChatSecError("state_conflict", n=n)
        changes["state"] = state
    if recovery_hash is not None:
        changes["recovery_hash"] = recovery_hash
    return changes
