"""The connection to MongoDB: how writes are made durable, how long a call may take, and what its failures become.

Writes return when a majority has them in its journal. Every call has an end: a server that is away, slow or refuses is
`unavailable`, and the next call that finds it again succeeds. Used straight from greenlets: the driver waits on sockets.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import pymongo
from bson import ObjectId
from pymongo import MongoClient
from pymongo.errors import DuplicateKeyError, OperationFailure, PyMongoError, ServerSelectionTimeoutError
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from chatsec.domain.lines import Link
from chatsec.errors import ChatSecError
from chatsec.storage.mongo import indexes

P = ParamSpec("P")
T = TypeVar("T")
Doc = dict[str, Any]

DEFAULT_NAME = "chatsec"
CALL = 10.0  # seconds that a step may take, with all its retries
TRIES = 3  # of a write whose outcome is not known
PING = 3.0  # seconds after which a database that does not answer is not ready
SELECTION = 2.0  # seconds that a server is looked for at the start; later a step may take all it has for that
POOL = 50
UNFINISHED = "unfinished"  # in `transfer`
logger = logging.getLogger(__name__)


def reaching(function: Callable[P, T]) -> Callable[P, T]:
    """What the driver raises inside becomes `unavailable`, as does what takes too long in all: the caller's data was
    judged before."""

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            with pymongo.timeout(CALL):
                return function(*args, **kwargs)
        except PyMongoError as error:
            raise out_of_reach(error) from error

    return call


def out_of_reach(error: PyMongoError) -> ChatSecError:
    # The class alone: a driver's text can hold what was to be stored.
    logger.warning("the database did not do its work: %s", type(error).__name__)
    return ChatSecError("unavailable", "the store is out of reach")


def _why_closed(error: PyMongoError) -> str:
    if isinstance(error, OperationFailure) and error.code in (13, 18):  # Unauthorized, AuthenticationFailed
        return "the database at MONGO_URI refuses the user, or their password"
    if "certificate" in str(error).lower():
        return "the database at MONGO_URI shows a certificate that is not trusted: see tlsCAFile"
    return "the database at MONGO_URI cannot be opened"


class Database:
    """The collections, each with the store's concerns."""

    def __init__(self, uri: str, **options: Any) -> None:
        given: dict[str, Any] = {
            "appname": "chatsec",
            "timeoutMS": CALL * 1000,
            "serverSelectionTimeoutMS": SELECTION * 1000,
            "maxPoolSize": POOL,
            "w": "majority",
            "journal": True,
            "readPreference": "primary",
        }
        try:
            self._client: MongoClient[Doc] = MongoClient(uri, **(given | options))
        except (PyMongoError, ValueError, OSError):  # whose text, or cause, may hold the URI and its password
            raise ChatSecError("unavailable", "MONGO_URI cannot be used") from None
        try:
            replicated = "setName" in self._client.admin.command("hello")
            # Of a replica set only what cannot be rolled back is read, else a place could be counted that is then lost.
            concern = ReadConcern("majority") if replicated else None
            database = self._client.get_default_database(DEFAULT_NAME).with_options(read_concern=concern)
            indexes.make(database)
        except PyMongoError as error:
            self._client.close()
            raise ChatSecError("unavailable", _why_closed(error)) from None
        self.users = database["users"]
        self.bundles = database["bundles"]
        self.chats = database["chats"]
        self.items = database["items"]
        self.wraps = database["wraps"]
        self.marks = database["marks"]
        self.attachments = database["attachments"]
        self.files = database["attachments.files"]
        # What is written before a journaled write is journaled with it: see `files`.
        self.chunks = database["attachments.chunks"].with_options(write_concern=WriteConcern(w=1))
        self.hints = self.chats.with_options(write_concern=WriteConcern(w=1))
        self.transfer = database["transfer"]
        self._touched = database["touched"]
        self.links: dict[str, Link] = {}  # what was read of bundles, by hash: see `keys`

    def surely(self, write: Callable[[], T]) -> T:
        """A write that may be made twice, made again while its outcome is not known. What was there already when it
        was is journaled before that counts."""
        failures = 0
        while True:
            try:
                done = write()
            except (DuplicateKeyError, ServerSelectionTimeoutError):  # an answer; nothing was sent
                raise
            except PyMongoError:
                failures += 1
                if failures == TRIES:
                    raise
                continue
            if failures:
                self.touch()
            return done

    def ping(self) -> None:
        """`touch`, without its patience."""
        with pymongo.timeout(PING):
            self.touch()

    @reaching
    def touch(self) -> None:
        """Journals a write, and with it all that was written before; `unavailable` if it cannot."""
        self._touched.update_one({"_id": "touched"}, {"$set": {"by": ObjectId()}}, upsert=True)

    @reaching
    def now(self) -> datetime:
        """By the server's clock, which all writers share."""
        now: datetime = self._client.admin.command("hello")["localTime"]
        return now

    @reaching
    def require_finished(self) -> None:
        """`unavailable`, and closed, if a restore or migration into this database has not come to its end."""
        if self.transfer.find_one({"_id": UNFINISHED}):
            self.close()
            raise ChatSecError(
                "unavailable", "a restore or migration into the database is unfinished: run it again"
            )

    def close(self) -> None:
        self._client.close()
