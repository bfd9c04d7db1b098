"""The store on MongoDB on its way out and in (`chatsec.storage.transfer`).

Out: without a transaction, beside the servers that may be writing. Items and wraps never change, so a chat up to a head
that was read once is always the same; whoever erases it meanwhile is noticed by the hole. In: into an empty database,
which an entry in `transfer` marks as unfinished: servers refuse to open it. What is in stands there too, with its
SHA-256, so that the next run goes on behind it. Of events only what their bodies say comes along: what a fold from the
first item would want beside that is in the snapshot, which goes up to the last.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import islice

from bson import ObjectId
from pymongo.collection import Collection

from chatsec.domain.models import (
    Attachment,
    Head,
    Mark,
    Member,
    NewChat,
    NewEpoch,
    NewEvent,
    NewMessage,
    Wrap,
)
from chatsec.domain.ports import CiphertextFiles
from chatsec.errors import ChatSecError
from chatsec.storage.mongo import heads, items
from chatsec.storage.mongo.accounts import FIELDS, account_of, stored_fields
from chatsec.storage.mongo.chats import MongoChats
from chatsec.storage.mongo.database import UNFINISHED, Database, Doc, reaching
from chatsec.storage.mongo.files import MongoFiles
from chatsec.storage.mongo.heads import WINDOW, Place
from chatsec.storage.mongo.keys import bundle_doc, bundle_of
from chatsec.storage.records import (
    Chain,
    Damaged,
    Opened,
    StoredAccount,
    StoredChat,
    StoredItem,
    StoredWrap,
)
from chatsec.storage.transfer import Entry, TransferError

PEOPLE = 100  # accounts read at once: each may hold 2 MiB
BATCH = 2 * 1024 * 1024  # bytes of bodies inserted at once
NOBODY = Member("member", 0, "", {})


class MongoSource:
    """`Source`. `unfinished`: also of a store that is being filled."""

    def __init__(self, uri: str, *, unfinished: bool = False) -> None:
        self._db = Database(uri)
        if not unfinished:
            self._db.require_finished()
        self.files: CiphertextFiles = MongoFiles(self._db)

    def close(self) -> None:
        self._db.close()

    @reaching
    def chats(self) -> list[str]:
        return sorted(doc["chat"] for doc in self._db.chats.find({"chat": {"$exists": True}}, {"chat": 1}))

    @reaching
    def chat(self, chat: str) -> StoredChat | None:
        place = heads.find(self._db, chat)
        if place is None or place.head is None or not self._as_items_say(place, place.head):
            return None
        head, mine = place.head, {"chat": place.no}
        first = items.at(self._db, place.no, 1, "event.made.request")
        marks = (
            Mark(chat, doc["username"], *(min(doc[what], head.last_seq) for what in ("delivered", "read")))
            for doc in self._db.marks.find(mine)
        )
        return StoredChat(
            head,
            first["event"]["made"]["request"] if first else b"",
            tuple(place.people),
            tuple(mark for mark in marks if mark.delivered or mark.read),
            tuple(
                Attachment(doc["_id"], chat, doc["username"], doc["size"], doc["created_at"])
                for doc in self._db.attachments.find(mine)
            ),
            self._items(place.no, head),
        )

    def _as_items_say(self, place: Place, head: Head) -> bool:
        """Gives back the keys that bundles took from members in a snapshot; False where the chat is erased meanwhile."""
        if head.combined is None:
            return True
        found = self._db.wraps.find_one({"_id": place.attempt}, {"wraps.username": 1, "wraps.signing": 1})
        signing = {one["username"]: dict(one["signing"]) for one in found["wraps"]} if found else {}
        head.members = {
            name: replace(member, signing=signing.get(name, {})) for name, member in head.members.items()
        }
        return found is not None

    def _items(self, no: ObjectId, head: Head) -> Iterator[StoredItem]:
        chain = Chain(head)
        try:
            while chain.seq < head.last_seq:
                window = self._window(no, chain.seq + 1, min(chain.seq + WINDOW, head.last_seq))
                for doc in window:
                    message_id = str(uuid.UUID(bytes=doc["id"])) if "id" in doc else None
                    yield chain.item(
                        doc["seq"],
                        doc["at"],
                        doc["body"],
                        doc.get("from"),
                        message_id,
                        self._opened(doc),
                        self._entry(doc),
                        doc["chain"],
                    )
                if not window:
                    break
            chain.end()
        except Damaged:
            if not self._lives(no):
                raise ChatSecError("not_found") from None
            raise

    @reaching
    def _window(self, no: ObjectId, low: int, high: int) -> list[Doc]:
        found = self._db.items.find(items.window(no, low, high), {"entry.protected": 0, "entry.signature": 0})
        return list(found.sort("place"))

    @reaching
    def _entry(self, item: Doc) -> tuple[str, str] | None:
        """Read one by one: they may be large."""
        found = self._db.items.find_one({"_id": item["_id"]}, {"entry": 1}) if "entry" in item else None
        return (found["entry"]["protected"], found["entry"]["signature"]) if found else None

    @reaching
    def _opened(self, item: Doc) -> Opened | None:
        """The wraps of an epoch have the `_id` of its event."""
        found = self._db.wraps.find_one({"_id": item["_id"]}) if "opens" in item else None
        if found is None:
            return None
        wraps = sorted(
            StoredWrap(one["username"], one["kid"], one["wrapped"], one.get("client"))
            for one in found["wraps"]
        )
        share = (found["share"]["protected"], found["share"]["signature"]) if "share" in found else None
        return Opened(item["opens"], tuple(found["members"]), tuple(wraps), share)

    @reaching
    def _lives(self, no: ObjectId) -> bool:
        return self._db.chats.find_one({"_id": no, "chat": {"$exists": True}}, {"_id": 1}) is not None

    def accounts(self) -> Iterator[StoredAccount]:
        names = self._names()
        for at in range(0, len(names), PEOPLE):
            yield from self._people(names[at : at + PEOPLE])

    @reaching
    def _names(self) -> list[str]:
        return sorted(doc["_id"] for doc in self._db.users.find({}, {"_id": 1}))

    @reaching
    def _people(self, names: list[str]) -> list[StoredAccount]:
        docs = {doc["_id"]: doc for doc in self._db.users.find({"_id": {"$in": names}}, {"sessions": 0})}
        hashes = [one for doc in docs.values() for one in doc["bundles"]]
        found = self._db.bundles.find({"_id": {"$in": hashes}}) if hashes else ()
        bundles = {doc["_id"]: bundle_of(doc) for doc in found}
        return [
            StoredAccount(account_of(docs[name]), tuple(bundles[one] for one in docs[name]["bundles"]))
            for name in names
        ]


class MongoTarget:
    """`Target`."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._db = Database(uri)
        self.files: CiphertextFiles = MongoFiles(self._db)
        try:
            self._begin()
        except BaseException:
            self.close()
            raise

    @reaching
    def _begin(self) -> None:
        if self._db.transfer.find_one({"_id": UNFINISHED}) is None:
            self._require_empty()
            self._db.transfer.insert_one({"_id": UNFINISHED})

    def _require_empty(self) -> None:
        found = {
            "accounts": self._db.users.count_documents({}),
            "chats": self._db.chats.count_documents({}),
            "attachments": self._db.files.count_documents({}),
        }
        if any(found.values()):
            there = ", ".join(f"{count} {what}" for what, count in found.items() if count)
            raise TransferError(f"the database is not empty: it has {there}")

    @reaching
    def done(self) -> Mapping[str, str]:
        return {doc["_id"]: doc["sha256"] for doc in self._db.transfer.find({"_id": {"$ne": UNFINISHED}})}

    @reaching
    def note(self, entry: Entry) -> None:
        self._db.transfer.update_one({"_id": entry.name}, {"$set": {"sha256": entry.sha256}}, upsert=True)

    def drop_chat(self, chat: str) -> None:
        MongoChats(self._db).erase(chat)

    def take_chat(self, chat: StoredChat) -> None:
        self.drop_chat(chat.head.chat)
        head, no = chat.head, ObjectId()
        _insert(self._db.chats, [{"_id": no, "chat": head.chat, "named": list(chat.people), "last": 0}])
        place = Place(no, head.chat, head, frozenset(chat.people))
        self._take_items(place, chat)
        self._take_snapshot(place, head)
        mine = {"chat": no}
        _insert(self._db.marks, [_part(one, "username", "delivered", "read") | mine for one in chat.marks])
        _insert(
            self._db.attachments,
            [
                _part(one, "username", "size", "created_at") | mine | {"_id": one.id}
                for one in chat.attachments
            ],
        )

    def _take_items(self, place: Place, chat: StoredChat) -> None:
        docs: list[Doc] = []
        size = 0
        at = chat.head.copy()
        for item in chat.items:
            at.last_seq, at.chain, at.epoch = item.seq, item.chain, item.epoch
            attempt, new = ObjectId(), _new(item, chat)
            if isinstance(new, NewEvent):
                place.event = item.seq
                if item.opened and new.epoch:
                    place.attempt = attempt
                    wraps = items.wraps_doc(attempt, place.no, new.epoch, new.share)
                    _insert(self._db.wraps, [wraps | {"members": list(item.opened.members)}])
            docs.append(items.item_doc(attempt, place.no, new, at, item.received_at) | {"body": item.body})
            size += len(item.body)
            if size > BATCH:
                _insert(self._db.items, docs)
                docs, size = [], 0
        _insert(self._db.items, docs)

    @reaching
    def _take_snapshot(self, place: Place, head: Head) -> None:
        moved = {"last": head.last_seq, "chain": head.chain, "state": heads.state_doc(place, head)}
        self._db.chats.update_one({"_id": place.no}, {"$set": moved})

    def take_accounts(self, accounts: Iterator[StoredAccount]) -> None:
        self._forget_accounts()
        while some := list(islice(accounts, PEOPLE)):
            bundles = [one for stored in some for one in stored.bundles]
            _insert(self._db.bundles, [bundle_doc(one) | {"_id": one.hash} for one in bundles])
            _insert(self._db.users, [_user_doc(stored) for stored in some])

    @reaching
    def _forget_accounts(self) -> None:
        self._db.users.delete_many({})
        self._db.bundles.delete_many({})

    def source(self) -> MongoSource:
        return MongoSource(self._uri, unfinished=True)

    @reaching
    def finish(self) -> None:
        self._db.transfer.delete_many({"_id": {"$ne": UNFINISHED}})
        self._db.transfer.delete_one({"_id": UNFINISHED})

    def close(self) -> None:
        self._db.close()


