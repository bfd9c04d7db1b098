"""The stores behind the domain's ports, and the one place that knows which there are."""

from __future__ import annotations

from pathlib import Path

from chatsec.domain.ports import Offload, Storage
from chatsec.storage.transfer import Source, Target


def open_storage(data_dir: Path, mongo_uri: str, offload: Offload) -> Storage:
    """Opens the MongoDB at `mongo_uri`, or without one the embedded store in `data_dir`, and brings schema or indexes up
    to date. `unavailable` if it cannot be had."""
    if mongo_uri:
        from chatsec.storage.mongo import MongoStorage

        return MongoStorage(mongo_uri, offload)
    from chatsec.storage.sqlite import SqliteStorage

    return SqliteStorage(data_dir / "chatsec.db", offload)


def open_source(data_dir: Path, mongo_uri: str, *, alone: bool = False) -> Source:
    """The same store, for reading all of it; `alone`: an embedded one that a server uses is refused. `TransferError`
    if there is none."""
    if mongo_uri:
        from chatsec.storage.mongo.transfer import MongoSource

        return MongoSource(mongo_uri)
    from chatsec.storage.sqlite.transfer import SqliteSource

    return SqliteSource(data_dir, alone=alone)


def open_target(data_dir: Path, mongo_uri: str) -> Target:
    """The same store, for filling it; `TransferError` if it is not empty."""
    if mongo_uri:
        from chatsec.storage.mongo.transfer import MongoTarget

        return MongoTarget(mongo_uri)
    from chatsec.storage.sqlite.transfer import SqliteTarget

    return SqliteTarget(data_dir)
