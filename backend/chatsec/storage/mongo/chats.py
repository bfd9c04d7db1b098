"""Reading chats from MongoDB: each answer is drawn from the fold of a chat's items, and from windows of them."""

from __future__ import annotations

from collections.abc import Iterator

from bson import ObjectId

from chatsec import crypto
from chatsec.domain.models import Chat, ChatMember, Epoch, Head, Item, Mark
from chatsec.errors import ChatSecError
from chatsec.storage.mongo import heads
from chatsec.storage.mongo.database import Database, Doc, reaching
from chatsec.storage.mongo.heads import Place
from chatsec.storage.mongo.log import chain_at

PEOPLE = 500  # accounts asked for at once


class MongoChats:
    """`ChatStore`."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def get(self, chat: str, username: str) -> Chat | None:
        place = heads.find(self._db, chat)
        if place is None or place.head is None or username not in place.head.members:
            return None
        return self._views([place], username)[0].get(username)

    def page(self, username: str, after: str, limit: int) -> list[Chat]:
        found: list[Place] = []
        for place in self._mine(username, after):
            if len(found) == limit:
                break
            found.append(place)
        return [view[username] for view in self._views(found, username) if username in view]

    def views(self, chat: str) -> dict[str, Chat]:
        place = heads.find(self._db, chat)
        return self._views([place])[0] if place and place.head else {}

    def head(self, chat: str) -> Head | None:
        place = heads.find(self._db, chat)
        return place.head if place else None

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
    def items(self, chat: str, low: int, high: int) -> list[Item]:
        no = self._no(chat)
        if no is None:
            return []
        found = self._db.items.find(
            {"chat": no, "seq": {"$gte": low, "$lt": high + 1}}, {"seq": 1, "at": 1, "chain": 1, "body": 1}
        )
        return [Item(doc["seq"], doc["at"], doc["chain"], doc["body"]) for doc in found.sort("seq")]

    @reaching
    def chain(self, chat: str, seq: int) -> bytes:
        if seq == 0:
            return crypto.CHAIN_START
        no = self._no(chat)
        if no is None:
            raise ChatSecError("not_found")
        return chain_at(self._db, no, seq)

    @reaching
    def epoch_at(self, chat: str, seq: int) -> int:
        no = self._no(chat)
        item = self._db.items.find_one({"chat": no, "seq": seq}, {"epoch": 1}) if no else None
        if item is not None:
            return int(item["epoch"])
        head = self.head(chat)
        return head.epoch if head and seq > head.last_seq else 0

    def people(self, chat: str) -> list[str]:
        place = heads.find(self._db, chat)
        return sorted(place.people) if place else []

    def last_seqs(self, username: str) -> dict[str, int]:
        return {place.chat: place.head.last_seq for place in self._mine(username) if place.head}

    def peers(self, username: str) -> set[str]:
        return {username}.union(*(place.head.members for place in self._mine(username) if place.head))

    @reaching
    def overdue(self, username: str | None = None) -> list[tuple[str, str]]:
        where: Doc = {"chat": {"$exists": True}} if username is None else {"named": {"$eq": username}}
        places = (heads.caught_up(self._db, doc) for doc in self._db.chats.find(where))
        wrapped = [
            (place.chat, name, member.keys)
            for place in places
            if place.head
            for name, member in place.head.members.items()
            if username in (None, name)
        ]
        current: dict[str, str] = {}
        names = sorted({name for _, name, _ in wrapped})
        for at in range(0, len(names), PEOPLE):
            living = {"_id": {"$in": names[at : at + PEOPLE]}, "ended_at": None}
            current |= {doc["_id"]: doc["keys_hash"] for doc in self._db.users.find(living, {"keys_hash": 1})}
        return [(chat, name) for chat, name, keys in wrapped if current.get(name) != keys]

    @reaching
    def erase(self, chat: str) -> list[str]:
        gone = {"$set": {"erased": True}, "$unset": {"chat": "", "named": ""}}
        doc = self._db.chats.find_one_and_update({"chat": {"$eq": chat}}, gone, {"_id": 1})
        return heads.purge(self._db, doc["_id"]) if doc else []

    @reaching
    def finish_erasures(self) -> None:
        """What a crash left of erased chats goes."""
        for doc in list(self._db.chats.find({"erased": {"$exists": True}}, {"_id": 1})):
            heads.purge(self._db, doc["_id"])

    # -------------------------------------------------------- how

    @reaching
    def _no(self, chat: str) -> ObjectId | None:
        doc = self._db.chats.find_one({"chat": {"$eq": chat}}, {"_id": 1})
        return doc["_id"] if doc else None

    def _mine(self, username: str, after: str = "") -> Iterator[Place]:
        """The chats that `username` is in now, by id above `after`."""
        where = {"named": {"$eq": username}, "chat": {"$gt": after}}
        for doc in self._listed(where):
            place = heads.caught_up(self._db, doc)
            if place.head and username in place.head.members:
                yield place

    @reaching
    def _listed(self, where: Doc) -> list[Doc]:
        return list(self._db.chats.find(where).sort("chat"))

    @reaching
    def _views(self, places: list[Place], only: str | None = None) -> list[dict[str, Chat]]:
        """Chats as their members see them, or as `only` does; empty for one that was erased meanwhile."""
        wraps = self._wraps([place.attempt for place in places if place.attempt], only)
        marks = self._db.marks.find({"chat": {"$in": [place.no for place in places]}})
        marked = {(doc["chat"], doc["username"]): doc for doc in marks}
        names = sorted({name for place in places if place.head for name in place.head.members})
        shown: dict[str, str] = {}
        for at in range(0, len(names), PEOPLE):
            found = self._db.users.find({"_id": {"$in": names[at : at + PEOPLE]}}, {"display_name": 1})
            shown |= {doc["_id"]: doc["display_name"] for doc in found}
        return [
            _view(place, place.head, shown, wraps[place.attempt], marked, only)
            if place.head and place.attempt in wraps
            else {}
            for place in places
        ]

    @reaching
    def _wraps(self, attempts: list[ObjectId], only: str | None) -> dict[ObjectId | None, Doc]:
        """By attempt: `members`, and in `wraps` the ones of `only`, or all."""
        wanted: Doc = {"members": 1}
        if only is None:
            wanted |= {"wraps.username": 1, "wraps.kid": 1, "wraps.wrapped": 1}
        else:
            wanted["wraps"] = {"$elemMatch": {"username": {"$eq": only}}}
        return {doc["_id"]: doc for doc in self._db.wraps.find({"_id": {"$in": attempts}}, wanted)}


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
        )
        for member in members
        if only in (None, member.username)
    }


def _epoch(number: int, seq: int, at: int, wraps: Doc, username: str) -> Epoch:
    mine = next((one for one in wraps.get("wraps", ()) if one["username"] == username), None)
    kid, wrapped = (mine["kid"], mine["wrapped"]) if mine else (None, None)
    return Epoch(number, seq, at, tuple(wraps["members"]), kid, wrapped)
