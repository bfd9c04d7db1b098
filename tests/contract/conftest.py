"""Every test here runs against every store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from chatsec.domain.ports import Storage
from tests.contract.adapters import ADAPTERS, MemoryAdapter, MongoAdapter, SqliteAdapter
from tests.contract.world import World

Adapter = MemoryAdapter | MongoAdapter | SqliteAdapter


@pytest.fixture(params=sorted(ADAPTERS))
def adapter(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Adapter]:
    made = ADAPTERS[request.param](tmp_path)
    yield made
    made.close()


@pytest.fixture
def storage(adapter: Adapter) -> Storage:
    return adapter.storage


@pytest.fixture
def world(storage: Storage) -> World:
    """Alice, Bob, Carol and Dave have accounts with keys."""
    return World(storage).join("alice", "bob", "carol", "dave")
