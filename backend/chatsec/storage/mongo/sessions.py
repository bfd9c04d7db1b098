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
        self._db = database
        self._users = database.users

    @reaching
    def create(self, session: Session) -> None:
        stored = {name: value for name, value in asdict(session).items() if name != "username"}
        new = {"_id": {"$eq": session.username}, "sessions.id": {"$ne": session.id}}
        # A new password ends it or comes after it: see `accounts`.
        opened = {"$push": {"sessions": stored}, "$inc": {"revision": 1}}
        done = self._db.surely(lambda: self._users.update_one(new, opened))
        if done.matched_count == 0 and self.get(session.id) is None:
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
        """False too where the answer was lost: the token that was shown is the last one then, and is good yet."""
        good = {"sessions": {"$elemMatch": {"id": {"$eq": session_id}, "counter": {"$eq": counter}}}}
        next_one = {
            "$inc": {"sessions.$.counter": 1},
            "$set": {"sessions.$.rotated_at": at, "sessions.$.used_at": at},
        }
        return self._db.surely(lambda: self._users.update_one(good, next_one)).modified_count == 1

    @reaching
    def end(self, session_id: str) -> None:
        mine = {"sessions.id": {"$eq": session_id}}
        gone = {"$pull": {"sessions": {"id": {"$eq": session_id}}}}
        self._db.surely(lambda: self._users.update_one(mine, gone))

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
