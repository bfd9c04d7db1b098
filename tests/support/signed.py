"""Signed objects, membership entries and client shares (protocol, Words and §4): made and read, not judged.

Reading wants strict form: of an entry anything else is `invalid_membership`, of a share `bad_share`.
"""

import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import load_der_public_key

from tests.support.encoding import (
    USERNAME,
    UUID,
    Failure,
    H,
    b64u,
    digest,
    field,
    number,
    parse_object,
    text,
    time,
    un64u,
)
from tests.support.envelopes import now
from tests.support.keys import ED25519, LINKING, KeySet

Signed = dict[str, Any]
OPS = ("create", "add", "remove", "leave", "role", "keys", "rename", "retire")


@dataclass(frozen=True)
class Entry:
    """A membership entry, read; `members` is username → (role, bundle hash)."""

    hash: str
    by: str
    keys: str
    alg: str
    kid: str
    n: int
    prev: str
    op: str
    name: str | None
    members: dict[str, tuple[str, str]]

    def owners(self) -> set[str]:
        return {name for name, (role, _) in self.members.items() if role == "owner"}


@dataclass(frozen=True)
class Share:
    """A client share, read; `recipients` is username → (bundle hash, hash of the wrap)."""

    hash: str
    by: str
    keys: str
    alg: str
    kid: str
    epoch: int
    commit: str
    membership: str
    recipients: dict[str, tuple[str, str]]
    excluded: frozenset[str]


# ---- making


def sign_object(keys: KeySet, kind: str, alg: str, fields: Mapping[str, Any]) -> Signed:
    """A signed object over exactly these fields; `v` and `at` are filled in."""
    protected = b64u(json.dumps({"v": 1, "at": now()} | dict(fields), separators=(",", ":")).encode())
    return {"protected": protected, "signature": b64u(keys.sign(alg, signing_input(kind, protected)))}


def signing_input(kind: str, protected: str) -> bytes:
    """What `kid` signs."""
    return f"chatsec/{kind}/v1\n{protected}".encode()


def signed_hash(signed: Mapping[str, str]) -> str:
    """The hash by which an event names it."""
    return H(f"{signed['protected']}.{signed['signature']}".encode())


def author(keys: KeySet, chat: str, by: str, kh: str, alg: str = ED25519) -> dict[str, Any]:
    """The fields that every signed object has of its author; `kh` is the bundle of `by` that holds the key."""
    return {"chat": chat, "by": by, "alg": alg, "kid": keys.kid(alg), "keys": kh}


def entry_fields(
    before: Entry | None, op: str, members: Mapping[str, tuple[str, str]], name: str | None
) -> dict[str, Any]:
    """What an entry adds, as the one after `before`."""
    return {
        "n": before.n + 1 if before else 1,
        "prev": before.hash if before else "",
        "op": op,
        "name": name,
        "members": {who: {"role": role, "keys": kh} for who, (role, kh) in members.items()},
    }


def share_label(chat: str, epoch: int) -> bytes:
    """Label of the client share's wrap."""
    return f"chatsec/wrap/v1\n{chat}\n{epoch}\nclient".encode()


def commit(chat: str, epoch: int, secret: bytes) -> str:
    """The commitment to C."""
    return H(f"chatsec/share-commit/v1\n{chat}\n{epoch}\n".encode() + secret)


def wrap(spki: bytes, secret: bytes, label: bytes) -> bytes:
    """RSA-OAEP-256."""
    key: Any = load_der_public_key(spki)
    return bytes(key.encrypt(secret, padding.OAEP(padding.MGF1(SHA256()), SHA256(), label)))


