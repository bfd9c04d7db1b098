"""How far people have a chat, in MongoDB: a document for each person of a chat, whose numbers only grow."""

from __future__ import annotations

from bson import ObjectId
from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError

from chatsec.domain.models import Mark
from chatsec.storage.mongo.database import Database, Doc, reaching


@reaching
def move(database: Database, no: ObjectId, mark: Mark, last: int) -> Mark:
    """Moves it forward, at most to `last`; the mark as it stands then."""
    where = {"chat": no, "username": {"$eq": mark.username}}
    forward = {"delivered": min(max(mark.delivered, mark.read), last), "read": min(mark.read, last)}

    def update() -> Doc | None:
        return database.marks.find_one_and_update(
            where, {"$max": forward}, upsert=True, return_document=ReturnDocument.AFTER
        )

    while True:
        try:
            doc = database.surely(update)
        except DuplicateKeyError:
            continue  # another one made it just now
        assert doc is not None  # an upsert answers what it made
        return Mark(mark.chat, mark.username, doc["delivered"], doc["read"])
