"""What people did on a server, and whether a store that was brought elsewhere still has all of it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import pytest

from tests.support import protocol as p
from tests.support.client import ApiError, Json, User

CIPHERTEXT = bytes(range(256)) * 5000  # 1.28 MB: some chunks, and more than an entry keeps in memory


@dataclass
class Past:
    """What happened on a server, as its people remember it."""

    alice: User
    bob: User
    carol: User
    chat: str
    sealed: str
    attachment: str = ""
    texts: list[str] = field(default_factory=list)
    sealed_texts: list[str] = field(default_factory=list)
    log: list[Json] = field(default_factory=list)

    def say(self, user: User, text: str, alg: str = p.PSS) -> None:
        user.send(self.chat, text, alg)
        self.texts.append(text)

    def seal(self, user: User, text: str) -> None:
        """Into the `combined` chat."""
        user.send(self.sealed, text)
        self.sealed_texts.append(text)


def live(url: str) -> Past:
    """Two chats, one of each key mode: several epochs, one who was removed, one whose account ended, a new bundle, a name,
    an attachment; in the `combined` one a share is due at the end."""
    alice = User.register(url, "alice", 0, real_kdf=True)
    bob, carol, dave = (User.register(url, name, n) for n, name in enumerate(("bob", "carol", "dave"), 1))
    past = Past(
        alice,
        bob,
        carol,
        alice.create_chat("bob", "carol", "dave", name="Lunch"),
        alice.create_combined("bob", "carol", "dave", name="Sealed", owners=["bob"]),
    )
    past.seal(dave, "to all")
    bob.signer(past.sealed).remove("carol")
    for user, alg in ((alice, p.PSS), (bob, p.ED25519), (carol, p.DSA), (dave, p.PSS)):
        past.say(user, f"{user.username} by {alg}", alg)
    path = f"/chats/{past.chat}/attachments"
    sent = bob.rest.request(
        "POST", path, data=CIPHERTEXT, headers={"Content-Type": "application/octet-stream"}
    )
    past.attachment = sent.json()["id"]
    alice.change(past.chat, "remove", usernames=["carol"])
    past.say(bob, "without carol")
    dave.rest.post("/me/deletion", {"password": dave.secret})
    bob.signer(past.sealed).retire()
    past.seal(bob, "without carol and dave")
    bob.rotate(p.pool(4))
    past.say(bob, "under new keys")
    alice.change(past.chat, "rename", name="Dinner")
    alice.change(past.chat, "rekey")
    past.say(alice, "under a new key")
    alice.signer(past.sealed).rename("Sealed again")
    past.log = alice.log(past.sealed)
    dave.close()
    return past


def judge(url: str, past: Past) -> User:
    """Everything is there for a client that knows nothing but name and password, and it goes on from there."""
    alice = User.log_in(url, "alice", past.alice.password)
    assert alice.rest.get(f"/chats/{past.chat}")["name"] == "Dinner"
    reader = alice.reader(past.chat)
    assert (reader.texts(), reader.failures(), reader.warnings) == (past.texts, {}, set())
    assert [judged.warnings for judged in reader.judged.values() if judged.warnings] == []
    judge_sealed(alice, past)
    path = f"/chats/{past.chat}/attachments/{past.attachment}"
    assert (
        hashlib.sha256(alice.rest.request("GET", path).content).digest()
        == hashlib.sha256(CIPHERTEXT).digest()
    )
    past.carol.url = past.carol.rest.url = url
    carol = past.carol.log_in_again()
    with pytest.raises(ApiError, match="404"):
        carol.chat(past.chat)
    with pytest.raises(ApiError, match="username_taken"):
        User.register(url, "dave", 5)
    last = alice.chat(past.chat)["last_seq"]
    assert alice.send(past.chat, "it goes on")["seq"] == last + 1
    alice.change(past.chat, "add", usernames=["carol"])
    assert carol.chat(past.chat)["first_seq"] == last + 2
    carol.close()
    return alice


def judge_sealed(alice: User, past: Past) -> None:
    """The `combined` chat too: log, shares and wraps are there, and a share is still due."""
    chat = alice.chat(past.sealed)
    assert (chat["name"], chat["share_due"], chat["epoch"]["number"]) == ("Sealed again", True, 3)
    assert alice.log(past.sealed) == past.log
    with pytest.raises(ApiError, match="share_due"):
        alice.send(past.sealed, "too early")
    alice.signer(past.sealed).rekey()
    past.seal(alice, "it goes on")
    reader = alice.reader(past.sealed)
    assert (reader.texts(), reader.failures(), reader.warnings) == (past.sealed_texts, {}, set())
