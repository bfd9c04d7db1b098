"""Accounts: names are given once, secrets are replaced by their next version only, a change is all or nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chatsec.domain.models import Account
from chatsec.domain.ports import Storage
from chatsec.errors import ChatSecError
from tests.contract.world import T0, World, account, bundle, session

KDF = {"name": "argon2id", "m": 65536, "t": 3, "p": 1, "salt": "AAAA"}


def backup(version: int) -> dict[str, object]:
    return {"v": 1, "version": version, "iv": "aa", "ciphertext": f"backup {version} ü", "wraps": []}


def state(n: int) -> dict[str, object]:
    return {"v": 1, "n": n, "iv": "aa", "ciphertext": f"state {n}"}


def refusal(call: object, *args: object) -> ChatSecError:
    with pytest.raises(ChatSecError) as caught:
        call(*args)  # type: ignore[operator]
    return caught.value


def get(storage: Storage, username: str) -> Account:
    found = storage.accounts.get(username)
    assert found is not None
    return found


def test_an_account_comes_back_as_it_was_made(storage: Storage) -> None:
    made = account(
        "alice", display_name="Älice ✨", kdf=KDF, backup=backup(1), recovery_hash=b"\0\1", state=state(1)
    )
    storage.accounts.create(made, bundle("alice"))
    assert get(storage, "alice") == replace(made, keys_version=1, keys_hash="kh-alice-1")
    storage.accounts.create(account("bob"), None)
    assert get(storage, "bob") == account("bob")
    assert storage.accounts.get("nobody") is None


def test_a_name_is_given_once_and_never_again(storage: Storage) -> None:
    storage.accounts.create(account("alice"), None)
    again = account("alice", display_name="Another")
    assert refusal(storage.accounts.create, again, bundle("alice")).code == "username_taken"
    assert get(storage, "alice") == account("alice")
    assert storage.keys.history("alice", 0) == []
    storage.accounts.end("alice", T0 + 5)
    assert refusal(storage.accounts.create, again, None).code == "username_taken"


def test_an_ended_account_keeps_its_name_and_keys_alone(storage: Storage) -> None:
    made = account("alice", kdf=KDF, backup=backup(1), recovery_hash=b"r", state=state(1))
    storage.accounts.create(made, bundle("alice"))
    storage.sessions.create(session(1, "alice"))
    assert storage.accounts.end("alice", T0 + 5) == [session(1, "alice").id]
    ended = get(storage, "alice")
    assert ended.ended_at == T0 + 5
    assert ended.password_hash == b""
    assert (ended.kdf, ended.recovery_hash, ended.backup, ended.state) == (None, None, None, None)
    assert storage.sessions.list("alice") == []
    assert storage.keys.current(["alice"]) == {"alice": bundle("alice")}
    assert storage.accounts.search("alice", "", 10) == []
    assert storage.accounts.named(["alice"]) == {"alice": ended}


def test_search_takes_the_query_literally(storage: Storage) -> None:
    """ASVS 1.2.4."""
    names = {"alice": "Alice A", "bob": "100% Bob", "carol": "under_score", "dave.alice": "Dave"}
    for username, display_name in names.items():
        storage.accounts.create(account(username, display_name=display_name), None)

    def search(query: str, after: str = "", limit: int = 10) -> list[str]:
        return [found.username for found in storage.accounts.search(query, after, limit)]

    assert search("") == sorted(names)
    assert search("alice") == ["alice", "dave.alice"]
    assert search("alice", "alice") == ["dave.alice"]
    assert search("", "", 2) == ["alice", "bob"]
    assert search("%") == ["bob"]
    assert search("_") == ["carol"]
    assert search("Bob") == ["bob"]
    assert search("ALICE") == ["alice", "dave.alice"]
    assert search("' OR 1=1 --") == []
    assert search("*") == []


def test_named_answers_who_exists(world: World) -> None:
    assert set(world.storage.accounts.named(["bob", "nobody", "alice"])) == {"alice", "bob"}
    assert world.storage.accounts.named([]) == {}


def test_display_name_and_presence(world: World) -> None:
    accounts = world.storage.accounts
    accounts.set_display_name("alice", "A. ü")
    accounts.set_presence("alice", "away", None)
    accounts.set_presence("alice", None, T0 + 9)
    seen = get(world.storage, "alice")
    assert (seen.display_name, seen.status, seen.last_seen) == ("A. ü", "away", T0 + 9)
    assert get(world.storage, "bob").status == "online"


def test_a_backup_is_replaced_by_its_next_version_only(world: World) -> None:
    accounts = world.storage.accounts
    assert refusal(accounts.put_backup, "alice", backup(2), None).extra == {"version": 0}
    accounts.put_backup("alice", backup(1), b"recovery")
    for version in (1, 3):
        error = refusal(accounts.put_backup, "alice", backup(version), b"other")
        assert (error.code, error.extra) == ("backup_conflict", {"version": 1})
    accounts.put_backup("alice", backup(2), None)
    now = get(world.storage, "alice")
    assert (now.backup, now.recovery_hash) == (backup(2), b"recovery")
    assert get(world.storage, "bob").backup is None


def test_a_state_is_replaced_by_its_next_number_only(world: World) -> None:
    accounts = world.storage.accounts
    assert refusal(accounts.put_state, "alice", state(2)).extra == {"n": 0}
    accounts.put_state("alice", state(1))
    for n in (1, 3):
        error = refusal(accounts.put_state, "alice", state(n))
        assert (error.code, error.extra) == ("state_conflict", {"n": 1})
    accounts.put_state("alice", state(2))
    assert get(world.storage, "alice").state == state(2)


def test_a_bundle_comes_with_its_backup_and_state(world: World) -> None:
    accounts = world.storage.accounts
    accounts.add_bundle(bundle("alice", 2), backup(1), state(1))
    now = get(world.storage, "alice")
    assert (now.keys_version, now.keys_hash) == (2, "kh-alice-2")
    assert (now.backup, now.state) == (backup(1), state(1))


@pytest.mark.parametrize(
    ("version", "with_backup", "with_state", "code", "extra"),
    [
        (1, None, None, "keys_conflict", {"version": 1, "hash": "kh-alice-1"}),
        (3, backup(1), state(1), "keys_conflict", {"version": 1, "hash": "kh-alice-1"}),
        (2, backup(7), None, "backup_conflict", {"version": 0}),
        (2, backup(1), state(7), "state_conflict", {"n": 0}),
    ],
)
def test_a_bundle_that_does_not_fit_leaves_nothing(
    world: World, version: int, with_backup: dict, with_state: dict, code: str, extra: dict
) -> None:
    before = get(world.storage, "alice")
    new = replace(bundle("alice", version), hash="kh-alice-other")
    error = refusal(world.storage.accounts.add_bundle, new, with_backup, with_state)
    assert (error.code, error.extra) == (code, extra)
    assert get(world.storage, "alice") == before
    assert world.storage.keys.history("alice", 0) == [bundle("alice")]


def test_a_new_password_ends_the_other_sessions(world: World) -> None:
    storage = world.storage
    for number, username in enumerate(("alice", "alice", "bob"), 1):
        storage.sessions.create(session(number, username))
    keep = session(1, "alice").id
    ended = storage.accounts.set_password(
        "alice", b"new", KDF, backup(1), b"recovery", bundle("alice", 2), state(1), keep_session=keep
    )
    assert ended == [session(2, "alice").id]
    now = get(storage, "alice")
    assert (now.password_hash, now.kdf, now.recovery_hash) == (b"new", KDF, b"recovery")
    assert (now.backup, now.state, now.keys_version) == (backup(1), state(1), 2)
    assert [left.id for left in storage.sessions.list("alice")] == [keep]
    assert len(storage.sessions.list("bob")) == 1
    storage.accounts.set_password("alice", b"newer", None, None, None, None, None, keep_session="")
    now = get(storage, "alice")
    assert (now.password_hash, now.kdf, now.recovery_hash, now.backup) == (
        b"newer",
        None,
        b"recovery",
        backup(1),
    )
    assert storage.sessions.list("alice") == []


def test_a_password_that_was_changed_meanwhile(world: World) -> None:
    accounts = world.storage.accounts
    nothing = (None, None, None, None, None, "")
    accounts.set_password("alice", b"new", *nothing, b"hash")
    assert refusal(accounts.set_password, "alice", b"late", *nothing, b"hash").code == "wrong_password"
    assert get(world.storage, "alice").password_hash == b"new"


def test_nothing_is_stored_for_an_account_that_ended(world: World) -> None:
    accounts = world.storage.accounts
    accounts.end("alice", T0)
    before = get(world.storage, "alice")
    for call, *args in (
        (accounts.put_backup, "alice", backup(1), b"r"),
        (accounts.put_state, "alice", state(1)),
        (accounts.add_bundle, bundle("alice", 2), None, None),
        (accounts.set_password, "alice", b"new", None, None, None, None, None, ""),
    ):
        assert refusal(call, *args).code == "not_found"
    assert get(world.storage, "alice") == before
    assert world.storage.keys.history("alice", 0) == [bundle("alice")]


@pytest.mark.parametrize(
    ("with_backup", "with_bundle", "with_state", "code"),
    [
        (backup(9), None, None, "backup_conflict"),
        (backup(1), bundle("alice", 5), None, "keys_conflict"),
        (backup(1), bundle("alice", 2), state(9), "state_conflict"),
    ],
)
def test_a_password_change_that_does_not_fit_leaves_everything(
    world: World, with_backup: dict, with_bundle: object, with_state: dict, code: str
) -> None:
    storage = world.storage
    storage.sessions.create(session(1, "alice"))
    before = get(storage, "alice")
    change = ("alice", b"new", None, with_backup, b"recovery", with_bundle, with_state, "")
    assert refusal(storage.accounts.set_password, *change).code == code
    assert get(storage, "alice") == before
    assert len(storage.sessions.list("alice")) == 1
    assert storage.keys.history("alice", 0) == [bundle("alice")]
