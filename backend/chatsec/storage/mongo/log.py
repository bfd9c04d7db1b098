"""The sequences in MongoDB, by optimistic inserts: several writers, no lock and no transaction between them.

A batch is judged and numbered by the heads that this writer keeps, and inserted in order. Who finds a place taken folds in
what took it, then judges and numbers the rest again: so a message whose epoch ended meanwhile becomes `stale_epoch` by
itself, and no number is ever skipped. An epoch's wraps are stored before its event under the event's `_id`, and count
only once that item is there. A refusal counts only by a head that was read for it.

Each item keeps its `_id` through all attempts. When the outcome of an insert is not known, the sequence is looked at
before anything is answered: what is found there is placed (and journaled once more), the rest is tried again. A message
that was refused as `unavailable` may have its place all the same, and nobody was told of it. So when its sender tries
again, and it is there, it is journaled once more and answered as placed just now, not as a duplicate; so are events that
can be told from one another (`again`).

Whether a new bundle makes a share due, or takes a signing key away, is no item: who stores one says so in the documents of
the chats, which are looked at as `kept` says.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass

import pymongo
from bson import ObjectId
from pymongo.errors import BulkWriteError, PyMongoError, ServerSelectionTimeoutError

from chatsec import crypto
from chatsec.domain import sequence
from chatsec.domain.lines import Lines
from chatsec.domain.models import Appended, Head, Mark, NewEvent, NewMessage
from chatsec.domain.ports import Offload
from chatsec.errors import ChatSecError
from chatsec.storage.mongo import again, heads, items, keys, marks
from chatsec.storage.mongo.again import known_by
from chatsec.storage.mongo.database import CALL, TRIES, Database, Doc, out_of_reach, reaching
from chatsec.storage.mongo.heads import Place
from chatsec.storage.mongo.kept import Kept

TAKEN = 11000  # code of a duplicate key
PAUSE = 0.02  # seconds until a place that is taken, but not by a majority yet, is looked at again
PAUSES = 250
MANY = 50  # members
logger = logging.getLogger(__name__)

Batch = Sequence[NewMessage | NewEvent | Mark]
Result = Appended | Mark | ChatSecError


@dataclass(frozen=True, slots=True)
class _Numbered:
    """An item of the batch with the place that it shall have."""

    index: int
    place: Place
    before: bytes
    head: Head  # after it
    doc: Doc


class MongoLog:
    """`Log`. Of a batch that the store fails in, what was placed before is answered as placed, the rest refused."""

    def __init__(self, database: Database, offload: Offload) -> None:
        self._db = database
        self._offload = offload
        self._kept = Kept()
        self._lock = threading.RLock()

    def append(self, batch: Batch, at: int) -> list[Result]:
        with self._lock, pymongo.timeout(2 * CALL):
            self._kept.trim()
            return _Append(self._db, self._offload, self._kept, batch, at).run()

    @reaching
    def known(self, chat: str, sender: str, message_id: str) -> bool:
        found = self._db.chats.find_one({"chat": {"$eq": chat}}, {"_id": 1})
        return bool(found and items.by_id(self._db, found["_id"], sender, message_id, "_id"))

    def keys_changed(self, username: str) -> None:
        keys.tell_chats(self._db, username)
        with self._lock:
            self._kept.forget_chats_of(username)


class _Append:
    """One batch on its way. `results` holds None for what has no answer yet."""

    def __init__(
        self,
        database: Database,
        offload: Offload,
        kept: Kept,
        batch: Batch,
        at: int,
    ) -> None:
        self._db = database
        self._offload = offload
        self._kept = kept
        self._places = kept.places
        self._batch = batch
        self._at = at
        self._ids = [ObjectId() for _ in batch]
        self._results: list[Result | None] = [None] * len(batch)
        self._read: set[str] = set()  # chats whose head was read for this batch
        self._wrapped: set[ObjectId] = set()
        self._used: dict[int, Place] = {}  # where items of this batch were placed
        self._found: list[int] = []  # of these the ones whose insert was not confirmed
        self._failures = self._pauses = 0

    def run(self) -> list[Result]:
        try:
            self._kept.compare(self._db, {item.chat for item in self._batch}, self._at)
            while self._open():
                self._advance()
                if not self._open():
                    self._settle()
        except ChatSecError as failure:
            self._places.clear()  # an insert may have been made, or not
            left = (self._batch[index] for index in self._open())
            self._kept.untold |= {
                known for item in left if not isinstance(item, Mark) and (known := known_by(item))
            }
            if all(result is None or isinstance(result, ChatSecError) for result in self._results):
                raise
            return [failure if result is None else result for result in self._results]
        return [result for result in self._results if result is not None]

    def _open(self) -> list[int]:
        return [index for index, result in enumerate(self._results) if result is None]

    def _advance(self) -> None:
        """Inserts as many of the next items as can be judged good, or answers the first that cannot."""
        left = self._open()
        if numbered := self._number(left):
            self._insert(numbered)
            return
        item = self._batch[left[0]]
        self._results[left[0]] = self._mark(item) if isinstance(item, Mark) else self._refuse(left[0], item)

    # -------------------------------------------------------- judging and numbering

    def _number(self, left: list[int]) -> list[_Numbered]:
        numbered: list[_Numbered] = []
        moved: dict[str, Head] = {}
        for index in left:
            item = self._batch[index]
            if isinstance(item, Mark):  # counts what was placed before it
                break
            place = self._place(item.chat)
            head = moved.get(item.chat) or (place.head if place else None)
            if self._judge(head, item):
                break
            if isinstance(item, NewEvent):
                place = self._prepare(index, place, item)
            assert place is not None  # a message was judged by its head
            after = sequence.after(head, item, self._at)
            moved[item.chat] = after
            before = head.chain if head else crypto.CHAIN_START
            doc = items.item_doc(self._ids[index], place.no, item, after, self._at)
            numbered.append(_Numbered(index, place, before, after, doc))
        return numbered

    def _judge(self, head: Head | None, item: NewMessage | NewEvent) -> ChatSecError | None:
        if isinstance(item, NewMessage):
            return sequence.judge_message(head, item)
        return sequence.judge_event(
            head, item, lambda: self._current_keys(item), lambda: self._lines(head, item)
        )

    @reaching
    def _current_keys(self, event: NewEvent) -> dict[str, str]:
        """As they are before the insert. A bundle that lands in between leaves an epoch that is `overdue` at once."""
        wanted = list(event.epoch.wraps) if event.epoch else []
        return {
            doc["_id"]: doc["keys_hash"]
            for doc in self._db.users.find({"_id": {"$in": wanted}}, {"keys_hash": 1})
        }

    def _lines(self, head: Head | None, event: NewEvent) -> Lines:
        """The same of a `combined` chat, where a share is due at once."""
        return keys.lines(self._db, sequence.concerned(head, event))

    @reaching
    def _prepare(self, index: int, place: Place | None, event: NewEvent) -> Place:
        """What must be there before an event is: the chat, under the names of who comes in, and the epoch's wraps."""
        if place is None or event.kind in ("create", "add"):
            no = heads.make(self._db, event.chat, event.usernames)
            if place is None or place.no != no:
                place = self._places[event.chat] = Place(no, event.chat)
        attempt = self._ids[index]
        if event.epoch is not None and attempt not in self._wrapped:
            if len(event.epoch.wraps) > MANY:  # it has just been judged, and both take milliseconds
                self._offload.turn()
            wraps = items.wraps_doc(attempt, place.no, event.epoch, event.share)
            self._db.surely(lambda: self._db.wraps.replace_one({"_id": attempt}, wraps, upsert=True))
            self._wrapped.add(attempt)
        return place

    # -------------------------------------------------------- inserting

    def _insert(self, numbered: list[_Numbered]) -> None:
        try:
            with pymongo.timeout(CALL):
                self._db.items.insert_many([one.doc for one in numbered], ordered=True)
        except BulkWriteError as error:
            refused = (error.details or {}).get("writeErrors") or []
            unsure = (error.details or {}).get("writeConcernErrors")
            if unsure or not refused or refused[0]["code"] != TAKEN:
                self._look(numbered, error)
                return
            first = numbered[refused[0]["index"]]
            self._take(numbered[: refused[0]["index"]])
            self._lost(first, refused[0].get("keyPattern", {}))
        except PyMongoError as error:
            self._look(numbered, error)
        else:
            self._take(numbered)

    def _take(self, numbered: list[_Numbered]) -> None:
        for one in numbered:
            item = self._batch[one.index]
            heads.note(one.place, one.head, item if isinstance(item, NewEvent) else None, one.doc["_id"])
            self._placed(one.index, one.place, one.before, one.head)

    def _placed(self, index: int, place: Place, before: bytes, head: Head) -> None:
        item = self._batch[index]
        assert not isinstance(item, Mark)  # they have no place
        self._used[index] = place
        if self._kept.untold and (known := known_by(item)):
            self._kept.untold.discard(known)
        self._results[index] = Appended(
            head.last_seq,
            self._at,
            before,
            items.body(item, head),
            False,
            head.members,
            head.epoch,
            head.opened_seq,
        )

    def _lost(self, first: _Numbered, taken: Doc) -> None:
        """Its place or its id is taken."""
        was = first.place.head.last_seq if first.place.head else 0
        self._catch_up(first.place)
        if self._results[first.index] is not None:
            return
        if "place" not in taken:
            self._answer_known(first.place)
        elif first.place.head is None or first.place.head.last_seq == was:
            self._pauses += 1  # a majority does not have what took it yet
            if self._pauses > PAUSES:
                raise ChatSecError("unavailable", "the store does not agree with itself")
            self._offload.sleep(PAUSE)

    def _look(self, numbered: list[_Numbered], error: PyMongoError) -> None:
        """Any of these may have its place, or not, or get it yet: an attempt goes on under the same `_id`."""
        failure = out_of_reach(error)
        self._failures += 1
        if self._failures > TRIES or isinstance(error, ServerSelectionTimeoutError):  # then nothing was sent
            raise failure
        for place in {one.place.no: one.place for one in numbered}.values():
            self._found += self._catch_up(place)

    def _catch_up(self, place: Place) -> list[int]:
        """Folds in what lies above; answers which items of this batch were among it."""
        mine = {self._ids[index]: index for index in self._open()}
        found: list[int] = []

        def passed(doc: Doc, before: bytes, head: Head) -> None:
            if (index := mine.get(doc["_id"])) is not None:
                self._placed(index, place, before, head)
                found.append(index)

        last = place.event
        heads.catch_up(self._db, place, passed)
        if place.event != last:
            heads.see_bundles(self._db, [place])
        return found

    # -------------------------------------------------------- settling

    @reaching
    def _settle(self) -> None:
        """What was placed is made sure of; what went into a chat that was erased meanwhile is judged anew."""
        if self._found:
            found, self._found = self._found, []
            self._touch(found)
        places = {place.no: place for place in self._used.values()}
        if not places:
            return
        wanted = {"_id": {"$in": list(places)}, "chat": {"$exists": True}}
        living = {doc["_id"]: doc for doc in self._db.chats.find(wanted, {"keys_changed": 1})}
        gone = places.keys() - living.keys()
        for no in gone:
            heads.purge(self._db, no)
            self._places.pop(places[no].chat, None)
            self._read.discard(places[no].chat)
        for index in [index for index, place in self._used.items() if place.no in gone]:
            del self._used[index]
            self._results[index], self._ids[index] = None, ObjectId()
        kept = [self._places.get(place.chat) for no, place in places.items() if no not in gone]
        standing = [place for place in kept if place and place.no in places]
        heads.move_snapshots(self._db, standing)
        for place in standing:
            changed = None if self._is_new(place) else living[place.no].get("keys_changed", 0)
            self._kept.confirm(place, changed, self._at)

    def _is_new(self, place: Place) -> bool:
        """Whether this batch brought its share: whose bundle came before the chat named them could not say so there."""
        return place.head is not None and place.head.combined is not None and place.attempt in self._ids

    def _touch(self, found: list[int]) -> None:
        try:
            self._db.touch()
        except ChatSecError:
            for index in found:
                self._results[index] = None
            raise

    # -------------------------------------------------------- refusals and duplicates

    def _refuse(self, index: int, item: NewMessage | NewEvent) -> Result | None:
        """The answer to an item that the kept head refuses; None if one that is read for it does not."""
        if item.chat not in self._read:
            self._reload(item.chat)
            return None
        place = self._places.get(item.chat)
        refused = self._judge(place.head if place else None, item)
        if refused is None:
            return None
        if self._ids[index] in self._wrapped and not self._failures:
            self._forget_wraps(self._ids[index])
        return self._known(place, item) or refused

    @reaching
    def _forget_wraps(self, attempt: ObjectId) -> None:
        """Tidies up; wraps that stay because a writer died are named by no item, and so mean nothing."""
        self._db.wraps.delete_one({"_id": attempt})

    def _answer_known(self, place: Place) -> None:
        """Where one message came again others did: all that are known get their answer with few questions."""
        for index in self._open():
            item = self._batch[index]
            if isinstance(item, NewMessage) and item.chat == place.chat:
                self._results[index] = self._known(place, item)
                if self._results[index] is None:
                    break

    @reaching
    def _known(self, place: Place | None, item: NewMessage | NewEvent) -> Appended | ChatSecError | None:
        """The answer to what has a place already: see `again`."""
        if place is None or place.head is None:
            return None
        doc = again.find(self._db, place.no, item)
        if doc is None or isinstance(doc, ChatSecError):
            return doc
        seq, at, head = doc["seq"], doc["at"], place.head
        before = items.chain_at(self._db, place.no, seq - 1)
        if (known := known_by(item)) in self._kept.untold:
            self._db.touch()
            self._kept.untold.discard(known)
            # Else those who are members now were told of the event that made them so.
            if seq > head.opened_seq or (isinstance(item, NewEvent) and seq == head.opened_seq):
                body = bytes(doc["body"])
                return Appended(seq, at, before, body, False, head.members, head.epoch, head.opened_seq)
        return Appended(seq, at, before, duplicate=True)

    # -------------------------------------------------------- marks

    def _mark(self, mark: Mark) -> Mark | ChatSecError:
        if mark.chat not in self._read:
            self._reload(mark.chat)
        place = self._places.get(mark.chat)
        if place is None or place.head is None or mark.username not in place.head.members:
            return ChatSecError("not_found")
        return marks.move(self._db, place.no, mark, place.head.last_seq)

    # -------------------------------------------------------- places

    def _place(self, chat: str) -> Place | None:
        return self._places.get(chat) or self._reload(chat)

    def _reload(self, chat: str) -> Place | None:
        place = heads.find(self._db, chat)
        self._read.add(chat)
        if place is None:
            self._places.pop(chat, None)
        else:
            heads.see_bundles(self._db, [place])
            place.seen = self._at
            self._places[chat] = place
        return place
