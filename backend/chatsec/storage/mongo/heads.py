"""Where a chat in MongoDB stands: the fold of its items, from the snapshot in its document upwards.

A chat's document has the id of the chat in `chat`, and an `_id` of its own by which everything else of the chat is
found: made anew under the same id it is another one. `named` is everyone who might be in it, so that lists find it.
The snapshot is a hint: where a fold starts, never what judges.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from bson import ObjectId
from pymongo import ReturnDocument, UpdateOne
from pymongo.errors import DuplicateKeyError

from chatsec import crypto
from chatsec.domain import sequence
from chatsec.domain.models import Head, Member, NewChat, NewEpoch, NewEvent, Wrap
from chatsec.errors import ChatSecError
from chatsec.storage.mongo.database import Database, Doc, reaching

WINDOW = 256  # items that are read in one go
BEHIND = 16  # items that a snapshot may lack
Passed = Callable[[Doc, bytes, Head], None]
"""Told of each item that a fold passes, with the c before it and the head after."""


@dataclass(slots=True)
class Place:
    """A chat: the `_id` of its document, and its fold. `head` is None before the first item.

    `people` is everyone the chat ever had, `attempt` the wraps of the current epoch, `event` the seq of the last event.
    `last` is how far the snapshot goes, `changed` whether an event lies above it.
    """

    no: ObjectId
    chat: str
    head: Head | None = None
    people: frozenset[str] = frozenset()
    attempt: ObjectId | None = None
    event: int = 0
    last: int = 0
    changed: bool = False


def nothing(doc: Doc, before: bytes, head: Head) -> None:
    """Who folds mostly wants the end alone."""


@reaching
def find(database: Database, chat: str) -> Place | None:
    """A chat as it is stored now."""
    doc = database.chats.find_one({"chat": {"$eq": chat}})
    return caught_up(database, doc) if doc else None


def caught_up(database: Database, doc: Doc) -> Place:
    place = place_of(doc)
    catch_up(database, place)
    return place


@reaching
def make(database: Database, chat: str, names: tuple[str, ...]) -> ObjectId:
    """The chat's document, made if it is not there, which names these people from now on."""
    while True:
        try:
            doc = database.chats.find_one_and_update(
                {"chat": {"$eq": chat}},
                {"$addToSet": {"named": {"$each": list(names)}}, "$setOnInsert": {"last": 0}},
                {"_id": 1},
                upsert=True,
                return_document=ReturnDocument.AFTER,
            )
        except DuplicateKeyError:
            continue  # another one made it just now
        assert doc is not None  # an upsert answers what it made
        no: ObjectId = doc["_id"]
        return no


@reaching
def catch_up(database: Database, place: Place, passed: Passed = nothing) -> None:
    """Moves the fold over all items above it."""
    while True:
        low = (place.head.last_seq if place.head else 0) + 1
        window = {"chat": place.no, "seq": {"$gte": low, "$lt": low + WINDOW}}
        docs = list(database.items.find(window, {"body": 0}).sort("seq"))
        for doc in docs:
            before = place.head.chain if place.head else crypto.CHAIN_START
            _pass(database, place, doc)
            assert place.head is not None  # the first item made it
            passed(doc, before, place.head)
        if len(docs) < WINDOW:
            return


def _pass(database: Database, place: Place, doc: Doc) -> None:
    event = _event(database, place.chat, doc) if "event" in doc else None
    head = sequence.follow(place.head, event, doc["at"], doc["seq"], doc["chain"])
    note(place, head, event, doc["_id"])


def note(place: Place, head: Head, event: NewEvent | None, item: ObjectId) -> None:
    """The item with this `_id` was placed, and led to `head`; the wraps of an epoch have the `_id` of its event."""
    place.head = head
    if event is not None:
        place.changed, place.event = True, head.last_seq
        if event.kind in ("create", "add"):
            place.people |= frozenset(event.usernames)
        if event.epoch is not None:
            place.attempt = item


