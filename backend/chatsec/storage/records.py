"""What a store holds as lines of JSON: the form that `transfer` moves stores in, and the check that goes with it.

Only what every store knows is in it, in one order, so that two stores with the same content give the same lines. Bytes
are b64u; an item's body is its stored text. No c but the last is written: whoever writes or reads a chat computes the
chain from the bodies, and refuses an item that does not fit with `Damaged`, as whatever is no such line. In `combined`
chats the entry and the share that an event names go with it, as they were signed, and must be those; where the log and
the shares stand is computed from them. The lines of `server` chats are those of the form's first version.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import NamedTuple

import orjson

from chatsec import crypto
from chatsec.domain import combined
from chatsec.domain.models import Account, Attachment, Bundle, Entry, Head, Json, Mark, Member, Share
from chatsec.domain.signed import stored_entry, stored_share
from chatsec.errors import ChatSecError

EVENT = b'"event":'  # what the body of an event begins with
HEAD = ("name", "key_mode", "created_by", "created_at", "last_seq", "epoch", "opened_seq", "opened_at")
BYTES = ("password_hash", "recovery_hash", "encryption_spki")  # of accounts and bundles


MALFORMED = (
    AttributeError,
    ChatSecError,
    KeyError,
    TypeError,
    ValueError,
)  # what reading a foreign line raises


class Damaged(Exception):
    """A stored or saved thing is not what it must be."""


class StoredWrap(NamedTuple):
    """S_e for one member, and in `combined` chats C."""

    username: str
    kid: str
    wrapped: str
    client: str | None = None


@dataclass(frozen=True, slots=True)
class Opened:
    """The epoch that an event opens: who was in it, the wraps of each who got any, by username, and in `combined` chats
    (protected, signature) of its share."""

    number: int
    members: tuple[str, ...]
    wraps: tuple[StoredWrap, ...]
    share: tuple[str, str] | None = None

    def read_share(self) -> Share | None:
        """The share with its wraps."""
        wraps = {one.username: one.client for one in self.wraps if one.client is not None}
        return stored_share(*self.share, wraps) if self.share else None


@dataclass(frozen=True, slots=True)
class StoredItem:
    """An item in its place; `sender` and `id` of a message, `event` of an event, `opened` if it opens an epoch, `entry` if
    it names one."""

    seq: int
    received_at: int
    chain: bytes
    epoch: int  # that holds here
    body: bytes
    sender: str | None = None
    id: str | None = None
    event: Json | None = None
    opened: Opened | None = None
    entry: Entry | None = None


@dataclass(frozen=True, slots=True)
class StoredChat:
    """A chat up to `head`. `people` is everyone it ever had, `request` the hash of the request that made it.

    `items` can be gone through once; `not_found` comes out of it where the chat was erased meanwhile. The head is that of
    the items alone, whatever bundles moved since. Of a chat that was read from lines, `head.combined` is there when its
    items were gone through.
    """

    head: Head
    request: bytes
    people: tuple[str, ...]
    marks: tuple[Mark, ...]
    attachments: tuple[Attachment, ...]
    items: Iterable[StoredItem]


@dataclass(frozen=True, slots=True)
class StoredAccount:
    """An account and all its bundles, by version."""

    account: Account
    bundles: tuple[Bundle, ...]


class Chain:
    """Makes and checks items one after another, from the first on; folds the log and the shares of a `combined` chat."""

    def __init__(self, head: Head) -> None:
        self._chat = head.chat
        self._head = head
        self.seq, self.epoch, self.chain = 0, 0, crypto.CHAIN_START
        self.state = combined.START if head.key_mode == "combined" else None

    def item(
        self,
        seq: int,
        received_at: int,
        body: bytes,
        sender: str | None,
        message_id: str | None,
        opened: Opened | None,
        signed: tuple[str, str] | None = None,
        chain: bytes | None = None,
    ) -> StoredItem:
        """The next item; `signed` is its entry, and `chain` the c that is stored with it, if it is known."""
        if seq != self.seq + 1:
            raise Damaged(f"chat {self._chat}: item {self.seq + 1} is missing")
        try:
            content = orjson.loads(b"{" + body + b"}")
            event = content["event"] if body.startswith(EVENT) else None
            if (event is None) != (sender is not None and message_id is not None):
                raise KeyError("from")
            item_hash = self._event_hash(event) if event else crypto.envelope_hash(**content)
            entry = stored_entry(*signed) if signed else None
            share = opened.read_share() if opened else None
        except MALFORMED as error:
            raise Damaged(f"chat {self._chat}: item {seq} is not of its form") from error
        self.seq, self.chain = seq, crypto.chain_step(self.chain, item_hash)
        if event:
            opens = event["epoch"] != self.epoch
            self.epoch = event["epoch"]
            if opens != (opened is not None) or (opened and opened.number != self.epoch):
                raise Damaged(f"chat {self._chat}: the epoch of item {seq} is missing")
            if (event["log"], event["share"]) != (entry.hash if entry else "", share.hash if share else ""):
                raise Damaged(f"chat {self._chat}: what item {seq} names is missing or another")
            self._follow(event, entry, share, opened)
        if chain not in (None, self.chain):
            raise Damaged(f"chat {self._chat}: item {seq} does not fit into the chain")
        return StoredItem(
            seq, received_at, self.chain, self.epoch, body, sender, message_id, event, opened, entry
        )

    def _event_hash(self, event: Json) -> bytes:
        return crypto.event_hash(self._chat, **event)

    def _follow(self, event: Json, entry: Entry | None, share: Share | None, opened: Opened | None) -> None:
        """The item's part in a `combined` chat; its epoch must be the one that its share was made for."""
        if self.state is None:
            return
        if opened is not None and (share is None or not _fits(opened, share)):
            raise Damaged(f"chat {self._chat}: the epoch of item {self.seq} is not that of its share")
        usernames = frozenset(event["usernames"])
        change = combined.Change(event["kind"], event["by"], usernames, entry, share)
        self.state = combined.after(self.state, change)

    def end(self) -> None:
        """That was all up to the head."""
        head = self._head
        if (self.seq, self.chain, self.epoch) != (head.last_seq, head.chain, head.epoch):
            raise Damaged(f"chat {self._chat}: items after {self.seq} are missing or altered")
        head.combined = head.combined or self.state
        if head.combined != self.state or (self.state and self.state.members != head.members.keys()):
            raise Damaged(f"chat {self._chat}: where it stands does not follow from its items")


