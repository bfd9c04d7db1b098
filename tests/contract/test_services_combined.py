"""The rules for `combined` chats on each store: whole services, real wrapping keys, requests as they travel."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chatsec.bootstrap import Server, build
from chatsec.config import from_env
from chatsec.domain.models import Chat, NewEvent
from chatsec.domain.ports import Storage
from chatsec.errors import ChatSecError
from tests.contract.signers import Signers
from tests.contract.world import new_id
from tests.support.direct import DirectOffload

CHAT = new_id(1)
Json = dict[str, Any]


class Stage:
    """Alice's chat with Bob and Carol, and Dave; `meanwhile` is done once, after the bundles of an epoch were read."""

    def __init__(self, storage: Storage, folder: Path) -> None:
        self.world = Signers(storage).join("alice", "bob", "carol", "dave")
        self.meanwhile: Callable[[], None] | None = None
        self.server: Server = build(
            from_env({"DATA_DIR": str(folder), "BCRYPT_ROUNDS": "4", "RATE_LIMITS": "off"}),
            DirectOffload(),
            async_mode="threading",
            storage=storage,
            random=self._random,
        )
        committer = self.server.committer
        committer._rouse = lambda: committer._commit(committer._take())  # type: ignore[method-assign]
        self.chats = self.server.services.chats
        self.creation = self.world.creation(CHAT, "alice", ["bob", "carol"], name="Team")
        assert self.create()[1]

    def _random(self, size: int) -> bytes:
        act, self.meanwhile = self.meanwhile, None
        if act:
            act()
        return bytes(size)

    def create(self, by: str = "alice", chat: str = CHAT) -> tuple[Chat, bool]:
        return self.chats.create_combined(by, chat, ["bob", "carol"], "Team", *signed(self.creation))

    def change(self, kind: str, by: str, *usernames: str, **fields: Any) -> Chat | None:
        return self.ask(self.world.change(CHAT, kind, by, *usernames, **fields))

    def ask(self, event: NewEvent) -> Chat | None:
        """The event's request."""
        plain = NewEvent(CHAT, event.kind, event.by, event.usernames, role=event.role, name=event.name)
        return self.chats.change(plain, *signed(event))


def signed(event: NewEvent) -> tuple[Json | None, Json | None]:
    """`membership` and `client_share` of a request."""
    entry, share = event.entry, event.share
    membership = {"protected": entry.protected, "signature": entry.signature} if entry else None
    client_share = None
    if share:
        client_share = {
            "protected": share.protected,
            "signature": share.signature,
            "wraps": dict(share.wraps),
        }
    return membership, client_share


def code(act: Callable[[], object]) -> str:
    with pytest.raises(ChatSecError) as caught:
        act()
    return caught.value.code


@pytest.fixture
def stage(storage: Storage, tmp_path: Path) -> Stage:
    return Stage(storage, tmp_path / "data")


def test_a_chat_s_life(stage: Stage, storage: Storage) -> None:
    view = storage.chats.get(CHAT, "alice")
    assert stage.create() == (view, False)
    assert code(lambda: stage.create("bob")) == "id_conflict"
    assert code(lambda: stage.chats.create("alice", CHAT, ["bob", "carol"], "Team")) == "id_conflict"
    assert code(lambda: stage.create(chat=new_id(2))) == "invalid_membership"
    added = stage.change("add", "alice", "dave", role="owner")
    assert added is not None and added.epoch.number == 2
    roles = {member.username: member.role for member in added.members}
    assert roles == {"alice": "owner", "bob": "member", "carol": "member", "dave": "owner"}
    removal = stage.world.change(CHAT, "remove", "dave", "carol")
    assert stage.ask(removal) == stage.ask(removal) == storage.chats.get(CHAT, "dave")
    assert code(lambda: stage.chats.change(NewEvent(CHAT, "rekey", "carol"))) == "not_found"
    assert code(lambda: stage.chats.change(NewEvent(CHAT, "rekey", "bob"))) == "invalid"
    leave = stage.world.change(CHAT, "leave", "bob", "bob")
    assert stage.ask(leave) is None and stage.ask(leave) is None
    entries = stage.chats.membership("alice", CHAT, 1, 9)
    assert len(entries) == 3 and stage.chats.membership("dave", CHAT, 4, 9) == []
    assert code(lambda: stage.chats.membership("bob", CHAT, 0, 9)) == "not_found"


def test_an_ended_account_leaves_a_share_due(stage: Stage, storage: Storage) -> None:
    """Also the last owner's: whoever retires them becomes one."""
    stage.chats.require_successors("alice")
    storage.accounts.end("alice", 5)
    for _ in range(2):
        stage.chats.catch_up()
    view = storage.chats.get(CHAT, "bob")
    assert view is not None and (view.last_seq, view.epoch.number, view.share_due) == (2, 1, True)
    assert code(lambda: stage.change("rekey", "bob")) == "epoch_conflict"
    view = stage.change("retire", "bob", "alice")
    assert view is not None and (view.epoch.number, view.share_due) == (2, False)
    assert {member.username: member.role for member in view.members} == {"bob": "owner", "carol": "member"}


def test_a_bundle_that_moves_while_the_key_is_made(stage: Stage) -> None:
    """The client is told whose, since only a client can make another share."""
    share = stage.world.change(CHAT, "rekey", "alice")
    stage.meanwhile = lambda: stage.world.renew("bob")
    with pytest.raises(ChatSecError) as caught:
        stage.ask(share)
    assert (caught.value.code, caught.value.extra["moved"]) == ("epoch_conflict", ["bob"])
    view = stage.change("rekey", "bob")
    assert view is not None and (view.epoch.number, view.share_due) == (2, False)


def test_who_ends_while_they_are_added(stage: Stage, storage: Storage) -> None:
    addition = stage.world.change(CHAT, "add", "alice", "dave")
    stage.meanwhile = lambda: storage.accounts.end("dave", 5) and None
    view = stage.ask(addition)
    assert view is not None and view.share_due
    assert {member.username for member in view.members} == {"alice", "bob", "carol"}


def test_what_has_no_place_in_a_chat_of_the_other_mode(stage: Stage) -> None:
    plain = new_id(2)
    stage.chats.create("alice", plain, ["bob"], None)
    rename = stage.world.change(CHAT, "rename", "alice", name="x")
    event = NewEvent(plain, "rename", "alice", name="x")
    assert code(lambda: stage.chats.change(event, *signed(rename))) == "invalid"
    assert code(lambda: stage.chats.change(NewEvent(plain, "keys", "alice", ("bob",)))) == "invalid"
    assert code(lambda: stage.chats.change(NewEvent(plain, "retire", "alice", ("bob",)))) == "invalid"
    assert code(lambda: stage.chats.change(NewEvent(CHAT, "rename", "alice", name="x"))) == "invalid"
    stranger = NewEvent(plain, "rename", "dave", name="x")
    assert code(lambda: stage.chats.change(stranger, *signed(rename))) == "not_found"


def test_the_last_one_out_takes_the_chat_along(stage: Stage, storage: Storage) -> None:
    for name in ("bob", "carol", "alice"):
        assert stage.change("leave", name, name) is None
    assert storage.chats.head(CHAT) is None and storage.chats.membership(CHAT, 0, 9) == []
