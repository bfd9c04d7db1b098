"""Membership entries and client shares as members send them: reads one, and judges what can be seen in it alone (§4).

What breaks the protocol's Words (b64u, JSON, a field missing or of another type) is `invalid` and names the field.
`invalid_membership` and `invalid_share`: not of this chat or caller, an algorithm that signs messages only, a key that
is not in the author's bundle named by `keys`, a signature that does not verify, wraps that are not those signed for.
Nothing here depends on where the chat stands, so all of it is done once, outside the append; what moves is judged in
`membership` and `shares`. What was stored is read again without judging it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from chatsec import crypto
from chatsec.domain.lines import Line
from chatsec.domain.models import MAX_MEMBERS, ROLES, Entry, Json, LogMember, Share
from chatsec.errors import ChatSecError, invalid

OPS = frozenset({"create", "add", "remove", "leave", "role", "keys", "rename", "retire"})
MAX_NUMBER = 2**53 - 1

_HASH = re.compile(r"[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]").fullmatch
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", re.ASCII).fullmatch


def read_entry(data: Any, chat: str, by: str, line: Line) -> Entry:
    """The `membership` of a request into this chat by this caller, whose line is `line`."""
    signed = _Signed("membership", "membership", data, chat, by, line)
    fields = signed.fields
    op, name = fields.text("op"), fields.take("name")
    if op not in OPS:
        raise signed.refused("no such op")
    if name is not None and not isinstance(name, str):
        raise fields.wrong("name", "must be a text or null")
    members = {}
    for username, member in fields.objects("members"):
        members[username] = LogMember(member.text("role"), member.hash("keys"))
        if members[username].role not in ROLES:
            raise signed.refused("no such role")
    if len(members) > MAX_MEMBERS:
        raise signed.refused(f"a chat has at most {MAX_MEMBERS} members")
    prev = fields.text("prev")
    return Entry(
        hash=signed.verified(),
        by=by,
        keys=signed.keys,
        kid=signed.kid,
        n=fields.number("n"),
        prev=fields.hash("prev") if prev else "",
        op=op,
        name=name,
        members=members,
        protected=signed.protected,
        signature=signed.signature,
    )


def read_share(data: Any, chat: str, by: str, line: Line) -> Share:
    """The `client_share` of a request into this chat by this caller, whose line is `line`."""
    signed = _Signed("share", "client_share", data, chat, by, line)
    fields = signed.fields
    fields.hash("commit")
    recipients, hashes = {}, {}
    for username, recipient in fields.objects("recipients"):
        recipients[username], hashes[username] = recipient.hash("keys"), recipient.hash("wrap")
    excluded = fields.take("excluded")
    if not isinstance(excluded, list) or not all(isinstance(name, str) for name in excluded):
        raise fields.wrong("excluded", "must be usernames")
    if len(set(excluded)) != len(excluded) or not recipients.keys().isdisjoint(excluded):
        raise signed.refused("somebody is named twice")
    wraps = signed.outer.object("wraps")
    if wraps.names() != recipients.keys():
        raise signed.refused("the wraps are not those of the recipients")
    for username in recipients:
        if (
            crypto.H(crypto.b64u_decode(wraps.text(username), f"client_share.wraps.{username}"))
            != hashes[username]
        ):
            raise signed.refused(f"the wrap for {username} is not the one that was signed")
    return Share(
        hash=signed.verified(),
        by=by,
        keys=signed.keys,
        kid=signed.kid,
        epoch=fields.number("epoch"),
        membership=fields.hash("membership"),
        recipients=recipients,
        excluded=frozenset(excluded),
        wraps={username: wraps.text(username) for username in recipients},
        protected=signed.protected,
        signature=signed.signature,
    )


def stored_entry(protected: str, signature: str) -> Entry:
    """An entry that was read before it was stored."""
    fields = orjson.loads(crypto.b64u_decode(protected))
    members = {name: LogMember(one["role"], one["keys"]) for name, one in fields["members"].items()}
    return Entry(
        hash=signed_hash(protected, signature),
        by=fields["by"],
        keys=fields["keys"],
        kid=fields["kid"],
        n=int(fields["n"]),
        prev=fields["prev"],
        op=fields["op"],
        name=fields["name"],
        members=members,
        protected=protected,
        signature=signature,
    )


def stored_share(protected: str, signature: str, wraps: Mapping[str, str] | None = None) -> Share:
    """A share that was read before it was stored; with the wraps that the caller has at hand."""
    fields = orjson.loads(crypto.b64u_decode(protected))
    return Share(
        hash=signed_hash(protected, signature),
        by=fields["by"],
        keys=fields["keys"],
        kid=fields["kid"],
        epoch=int(fields["epoch"]),
        membership=fields["membership"],
        recipients={name: one["keys"] for name, one in fields["recipients"].items()},
        excluded=frozenset(fields["excluded"]),
        wraps=wraps or {},
        protected=protected,
        signature=signature,
    )


def signed_hash(protected: str, signature: str) -> str:
    """What a signed object is named by."""
    return crypto.H(f"{protected}.{signature}".encode())


class _Fields:
    """A JSON object's fields by their types; `invalid` names the one that is missing or not of its form."""

    def __init__(self, value: object, at: str) -> None:
        if not isinstance(value, dict):
            raise invalid(at, "must be an object")
        self._value: Json = value
        self._at = at

    def wrong(self, name: str, message: str) -> ChatSecError:
        return invalid(f"{self._at}.{name}", message)

    def names(self) -> set[str]:
        return set(self._value)

    def take(self, name: str) -> Any:
        if name not in self._value:
            raise self.wrong(name, "missing")
        return self._value[name]

    def text(self, name: str, form: Callable[[str], object] = lambda text: True) -> str:
        value = self.take(name)
        if not isinstance(value, str) or not form(value):
            raise self.wrong(name, "not of its form")
        return value

    def hash(self, name: str) -> str:
        return self.text(name, _HASH)

    def number(self, name: str) -> int:
        """1 … 2^53 − 1, integral however written."""
        value = self.take(name)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= MAX_NUMBER:
            raise self.wrong(name, "must be a whole number from 1")
        return value

    def object(self, name: str) -> _Fields:
        return _Fields(self.take(name), f"{self._at}.{name}")

    def objects(self, name: str) -> list[tuple[str, _Fields]]:
        """The objects in the object `name`, by their names."""
        outer = self.object(name)
        return [(inner, outer.object(inner)) for inner in sorted(outer.names())]


