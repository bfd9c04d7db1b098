"""The JavaScript library and the Python client in the same `combined` chats, on the real server: two readers that share nothing
but the protocol's page read the same and accuse nobody."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support import protocol as p
from tests.support.client import User
from tests.support.cluster import until
from tests.support.keys import bundle_statement
from tests.support.safety import safety_number
from tests.support.server import ROOT, ServerProcess

Users = Callable[..., User]


class Partner:
    """The library in a process of Node; a method is a command of `frontend/tests/live/partner.js`."""

    def __init__(self, url: str, username: str) -> None:
        node = shutil.which("node")
        assert node is not None, "node is needed"
        self.username = username
        self._process = subprocess.Popen(
            [node, "tests/live/partner.js"],
            cwd=ROOT / "frontend",
            env=os.environ | {"CHATSEC_URL": url},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.say("register", username)

    def say(self, name: str, *args: Any) -> Any:
        """The answer of a command; AssertionError with the code of what it refused."""
        assert self._process.stdin and self._process.stdout
        print(json.dumps({"do": name, "args": args}), file=self._process.stdin, flush=True)
        answer = json.loads(self._process.stdout.readline())
        assert "ok" in answer, f"{name}: {answer['error']}"
        return answer["ok"]

    def close(self) -> None:
        with self._process:
            assert self._process.stdin
            self._process.stdin.close()


@pytest.fixture(scope="module")
def ann(server: ServerProcess) -> Iterator[Partner]:
    made = Partner(server.url, "ann")
    yield made
    made.close()


@pytest.fixture(scope="module")
def alice(users: Users) -> User:
    return users("alice", 0)


@pytest.fixture(scope="module")
def bob(users: Users) -> User:
    return users("bob", 1)


def reads(user: User, chat: str, *texts: str) -> None:
    """Exactly these are good, and nothing is wrong."""
    until(lambda: user.reader(chat).texts() == list(texts), f"{user.username} reads {texts}")
    reader = user.readers[chat]
    assert (reader.failures(), reader.warnings) == ({}, set())
    assert not any(judged.warnings for judged in reader.judged.values())


def send(user: User, chat: str, text: str, alg: str = p.PSS) -> None:
    """Once no share is due, and everything that is there was read."""
    until(lambda: not user.chat(chat)["share_due"], "somebody posts the share")
    user.reader(chat)
    user.send(chat, text, alg)


def test_a_chat_that_python_made(alice: User, bob: User, ann: Partner) -> None:
    chat = alice.create_combined("bob", "ann", name="Team")
    ann.say("openChat", chat)
    for alg in p.SIGNING:
        send(alice, chat, alg, alg)
        ann.say("reads", chat, alg)
    for alg in p.SIGNING:
        ann.say("send", chat, f"ann's {alg}", alg)
        ann.say("reads", chat, f"ann's {alg}")
    texts = [*p.SIGNING, *(f"ann's {alg}" for alg in p.SIGNING)]
    reads(alice, chat, *texts)
    reads(bob, chat, *texts)

    alice.signer(chat).role("owner", "ann")
    ann.say("becomes", chat, "myRole", "owner")
    ann.say("changeChat", chat, {"kind": "rename", "name": "Ours"})
    bob.change(chat, "leave")  # without an entry: the library retires him before it sends
    ann.say("send", chat, "without bob", p.ED25519)
    send(alice, chat, "as well")
    ann.say("reads", chat, "as well")
    reads(alice, chat, *texts, "without bob", "as well")
    assert [member["username"] for member in alice.chat(chat)["members"]] == ["alice", "ann"]
    assert alice.chat(chat)["name"] == "Ours"
    assert ann.say("alarms", chat) == []


def test_a_chat_that_javascript_made(alice: User, bob: User, ann: Partner, users: Users) -> None:
    carol = users("carol", 2)
    chat = ann.say("startChat", ["alice"], "Lunch")
    ann.say("openChat", chat)
    ann.say("send", chat, "hello", p.PSS)
    reads(alice, chat, "hello")
    ann.say("changeChat", chat, {"kind": "add", "usernames": ["carol"]})
    send(carol, chat, "from carol", p.ED25519)
    ann.say("reads", chat, "from carol")
    reads(carol, chat, "from carol")

    carol.rotate(p.pool(7))  # and posts no share: another member does, who sees the cause
    ann.say("send", chat, "after carol's new keys", p.ED25519)
    send(carol, chat, "under them", p.ED25519)
    ann.say("reads", chat, "under them")
    reads(alice, chat, "hello", "from carol", "after carol's new keys", "under them")

    ann.say("changeChat", chat, {"kind": "remove", "usernames": ["carol"]})
    ann.say("send", chat, "without carol", p.DSA)
    reads(alice, chat, "hello", "from carol", "after carol's new keys", "under them", "without carol")
    alice.signer(chat).leave()
    ann.say("becomes", chat, "shareDue", False)
    ann.say("send", chat, "alone")
    assert ann.say("alarms", chat) == []


def test_a_reset_is_confirmed_across_languages(alice: User, ann: Partner, users: Users) -> None:
    dave = users("dave", 3)
    chat = ann.say("startChat", ["alice", "dave"], "Three")
    ann.say("openChat", chat)
    dave.rotate(p.pool(8), link=None)
    ann.say("becomes", chat, "unconfirmed", ["dave"])
    ann.say("confirmKeys", chat, "dave")
    send(dave, chat, "it is me")
    ann.say("reads", chat, "it is me")
    assert set(ann.say("alarms", chat)) == {"unconfirmed_key"}  # a `keys` entry moves nobody's pin
    reads(alice, chat, "it is me")


def test_safety_numbers_are_the_same(alice: User, ann: Partner) -> None:
    (hers,) = alice.rest.get("/keys", usernames="ann")["items"]
    one, other = ("alice", bundle_statement("alice", alice.bundle)), ("ann", bundle_statement("ann", hers))
    assert ann.say("safetyNumber", "alice") == safety_number(one, other)