@reaching
def _insert(collection: Collection[Doc], docs: list[Doc]) -> None:
    if docs:
        collection.insert_many(docs)


def _part(of: object, *names: str) -> Doc:
    return {name: getattr(of, name) for name in names}


def _new(item: StoredItem, chat: StoredChat) -> NewMessage | NewEvent:
    """The item as it once came, as far as is known."""
    head, event, opened = chat.head, item.event, item.opened
    if event is None:
        assert item.sender is not None and item.id is not None  # a message has both
        return NewMessage(head.chat, item.sender, item.id, item.epoch, 0, "", "", b"", item.body)
    epoch = None
    if opened is not None:
        # Under which bundle each wrap is, is known, and needed, for the current epoch only.
        members = head.members if opened.number == head.epoch else {}
        under = {one.username: members.get(one.username, NOBODY) for one in opened.wraps}
        wraps = {
            one.username: Wrap(one.kid, one.wrapped, under[one.username].keys, under[one.username].signing)
            for one in opened.wraps
        }
        epoch = NewEpoch(opened.number, wraps)
    made = NewChat(head.name, head.key_mode, chat.request) if item.seq == 1 else None
    return NewEvent(
        head.chat,
        event["kind"],
        event["by"],
        tuple(event["usernames"]),
        epoch,
        event["keys"],
        chat_data=made,
        entry=item.entry,
        share=opened.read_share() if opened else None,
    )


def _user_doc(stored: StoredAccount) -> Doc:
    account = stored.account
    hashes = [bundle.hash for bundle in stored.bundles]
    return {
        "_id": account.username,
        **stored_fields(_part(account, *FIELDS)),
        "bundles": hashes,
        "sessions": [],
        "revision": 0,
    }