class _Signed:
    """What all signed objects have; `verified` gives the object's hash, once its signature was judged."""

    def __init__(self, kind: str, at: str, data: Any, chat: str, by: str, line: Line) -> None:
        self._kind, self._at, self._line = kind, at, line
        self.outer = _Fields(data, at)
        self.protected, self.signature = self.outer.text("protected"), self.outer.text("signature")
        try:
            content = orjson.loads(crypto.b64u_decode(self.protected, f"{at}.protected"))
        except orjson.JSONDecodeError as error:
            raise invalid(f"{at}.protected", "not JSON text") from error
        self.fields = _Fields(content, f"{at}.protected")
        if self.fields.number("v") != 1:
            raise self.fields.wrong("v", "must be 1")
        self.fields.text("at", _TIME)
        self.alg, self.kid = self.fields.text("alg"), self.fields.hash("kid")
        self.keys = self.fields.hash("keys")
        if self.fields.text("chat") != chat:
            raise self.refused("signed for another chat")
        if self.fields.text("by") != by:
            raise self.refused("signed by somebody else")
        if self.alg not in crypto.CONTINUITY_ALGORITHMS:
            raise self.refused("only RSA-PSS-SHA256 and Ed25519 sign this")

    def refused(self, detail: str) -> ChatSecError:
        return ChatSecError(f"invalid_{self._kind}", detail)

    def verified(self) -> str:
        bundle = self._line.find(self.keys)
        alg, spki = bundle.signing.get(self.kid, ("", b"")) if bundle else ("", b"")
        if alg != self.alg:
            raise self.refused("no such key in that bundle of the author")
        signature = crypto.b64u_decode(self.signature, f"{self._at}.signature")
        if not crypto.verify(alg, spki, signature, f"chatsec/{self._kind}/v1\n{self.protected}".encode()):
            raise self.refused("the signature does not verify")
        return signed_hash(self.protected, self.signature)
