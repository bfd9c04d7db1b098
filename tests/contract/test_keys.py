"""Key bundles: the newest of each, and all of one, as they were uploaded."""

from __future__ import annotations

from chatsec.domain.ports import Storage
from tests.contract.world import World, account, bundle


def test_current_is_the_newest_of_each_who_has_one(world: World) -> None:
    storage = world.storage
    storage.accounts.create(account("erin"), None)
    storage.accounts.add_bundle(bundle("alice", 2), None, None)
    found = storage.keys.current(["alice", "bob", "erin", "nobody"])
    assert found == {"alice": bundle("alice", 2), "bob": bundle("bob")}
    assert storage.keys.current([]) == {}


def test_history_is_newest_first_above_a_version(world: World) -> None:
    storage = world.storage
    for version in (2, 3):
        storage.accounts.add_bundle(bundle("alice", version), None, None)
    assert [b.version for b in storage.keys.history("alice", 0)] == [3, 2, 1]
    assert storage.keys.history("alice", 1) == [bundle("alice", 3), bundle("alice", 2)]
    assert storage.keys.history("alice", 3) == []
    assert storage.keys.history("nobody", 0) == []


def test_two_hundred_at_once(storage: Storage) -> None:
    names = [f"user{number:03d}" for number in range(200)]
    for name in names:
        storage.accounts.create(account(name), bundle(name))
    assert storage.keys.current(names) == {name: bundle(name) for name in names}
