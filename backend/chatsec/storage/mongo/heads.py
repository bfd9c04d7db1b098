"""Where a chat in MongoDB stands: the fold of its items, from the snapshot in its document upwards.

A chat's document has the id of the chat in `chat`, and an `_id` of its own by which everything else of the chat is
found: made anew under the same id it is another one. `named` is everyone who might be in it, so that lists find it.
The snapshot is a hint: where a fold starts, never what judges.

In `combined` chats two things do not follow from the items: whether a newer bundle makes a share due, and which keys it
took from whom. `see_bundles` tells both to heads that were folded. Whoever keeps such a head looks at `keys_changed` of
the chat's document, which counts the bundles that its people stored: it is read before the bundles are, so that none is
missed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from bson import ObjectId
from pymongo import ReturnDocument, UpdateOne
from pymongo.errors import DuplicateKeyError

from chatsec import crypto
from chatsec.domain import combined, sequence
from chatsec.domain.models import Head, LogHead, LogMember, Member, NewEvent, ShareHead, State
from chatsec.storage.mongo import items, keys
from chatsec.storage.mongo.database import Database, Doc, reaching

WINDOW = 256  # items that are read in one go
BEHIND = 16  # items that a snapshot may lack
Passed = Callable[[Doc, bytes, Head], None]
"""Told of each item that a fold passes, with the c before it and the head after."""


@dataclass(slots=True)
class Place:
    """A chat: the `_id` of its document, and its fold. `head` is None before the first item.

    `people` is everyone the chat ever had, `attempt` the wraps of the current epoch, `event` the seq of the last event.
    `last` is how far the snapshot goes, `changed` whether an event lies above it, `keys_changed` the one that was read,
    and `seen` when it was that at last (see `kept`).
    """

    no: ObjectId
    chat: str
    head: Head | None = None
    people: frozenset[str] = frozenset()
    attempt: ObjectId | None = None
    event: int = 0
    last: int = 0
    changed: bool = False
    keys_changed: int = 0
    seen: int = 0


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


def caught_up_all(database: Database, docs: Iterable[Doc]) -> list[Place]:
    """As `caught_up` for each, with a number of questions that does not grow with theirs."""
    places = [place_of(doc) for doc in docs]
    by_no = {place.no: place for place in places}
    lasts = {place.no: place.head.last_seq if place.head else 0 for place in places}
    for doc in above(database, lasts, {"body": 0}):
        _pass(database, by_no[doc["chat"]], doc)
    return places


def above(database: Database, lasts: Mapping[ObjectId, int], fields: Doc) -> list[Doc]:
    """The items above these, in order in each chat: what lies next, then what snapshots lack at most, then the rest."""
    found: list[Doc] = []
    left = dict(lasts)
    for steps in (1, BEHIND):
        wanted = [
            items.place_key(no, last + step) for no, last in left.items() for step in range(1, steps + 1)
        ]
        docs = items.at_all(database, wanted, fields) if wanted else []
        found += docs
        reached = {doc["chat"]: doc["seq"] for doc in docs}
        left = {no: reached[no] for no, last in left.items() if reached.get(no) == last + steps}
    for no, last in left.items():
        found += database.items.find(items.window(no, last + 1, items.MOST), fields).sort("place")
    return found


@reaching
def make(database: Database, chat: str, names: tuple[str, ...]) -> ObjectId:
    """The chat's document, made if it is not there, which names these people from now on."""
    where = {"chat": {"$eq": chat}}
    named = {"$addToSet": {"named": {"$each": list(names)}}, "$setOnInsert": {"last": 0}}

    def update() -> Doc | None:
        return database.chats.find_one_and_update(
            where, named, {"_id": 1}, upsert=True, return_document=ReturnDocument.AFTER
        )

    while True:
        try:
            doc = database.surely(update)
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
        window = items.window(place.no, low, low + WINDOW - 1)
        docs = list(database.items.find(window, {"body": 0}).sort("place"))
        for doc in docs:
            before = place.head.chain if place.head else crypto.CHAIN_START
            _pass(database, place, doc)
            assert place.head is not None  # the first item made it
            passed(doc, before, place.head)
        if len(docs) < WINDOW:
            return


