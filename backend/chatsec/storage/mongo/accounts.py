"""Accounts in MongoDB: a person is one document, with backup, client state, sessions and which bundle is current.

A change is judged by the document as it was read, and made only while its `revision` is still that one; who comes too
late reads and judges again. So everything that must change together is one write. Ended accounts keep their document,
so that their name is never given again. What clients made up is kept as bytes: no name in it becomes a field's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import orjson
from pymongo.errors import DuplicateKeyError

from chatsec.domain.models import Account, Bundle, Json
from chatsec.domain.versions import bundle_changes, secret_changes
from chatsec.errors import ChatSecError
from chatsec.storage.mongo.database import Database, Doc, reaching
from chatsec.storage.mongo.keys import write_bundle

FIELDS = (
    "display_name",
    "created_at",
    "password_hash",
    "kdf",
    "recovery_hash",
    "keys_version",
    "keys_hash",
    "backup",
    "state",
    "status",
    "last_seen",
    "ended_at",
)
JSON = ("kdf", "backup", "state")
ONLY = dict.fromkeys((*FIELDS, "revision"), 1)


class MongoAccounts:
    """`AccountStore`."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self._users = database.users

    @reaching
    def create(self, account: Account, bundle: Bundle | None) -> None:
        if self._users.find_one({"_id": {"$eq": account.username}}, {"_id": 1}):
            raise ChatSecError("username_taken")
        fields = {name: getattr(account, name) for name in FIELDS} | bundle_changes(account, bundle)
        if bundle is not None:
            write_bundle(self._db, bundle)
        hashes = [bundle.hash] if bundle else []
        stored = {
            "_id": account.username,
            **_stored(fields),
            "bundles": hashes,
            "sessions": [],
            "revision": 0,
        }
        try:
            self._users.insert_one(stored)
        except DuplicateKeyError as error:
            raise ChatSecError("username_taken") from error

    @reaching
    def get(self, username: str) -> Account | None:
        doc = self._users.find_one({"_id": {"$eq": username}}, ONLY)
        return _account(doc) if doc else None

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
        return [_account(doc) for doc in found.sort("_id").limit(limit)]

    @reaching
    def named(self, usernames: Iterable[str]) -> dict[str, Account]:
        wanted = list(usernames)
        found = self._users.find({"_id": {"$in": wanted}}, ONLY) if wanted else ()
        return {doc["_id"]: _account(doc) for doc in found}

    @reaching
    def set_display_name(self, username: str, display_name: str) -> None:
        self._users.update_one({"_id": {"$eq": username}}, {"$set": _stored({"display_name": display_name})})

    @reaching
    def set_presence(self, username: str, status: str | None, last_seen: int | None) -> None:
        given = {"status": status, "last_seen": last_seen}
        if changes := {name: value for name, value in given.items() if value is not None}:
            self._users.update_one({"_id": {"$eq": username}}, {"$set": changes})

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
        before = self._change(username, judge, bundle, ended)
        return [one["id"] for one in before["sessions"] if one["id"] != keep_session]

    @reaching
    def end(self, username: str, at: int) -> list[str]:
        forgotten: Doc = dict.fromkeys(("kdf", "recovery_hash", "backup", "state"))
        changes = {**forgotten, "password_hash": b"", "ended_at": at, "sessions": []}
        before = self._users.find_one_and_update(
            {"_id": {"$eq": username}}, {"$set": changes, "$inc": {"revision": 1}}, {"sessions": 1}
        )
        return [one["id"] for one in before["sessions"]] if before else []

    def _change(
        self,
        username: str,
        judge: Callable[[Account], Json],
        bundle: Bundle | None = None,
        beside: Doc | None = None,
    ) -> Doc:
        """One write of what `judge` answers for the living account; its sessions as they were before."""
        while True:
            doc = self._users.find_one({"_id": {"$eq": username}}, ONLY)
            if doc is None or doc["ended_at"] is not None:
                raise ChatSecError("not_found")
            update = {"$set": _stored(judge(_account(doc))), "$inc": {"revision": 1}, **(beside or {})}
            if bundle is not None:
                write_bundle(self._db, bundle)
                update["$push"] = {"bundles": bundle.hash}
            same = {"_id": {"$eq": username}, "revision": doc["revision"]}
            if (before := self._users.find_one_and_update(same, update, {"sessions": 1})) is not None:
                return before


def _holds(field: str, text: str) -> Doc:
    """Whether a field holds a text, which is no pattern and no name of a field."""
    return {"$gte": [{"$indexOfCP": [field, {"$literal": text}]}, 0]}


def _stored(fields: dict[str, Any]) -> Doc:
    """Fields of an account as they lie in its document."""
    stored = dict(fields)
    for name in stored.keys() & set(JSON):
        stored[name] = None if stored[name] is None else orjson.dumps(stored[name])
    if "display_name" in stored:
        stored["folded"] = stored["display_name"].casefold()
    return stored


def _account(doc: Doc) -> Account:
    fields = {name: doc[name] for name in FIELDS}
    for name in JSON:
        fields[name] = None if fields[name] is None else orjson.loads(fields[name])
    return Account(doc["_id"], **fields)
