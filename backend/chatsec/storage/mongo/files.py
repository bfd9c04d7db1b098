"""Attachments' ciphertext in GridFS, as every driver and `mongofiles --prefix attachments` read it; named by their ids.

A file's document is there before its chunks and goes after them, so that a crash leaves no chunk without one; until all
is there it says that it is unfinished. Chunks are inserted without waiting for the journal: the write that finishes the
document is journaled after them, and then they are counted, for a server that died in between may have lost some. The
driver's own GridFS is not used: it holds 32 MiB of each upload, and reads 16 MiB at a time. Ids are strings that the
server made, so no query needs `$eq` to be safe from them.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime, timedelta

from bson import Int64

from chatsec.errors import ChatSecError
from chatsec.storage.mongo.database import Database, Doc, reaching

CHUNK = 256 * 1024  # bytes
PAGE = 1000  # files listed at once
TOUCH = 300.0  # seconds after which an upload says again that it goes on
STATE = "metadata.state"
ARRIVING, LEAVING = "arriving", "leaving"  # the states of a file that is not finished


class MongoFiles:
    """`CiphertextFiles`."""

    def __init__(self, database: Database) -> None:
        self._db = database

    @reaching
    def begin(self, attachment: str) -> MongoUpload:
        new = {"filename": attachment, "length": Int64(0), "chunkSize": CHUNK, STATE: ARRIVING}
        self._db.files.update_one(
            {"_id": attachment},
            {"$setOnInsert": new, "$currentDate": {"uploadDate": True}},
            upsert=True,
        )
        return MongoUpload(self._db, attachment)

    @reaching
    def open(self, attachment: str) -> MongoFile:
        doc = self._db.files.find_one({"_id": attachment, STATE: {"$exists": False}})
        if doc is None:
            raise ChatSecError("not_found")
        return MongoFile(self._db, attachment, doc["chunkSize"])

    def remove(self, attachment: str) -> None:
        _remove(self._db, attachment)

    def older_than(self, seconds: float) -> Iterator[str]:
        before, last = self._ago(seconds), ""
        while page := self._page(before, last):
            yield from page
            last = page[-1]

    @reaching
    def drop_unfinished(self, seconds: float) -> int:
        old = {STATE: {"$exists": True}, "uploadDate": {"$lte": self._ago(seconds)}}
        dropped = 0
        for doc in self._db.files.find(old, {"_id": 1}).to_list():
            # From then on its upload, if that still lives, can neither go on nor finish.
            if self._db.files.update_one(old | {"_id": doc["_id"]}, {"$set": {STATE: LEAVING}}).matched_count:
                _remove(self._db, doc["_id"])
                dropped += 1
        return dropped

    def _ago(self, seconds: float) -> datetime:
        return self._db.now() - timedelta(seconds=seconds)

    @reaching
    def _page(self, before: datetime, last: str) -> list[str]:
        where = {"_id": {"$gt": last}, STATE: {"$exists": False}, "uploadDate": {"$lte": before}}
        return [doc["_id"] for doc in self._db.files.find(where, {"_id": 1}).sort("_id").limit(PAGE)]


class MongoUpload:
    """`UploadFile`."""

    def __init__(self, database: Database, attachment: str) -> None:
        self._db = database
        self._id = attachment
        self._rest = bytearray()  # what does not fill a chunk yet
        self._chunks = 0
        self._length = 0
        self._touched = time.monotonic()
        self._answered = True  # whether the last insert was
        self._kept = False

    def write(self, part: bytes) -> None:
        self._rest += part
        while len(self._rest) >= CHUNK:
            self._insert(bytes(self._rest[:CHUNK]))
            del self._rest[:CHUNK]

    @reaching
    def keep(self) -> None:
        if self._rest:
            self._insert(bytes(self._rest))
        self._update({"$set": {"length": Int64(self._length)}, "$unset": {"metadata": ""}})
        if self._db.chunks.count_documents({"files_id": self._id}) != self._chunks:
            raise ChatSecError("unavailable", "the store lost a part of the upload")
        self._kept = True

    def drop(self) -> None:
        """What was not answered may still be done, so it is left to the sweep, as the document says."""
        if self._answered and not self._kept:
            _remove(self._db, self._id)

    @reaching
    def _insert(self, data: bytes) -> None:
        if time.monotonic() - self._touched > TOUCH:
            self._update({})
            self._touched = time.monotonic()
        self._answered = False
        self._db.chunks.insert_one({"files_id": self._id, "n": self._chunks, "data": data})
        self._answered = True
        self._chunks += 1
        self._length += len(data)

    def _update(self, change: Doc) -> None:
        mine = {"_id": self._id, STATE: ARRIVING}
        updated = self._db.files.update_one(mine, change | {"$currentDate": {"uploadDate": True}})
        if not updated.matched_count:
            raise ChatSecError("unavailable", "the upload was swept")


class MongoFile:
    """`StoredFile`. A chunk is found by its number, so a range costs what it is long."""

    def __init__(self, database: Database, attachment: str, chunk: int) -> None:
        self._db = database
        self._id = attachment
        self._chunk = chunk

    @reaching
    def read(self, start: int, size: int) -> bytes:
        n, skipped = divmod(start, self._chunk)
        doc = self._db.chunks.find_one({"files_id": self._id, "n": n})
        data: bytes = doc["data"] if doc else b""
        return data[skipped : skipped + size]

    def close(self) -> None:
        """Nothing is open."""


@reaching
def _remove(database: Database, attachment: str) -> None:
    """Chunks first: if it ends in between, the document is there to be swept."""
    database.chunks.delete_many({"files_id": attachment})
    database.files.delete_one({"_id": attachment})
