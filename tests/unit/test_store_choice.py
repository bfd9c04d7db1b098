"""Which store the settings ask for, and what is said when it cannot be had."""

from __future__ import annotations

from pathlib import Path

import pytest

from chatsec.config import BadSettings, from_env
from chatsec.errors import ChatSecError
from chatsec.storage import open_storage
from chatsec.storage.mongo import MongoStorage
from chatsec.storage.sqlite import SqliteStorage
from tests.support.direct import DirectOffload
from tests.support.mongo import shared
from tests.support.ports import free_port

URI = "mongodb://user:hidden@db.example/chatsec?tls=true"


def test_a_database_wants_a_secret(tmp_path: Path) -> None:
    own = {"DATA_DIR": str(tmp_path), "MONGO_URI": URI}
    with pytest.raises(BadSettings) as caught:
        from_env(own)
    assert str(caught.value) == "SECRET_KEY: must be given with MONGO_URI"
    assert from_env(own | {"SECRET_KEY": "x" * 32}).mongo_uri == URI
    assert not (tmp_path / "secret_key").exists()


def test_a_database_is_mongodb_s(tmp_path: Path) -> None:
    with pytest.raises(BadSettings) as caught:
        from_env({"DATA_DIR": str(tmp_path), "MONGO_URI": "http://user:hidden@db", "SECRET_KEY": "x" * 32})
    assert "MONGO_URI" in str(caught.value) and "hidden" not in str(caught.value)


def test_the_settings_choose(tmp_path: Path) -> None:
    stores = [open_storage(tmp_path, uri, DirectOffload()) for uri in ("", shared().uri("choice"))]
    assert [type(store) for store in stores] == [SqliteStorage, MongoStorage]
    for store in stores:
        store.ping()
        store.close()


@pytest.mark.parametrize("uri", ["mongodb://user:hid%den@127.0.0.1", "mongodb://user:hidden@127.0.0.1:{}"])
def test_a_database_that_is_not_there(tmp_path: Path, uri: str) -> None:
    with pytest.raises(ChatSecError) as caught:
        open_storage(tmp_path, uri.format(free_port()), DirectOffload())
    assert caught.value.code == "unavailable"
    assert "MONGO_URI" in caught.value.detail and "hid" not in caught.value.detail
