"""Sessions in MongoDB: devices that are logged in, inside the document of their account.

So a new password and the end of the sessions that had the old one are one write.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict

from chatsec.domain.models import Session
from chatsec.errors import ChatSecError
from chatsec.storage.mongo.database import Database, Doc, reaching


class MongoSessions:
    """`SessionStore`."""

    def __init__(self, database: Database) -> None:
        self._users = database.users

    @reaching
    def create(self, session: Session) -> None:
        stored = {name: value for name, value in asdict(session).items() if name != "username"}
        done = self._users.update_one({"_id": {"$eq": session.username}}, {"$push": {"sessions": stored}})
        if done.matched_count == 0:
            raise ChatSecError("not_found")

    @reaching
    def get(self, session_id: str) -> Session | None:
        only = {"sessions": {"$elemMatch": {"id": {"$eq": session_id}}}}
        user = self._users.find_one({"sessions.id": {"$eq": session_id}}, only)
        return _sessions(user)[0] if user else None

    @reaching
    def living(self, session_ids: Collection[str]) -> set[str]:
        wanted = set(session_ids)
        users = self._users.find({"sessions.id": {"$in": list(wanted)}}, {"sessions.id": 1})
        return {one["id"] for user in users for one in user["sessions"]} & wanted

    @reaching
    def list(self, username: str) -> list[Session]:
        user = self._users.find_one({"_id": {"$eq": username}}, {"sessions": 1})
        return sorted(_sessions(user), key=lambda one: (one.created_at, one.id), reverse=True) if user else []

    @reaching
    def rotate(self, session_id: str, counter: int, at: int) -> bool:
        done = self._users.update_one(
            {"sessions": {"$elemMatch": {"id": {"$eq": session_id}, "counter": {"$eq": counter}}}},
            {
                "$inc": {"sessions.$.counter": 1},
                "$set": {"sessions.$.rotated_at": at, "sessions.$.used_at": at},
            },
        )
        return done.modified_count == 1

    @reaching
    def end(self, session_id: str) -> None:
        self._users.update_one(
            {"sessions.id": {"$eq": session_id}}, {"$pull": {"sessions": {"id": {"$eq": session_id}}}}
        )

    @reaching
    def end_idle(self, used_before: int, created_before: int) -> Sequence[str]:
        ended: list[str] = []
        for name, limit in (("used_at", used_before), ("created_at", created_before)):
            late = {name: {"$lt": limit}}
            for user in self._users.find({"sessions": {"$elemMatch": late}}, {"_id": 1}):
                before = self._users.find_one_and_update(
                    {"_id": user["_id"]}, {"$pull": {"sessions": late}}, {"sessions": 1}
                )
                ended += [one["id"] for one in (before or user).get("sessions", ()) if one[name] < limit]
        return ended


def _sessions(user: Doc) -> list[Session]:
    return [Session(username=user["_id"], **one) for one in user["sessions"]]
