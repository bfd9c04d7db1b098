"""What a store holds as lines of JSON: the form that `transfer` moves stores in, and the check that goes with it.

Only what every store knows is in it, in one order, so that two stores with the same content give the same lines. Bytes
are b64u; an item's body is its stored text. No c but the last is written: whoever writes or reads a chat computes the
chain from the bodies, and refuses an item that does not fit with `Damaged`, as whatever is no such line.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass

import orjson

from chatsec import crypto
from chatsec.domain.models import Account, Attachment, Bundle, Head, Json, Mark, Member
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


@dataclass(frozen=True, slots=True)
class Opened:
    """The epoch that an event opens: who was in it, and (username, kid, wrapped) of each who got a wrap, by username."""

    number: int
    members: tuple[str, ...]
    wraps: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True, slots=True)
class StoredItem:
    """An item in its place; `sender` and `id` of a message, `event` of an event, `opened` if it opens an epoch."""

    seq: int
    received_at: int
    chain: bytes
    epoch: int  # that holds here
    body: bytes
    sender: str | None = None
    id: str | None = None
    event: Json | None = None
    opened: Opened | None = None


@dataclass(frozen=True, slots=True)
class StoredChat:
    """A chat up to `head`. `people` is everyone it ever had, `request` the hash of the request that made it.

    `items` can be gone through once; `not_found` comes out of it where the chat was erased meanwhile.
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
    """Makes and checks items one after another, from the first on."""

    def __init__(self, chat: str) -> None:
        self._chat = chat
        self.seq, self.epoch, self.chain = 0, 0, crypto.CHAIN_START

    def item(
        self,
        seq: int,
        received_at: int,
        body: bytes,
        sender: str | None,
        message_id: str | None,
        opened: Opened | None,
        chain: bytes | None = None,
    ) -> StoredItem:
        """The next item; `chain` is the c that is stored with it, if it is known."""
        if seq != self.seq + 1:
            raise Damaged(f"chat {self._chat}: item {self.seq + 1} is missing")
        try:
            content = orjson.loads(b"{" + body + b"}")
            event = content["event"] if body.startswith(EVENT) else None
            if (event is None) != (sender is not None and message_id is not None):
                raise KeyError("from")
            item_hash = self._event_hash(event) if event else crypto.envelope_hash(**content)
        except (KeyError, TypeError, ValueError) as error:
            raise Damaged(f"chat {self._chat}: item {seq} is not of its form") from error
        self.seq, self.chain = seq, crypto.chain_step(self.chain, item_hash)
        if event:
            opens = event["epoch"] != self.epoch
            self.epoch = event["epoch"]
            if opens != (opened is not None) or (opened and opened.number != self.epoch):
                raise Damaged(f"chat {self._chat}: the epoch of item {seq} is missing")
        if chain not in (None, self.chain):
            raise Damaged(f"chat {self._chat}: item {seq} does not fit into the chain")
        return StoredItem(seq, received_at, self.chain, self.epoch, body, sender, message_id, event, opened)

    def _event_hash(self, event: Json) -> bytes:
        return crypto.event_hash(self._chat, **event)

    def end(self, head: Head) -> None:
        """That was all up to `head`."""
        if (self.seq, self.chain, self.epoch) != (head.last_seq, head.chain, head.epoch):
            raise Damaged(f"chat {self._chat}: items after {self.seq} are missing or altered")


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
    if item.opened is not None:
        line["epoch"] = asdict(item.opened)
    return _line(line)


def _read_items(head: Head, lines: Iterator[bytes]) -> Iterator[StoredItem]:
    chain = Chain(head.chat)
    for line in lines:
        try:
            saved = orjson.loads(line)
            opened = saved.get("epoch")
            if opened is not None:
                wraps = tuple((name, kid, wrapped) for name, kid, wrapped in opened["wraps"])
                opened = Opened(opened["number"], tuple(opened["members"]), wraps)
            given = (
                saved["seq"],
                saved["at"],
                saved["body"].encode(),
                saved.get("from"),
                saved.get("id"),
                opened,
            )
        except MALFORMED as error:
            raise Damaged(f"chat {head.chat}: a line is not of its form") from error
        yield chain.item(*given)
    chain.end(head)


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
