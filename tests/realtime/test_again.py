"""The same thing again, from another device, or too often: one answer, one effect (protocol §4, §6, §7)."""

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.realtime.forge import forge, header_of
from tests.support.client import LiveClient, User
from tests.support.server import ROOT, ServerProcess

Users = Callable[..., User]
Connect = Callable[[User], LiveClient]
INJECTED = 20


def test_a_known_id_comes_before_form_on_both_transports(alice: User, chat: str, connect: Connect) -> None:
    live = connect(alice)
    sent = alice.seal(chat, "once")
    alice.post(sent)
    for name in ("iv", "ciphertext", "signature"):
        for value in (5, None, "", "*"):
            bad = {**sent, name: value}
            assert live.call("message:send", bad)["code"] == "id_conflict"
            answer = alice.rest.request("POST", f"/chats/{chat}/messages", bad)
            assert (answer.status_code, answer.json()["code"]) == (409, "id_conflict"), bad
    fresh = {**alice.seal(chat, "never"), "iv": 5}
    answer = alice.rest.request("POST", f"/chats/{chat}/messages", fresh)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid")
    assert header_of(fresh)["id"] != header_of(sent)["id"]


def test_a_chat_asked_for_again_after_a_member_ended(alice: User, bob: User, users: Users) -> None:
    leaver = users("leaver", 3)
    body = {"id": str(uuid.uuid4()), "members": ["bob", "leaver"], "key_mode": "server"}
    assert alice.rest.request("POST", "/chats", body).status_code == 201
    leaver.rest.call("POST", "/me/deletion", {"password": leaver.secret})
    before = alice.history(body["id"])["last_seq"]
    again = alice.rest.request("POST", "/chats", body)
    assert (again.status_code, again.json()["id"]) == (200, body["id"])
    assert alice.history(body["id"])["last_seq"] == before
    other = bob.rest.request("POST", "/chats", body)
    assert (other.status_code, other.json()["code"]) == (409, "id_conflict")


def test_each_device_hears_what_the_others_marked(
    alice: User, bob: User, chat: str, connect: Connect
) -> None:
    """Marks that come together are still told to every device but the one that made them."""
    alice.post(alice.seal(chat, "to be read"))
    phone, laptop, other = connect(bob), connect(bob), connect(alice)
    delivered = phone.emit("message:delivered", {"chat": chat, "seq": 2})
    read = laptop.emit("message:read", {"chat": chat, "seq": 2})
    assert delivered.get(timeout=10)["ok"] and read.get(timeout=10)["ok"]
    told = phone.next("receipt")
    assert (told["username"], told["read"]) == ("bob", 2)
    while other.next("receipt")["read"] != 2:
        pass


@pytest.fixture(scope="module")
def small_epochs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server whose epochs are full after few messages."""
    folder: Path = tmp_path_factory.mktemp("small")
    (folder / "sitecustomize.py").write_text(
        f"import chatsec.domain.models as models\nmodels.EPOCH_MESSAGES = {INJECTED}\n"
    )
    with ServerProcess(folder, PYTHONPATH=f"{folder}:{ROOT / 'backend'}") as server:
        yield server


@pytest.fixture(scope="module")
def two(small_epochs: ServerProcess) -> Iterator[tuple[User, User]]:
    """Two people on it."""
    made = User.register(small_epochs.url, "alice", 0), User.register(small_epochs.url, "bob", 1)
    yield made
    for user in made:
        user.close()


def test_a_full_epoch_is_followed_by_one_and_no_more(two: tuple[User, User], connect: Connect) -> None:
    alice, bob = two
    chat = alice.create_chat("bob")
    live, listener = connect(alice), connect(bob)
    acks = [live.emit("message:send", forge(alice, chat)) for _ in range(2 * INJECTED)]
    answers = [ack.get(timeout=10) for ack in acks]
    taken = sum(ack["ok"] for ack in answers)
    assert taken >= INJECTED
    assert {ack.get("code") for ack in answers} <= {None, "stale_epoch"}
    assert listener.event()["event"] == {
        "kind": "rekey",
        "by": "",
        "usernames": [],
        "epoch": 2,
        "log": "",
        "share": "",
        "keys": "",
    }
    live.settle()
    assert alice.chat(chat)["epoch"]["number"] == 2
    assert alice.send(chat, "under the second epoch")["seq"] == taken + 3
    assert listener.nothing("event")


def test_a_full_epoch_of_a_combined_chat_wants_a_share(two: tuple[User, User], connect: Connect) -> None:
    """The server opens none by itself, and takes no message more."""
    alice, bob = two
    chat = alice.create_combined("bob")
    live, listener = connect(alice), connect(bob)
    acks = [live.emit("message:send", forge(alice, chat)) for _ in range(2 * INJECTED)]
    codes = [ack.get(timeout=10).get("code") for ack in acks]
    assert codes == [None] * INJECTED + ["share_due"] * INJECTED
    assert listener.nothing("event") and bob.chat(chat)["share_due"] is True
    bob.signer(chat).rekey()
    assert listener.event()["chat"]["share_due"] is False
    assert alice.send(chat, "under the second epoch")["seq"] == INJECTED + 3
