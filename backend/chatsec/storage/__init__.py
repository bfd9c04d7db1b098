"""The stores behind the domain's ports, and the one place that knows which there are."""

from __future__ import annotations

from pathlib import Path

from chatsec.domain.ports import Offload, Storage


def open_storage(data_dir: Path, offload: Offload) -> Storage:
    """Opens the embedded store in `data_dir`, bringing its schema up to date. `unavailable` if it cannot be had."""
    from chatsec.storage.sqlite import SqliteStorage

    return SqliteStorage(data_dir / "chatsec.db", offload)
