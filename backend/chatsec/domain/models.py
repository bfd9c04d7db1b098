"""What the server knows, as plain values shared by every layer.

Times are integers, milliseconds since 1970 UTC; `timestamp` writes them as the protocol does. Ids are lower-case UUID
texts, hashes and keys the b64u texts of the protocol unless a field says `bytes`. Nothing here validates: values are
judged once, at the edge (`wire`, `crypto`) or in the log (`sequence`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import lru_cache
from typing import Any

Json = dict[str, Any]

ROLES = ("owner", "member")
STATUSES = ("online", "away", "invisible")
MAX_MEMBERS = 200
EPOCH_MESSAGES = 100_000  # protocol §4: so many messages open an epoch


def timestamp(ms: int) -> str:
    """RFC 3339, UTC, milliseconds, `Z` (protocol, words)."""
    return f"{_second(ms // 1000)}.{ms % 1000:03d}Z"


@lru_cache(maxsize=64)
def _second(s: int) -> str:
    return f"{datetime.fromtimestamp(s, timezone.utc):%Y-%m-%dT%H:%M:%S}"


# ---------------------------------------------------------------- accounts


@dataclass(frozen=True, slots=True)
class Account:
    """A person. `kdf` is None for plain REST users; `keys_version` 0 means no bundle yet."""

    username: str
    display_name: str
    created_at: int
    password_hash: bytes
    kdf: Json | None = None
    recovery_hash: bytes | None = None
    keys_version: int = 0
    keys_hash: str = ""
    backup: Json | None = None
    state: Json | None = None
    status: str = "online"
    last_seen: int | None = None
    ended_at: int | None = None


@dataclass(frozen=True, slots=True)
class Bundle:
    """A judged key bundle (protocol §2); `body` holds the uploaded fields, byte for byte what was signed over."""

    username: str
    version: int
    hash: str
    created_at: int
    encryption_kid: str
    encryption_spki: bytes
    signing: Mapping[str, str]  # kid → alg
    body: Json


@dataclass(frozen=True, slots=True)
class Session:
    """A device that is logged in. `counter` says which refresh token is good: tokens are derived, never stored."""

    id: str
    username: str
    created_at: int
    used_at: int
    counter: int = 0
    rotated_at: int = 0
    agent: str = ""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who makes a request, in which of their sessions."""

    username: str
    session_id: str


# ---------------------------------------------------------------- `combined` chats: the membership log and shares


@dataclass(frozen=True, slots=True)
class LogMember:
    """Someone in an entry: `role`, and the hash of the bundle that the log stands by for them."""

    role: str
    keys: str


@dataclass(frozen=True, slots=True)
class Entry:
    """A membership entry whose signature verified under `kid` of its author's bundle `keys`; `hash` names it."""

    hash: str
    by: str
    keys: str
    kid: str
    n: int
    prev: str
    op: str
    name: str | None
    members: Mapping[str, LogMember]
    protected: str
    signature: str


@dataclass(frozen=True, slots=True)
class Share:
    """A client share whose signature verified and whose wraps are the signed ones; `recipients` is username → bundle hash."""

    hash: str
    by: str
    keys: str
    kid: str
    epoch: int
    membership: str
    recipients: Mapping[str, str]
    excluded: frozenset[str]
    wraps: Mapping[str, str]  # username → b64u of C wrapped for them
    protected: str
    signature: str


@dataclass(frozen=True, slots=True)
class LogHead:
    """The last entry of a chat's log; `n` 0 and no hash before the first."""

    n: int
    hash: str
    name: str | None
    members: Mapping[str, LogMember]

    @property
    def owners(self) -> frozenset[str]:
        return frozenset(name for name, member in self.members.items() if member.role == "owner")


@dataclass(frozen=True, slots=True)
class ShareHead:
    """The share of the current epoch: its recipients' bundles, and who is excluded."""

    hash: str
    recipients: Mapping[str, str]
    excluded: frozenset[str]


@dataclass(frozen=True, slots=True)
class State:
    """A `combined` chat after an item (see `combined`)."""

    epoch: int
    members: frozenset[str]
    log: LogHead
    share: ShareHead

    @property
    def waiting(self) -> frozenset[str]:
        """Members of the log who are in the chat no more."""
        return frozenset(self.log.members) - self.members


# ---------------------------------------------------------------- chats: one sequence


@dataclass(frozen=True, slots=True)
class Wrap:
    """An epoch's S_e for one member: under which wrapping key, and which bundle that key belongs to."""

    kid: str
    wrapped: str
    keys: str  # bundle hash
    signing: Mapping[str, str]  # that bundle's signing kids → alg


@dataclass(frozen=True, slots=True)
class NewEpoch:
    """An epoch that an event wants to open; `wraps` has exactly the members that there are after the event, in `combined`
    chats the recipients of its share."""

    number: int
    wraps: Mapping[str, Wrap]