def _pass(database: Database, place: Place, doc: Doc) -> None:
    event = items.event_of(database, place.chat, doc)
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


def see_bundles(database: Database, places: Iterable[Place], people: Mapping[str, Doc] | None = None) -> None:
    """Tells the heads of `combined` chats which bundles are current; `people`: the members' documents with `bundles`, if
    they were read."""
    told = [place.head for place in places if place.head and place.head.combined]
    if not told:
        return
    if people is None:
        people = keys.people(database, {name for head in told for name in head.members}, "bundles")
    current = {name: doc["bundles"][-1] for name, doc in people.items() if doc["bundles"]}
    moved = [sequence.moved(head, current) for head in told]
    lines = keys.lines_of(database, [people[name] for name in {name for some in moved for name in some}])
    for head, names in zip(told, moved, strict=True):
        sequence.see_bundles(head, {name: lines[name] for name in names})


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
            moved["state"] = state_doc(place, head)
        else:  # the members that are stored must be those that hold here
            where["state.seq"] = place.event
        updates.append(UpdateOne(where, {"$set": moved}))
        place.last, place.changed = head.last_seq, False
    if updates:
        database.hints.bulk_write(updates, ordered=False)


# ---------------------------------------------------------------- documents


def place_of(doc: Doc) -> Place:
    """The snapshot."""
    changed = doc.get("keys_changed", 0)
    if "state" not in doc:
        return Place(doc["_id"], doc["chat"], keys_changed=changed)
    state = doc["state"]
    members = {one["username"]: _member(one) for one in state["members"]}
    standing = _combined_of(state, frozenset(members)) if "log" in state else None
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
        standing,
        combined.share_due(standing, {}, 0) if standing else False,
    )
    people = frozenset(state["people"])
    place = Place(doc["_id"], doc["chat"], head, people, state["attempt"], state["seq"], doc["last"])
    place.keys_changed = changed
    return place


def state_doc(place: Place, head: Head) -> Doc:
    """The snapshot but for `last` and `chain`, which move with every item."""
    fields = ("name", "key_mode", "created_by", "created_at", "epoch", "opened_seq", "opened_at")
    members = [
        {
            "username": name,
            "role": one.role,
            "joined_seq": one.joined_seq,
            "keys": one.keys,
            "signing": items.pairs(one.signing),
        }
        for name, one in head.members.items()
    ]
    kept: Doc = {name: getattr(head, name) for name in fields}
    people = sorted(place.people)
    kept |= {"seq": place.event, "members": members, "people": people, "attempt": place.attempt}
    return kept | (_combined_doc(head.combined) if head.combined else {})


def _combined_doc(state: State) -> Doc:
    """What the fold of a `combined` chat carries beside; its name is the log's."""
    log, share = state.log, state.share
    return {
        "log": {
            "n": log.n,
            "hash": log.hash,
            "members": [[name, one.role, one.keys] for name, one in log.members.items()],
        },
        "share": {
            "hash": share.hash,
            "recipients": items.pairs(share.recipients),
            "excluded": sorted(share.excluded),
        },
    }


def _combined_of(state: Doc, members: frozenset[str]) -> State:
    log, share = state["log"], state["share"]
    signed_for = {name: LogMember(role, keys) for name, role, keys in log["members"]}
    return State(
        state["epoch"],
        members,
        LogHead(log["n"], log["hash"], state["name"], signed_for),
        ShareHead(share["hash"], dict(share["recipients"]), frozenset(share["excluded"])),
    )


def _member(doc: Doc) -> Member:
    return Member(doc["role"], doc["joined_seq"], doc["keys"], dict(doc["signing"]))


# ---------------------------------------------------------------- erasure


def files(database: Database, no: ObjectId) -> list[str]:
    """The ids of a chat's attachments."""
    return [doc["_id"] for doc in database.attachments.find({"chat": no}, {"_id": 1})]


@reaching
def purge(database: Database, no: ObjectId) -> None:
    """Removes all that hangs on an erased chat's document, then it."""
    database.items.delete_many(items.window(no, 0, items.MOST))
    for collection in (database.wraps, database.marks, database.attachments):
        collection.delete_many({"chat": no})
    database.chats.delete_one({"_id": no, "erased": {"$exists": True}})
