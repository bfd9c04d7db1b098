"""The rules on each store: whole services, real wrapping keys, so that no adapter is tied to one store's ways."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from chatsec.bootstrap import Server, build
from chatsec.config import from_env
from chatsec.domain.models import Chat, Mark, NewEvent
from chatsec.domain.ports import Storage
from chatsec.errors import ChatSecError
from tests.contract.world import World, account, bundle, message, new_id
from tests.support import protocol as p
from tests.support.direct import DirectOffload

CHAT = new_id(1)


@pytest.fixture
def server(storage: Storage, tmp_path: Path) -> Server:
    """As bootstrap builds it, but each append is made by whoever asks for it."""
    built = build(
        from_env({"DATA_DIR": str(tmp_path / "data"), "BCRYPT_ROUNDS": "4", "RATE_LIMITS": "off"}),
        DirectOffload(),
        async_mode="threading",
        storage=storage,
    )
    committer = built.committer
    committer._rouse = lambda: committer._commit(committer._take())  # type: ignore[method-assign]
    for at, name in enumerate(("alice", "bob", "carol")):
        storage.accounts.create(account(name), real_bundle(name, 1, at))
    return built


def real_bundle(name: str, version: int, keys: int) -> object:
    made = p.make_bundle(name, p.pool(keys))
    return replace(bundle(name, version), encryption_spki=p.un64u(made["encryption"]["spki"]))


def epoch_key(server: Server, name: str, keys: int) -> bytes:
    """S_e of the current epoch, out of that member's own wrap."""
    epoch = server.services.chats.get(name, CHAT).epoch
    assert epoch.wrapped is not None
    return p.open_wrap(p.pool(keys), epoch.wrapped, CHAT, epoch.number)


def test_a_chat_s_life(server: Server, storage: Storage) -> None:
    chats, messages = server.services.chats, server.services.messages
    view, is_new = chats.create("alice", CHAT, ["bob"], "Team")
    assert is_new and chats.create("alice", CHAT, ["bob"], "Team") == (view, False)
    keys = {epoch_key(server, "alice", 0), epoch_key(server, "bob", 1)}
    assert len(keys) == 1
    placed = messages.send(message(CHAT, "bob"))
    assert placed.seq == 2
    assert messages.mark(Mark(CHAT, "alice", read=9)).read == 2
    after = chats.change(NewEvent(CHAT, "add", "alice", ("carol",)))
    assert after is not None and [member.username for member in after.members] == ["alice", "bob", "carol"]
    keys |= {epoch_key(server, "carol", 2)}
    storage.accounts.add_bundle(real_bundle("bob", 2, 3), None, None)
    chats.catch_up("bob")
    keys |= {epoch_key(server, "bob", 3), epoch_key(server, "alice", 0)}
    with pytest.raises(ChatSecError) as caught:
        messages.send(message(CHAT, "carol", epoch=2, seen=3))
    assert caught.value.code == "stale_epoch" and caught.value.extra["epoch"].number == 3
    assert chats.change(NewEvent(CHAT, "leave", "carol", ("carol",))) is None
    assert len(keys | {epoch_key(server, "alice", 0)}) == 4
    page = messages.page("alice", CHAT, after=0, before=None, limit=50)
    assert [item.seq for item in page.items] == [1, 2, 3, 4, 5]
    assert [epoch.number for epoch in page.epochs] == [1, 2, 3, 4]
    assert messages.sync("bob", {CHAT: 4}) == {CHAT: 5}
    chats.erase("alice", CHAT)
    assert storage.chats.head(CHAT) is None


def test_an_ended_account_is_taken_out(server: Server, storage: Storage) -> None:
    chats = server.services.chats
    chats.create("alice", CHAT, ["bob", "carol"], None)
    with pytest.raises(ChatSecError) as caught:
        chats.require_successors("alice")
    assert caught.value.code == "last_owner"
    chats.require_successors("bob")
    storage.accounts.end("bob", 5)
    chats.catch_up()
    assert World(storage).members(CHAT) == {"alice", "carol"}
    assert storage.chats.overdue() == []


def test_what_is_due_is_done_once_however_many_workers_look(
    server: Server, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Workers that start together find the same epochs due."""
    chats = server.services.chats
    chats.create("alice", CHAT, ["bob", "carol"], None)
    storage.accounts.add_bundle(real_bundle("bob", 2, 3), None, None)
    storage.accounts.end("carol", 5)
    due = storage.chats.overdue()
    assert sorted(name for _, name in due) == ["bob", "carol"]
    monkeypatch.setattr(type(storage.chats), "overdue", lambda *_: due)
    for _ in range(3):
        chats.catch_up()
    assert World(storage).members(CHAT) == {"alice", "bob"}
    assert chats.get("alice", CHAT).last_seq == 3


def test_who_came_after_an_event_is_not_told_of_it(
    server: Server, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another worker adds someone between an event and its telling."""
    chats = server.services.chats
    chats.create("alice", CHAT, ["bob"], None)
    told: list[tuple[int, set[str]]] = []
    monkeypatch.setattr(
        chats._publisher, "event", lambda placed, views: told.append((placed.seq, set(views)))
    )
    real = storage.chats.views

    def late(chat: str) -> dict[str, Chat]:
        if not told:
            monkeypatch.setattr(chats._storage.chats, "views", real)
            add = chats._with_epoch(NewEvent(CHAT, "add", "alice", ("carol",)), None)
            assert not isinstance(storage.log.append([add], 9)[0], ChatSecError)
        return real(chat)

    monkeypatch.setattr(storage.chats, "views", late)
    chats.change(NewEvent(CHAT, "rename", "alice", name="renamed"))
    assert told == [(2, {"alice", "bob"})]


def test_the_last_one_out_takes_the_chat_along(server: Server, storage: Storage) -> None:
    chats = server.services.chats
    chats.create("alice", CHAT, [], None)
    assert chats.change(NewEvent(CHAT, "leave", "alice", ("alice",))) is None
    assert storage.chats.head(CHAT) is None
