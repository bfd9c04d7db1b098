"""People, chats and messages for store tests. Keys and wraps are made up: a store looks at no key."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable, Sequence
from typing import Any

from chatsec.domain.models import (
    Account,
    Appended,
    Bundle,
    Item,
    Mark,
    NewChat,
    NewEpoch,
    NewEvent,
    NewMessage,
    Session,
    Wrap,
)
from chatsec.domain.ports import Storage
from chatsec.errors import ChatSecError

PSS = "RSA-PSS-SHA256"
T0 = 1_700_000_000_000


def account(username: str, **fields: Any) -> Account:
    given = {"display_name": username.title(), "created_at": T0, "password_hash": b"hash"} | fields
    return Account(username, **given)


def bundle(username: str, version: int = 1) -> Bundle:
    return Bundle(
        username,
        version,
        hash=f"kh-{username}-{version}",
        created_at=T0 + version,
        encryption_kid=f"enc-{username}-{version}",
        encryption_spki=b"spki",
        signing={signing_kid(username, version): PSS},
        body={"version": version, "previous": "", "proofs": {"ü": "proof"}},
    )


def signing_kid(username: str, version: int = 1) -> str:
    return f"sig-{username}-{version}"


def session(number: int, username: str, at: int = T0) -> Session:
    return Session(new_id(number), username, created_at=at, used_at=at, agent="Firefox")


def new_id(number: int | None = None) -> str:
    return str(uuid.uuid4()) if number is None else f"00000000-0000-4000-8000-{number:012d}"


def message(
    chat: str, sender: str, text: str = "hello", *, epoch: int = 1, seen: int = 1, **fields: Any
) -> NewMessage:
    """`text` is what an envelope's bytes would be."""
    body = f'"protected":"{text}"'.encode()
    given = {"id": new_id(), "alg": PSS, "kid": signing_kid(sender)} | fields
    return NewMessage(
        chat, sender, epoch=epoch, seen_seq=seen, hash=hashlib.sha256(body).digest(), body=body, **given
    )


class World:
    """Does things to a store, with the epochs and wraps that they want."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self.now = T0

    def join(self, *usernames: str) -> World:
        for username in usernames:
            self.storage.accounts.create(account(username), bundle(username))
        return self

    # -------------------------------------------------------- what one could ask for

    def wraps(self, usernames: Iterable[str], number: int) -> dict[str, Wrap]:
        bundles = self.storage.keys.current(usernames)
        return {
            name: Wrap(b.encryption_kid, f"wrap-{name}-{number}", b.hash, b.signing)
            for name, b in bundles.items()
        }

    def creation(self, chat: str, by: str, others: Iterable[str], **fields: Any) -> NewEvent:
        names = tuple(sorted({by, *others}))
        request = hashlib.sha256(repr((by, names, fields.get("name"))).encode()).digest()
        made = NewChat(fields.get("name"), "server", fields.get("request", request))
        epoch = NewEpoch(1, self.wraps(names, 1))
        return NewEvent(chat, "create", by, names, epoch, chat_data=made)

    def change(self, chat: str, kind: str, by: str, *usernames: str, **fields: Any) -> NewEvent:
        """An event that fits the chat as it is now; of an epoch if its kind opens one."""
        members = self.members(chat)
        after = {"add": members | set(usernames)}.get(kind, members)
        if kind in ("remove", "leave", "ended"):
            after = members - set(usernames)
        epoch = None
        if kind in ("add", "remove", "leave", "keys", "rekey", "ended"):
            number = self.epoch(chat) + 1
            epoch = NewEpoch(number, self.wraps(after, number))
        return NewEvent(chat, kind, by, usernames, epoch, **fields)

    # -------------------------------------------------------- doing it

    def append(self, *batch: NewMessage | NewEvent | Mark) -> list[Appended | Mark | ChatSecError]:
        self.now += 1000
        return self.storage.log.append(batch, self.now)

    def place(self, item: NewMessage | NewEvent) -> Appended:
        """Appends what must be accepted."""
        (result,) = self.append(item)
        assert isinstance(result, Appended), result
        return result

    def refusal(self, item: NewMessage | NewEvent | Mark, readers: Sequence[str] | None = None) -> str:
        """The code that the item is refused with; nothing may have been stored that the readers, or all, can read."""
        before = self.everything(item.chat, readers)
        (result,) = self.append(item)
        assert isinstance(result, ChatSecError), result
        assert self.everything(item.chat, readers) == before
        return result.code

    def chat(self, by: str = "alice", *others: str, number: int | None = None, **fields: Any) -> str:
        """A new chat, of Alice and Bob if nothing else is said."""
        chat = new_id(number)
        self.place(self.creation(chat, by, others or ("bob",), **fields))
        return chat

    def do(self, chat: str, kind: str, by: str, *usernames: str, **fields: Any) -> Appended:
        return self.place(self.change(chat, kind, by, *usernames, **fields))

    def say(self, chat: str, sender: str, text: str = "hello", **fields: Any) -> Appended:
        now = {"epoch": self.epoch(chat), "seen": self.items(chat)[-1].seq} | fields
        return self.place(message(chat, sender, text, **now))

    # -------------------------------------------------------- looking at it

    def items(self, chat: str) -> list[Item]:
        return self.storage.chats.items(chat, 1, 1_000_000)

    def members(self, chat: str) -> set[str]:
        head = self.storage.chats.head(chat)
        return set(head.members) if head else set()

    def epoch(self, chat: str) -> int:
        return self.storage.chats.epoch_at(chat, 1_000_000)

    def everything(self, chat: str, readers: Sequence[str] | None = None) -> dict[str, Any]:
        """All that can be read of a chat, by these or by everyone who ever was in it; times that readers see too."""
        chats = self.storage.chats
        people = chats.people(chat) if readers is None else readers
        return {
            "items": self.items(chat),
            "head": chats.head(chat),
            "members": chats.views(chat),
            "people": chats.people(chat),
            "views": {name: chats.get(chat, name) for name in people},
            "epochs": {name: chats.epochs(chat, name, 0, 1_000_000) for name in people},
            "last": {name: chats.last_seqs(name).get(chat) for name in people},
            "overdue": sorted(name for where, name in chats.overdue() if where == chat),
            "accounts": self.storage.accounts.named(people),
            "bundles": {name: self.storage.keys.history(name, 0) for name in people},
        }


def chain(items: Iterable[Item], hashes: Iterable[bytes]) -> list[bytes]:
    """c_1 … from the raw hashes of the items, as protocol §4 words it."""
    at, found = bytes(32), []
    for _, item_hash in zip(items, hashes, strict=True):
        at = hashlib.sha256(b"chatsec/chain/v1\n" + at + item_hash).digest()
        found.append(at)
    return found
