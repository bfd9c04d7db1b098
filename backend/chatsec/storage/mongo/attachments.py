"""Attachments in MongoDB: whose ciphertext there is. The ciphertext itself lies in `files`."""

from __future__ import annotations

from collections.abc import Iterable

from chatsec.domain.models import Attachment
from chatsec.errors import ChatSecError
from chatsec.storage.mongo import heads
from chatsec.storage.mongo.database import Database, reaching


class MongoAttachments:
    """`AttachmentStore`."""

    def __init__(self, database: Database) -> None:
        self._db = database

    @reaching
    def create(self, attachment: Attachment) -> None:
        place = heads.find(self._db, attachment.chat)
        if place is None or place.head is None or attachment.username not in place.head.members:
            raise ChatSecError("not_found")
        new = {
            "chat": place.no,
            "username": attachment.username,
            "size": attachment.size,
            "created_at": attachment.created_at,
        }
        mine = {"_id": {"$eq": attachment.id}}
        self._db.surely(lambda: self._db.attachments.update_one(mine, {"$setOnInsert": new}, upsert=True))
        if self._db.chats.find_one({"_id": place.no, "chat": {"$exists": True}}, {"_id": 1}) is None:
            self._db.attachments.delete_one({"_id": attachment.id})  # the chat was erased meanwhile
            raise ChatSecError("not_found")

    @reaching
    def get(self, chat: str, attachment: str) -> Attachment | None:
        doc = self._db.attachments.find_one({"_id": {"$eq": attachment}})
        if (
            doc is None
            or self._db.chats.find_one({"_id": doc["chat"], "chat": {"$eq": chat}}, {"_id": 1}) is None
        ):
            return None
        return Attachment(attachment, chat, doc["username"], doc["size"], doc["created_at"])

    @reaching
    def known(self, attachments: Iterable[str]) -> set[str]:
        return {
            doc["_id"] for doc in self._db.attachments.find({"_id": {"$in": list(attachments)}}, {"_id": 1})
        }