@dataclass(frozen=True, slots=True)
class Member:
    """Someone who is in the chat now. `keys` is the bundle that the current epoch was wrapped to, "" for who is excluded.

    `signing` are the keys that sign their messages: of that bundle, in `combined` chats of their current one too.
    """

    role: str
    joined_seq: int
    keys: str
    signing: Mapping[str, str]


@dataclass(slots=True)
class Head:
    """Where a chat's sequence stands: the fold of all its items. Judged by `sequence`, kept by the store.

    `members` is replaced, never changed in place, so that who holds one keeps what it was at that item. In `combined`
    chats roles and name are those of `combined`, the log; `share_due` says that a member's client must post a share first,
    the number of messages aside.
    """

    chat: str
    name: str | None
    key_mode: str
    created_by: str
    created_at: int
    last_seq: int
    chain: bytes
    epoch: int
    opened_seq: int
    opened_at: int
    members: Mapping[str, Member] = field(default_factory=dict)
    combined: State | None = None
    share_due: bool = False

    def copy(self) -> Head:
        """Another one that moves on by itself; made for every chat of every batch, so not by `replace`, five times as slow."""
        return Head(
            self.chat,
            self.name,
            self.key_mode,
            self.created_by,
            self.created_at,
            self.last_seq,
            self.chain,
            self.epoch,
            self.opened_seq,
            self.opened_at,
            self.members,
            self.combined,
            self.share_due,
        )


@dataclass(frozen=True, slots=True)
class NewMessage:
    """A message whose form was judged. `body` is the envelope's JSON without braces and `chat`; `hash` its raw hash h."""

    chat: str
    sender: str
    id: str
    epoch: int
    seen_seq: int
    alg: str
    kid: str
    hash: bytes
    body: bytes


@dataclass(frozen=True, slots=True)
class NewChat:
    """What `create` brings. `request` is a hash of the request, so that the same one again gets the same answer; in
    `combined` chats that of the entry."""

    name: str | None
    key_mode: str
    request: bytes


@dataclass(frozen=True, slots=True)
class NewEvent:
    """A change of a chat (protocol §4). `role` goes with `role` and `add`, `name` with `rename`, `chat_data` with `create`."""

    chat: str
    kind: str
    by: str
    usernames: tuple[str, ...] = ()
    epoch: NewEpoch | None = None
    keys: str = ""
    role: str | None = None
    name: str | None = None
    chat_data: NewChat | None = None
    entry: Entry | None = None
    share: Share | None = None


@dataclass(frozen=True, slots=True)
class Mark:
    """How far someone's devices have a chat (`delivered`), and how far its person has read."""

    chat: str
    username: str
    delivered: int = 0
    read: int = 0


@dataclass(frozen=True, slots=True)
class Appended:
    """An item that has its place: c before it; members, epoch and that epoch's opening as they are after it.

    Of a duplicate only `seq`, `received_at` and `before` are told.
    """

    seq: int
    received_at: int
    before: bytes
    body: bytes = b""
    duplicate: bool = False
    members: Mapping[str, Member] = field(default_factory=dict)
    epoch: int = 0
    opened_seq: int = 0


@dataclass(frozen=True, slots=True)
class Item:
    """A stored item: `body` is JSON without braces (`"protected":…` or `"event":{…}`), `chain` the c after it."""

    seq: int
    received_at: int
    chain: bytes
    body: bytes


@dataclass(frozen=True, slots=True)
class ClientShare:
    """An epoch's share as one member sees it: C wrapped for them, None for who is excluded."""

    protected: str
    signature: str
    wrapped: str | None


@dataclass(frozen=True, slots=True)
class Epoch:
    """An epoch as one member sees it; `kid` and `wrapped` are None for who got no wrap, `client_share` in `server` chats."""

    number: int
    opened_seq: int
    opened_at: int
    members: tuple[str, ...]
    kid: str | None
    wrapped: str | None
    client_share: ClientShare | None = None


@dataclass(frozen=True, slots=True)
class ChatMember:
    username: str
    display_name: str
    role: str
    joined_seq: int


@dataclass(frozen=True, slots=True)
class Chat:
    """A chat as one member sees it (protocol §6); `epoch` is the current one with the caller's own wraps, `membership` the
    n and hash of the log's last entry."""

    id: str
    name: str | None
    key_mode: str
    created_by: str
    created_at: int
    members: tuple[ChatMember, ...]
    epoch: Epoch
    first_seq: int
    last_seq: int
    marks: Mapping[str, Mark]
    membership: tuple[int, str] | None = None
    share_due: bool = False


@dataclass(frozen=True, slots=True)
class Attachment:
    id: str
    chat: str
    username: str
    size: int
    created_at: int
