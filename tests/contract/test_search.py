"""Searching for people: case does not matter, and a name is found as its display name is."""

from __future__ import annotations

import pytest

from chatsec.domain.models import Account
from chatsec.domain.ports import Storage


@pytest.mark.parametrize("query", ["zoe", "ZOE", "Zoe", "oE", "ßmann", "SSMANN", "%", "_", ""])
def test_search_ignores_case_in_both_names(storage: Storage, query: str) -> None:
    storage.accounts.create(Account("zoe.one", "Somebody", 1, b"hash"), None)
    storage.accounts.create(Account("other", "Zoe Großmann", 1, b"hash"), None)
    found = [account.username for account in storage.accounts.search(query, "", 10)]
    wanted = {"%": [], "_": [], "ßmann": ["other"], "SSMANN": ["other"]}
    assert found == wanted.get(query, ["other", "zoe.one"])
