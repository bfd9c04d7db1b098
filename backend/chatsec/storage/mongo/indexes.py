"""Every index, by collection; made when the store is opened, whether they are there or not.

What must be unique is so by these alone: a place in a chat, a message's id, a chat's id, a mark's owner.
"""

from __future__ import annotations

from typing import Any

from pymongo import ASCENDING as UP
from pymongo import IndexModel
from pymongo.database import Database


def _where(field: str) -> dict[str, Any]:
    return {field: {"$exists": True}}


def make(database: Database[dict[str, Any]]) -> None:
    """Idempotent; blocks until they are built."""
    wanted = {
        "users": [
            IndexModel([("sessions.id", UP)], name="sessions"),
            IndexModel([("untold", UP)], name="untold", partialFilterExpression=_where("untold")),
        ],
        "chats": [
            IndexModel([("chat", UP)], name="chat", unique=True, partialFilterExpression=_where("chat")),
            IndexModel([("named", UP), ("chat", UP)], name="named"),
            IndexModel([("erased", UP)], name="erased", partialFilterExpression=_where("erased")),
        ],
        "items": [
            IndexModel([("place", UP)], name="places", unique=True),
            IndexModel(
                [("chat", UP), ("from", UP), ("id", UP)],
                name="ids",
                unique=True,
                partialFilterExpression=_where("id"),
            ),
            IndexModel([("chat", UP), ("opens", UP)], name="epochs", partialFilterExpression=_where("opens")),
            IndexModel(
                [("chat", UP), ("entry.n", UP)], name="entries", partialFilterExpression=_where("entry.n")
            ),
        ],
        "wraps": [IndexModel([("chat", UP)], name="chat")],
        "marks": [IndexModel([("chat", UP), ("username", UP)], name="owners", unique=True)],
        "attachments": [IndexModel([("chat", UP)], name="chat")],
        "attachments.files": [
            IndexModel([("filename", UP), ("uploadDate", UP)]),  # as GridFS wants it, by that name
            IndexModel(
                [("metadata.state", UP)],
                name="unfinished",
                partialFilterExpression=_where("metadata.state"),
            ),
        ],
        "attachments.chunks": [IndexModel([("files_id", UP), ("n", UP)], unique=True)],  # the same
    }
    for collection, indexes in wanted.items():
        database[collection].create_indexes(indexes)
