"""Membership entries and client shares as members send them: reads one, and judges what can be seen in it alone (§4).

What breaks the protocol's Words (b64u, JSON, a field missing or of another type) is `invalid` and names the field; what
is much longer than 200 members make it is `too_large`, since every reader of a chat's history gets it.
`invalid_membership` and `invalid_share`: not of this chat or caller, an algorithm that signs messages only, a key that
is not in the author's bundle named by `keys`, a signature that does not verify, wraps that are not those signed for.
Nothing here depends on where the chat stands, so all of it is done once, outside the append; what moves is judged in
`membership` and `shares`. What was stored is read again without judging it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

import orjson

from chatsec import crypto
from chatsec.domain.lines import Line
from chatsec.domain.models import MAX_MEMBERS, ROLES, Entry, Json, LogMember, Share
from chatsec.errors import ChatSecError, invalid

OPS = frozenset({"create", "add", "remove", "leave", "role", "keys", "rename", "retire"})
MAX_NUMBER = 2**53 - 1
MAX_SIGNATURE = 1024  # characters
MAX_PROTECTED = 64 * 1024  # characters; a share for 200 members has about 42,000

T = TypeVar("T", Entry, Share)

_HASH = re.compile(r"[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]").fullmatch
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", re.ASCII).fullmatch


def _is_time(text: str) -> bool:
    """A moment that there is: what a strict reader refuses must not get into a log that all of them follow."""
    try:
        return bool(_TIME(text) and datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ"))
    except ValueError:
        return False


@dataclass(frozen=True, slots=True)
class Claimed(Generic[T]):
    """A signed object as it came, of good form; `value` is what it says, to be believed once it was judged."""

    value: T
    chat: str
    alg: str
    wrong: str  # what is well-formed and never allowed, "" for nothing

    def judge(self, chat: str, by: str, line: Line) -> T:
        """The object in a request into this chat by this caller, whose line is `line`; refuses what is not allowed."""
        said, kind = self.value, "share" if isinstance(self.value, Share) else "membership"
        wrong = self.wrong
        if self.chat != chat:
            wrong = "signed for another chat"
        elif said.by != by:
            wrong = "signed by somebody else"
        elif self.alg not in crypto.CONTINUITY_ALGORITHMS:
            wrong = "only RSA-PSS-SHA256 and Ed25519 sign this"
        if not wrong:
            bundle = line.find(said.keys)
            alg, spki = bundle.signing.get(said.kid, ("", b"")) if bundle else ("", b"")
            signed = f"chatsec/{kind}/v1\n{said.protected}".encode()
            if alg != self.alg:
                wrong = "no such key in that bundle of the author"
            elif not crypto.verify(alg, spki, crypto.b64u_decode(said.signature), signed):
                wrong = "the signature does not verify"
        if wrong:
            raise ChatSecError(f"invalid_{kind}", wrong)
        return said


def read_entry(data: Any, chat: str, by: str, line: Line) -> Entry:
    """The `membership` of a request into this chat by this caller, whose line is `line`."""
    return claim_entry(data).judge(chat, by, line)


def read_share(data: Any, chat: str, by: str, line: Line) -> Share:
    """The `client_share` of a request into this chat by this caller, whose line is `line`."""
    return claim_share(data).judge(chat, by, line)


def claim_entry(data: Any) -> Claimed[Entry]:
    """A `membership`; `invalid` for what is not of its form."""
    _, fields, named = _signed("membership", data)
    op, name, prev = fields.text("op"), fields.take("name"), fields.text("prev")
    if name is not None and not isinstance(name, str):
        raise fields.wrong("name", "must be a text or null")
    members = {
        username: LogMember(member.text("role"), member.hash("keys"))
        for username, member in fields.objects("members")
    }
    entry = Entry(
        **named,
        n=fields.number("n"),
        prev=fields.hash("prev") if prev else "",
        op=op,
        name=name,
        members=members,
    )
    wrong = ""
    if op not in OPS:
        wrong = "no such op"
    elif any(member.role not in ROLES for member in members.values()):
        wrong = "no such role"
    elif len(members) > MAX_MEMBERS:
        wrong = f"a chat has at most {MAX_MEMBERS} members"
    return Claimed(entry, fields.text("chat"), fields.text("alg"), wrong)


def claim_share(data: Any) -> Claimed[Share]:
    """A `client_share`; `invalid` for what is not of its form."""
    outer, fields, named = _signed("client_share", data)
    fields.hash("commit")
    recipients, hashes = {}, {}
    for username, recipient in fields.objects("recipients"):
        recipients[username], hashes[username] = recipient.hash("keys"), recipient.hash("wrap")
    excluded = fields.take("excluded")
    if not isinstance(excluded, list) or not all(isinstance(name, str) for name in excluded):
        raise fields.wrong("excluded", "must be usernames")
    wrapped = outer.object("wraps")
    wraps = {username: wrapped.text(username) for username in wrapped.names()}
    made = {
        username: crypto.H(crypto.b64u_decode(wrap, f"client_share.wraps.{username}"))
        for username, wrap in wraps.items()
    }
    share = Share(
        **named,
        epoch=fields.number("epoch"),
        membership=fields.hash("membership"),
        recipients=recipients,
        excluded=frozenset(excluded),
        wraps=wraps,
    )
    wrong = ""
    if len(share.excluded) != len(excluded) or not recipients.keys().isdisjoint(excluded):
        wrong = "somebody is named twice"
    elif made != hashes:
        wrong = "the wraps are not those that were signed"
    return Claimed(share, fields.text("chat"), fields.text("alg"), wrong)


def _signed(at: str, data: Any) -> tuple[_Fields, _Fields, dict[str, str]]:
    """The outer object, what is signed, and what all signed objects name: hash, author, keys, the two texts."""
    outer = _Fields(data, at)
    protected, signature = outer.text("protected"), outer.text("signature")
    if len(protected) > MAX_PROTECTED or len(signature) > MAX_SIGNATURE:
        raise ChatSecError(
            "too_large", f"{at}: at most {MAX_PROTECTED} characters, and {MAX_SIGNATURE} of signature"
        )
    crypto.b64u_decode(signature, f"{at}.signature")
    try:
        content = orjson.loads(crypto.b64u_decode(protected, f"{at}.protected"))
    except orjson.JSONDecodeError as error:
        raise invalid(f"{at}.protected", "not JSON text") from error
    fields = _Fields(content, f"{at}.protected")
    if fields.number("v") != 1:
        raise fields.wrong("v", "must be 1")
    fields.text("at", _is_time)
    named = {"by": fields.text("by"), "keys": fields.hash("keys"), "kid": fields.hash("kid")}
    texts = {"protected": protected, "signature": signature}
    return outer, fields, {"hash": signed_hash(protected, signature), **named, **texts}


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
