"""Chats put straight into a store, for tests that need members and whose keys nobody uses."""

from __future__ import annotations

import uuid

from chatsec.domain.models import Bundle, NewChat, NewEpoch, NewEvent, Wrap
from chatsec.domain.ports import Storage
from chatsec.errors import ChatSecError

AT = 1_700_000_000_000


def make_chat(storage: Storage, owner: str, *others: str) -> str:
    """A `server` chat of these people, who have accounts; its id."""
    chat = str(uuid.uuid4())
    people = (owner, *others)
    made = NewChat(None, "server", b"\0" * 32)
    _append(storage, NewEvent(chat, "create", owner, people, _epoch(storage, 1, *people), chat_data=made))
    return chat


def remove(storage: Storage, chat: str, owner: str, username: str) -> None:
    head = storage.chats.head(chat)
    assert head is not None
    epoch = _epoch(storage, head.epoch + 1, *(name for name in head.members if name != username))
    _append(storage, NewEvent(chat, "remove", owner, (username,), epoch))


def _epoch(storage: Storage, number: int, *usernames: str) -> NewEpoch:
    for name in usernames:
        if not storage.keys.current([name]):
            storage.accounts.add_bundle(
                Bundle(name, 1, f"hash-{name}", AT, "kid", b"spki", {}, {}), None, None
            )
    current = storage.keys.current(usernames)
    return NewEpoch(number, {name: Wrap("kid", "wrapped", current[name].hash, {}) for name in usernames})


def _append(storage: Storage, event: NewEvent) -> None:
    (placed,) = storage.log.append([event], AT)
    if isinstance(placed, ChatSecError):
        raise placed