def move_snapshots(database: Database, places: list[Place]) -> None:
    """Brings forward the snapshots that are too far behind."""
    updates = []
    for place in places:
        head = place.head
        if head is None or not (place.changed or head.last_seq - place.last >= BEHIND):
            continue
        moved: Doc = {"last": head.last_seq, "chain": head.chain}
        where: Doc = {"_id": place.no, "last": {"$lt": head.last_seq}}
        if place.changed:
            moved["state"] = _state(place, head)
        else:  # the members that are stored must be those that hold here
            where["state.seq"] = place.event
        updates.append(UpdateOne(where, {"$set": moved}))
        place.last, place.changed = head.last_seq, False
    if updates:
        database.hints.bulk_write(updates, ordered=False)


# ---------------------------------------------------------------- documents


def place_of(doc: Doc) -> Place:
    """The snapshot."""
    if "state" not in doc:
        return Place(doc["_id"], doc["chat"])
    state = doc["state"]
    members = {one["username"]: _member(one) for one in state["members"]}
    head = Head(
        doc["chat"],
        state["name"],
        state["key_mode"],
        state["created_by"],
        state["created_at"],
        doc["last"],
        doc["chain"],
        state["epoch"],
        state["opened_seq"],
        state["opened_at"],
        members,
    )
    people = frozenset(state["people"])
    return Place(doc["_id"], doc["chat"], head, people, state["attempt"], state["seq"], doc["last"])


def _state(place: Place, head: Head) -> Doc:
    fields = ("name", "key_mode", "created_by", "created_at", "epoch", "opened_seq", "opened_at")
    members = [
        {"username": name, "role": one.role, "joined_seq": one.joined_seq, "keys": one.keys, **_signing(one)}
        for name, one in head.members.items()
    ]
    kept: Doc = {name: getattr(head, name) for name in fields}
    people = sorted(place.people)
    return kept | {"seq": place.event, "members": members, "people": people, "attempt": place.attempt}


def _signing(one: Member | Wrap) -> Doc:
    return {"signing": [list(pair) for pair in one.signing.items()]}


def _member(doc: Doc) -> Member:
    return Member(doc["role"], doc["joined_seq"], doc["keys"], dict(doc["signing"]))


def event_doc(event: NewEvent) -> Doc:
    """An event as its item holds it; the wraps of its epoch are a document of their own."""
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
    return stored


def wraps_doc(attempt: ObjectId, no: ObjectId, epoch: NewEpoch) -> Doc:
    wraps: list[dict[str, Any]] = [
        {"username": name, "kid": one.kid, "wrapped": one.wrapped, "keys": one.keys, **_signing(one)}
        for name, one in epoch.wraps.items()
    ]
    return {"_id": attempt, "chat": no, "members": sorted(epoch.wraps), "wraps": wraps}


def _event(database: Database, chat: str, doc: Doc) -> NewEvent:
    stored = doc["event"]
    made = NewChat(**stored["made"]) if "made" in stored else None
    event = NewEvent(
        chat,
        stored["kind"],
        stored["by"],
        tuple(stored["usernames"]),
        None,
        stored["keys"],
        stored["role"],
        stored["name"],
        made,
    )
    if "opens" not in doc:
        return event
    found = database.wraps.find_one({"_id": doc["_id"]}, {"wraps.wrapped": 0, "wraps.kid": 0})
    if found is None:  # an erasure took it after the item was read
        raise ChatSecError("unavailable", "the chat is going away just now")
    wraps = {one["username"]: Wrap("", "", one["keys"], dict(one["signing"])) for one in found["wraps"]}
    return replace(event, epoch=NewEpoch(doc["opens"], wraps))


# ---------------------------------------------------------------- erasure


@reaching
def purge(database: Database, no: ObjectId) -> list[str]:
    """Removes all that hangs on an erased chat's document, then it; answers the ids of its attachments."""
    files = [doc["_id"] for doc in database.attachments.find({"chat": no}, {"_id": 1})]
    for collection in (database.items, database.wraps, database.marks, database.attachments):
        collection.delete_many({"chat": no})
    database.chats.delete_one({"_id": no, "erased": {"$exists": True}})
    return files
