"""Reading chats from MongoDB: each answer is drawn from the fold of a chat's items, and from windows of them."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Collection

from bson import ObjectId
from pymongo.cursor import Cursor

from chatsec import crypto
from chatsec.domain import sequence
from chatsec.domain.models import Chat, ChatMember, ClientShare, Epoch, Head, Item, Mark
from chatsec.errors import ChatSecError
from chatsec.storage.mongo import heads, items, keys
from chatsec.storage.mongo.database import Database, Doc, reaching
from chatsec.storage.mongo.heads import Place

CHATS = 500  # chats that are looked at at once
LARGE = 20  # entries or shares, of 40 KB each in a large chat, that come at once: a few milliseconds of work
logger = logging.getLogger(__name__)


class MongoChats:
    """`ChatStore`."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def get(self, chat: str, username: str) -> Chat | None:
        place = heads.find(self._db, chat)
        if place is None or not _is_in(place, username):
            return None
        return self._views([place], username)[0].get(username)

    @reaching
    def page(self, username: str, after: str, limit: int) -> list[Chat]:
        found: list[Place] = []
        while len(found) < limit:
            docs = self._named(username, after).limit(limit).to_list()
            found += [place for place in heads.caught_up_all(self._db, docs) if _is_in(place, username)]
            if len(docs) < limit:
                break
            after = docs[-1]["chat"]
        views = self._views(found[:limit], username, listed=True)
        return [view[username] for view in views if username in view]

    def views(self, chat: str) -> dict[str, Chat]:
        place = heads.find(self._db, chat)
        return self._views([place])[0] if place and place.head else {}

    def head(self, chat: str) -> Head | None:
        place = heads.find(self._db, chat)
        if place is None:
            return None
        heads.see_bundles(self._db, [place])
        return place.head

    @reaching
    def epochs(self, chat: str, username: str, low: int, high: int) -> list[Epoch]:
        no = self._no(chat)
        if no is None:
            return []
        window = {"chat": no, "opens": {"$gte": low, "$lte": high}}
        opened = list(self._db.items.find(window, {"opens": 1, "seq": 1, "at": 1}).sort("opens"))
        wraps = self._wraps([doc["_id"] for doc in opened], username)
        return [
            _epoch(doc["opens"], doc["seq"], doc["at"], wraps[doc["_id"]], username)
            for doc in opened
            if doc["_id"] in wraps
        ]

    @reaching
    def membership(self, chat: str, after: int, limit: int) -> list[tuple[str, str]]:
        no = self._no(chat)
        if no is None:
            return []
        above = {"chat": no, "entry.n": {"$gt": after}}
        found = self._db.items.find(above, {"entry": 1}, batch_size=LARGE)
        return [
            (doc["entry"]["protected"], doc["entry"]["signature"])
            for doc in found.sort("entry.n").limit(limit)
        ]

    @reaching
    def taken(self, chat: str, n: int | None, epoch: int | None) -> tuple[str | None, str | None]:
        no = self._no(chat)
        if no is None:
            return None, None
        entry = items.by_entry(self._db, no, n, "event.log") if n is not None else None
        share = items.opening(self._db, no, epoch, "event.share") if epoch is not None else None
        return (
            entry["event"]["log"] if entry else None,
            share["event"].get("share") if share else None,
        )

    @reaching
    def items(self, chat: str, low: int, high: int) -> list[Item]:
        no = self._no(chat)
        if no is None:
            return []
        found = self._db.items.find(items.window(no, low, high), ("seq", "at", "chain", "body"))
        return [Item(doc["seq"], doc["at"], doc["chain"], doc["body"]) for doc in found.sort("place")]

    @reaching
    def chain(self, chat: str, seq: int) -> bytes:
        if seq == 0:
            return crypto.CHAIN_START
        no = self._no(chat)
        if no is None:
            raise ChatSecError("not_found")
        return items.chain_at(self._db, no, seq)

    @reaching
    def epoch_at(self, chat: str, seq: int) -> int:
        no = self._no(chat)
        item = items.at(self._db, no, seq, "epoch") if no else None
        if item is not None:
            return int(item["epoch"])
        head = self.head(chat)
        return head.epoch if head and seq > head.last_seq else 0

    def people(self, chat: str) -> list[str]:
        place = heads.find(self._db, chat)
        return sorted(place.people) if place else []

    @reaching
    def last_seqs(self, username: str) -> dict[str, int]:
        return {chat: last for chat, last, _ in self._standing(username)}

    @reaching
    def peers(self, username: str) -> set[str]:
        return {username}.union(*(members for _, _, members in self._standing(username)))

    @reaching
    def overdue(self, username: str | None = None) -> list[tuple[str, str]]:
        everywhere: Doc = {"chat": {"$exists": True}}
        found = self._db.chats.find(everywhere) if username is None else self._named(username)
        wrapped: list[tuple[str, str, str | None]] = []
        while docs := list(itertools.islice(found, CHATS)):
            wrapped += [
                (place.chat, name, None if place.head.combined else member.keys)
                for place in heads.caught_up_all(self._db, docs)
                if place.head
                for name, member in place.head.members.items()
                if username in (None, name)
            ]
        people = keys.people(self._db, {name for _, name, _ in wrapped}, "keys_hash", "ended_at")
        current = {name: doc["keys_hash"] for name, doc in people.items() if doc["ended_at"] is None}
        return [
            (chat, name)
            for chat, name, under in wrapped
            if name not in current or under not in (None, current[name])
        ]

    @reaching
    def erase(self, chat: str) -> list[str]:
        """Once its document says so the chat is gone; what cannot be taken away now is when a store is opened."""
        no = self._no(chat)
        if no is None:
            return []
        gone = {"$set": {"erased": True}, "$unset": {"chat": "", "named": ""}}
        self._db.surely(lambda: self._db.chats.update_one({"_id": no}, gone))
        files = heads.files(self._db, no)
        try:
            heads.purge(self._db, no)
        except ChatSecError as error:
            logger.warning("an erased chat is taken away later: %s", error)
        return files

    @reaching
    def finish_erasures(self) -> None:
        """What a crash or a failure left of erased chats goes."""
        for doc in list(self._db.chats.find({"erased": {"$exists": True}}, {"_id": 1})):
            heads.purge(self._db, doc["_id"])

    # -------------------------------------------------------- how

    @reaching
    def _no(self, chat: str) -> ObjectId | None:
        doc = self._db.chats.find_one({"chat": {"$eq": chat}}, {"_id": 1})
        return doc["_id"] if doc else None

    def _named(self, username: str, after: str = "", *fields: str) -> Cursor[Doc]:
        """The documents of the chats that `username` is in or was, by id above `after`."""
        where = {"named": {"$eq": username}, "chat": {"$gt": after}}
        found: Cursor[Doc] = self._db.chats.find(where, fields or None).sort("chat")
        return found

    def _standing(self, username: str) -> list[tuple[str, int, Collection[str]]]:
        """Of the chats that `username` is in now: id, last seq, members. Reads little: it is asked at each connect."""
        docs = self._named(username, "", "chat", "last", "state.members.username").to_list()
        lasts = {doc["_id"]: doc["last"] for doc in docs}
        changed = set()
        for item in heads.above(self._db, lasts, {"chat": 1, "seq": 1, "event.kind": 1}):
            lasts[item["chat"]] = item["seq"]
            if "event" in item:
                changed.add(item["chat"])
        names = {
            doc["_id"]: {one["username"] for one in doc["state"]["members"]} for doc in docs if "state" in doc
        }
        if changed:  # a moment ago: the snapshot follows at once
            again = self._db.chats.find({"_id": {"$in": list(changed)}, "chat": {"$exists": True}})
            for place in heads.caught_up_all(self._db, again):
                lasts[place.no], names[place.no] = (
                    (place.head.last_seq, set(place.head.members)) if place.head else (0, set())
                )
        return [
            (doc["chat"], lasts[doc["_id"]], names[doc["_id"]])
            for doc in docs
            if username in names.get(doc["_id"], ())
        ]

    @reaching
    def _views(
        self, places: list[Place], only: str | None = None, listed: bool = False
    ) -> list[dict[str, Chat]]:
        """Chats as their members see them, or as `only` does; empty for one that was erased meanwhile. For lists, without
        the shares."""
        wraps = self._wraps([place.attempt for place in places if place.attempt], only, listed)
        marks = self._db.marks.find({"chat": {"$in": [place.no for place in places]}})
        marked = {(doc["chat"], doc["username"]): doc for doc in marks}
        names = {name for place in places if place.head for name in place.head.members}
        people = keys.people(self._db, names, "display_name", "bundles")
        heads.see_bundles(self._db, places, people)
        shown = {name: doc["display_name"] for name, doc in people.items()}
        return [
            _view(place, place.head, shown, wraps[place.attempt], marked, only)
            if place.head and place.attempt in wraps
            else {}
            for place in places
        ]

    @reaching
    def _wraps(
        self, attempts: list[ObjectId], only: str | None, listed: bool = False
    ) -> dict[ObjectId | None, Doc]:
        """By attempt: `members`, in `wraps` the ones of `only`, or all, and `share` but for lists."""
        wanted: Doc = {"members": 1} if listed else {"members": 1, "share": 1}
        if only is None:
            wanted |= {"wraps.username": 1, "wraps.kid": 1, "wraps.wrapped": 1, "wraps.client": 1}
        else:
            wanted["wraps"] = {"$elemMatch": {"username": {"$eq": only}}}
        found = self._db.wraps.find({"_id": {"$in": attempts}}, wanted, batch_size=500 if listed else LARGE)
        return {doc["_id"]: doc for doc in found}