def _fits(opened: Opened, share: Share) -> bool:
    """Whether the wraps are those that were signed for, of both halves of the key."""
    recipients = orjson.loads(crypto.b64u_decode(share.protected))["recipients"]
    signed_for = {name: one["wrap"] for name, one in recipients.items()}
    hashes = {one.username: crypto.H(crypto.b64u_decode(one.client or "")) for one in opened.wraps}
    members = sorted({*share.recipients, *share.excluded})
    return hashes == signed_for and (opened.number, list(opened.members)) == (share.epoch, members)


# ---------------------------------------------------------------- chats


def chat_lines(chat: StoredChat) -> Iterator[bytes]:
    """The chat, then its items."""
    head = chat.head
    members = sorted(head.members.items())
    yield _line(
        {
            "chat": head.chat,
            **{name: getattr(head, name) for name in HEAD},
            "chain": _text(head.chain),
            "request": _text(chat.request),
            "members": [{"username": name, **asdict(member)} for name, member in members],
            "people": sorted(chat.people),
            "marks": sorted((one.username, one.delivered, one.read) for one in chat.marks),
            "attachments": [
                [one.id, one.username, one.size, one.created_at]
                for one in sorted(chat.attachments, key=lambda one: one.id)
            ],
        }
    )
    for item in chat.items:
        yield _item_line(item)


def read_chat(lines: Iterator[bytes]) -> StoredChat:
    """What `chat_lines` wrote; the items are read, and checked, as they are asked for."""
    try:
        saved = orjson.loads(next(lines, b""))
        chat = saved["chat"]
        members = {one.pop("username"): Member(**one) for one in saved["members"]}
        head = Head(
            chat, chain=_bytes(saved["chain"]), members=members, **{name: saved[name] for name in HEAD}
        )
        return StoredChat(
            head,
            _bytes(saved["request"]),
            tuple(saved["people"]),
            tuple(Mark(chat, *one) for one in saved["marks"]),
            tuple(Attachment(one, chat, *rest) for one, *rest in saved["attachments"]),
            _read_items(head, lines),
        )
    except MALFORMED as error:
        raise Damaged("a chat is not of its form") from error


def _item_line(item: StoredItem) -> bytes:
    line: Json = {"seq": item.seq, "at": item.received_at, "body": item.body.decode()}
    if item.sender is not None:
        line |= {"from": item.sender, "id": item.id}
    if item.entry is not None:
        line["entry"] = (item.entry.protected, item.entry.signature)
    if (opened := item.opened) is not None:
        wraps = [one[: 3 if one.client is None else 4] for one in opened.wraps]
        line["epoch"] = {"number": opened.number, "members": opened.members, "wraps": wraps}
        if opened.share is not None:
            line["epoch"]["share"] = opened.share
    return _line(line)


def _read_items(head: Head, lines: Iterator[bytes]) -> Iterator[StoredItem]:
    chain = Chain(head)
    for line in lines:
        try:
            saved = orjson.loads(line)
            given = (
                saved["seq"],
                saved["at"],
                saved["body"].encode(),
                saved.get("from"),
                saved.get("id"),
                _read_opened(saved["epoch"]) if "epoch" in saved else None,
                _pair(saved["entry"]) if "entry" in saved else None,
            )
        except MALFORMED as error:
            raise Damaged(f"chat {head.chat}: a line is not of its form") from error
        yield chain.item(*given)
    chain.end()


def _read_opened(saved: Json) -> Opened:
    wraps = tuple(StoredWrap(*one) for one in saved["wraps"])
    share = _pair(saved["share"]) if "share" in saved else None
    return Opened(saved["number"], tuple(saved["members"]), wraps, share)


def _pair(saved: list[str]) -> tuple[str, str]:
    protected, signature = saved
    return protected, signature


# ---------------------------------------------------------------- accounts


def account_line(stored: StoredAccount) -> bytes:
    """The account with its bundles."""
    bundles = [_texts(asdict(bundle)) for bundle in stored.bundles]
    return _line(_texts(asdict(stored.account)) | {"bundles": bundles})


def read_account(line: bytes) -> StoredAccount:
    """What `account_line` wrote."""
    try:
        saved = orjson.loads(line)
        bundles = tuple(Bundle(**_raw(one)) for one in saved.pop("bundles"))
        return StoredAccount(Account(**_raw(saved)), bundles)
    except MALFORMED as error:
        raise Damaged("an account is not of its form") from error


def _line(content: Json) -> bytes:
    return orjson.dumps(content, option=orjson.OPT_APPEND_NEWLINE)


def _text(data: bytes) -> str:
    return crypto.b64u_encode(data)


def _bytes(text: str) -> bytes:
    return crypto.b64u_decode(text)


def _texts(fields: Json) -> Json:
    return fields | {name: _text(fields[name]) for name in BYTES if fields.get(name) is not None}


def _raw(fields: Json) -> Json:
    return fields | {name: _bytes(fields[name]) for name in BYTES if fields.get(name) is not None}
