"""Accounts in MongoDB: a person is one document, with backup, client state, sessions and which bundle is current.

A change is judged by the document as it was read, and made only while its `revision` is still that one; who comes too
late reads and judges again. So everything that must change together is one write. The document keeps the ids of its last
`changes`: one whose answer was lost is found there, and is neither made nor refused a second time. Ended accounts keep
their document, so that their name is never given again. What clients made up is kept as bytes: no name in it becomes a
field's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import fields

import orjson
from bson import ObjectId
from pymongo.errors import DuplicateKeyError, PyMongoError, ServerSelectionTimeoutError

from chatsec.domain.models import Account, Bundle, Json
from chatsec.domain.versions import bundle_changes, secret_changes
from chatsec.errors import ChatSecError
from chatsec.storage.mongo.database import TRIES, Database, Doc, reaching
from chatsec.storage.mongo.keys import write_bundle

FIELDS = tuple(field.name for field in fields(Account) if field.name != "username")  # that is the `_id`
JSON = ("kdf", "backup", "state")
ONLY = dict.fromkeys(FIELDS, 1)
TO_CHANGE = ONLY | dict.fromkeys(("revision", "changes", "sessions.id"), 1)
CHANGES = 8  # that are remembered


class MongoAccounts:
    """`AccountStore`."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self._users = database.users

    @reaching
    def create(self, account: Account, bundle: Bundle | None) -> None:
        given = {name: getattr(account, name) for name in FIELDS} | bundle_changes(account, bundle)
        if bundle is not None:
            write_bundle(self._db, bundle)
        change = ObjectId()
        stored = {
            "_id": account.username,
            **stored_fields(given),
            "bundles": [bundle.hash] if bundle else [],
            "sessions": [],
            "revision": 0,
            "changes": [change],
        }

        def insert() -> None:
            try:
                self._users.insert_one(stored)
            except DuplicateKeyError as error:
                if not self._users.find_one(
                    {"_id": {"$eq": account.username}, "changes": change}, {"_id": 1}
                ):
                    raise ChatSecError("username_taken") from error

        self._db.surely(insert)

    @reaching
    def get(self, username: str) -> Account | None:
        doc = self._users.find_one({"_id": {"$eq": username}}, ONLY)
        return account_of(doc) if doc else None

    @reaching
    def search(self, query: str, after: str, limit: int) -> list[Account]:
        found = self._users.find(
            {
                "_id": {"$gt": after},
                "ended_at": None,
                "$expr": {"$or": [_holds(name, query.casefold()) for name in ("$_id", "$folded")]},
            },
            ONLY,
        )
        return [account_of(doc) for doc in found.sort("_id").limit(limit)]

    @reaching
    def named(self, usernames: Iterable[str]) -> dict[str, Account]:
        wanted = list(usernames)
        found = self._users.find({"_id": {"$in": wanted}}, ONLY) if wanted else ()
        return {doc["_id"]: account_of(doc) for doc in found}

    def set_display_name(self, username: str, display_name: str) -> None:
        self._set(username, stored_fields({"display_name": display_name}))

    def set_presence(self, username: str, status: str | None, last_seen: int | None) -> None:
        given = {"status": status, "last_seen": last_seen}
        self._set(username, {name: value for name, value in given.items() if value is not None})

    @reaching
    def put_backup(self, username: str, backup: Json, recovery_hash: bytes | None) -> None:
        self._change(username, lambda account: secret_changes(account, backup, recovery_hash))

    @reaching
    def put_state(self, username: str, state: Json) -> None:
        self._change(username, lambda account: secret_changes(account, state=state))

    @reaching
    def add_bundle(self, bundle: Bundle, backup: Json | None, state: Json | None) -> None:
        self._change(
            bundle.username,
            lambda account: bundle_changes(account, bundle) | secret_changes(account, backup, None, state),
            bundle,
        )

    @reaching
    def set_password(
        self,
        username: str,
        password_hash: bytes,
        kdf: Json | None,
        backup: Json | None,
        recovery_hash: bytes | None,
        bundle: Bundle | None,
        state: Json | None,
        keep_session: str,
        replaces: bytes | None = None,
    ) -> list[str]:
        def judge(account: Account) -> Json:
            if replaces is not None and replaces != account.password_hash:
                raise ChatSecError("wrong_password", "the password was changed meanwhile")
            changes = bundle_changes(account, bundle) | secret_changes(account, backup, recovery_hash, state)
            return changes | {"password_hash": password_hash, "kdf": kdf}

        ended = {"$pull": {"sessions": {"id": {"$ne": keep_session}}}}
        return [one for one in self._change(username, judge, bundle, ended) if one != keep_session]

    @reaching
    def end(self, username: str, at: int) -> list[str]:
        forgotten: Json = dict.fromkeys(("kdf", "recovery_hash", "backup", "state"))
        ended = {**forgotten, "password_hash": b"", "ended_at": at, "sessions": []}
        try:
            return self._change(username, lambda _: ended)
        except ChatSecError as error:
            if error.code != "not_found":
                raise
            return []

    # -------------------------------------------------------- how

    @reaching
    def _set(self, username: str, changes: Doc) -> None:
        if changes:
            self._db.surely(lambda: self._users.update_one({"_id": {"$eq": username}}, {"$set": changes}))

    def _change(
        self,
        username: str,
        judge: Callable[[Account], Json],
        bundle: Bundle | None = None,
        beside: Doc | None = None,
    ) -> list[str]:
        """One write of what `judge` answers for the living account; the ids of its sessions as they were before.

        `beside` is a further operator of the update.
        """
        change, failures = ObjectId(), 0
        sessions: list[str] = []
        while True:
            doc = self._users.find_one({"_id": {"$eq": username}}, TO_CHANGE)
            if doc is not None and change in doc.get("changes", ()):
                self._db.touch()
                return sessions
            if doc is None or doc["ended_at"] is not None:
                raise ChatSecError("not_found")
            sessions = [one["id"] for one in doc["sessions"]]
            update = {
                "$set": stored_fields(judge(account_of(doc))),
                "$inc": {"revision": 1},
                "$push": {"changes": {"$each": [change], "$slice": -CHANGES}},
                **(beside or {}),
            }
            if bundle is not None:
                write_bundle(self._db, bundle)
                update["$push"]["bundles"] = bundle.hash
                update["$set"]["untold"] = bundle.hash  # until the chats count it: `keys.tell_chats`
            same = {"_id": {"$eq": username}, "revision": doc["revision"]}
            try:
                if self._users.update_one(same, update).matched_count:
                    return sessions
            except PyMongoError as error:
                failures += 1
                if failures == TRIES or isinstance(error, ServerSelectionTimeoutError):
                    raise


def _holds(field: str, text: str) -> Doc:
    """Whether a field holds a text, which is no pattern and no name of a field."""
    return {"$gte": [{"$indexOfCP": [field, {"$literal": text}]}, 0]}


def stored_fields(given: Json) -> Doc:
    """Fields of an account as they lie in its document."""
    stored = dict(given)
    for name in stored.keys() & set(JSON):
        stored[name] = None if stored[name] is None else orjson.dumps(stored[name])
    if "display_name" in stored:
        stored["folded"] = stored["display_name"].casefold()
    return stored


def account_of(doc: Doc) -> Account:
    stored = {name: doc[name] for name in FIELDS}
    for name in JSON:
        stored[name] = None if stored[name] is None else orjson.loads(stored[name])
    return Account(doc["_id"], **stored)