def share_fields(
    chat: str,
    epoch: int,
    membership: str,
    recipients: Mapping[str, tuple[str, bytes]],
    excluded: Iterable[str] = (),
    secret: bytes | None = None,
    wrap: Callable[[bytes, bytes, bytes], bytes] = wrap,
) -> tuple[dict[str, Any], dict[str, str], bytes]:
    """What a share adds, its wraps, and C; `recipients` is username → (bundle hash, SPKI of the wrapping key)."""
    secret = secret or os.urandom(32)
    label = share_label(chat, epoch)
    wraps = {who: b64u(wrap(spki, secret, label)) for who, (_, spki) in recipients.items()}
    fields = {
        "epoch": epoch,
        "commit": commit(chat, epoch, secret),
        "membership": membership,
        "recipients": {
            who: {"keys": kh, "wrap": H(un64u(wraps[who]))} for who, (kh, _) in recipients.items()
        },
        "excluded": sorted(excluded),
    }
    return fields, wraps, secret


def epoch_key(server: bytes, secret: bytes, chat: str, epoch: int, share_hash: str) -> bytes:
    """K_e of S_e and C; `undecryptable` unless both have 32 bytes."""
    if len(server) != 32 or len(secret) != 32:
        raise Failure("undecryptable", "a share has 32 bytes")
    info = f"chatsec/epoch/v1\n{chat}\n{epoch}\n{share_hash}".encode()
    return HKDF(SHA256(), 32, b"", info).derive(server + secret)


# ---- reading


def _read(signed: Mapping[str, Any], chat: str, kind: str) -> dict[str, Any]:
    """Strict form of a signed object, its own fields checked."""
    un64u(field(signed, "signature"))
    fields = parse_object(un64u(field(signed, "protected")))
    if number(field(fields, "v")) != 1 or text(field(fields, "chat"), UUID) != chat:
        raise Failure("malformed", "v or chat")
    text(field(fields, "by"), USERNAME)
    if text(field(fields, "alg")) not in LINKING:
        raise Failure("malformed", "alg")
    digest(field(fields, "kid"))
    digest(field(fields, "keys"))
    time(field(fields, "at"))
    return fields


def read_entry(signed: Mapping[str, Any], chat: str) -> Entry:
    """An entry of this chat; whatever is wrong with its form is `invalid_membership`."""
    try:
        fields = _read(signed, chat, "membership")
        members = {}
        for who, member in _object(field(fields, "members")).items():
            role = text(field(_object(member), "role"))
            if role not in ("owner", "member"):
                raise Failure("malformed", "role")
            members[text(who, USERNAME)] = role, digest(field(member, "keys"))
        if field(fields, "name") is not None:
            text(fields["name"])
        if text(field(fields, "op")) not in OPS or len(members) > 200:
            raise Failure("malformed", "op or members")
        prev, n = digest(field(fields, "prev"), empty=True), number(field(fields, "n"), 1)
    except Failure as failure:
        raise Failure("invalid_membership", str(failure)) from failure
    named = (fields[name] for name in ("by", "keys", "alg", "kid"))
    return Entry(signed_hash(signed), *named, n, prev, fields["op"], fields["name"], members)


def read_share(signed: Mapping[str, Any], chat: str) -> Share:
    """A share of this chat; whatever is wrong with its form is `bad_share`."""
    try:
        fields = _read(signed, chat, "share")
        recipients = {}
        for who, given in _object(field(fields, "recipients")).items():
            keys = digest(field(_object(given), "keys"))
            recipients[text(who, USERNAME)] = keys, digest(field(given, "wrap"))
        excluded = field(fields, "excluded")
        if not isinstance(excluded, list) or len({text(who, USERNAME) for who in excluded}) != len(excluded):
            raise Failure("malformed", "excluded")
        if set(excluded) & set(recipients):
            raise Failure("malformed", "both recipient and excluded")
        epoch, committed = number(field(fields, "epoch"), 1), digest(field(fields, "commit"))
        membership = digest(field(fields, "membership"))
    except Failure as failure:
        raise Failure("bad_share", str(failure)) from failure
    named = (fields[name] for name in ("by", "keys", "alg", "kid"))
    return Share(signed_hash(signed), *named, epoch, committed, membership, recipients, frozenset(excluded))


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Failure("malformed", "not an object")
    return value