def _is_in(place: Place, username: str) -> bool:
    return place.head is not None and username in place.head.members


def _view(
    place: Place,
    head: Head,
    shown: dict[str, str],
    wraps: Doc,
    marked: dict[tuple[ObjectId, str], Doc],
    only: str | None,
) -> dict[str, Chat]:
    members = sorted(
        (ChatMember(name, shown[name], one.role, one.joined_seq) for name, one in head.members.items()),
        key=lambda member: (member.joined_seq, member.username),
    )
    nothing = {"delivered": 0, "read": 0}
    marks = {}
    for name in head.members:
        mark = marked.get((place.no, name), nothing)
        marks[name] = Mark(head.chat, name, mark["delivered"], mark["read"])
    return {
        member.username: Chat(
            head.chat,
            head.name,
            head.key_mode,
            head.created_by,
            head.created_at,
            tuple(members),
            _epoch(head.epoch, head.opened_seq, head.opened_at, wraps, member.username),
            first_seq=member.joined_seq,
            last_seq=head.last_seq,
            marks=marks,
            membership=(head.combined.log.n, head.combined.log.hash) if head.combined else None,
            share_due=head.combined is not None and sequence.is_share_due(head),
        )
        for member in members
        if only in (None, member.username)
    }


def _epoch(number: int, seq: int, at: int, wraps: Doc, username: str) -> Epoch:
    mine = next((one for one in wraps.get("wraps", ()) if one["username"] == username), None)
    kid, wrapped = (mine["kid"], mine["wrapped"]) if mine else (None, None)
    share = None
    if "share" in wraps:
        share = ClientShare(**wraps["share"], wrapped=mine["client"] if mine else None)
    return Epoch(number, seq, at, tuple(wraps["members"]), kid, wrapped, share)
