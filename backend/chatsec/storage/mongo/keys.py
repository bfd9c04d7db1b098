"""Key bundles in MongoDB. A bundle is written before the account that points to it, and counts only once it does."""

from __future__ import annotations

from collections.abc import Iterable

import orjson

from chatsec.domain.models import Bundle
from chatsec.storage.mongo.database import Database, Doc, reaching


class MongoKeys:
    """`KeyStore`."""

    def __init__(self, database: Database) -> None:
        self._db = database

    @reaching
    def current(self, usernames: Iterable[str]) -> dict[str, Bundle]:
        users = self._db.users.find(
            {"_id": {"$in": list(usernames)}, "keys_version": {"$gt": 0}}, {"keys_hash": 1}
        )
        found = self._load([user["keys_hash"] for user in users])
        return {bundle.username: bundle for bundle in found}

    @reaching
    def history(self, username: str, after: int) -> list[Bundle]:
        user = self._db.users.find_one({"_id": {"$eq": username}}, {"bundles": 1})
        found = self._load(user["bundles"][max(after, 0) :]) if user else []
        return sorted(found, key=lambda bundle: bundle.version, reverse=True)

    def _load(self, hashes: list[str]) -> list[Bundle]:
        return [bundle_of(doc) for doc in self._db.bundles.find({"_id": {"$in": hashes}})] if hashes else []


def write_bundle(database: Database, bundle: Bundle) -> None:
    """As part of what accounts do; what was written by who came too late is named by nobody."""
    where, new = {"_id": {"$eq": bundle.hash}}, {"$setOnInsert": bundle_doc(bundle)}
    database.surely(lambda: database.bundles.update_one(where, new, upsert=True))


def bundle_doc(bundle: Bundle) -> Doc:
    """All but its `_id`, which is its hash."""
    return {
        "username": bundle.username,
        "version": bundle.version,
        "created_at": bundle.created_at,
        "encryption_kid": bundle.encryption_kid,
        "encryption_spki": bundle.encryption_spki,
        "signing": [list(pair) for pair in bundle.signing.items()],
        "body": orjson.dumps(bundle.body),
    }


def bundle_of(doc: Doc) -> Bundle:
    return Bundle(
        doc["username"],
        doc["version"],
        doc["_id"],
        doc["created_at"],
        doc["encryption_kid"],
        doc["encryption_spki"],
        signing=dict(doc["signing"]),
        body=orjson.loads(doc["body"]),
    )
