"""What comes again although it has its place: the same message, the same `create`, the same entry or share (protocol §4, §7)."""

from __future__ import annotations

from bson import ObjectId

from chatsec.domain import sequence
from chatsec.domain.models import NewEvent, NewMessage
from chatsec.errors import ChatSecError
from chatsec.storage.mongo import items
from chatsec.storage.mongo.database import Database, Doc

Known = tuple[str, str, str]
"""Chat, and what an item is known by in it."""


def known_by(item: NewMessage | NewEvent) -> Known | None:
    """None for an event that nothing tells from another one like it."""
    if isinstance(item, NewMessage):
        return item.chat, item.sender, item.id
    if item.entry is not None:
        return item.chat, "entry", item.entry.hash
    if item.share is not None:
        return item.chat, "share", item.share.hash
    if item.chat_data is not None:
        return item.chat, item.by, item.chat_data.request.hex()
    return None


def find(database: Database, no: ObjectId, item: NewMessage | NewEvent) -> Doc | ChatSecError | None:
    """The item that this one is again; `id_conflict` if it only has the id of another message."""
    if isinstance(item, NewEvent):
        return _find_event(database, no, item)
    doc = items.by_id(database, no, item.sender, item.id)
    if doc is not None and doc["body"] != item.body:
        return ChatSecError("id_conflict")
    return doc


def _find_event(database: Database, no: ObjectId, event: NewEvent) -> Doc | None:
    if event.kind == "create":
        doc = items.at(database, no, 1)
        return doc if doc and items.same_create(doc["event"], event) else None
    if event.entry is not None:
        doc = items.by_entry(database, no, event.entry.n)
    elif event.share is not None:
        doc = items.opening(database, no, event.share.epoch)
    else:
        return None
    if doc is None or not sequence.same_again(event, doc["event"].get("log"), doc["event"].get("share")):
        return None
    return doc
