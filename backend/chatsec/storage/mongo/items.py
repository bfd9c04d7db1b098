"""Items in MongoDB: each lies at a `place`, a key of its chat's `_id` and its seq that is unique and sorts as both do.

One field, and not the two, so that the items that follow in many chats are found by one question. `_id` is the attempt
that brought the item. A membership entry lies in the item that names it. What an epoch wraps is a document of its own,
with the client share, under the `_id` of the event that opened it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from bson import ObjectId

from chatsec import crypto
from chatsec.domain import sequence, signed
from chatsec.domain.models import Entry, Head, NewChat, NewEpoch, NewEvent, NewMessage, Share, Wrap
from chatsec.errors import ChatSecError
from chatsec.storage.mongo.database import Database, Doc

MOST = 2**63 - 1  # a seq
BUNDLES = {"wraps.wrapped": 0, "wraps.kid": 0, "wraps.client": 0}  # of what an epoch wraps, without the wraps


def place_key(no: ObjectId, seq: int) -> bytes:
    return no.binary + max(0, min(seq, MOST)).to_bytes(8, "big")


def window(no: ObjectId, low: int, high: int) -> Doc:
    """Finds the items low ≤ seq ≤ high of a chat; sorted by `place` they ascend."""
    return {"place": {"$gte": place_key(no, low), "$lte": place_key(no, high)}}


def at(database: Database, no: ObjectId, seq: int, *fields: str) -> Doc | None:
    """The item with this seq; only some of its fields if any are named."""
    return database.items.find_one({"place": place_key(no, seq)}, fields or None)


def at_all(database: Database, places: Iterable[bytes], fields: Doc) -> list[Doc]:
    """What lies at any of these places, sorted by them."""
    return list(database.items.find({"place": {"$in": list(places)}}, fields).sort("place"))


def chain_at(database: Database, no: ObjectId, seq: int) -> bytes:
    """c_seq; `not_found` if there is no such item."""
    if seq == 0:
        return crypto.CHAIN_START
    doc = at(database, no, seq, "chain")
    if doc is None:
        raise ChatSecError("not_found")
    return bytes(doc["chain"])


def by_id(database: Database, no: ObjectId, sender: str, message_id: str, *fields: str) -> Doc | None:
    """A sender's message with this id; ValueError if that is no id."""
    known = {"chat": no, "from": {"$eq": sender}, "id": _id_bytes(message_id)}
    return database.items.find_one(known, fields or None)


def by_entry(database: Database, no: ObjectId, n: int, *fields: str) -> Doc | None:
    """The item that names entry n of the membership log."""
    return database.items.find_one({"chat": no, "entry.n": n}, fields or None)


def opening(database: Database, no: ObjectId, epoch: int, *fields: str) -> Doc | None:
    """The item that opened this epoch."""
    return database.items.find_one({"chat": no, "opens": epoch}, fields or None)


def _id_bytes(uuid: str) -> bytes:
    return bytes.fromhex(uuid.replace("-", ""))


# ---------------------------------------------------------------- documents


def item_doc(
    attempt: ObjectId, no: ObjectId, item: NewMessage | NewEvent, head: Head, received_at: int
) -> Doc:
    """An item in the place that leads to `head`."""
    doc: Doc = {
        "_id": attempt,
        "place": place_key(no, head.last_seq),
        "chat": no,
        "seq": head.last_seq,
        "at": received_at,
        "chain": head.chain,
        "epoch": head.epoch,
        "body": body(item, head),
    }
    if isinstance(item, NewMessage):
        return doc | {"from": item.sender, "id": _id_bytes(item.id)}
    doc["event"] = _event_doc(item)
    if item.epoch is not None:
        doc["opens"] = head.epoch
    if item.entry is not None:
        doc["entry"] = {"n": item.entry.n} | _signed_doc(item.entry)
    return doc


def body(item: NewMessage | NewEvent, head: Head) -> bytes:
    return item.body if isinstance(item, NewMessage) else sequence.event_body(item, head.epoch)


def _event_doc(event: NewEvent) -> Doc:
    made = event.chat_data
    stored: Doc = {
        "kind": event.kind,
        "by": event.by,
        "usernames": list(event.usernames),
        "keys": event.keys,
        "role": event.role,
        "name": event.name,
    }
    if made is not None:
        stored["made"] = {"name": made.name, "key_mode": made.key_mode, "request": made.request}
    if event.entry is not None:
        stored["log"] = event.entry.hash
    if event.share is not None:
        stored["share"] = event.share.hash
    return stored


def _signed_doc(one: Entry | Share) -> Doc:
    return {"protected": one.protected, "signature": one.signature}


def event_of(database: Database, chat: str, doc: Doc) -> NewEvent | None:
    """The event of an event item, with its entry and share, and the bundles that its epoch is wrapped to; no wraps."""
    if "event" not in doc:
        return None
    stored = doc["event"]
    made = NewChat(**stored["made"]) if "made" in stored else None
    names = tuple(stored["usernames"])
    event = NewEvent(
        chat, stored["kind"], stored["by"], names, None, stored["keys"], stored["role"], stored["name"], made
    )
    if "entry" in doc:
        event = replace(
            event, entry=signed.stored_entry(doc["entry"]["protected"], doc["entry"]["signature"])
        )
    if "opens" not in doc:
        return event
    found = database.wraps.find_one({"_id": doc["_id"]}, BUNDLES)
    if found is None:  # an erasure took it after the item was read
        raise ChatSecError("unavailable", "the chat is going away just now")
    wraps = {one["username"]: Wrap("", "", one["keys"], dict(one["signing"])) for one in found["wraps"]}
    share = signed.stored_share(**found["share"]) if "share" in found else None
    return replace(event, epoch=NewEpoch(doc["opens"], wraps), share=share)


def same_create(stored: Doc, again: NewEvent) -> bool:
    asked = again.chat_data
    return stored["by"] == again.by and asked is not None and stored["made"]["request"] == asked.request


def wraps_doc(attempt: ObjectId, no: ObjectId, epoch: NewEpoch, share: Share | None = None) -> Doc:
    """What an epoch wraps; with a share, who is excluded is among `members`, and each wrap of C beside that of S_e."""
    wraps: list[dict[str, Any]] = [
        {
            "username": name,
            "kid": one.kid,
            "wrapped": one.wrapped,
            "keys": one.keys,
            "signing": pairs(one.signing),
        }
        for name, one in epoch.wraps.items()
    ]
    doc: Doc = {"_id": attempt, "chat": no, "members": sorted(epoch.wraps), "wraps": wraps}
    if share is not None:
        for one in wraps:
            one["client"] = share.wraps[one["username"]]
        doc |= {"members": sorted({*epoch.wraps, *share.excluded}), "share": _signed_doc(share)}
    return doc


def pairs(given: Mapping[str, str]) -> list[list[str]]:
    """A mapping as it is stored: no name that a client made up becomes a field's."""
    return [list(pair) for pair in given.items()]
