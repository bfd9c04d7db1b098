"""Bundles, key backups and client states on the wire (protocol §2, §3): their form here, their keys in `crypto`.

What is stored is what these models hold: a field that the protocol does not know is ignored and never kept.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from chatsec.domain.keys import History
from chatsec.domain.models import Bundle as JudgedBundle
from chatsec.domain.models import Json, timestamp
from chatsec.errors import invalid
from chatsec.wire import (
    FormatOne,
    Hash,
    HashOrEmpty,
    Model,
    Password,
    Positive,
    QueryNumber,
    b64u,
    is_username,
    lower_ascii,
)

MAX_STATE = 512 * 1024  # bytes (§3)
MAX_NAMES = 200
GCM_TAG = 16
Alg = Annotated[str, Field(max_length=64)]
Spki = b64u(at_least=1, at_most=4096)
Signature = b64u(at_most=1024)
Iv = b64u(exactly=12)


class Key(Model):
    alg: Alg
    spki: Spki


class Continuity(Model):
    kid: Hash
    signature: Signature


class Bundle(Model):
    """A key bundle as uploaded."""

    version: Positive
    previous: HashOrEmpty
    encryption: Key
    signing: Annotated[list[Key], Field(min_length=1, max_length=16)]
    proofs: Annotated[dict[Hash, Signature], Field(max_length=16)]
    continuity: Continuity | None = None

    def body(self) -> Json:
        """As it is judged, stored and given out."""
        return self.model_dump(exclude_none=True)


class BackupWrap(Model):
    type: Literal["password", "recovery"]
    iv: Iv
    wrapped: b64u(exactly=32 + GCM_TAG)  # type: ignore[valid-type]


def _one_of_each(wraps: list[BackupWrap]) -> list[BackupWrap]:
    if len({wrap.type for wrap in wraps}) != len(wraps):
        raise ValueError("one wrap for each way in")
    return wraps


class KeyBackup(Model):
    v: FormatOne
    version: Positive
    iv: Iv
    ciphertext: b64u(at_least=GCM_TAG)  # type: ignore[valid-type]
    wraps: Annotated[list[BackupWrap], Field(min_length=1, max_length=2), AfterValidator(_one_of_each)]


class ClientState(Model):
    v: FormatOne
    n: Positive
    iv: Iv
    ciphertext: b64u(at_least=GCM_TAG, at_most=MAX_STATE)  # type: ignore[valid-type]


def json_or_none(model: Model | None) -> Json | None:
    """As it is stored."""
    return None if model is None else model.model_dump()


class AddKeys(Model):
    """POST /me/keys."""

    bundle: Bundle
    key_backup: KeyBackup | None = None
    state: ClientState | None = None
    password: Password


class PutBackup(Model):
    """PUT /me/key-backup."""

    key_backup: KeyBackup
    password: Password
    recovery_auth: Hash | None = None


class PutState(Model):
    """PUT /me/state."""

    state: ClientState


class AfterVersion(Model):
    """The query of GET /users/{name}/keys."""

    after: QueryNumber = 0


class Names(Model):
    """The query of GET /keys: `usernames`, separated by commas."""

    usernames: Annotated[str, Field(max_length=MAX_NAMES * 33)]

    def names(self) -> list[str]:
        """Each once, as stored."""
        names = sorted({lower_ascii(name) for name in self.usernames.split(",") if name})
        if len(names) > MAX_NAMES:
            raise invalid("usernames", f"at most {MAX_NAMES}")
        if not all(is_username(name) for name in names):
            raise invalid("usernames", "not usernames separated by commas")
        return names


def history_json(history: History) -> Json:
    """A current bundle with the older ones (protocol §6), as GET /users/{name}/keys answers it."""
    current, older = history
    return {**bundle_json(current), "history": [bundle_json(one) for one in older]}


def bundle_json(stored: JudgedBundle) -> Json:
    return {
        "username": stored.username,
        "hash": stored.hash,
        "created_at": timestamp(stored.created_at),
        **stored.body,
    }
