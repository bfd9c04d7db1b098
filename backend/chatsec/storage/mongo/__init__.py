"""The store on MongoDB, for many processes: same nouns and promises as the embedded one, by single-document writes alone.

No transaction and no replica set is needed; where there is one, its majority decides. The port's contract is in
`chatsec.domain.ports`, the shape of the sequences in `log`, of accounts in `accounts`.
"""

from __future__ import annotations

from typing import Any

from chatsec.domain.ports import Offload
from chatsec.storage.mongo.accounts import MongoAccounts
from chatsec.storage.mongo.attachments import MongoAttachments
from chatsec.storage.mongo.chats import MongoChats
from chatsec.storage.mongo.database import Database
from chatsec.storage.mongo.files import MongoFiles
from chatsec.storage.mongo.keys import MongoKeys, tell_chats_of_all
from chatsec.storage.mongo.log import MongoLog
from chatsec.storage.mongo.sessions import MongoSessions


class MongoStorage:
    """`Storage`. Several of them over one database are several writers. `options` go to the client."""

    def __init__(self, uri: str, offload: Offload, **options: Any) -> None:
        self._database = database = Database(uri, **options)
        database.require_finished()
        self.accounts = MongoAccounts(database)
        self.keys = MongoKeys(database)
        self.sessions = MongoSessions(database)
        self.log = MongoLog(database, offload)
        self.chats = MongoChats(database)
        self.attachments = MongoAttachments(database)
        self.files = MongoFiles(database)
        self.chats.finish_erasures()
        tell_chats_of_all(database)

    def ping(self) -> None:
        self._database.ping()

    def close(self) -> None:
        self._database.close()
