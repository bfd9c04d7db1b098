"""The stores behind the domain's ports, and the one place that knows which there are."""

from __future__ import annotations

from pathlib import Path

from chatsec.domain.ports import Offload, Storage


def open_storage(data_dir: Path, mongo_uri: str, offload: Offload) -> Storage:
    """Opens the MongoDB at `mongo_uri`, or without one the embedded store in `data_dir`, and brings schema or indexes up
    to date. `unavailable` if it cannot be had."""
    if mongo_uri:
        from chatsec.storage.mongo import MongoStorage

        return MongoStorage(mongo_uri, offload)
    from chatsec.storage.sqlite import SqliteStorage

    return SqliteStorage(data_dir / "chatsec.db", offload)
