"""Key bundles in MongoDB. A bundle is written before the account that points to it, and counts only once it does.

Whoever judges a `combined` chat wants lines of bundles, and to be told when one was added.
"""

from __future__ import annotations

from collections.abc import Iterable

import orjson

from chatsec.domain.lines import Line, Lines, line_of
from chatsec.domain.models import Bundle
from chatsec.storage.mongo.database import Database, Doc, reaching

PEOPLE = 500  # accounts asked for at once
BUNDLES = 50  # read at once: a few milliseconds of work
KEPT = 5_000  # links


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

    @reaching
    def bundles(self, usernames: Iterable[str]) -> list[Bundle]:
        users = people(self._db, usernames, "bundles").values()
        return self._load([one for user in users for one in user["bundles"]])

    def _load(self, hashes: list[str]) -> list[Bundle]:
        found: list[Bundle] = []
        for at in range(0, len(hashes), BUNDLES):
            some = self._db.bundles.find({"_id": {"$in": hashes[at : at + BUNDLES]}})
            found += [bundle_of(doc) for doc in some]
        return found


@reaching
def people(database: Database, names: Iterable[str], *fields: str) -> dict[str, Doc]:
    """Some fields of the documents of those who exist, by username."""
    wanted, found = sorted(set(names)), dict[str, Doc]()
    for at in range(0, len(wanted), PEOPLE):
        docs = database.users.find({"_id": {"$in": wanted[at : at + PEOPLE]}}, fields)
        found |= {doc["_id"]: doc for doc in docs}
    return found


def lines(database: Database, names: Iterable[str]) -> Lines:
    """The lines of these people as they are now; who has no bundle is left out."""
    return lines_of(database, people(database, names, "bundles").values())


@reaching
def lines_of(database: Database, users: Iterable[Doc]) -> Lines:
    """The same of people whose documents were read; bundles never change, so what was read of them is kept."""
    hashes = {user["_id"]: user["bundles"] for user in users if user["bundles"]}
    links = {one: database.links[one] for many in hashes.values() for one in many if one in database.links}
    missing = [one for many in hashes.values() for one in many if one not in links]
    for at in range(0, len(missing), BUNDLES):
        for doc in database.bundles.find({"_id": {"$in": missing[at : at + BUNDLES]}}):
            (links[doc["_id"]],) = line_of([bundle_of(doc)]).links
    if len(database.links) + len(missing) > KEPT:
        database.links.clear()
    database.links.update((one, links[one]) for one in missing[-KEPT:])
    return {name: Line(tuple(links[one] for one in many)) for name, many in hashes.items()}


@reaching
def tell_chats(database: Database, username: str) -> None:
    """Counts a bundle that was stored in the documents of the chats that it may matter to (see `heads`)."""
    who = {"_id": {"$eq": username}}
    user = database.users.find_one(who, {"untold": 1}) or {}
    theirs = {"named": {"$eq": username}, "state.key_mode": {"$ne": "server"}}
    database.surely(lambda: database.chats.update_many(theirs, {"$inc": {"keys_changed": 1}}))
    if untold := user.get("untold"):
        told = {"$unset": {"untold": ""}}
        database.surely(lambda: database.users.update_one(who | {"untold": untold}, told))


@reaching
def tell_chats_of_all(database: Database) -> None:
    """Does so where a crash has left it undone."""
    for user in list(database.users.find({"untold": {"$exists": True}}, {"_id": 1})):
        tell_chats(database, user["_id"])


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
