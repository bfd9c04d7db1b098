"""Every failure name of protocol §5 that is in scope, from a hostile envelope to what its reader sees.

The server stores what has the right form, whatever it is worth; what it would not store comes from a server that lies:
its answers are rewritten on their way to the page.
"""

import json
import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Route, expect

from tests.e2e.pages import Visitor
from tests.support import protocol as p
from tests.support.client import User
from tests.support.server import ServerProcess

pytestmark = pytest.mark.browser

Json = dict[str, Any]
Users = Callable[..., User]


@pytest.fixture(scope="module")
def reader(chromium: Browser, server: ServerProcess) -> Iterator[Visitor]:
    """The one who reads, at one browser for all cases."""
    visitor = Visitor(chromium, server.url)
    visitor.register("reader", "Rita Reader")
    yield visitor
    complaints = visitor.complaints
    visitor.close()
    assert complaints == []


@pytest.fixture(scope="module")
def mallory(users: Users) -> User:
    """Who writes the hostile messages, with a client that follows no rule; `outsider` is in no chat."""
    users("outsider")
    return users("mallory")


# ---- what the server stores


def seal_with(user: User, chat: str, plaintext: bytes, key: bytes | None = None, **header: Any) -> p.Envelope:
    """Seals exactly these bytes, under `key` if given, with a header that fits but for `header`."""
    sealed = user.seal(chat, "", **header)
    right = user.epoch_key(chat, user.chat(chat)["epoch"])
    return p.seal_raw(user.keys, key or right, p.un64u(sealed["protected"]), plaintext, chat, p.PSS)


def bad_signature(user: User, chat: str) -> p.Envelope:
    envelope = user.seal(chat, "signed by nobody")
    signature = bytearray(p.un64u(envelope["signature"]))
    signature[7] ^= 1
    return envelope | {"signature": p.b64u(bytes(signature))}


def key_mismatch(user: User, chat: str) -> p.Envelope:
    return user.seal(chat, "under another key", kc=p.commitment(os.urandom(32)))


def undecryptable(user: User, chat: str) -> p.Envelope:
    return seal_with(user, chat, p.pad(b'{"type":"text","body":"x"}'), os.urandom(32))


def bad_padding(user: User, chat: str) -> p.Envelope:
    return seal_with(user, chat, b'{"type":"text","body":"no padding at all"}')


def malformed(user: User, chat: str) -> p.Envelope:
    return user.seal(chat, {"type": "text", "body": 7})


STORED = [bad_signature, key_mismatch, undecryptable, bad_padding, malformed]


@pytest.mark.parametrize("forge", STORED, ids=lambda forge: forge.__name__)
def test_a_stored_failure_is_shown_by_name(
    reader: Visitor, mallory: User, forge: Callable[[User, str], p.Envelope]
) -> None:
    """Live and after a reload: the name, words, no content; the messages around it are read as ever."""
    name = forge.__name__
    chat = mallory.create_chat("reader", name=name)
    mallory.send(chat, "a good one before")
    reader.page.goto(f"/chat#{chat}")
    reader.expect_verified("a good one before", p.PSS)
    envelope = forge(mallory, chat)
    mallory.post(envelope)
    if name != "bad_signature":  # what verifies moves the lane, opened or not
        mallory.lane(chat).sent(1, envelope)
    mallory.send(chat, "a good one after")
    for _ in range(2):
        reader.expect_verified("a good one after", p.PSS)
        expect(reader.articles).to_have_count(3)
        failed = reader.articles.nth(1)
        expect(failed).to_have_attribute("data-state", "failed")
        expect(failed).to_have_attribute("data-reason", name)
        expect(failed).not_to_contain_text("signed by nobody")
        expect(failed.locator("strong")).not_to_have_text(name)
        assert len(failed.inner_text()) > 60
        expect(reader.article("a good one after")).not_to_have_attribute("data-warning", "chain_gap")
        reader.page.reload()


def test_lanes_that_skip_or_fork_warn_beside_the_text(reader: Visitor, mallory: User) -> None:
    """`chain_gap`, `chain_fork`: readable, with the warning."""
    chat = mallory.create_chat("reader", name="lanes")
    mallory.send(chat, "the first")
    mallory.send(chat, "after a gap", n=7, prev=p.H(b"withheld"))
    mallory.send(chat, "twice in one place", n=2, prev=p.H(b"another"))
    reader.page.goto(f"/chat#{chat}")
    for text, warning in (("after a gap", "chain_gap"), ("twice in one place", "chain_fork")):
        reader.expect_verified(text, p.PSS)
        expect(reader.article(text)).to_have_attribute("data-warning", warning)


def test_members_who_were_shown_different_histories(reader: Visitor, mallory: User) -> None:
    """`history_fork`: on the message whose `seen` differs, and on the chat."""
    chat = mallory.create_chat("reader", name="forked")
    mallory.send(chat, "I saw something else", seen=(1, p.H(b"something else")))
    reader.page.goto(f"/chat#{chat}")
    reader.expect_verified("I saw something else", p.PSS)
    expect(reader.article("I saw something else")).to_have_attribute("data-warning", "history_fork")
    expect(
        reader.page.get_by_role("alert").filter(has_text="Members see different histories")
    ).to_be_visible()


def test_keys_after_a_reset_are_marked_until_accepted(reader: Visitor, users: Users) -> None:
    """`unconfirmed_key`: readable and marked; the reader's own yes ends it."""
    norman = users("norman")
    chat = norman.create_chat("reader", name="reset")
    norman.send(chat, "under the old keys")
    reader.page.goto(f"/chat#{chat}")
    reader.expect_verified("under the old keys", p.PSS)
    norman.rotate(p.fresh(3), link=None)
    norman.send(chat, "under new keys")
    reader.expect_verified("under new keys", p.PSS)
    expect(reader.article("under new keys")).to_have_attribute("data-warning", "unconfirmed_key")
    reader.page.get_by_role("button", name="Accept keys").click()
    expect(reader.article("under new keys")).not_to_have_attribute("data-warning", "unconfirmed_key")
    reader.page.reload()
    reader.expect_verified("under new keys", p.PSS)
    expect(reader.page.get_by_role("button", name="Accept keys")).to_have_count(0)


# ---- what only a server that lies can show


def replace_last(page: Json, envelope: Json) -> None:
    """Puts another envelope where the last item is."""
    last = page["items"][-1]
    page["items"][-1] = envelope | {name: last[name] for name in ("seq", "received_at")}


def lie_unknown_key(page: Json, user: User, chat: str) -> None:
    stranger = p.fresh(5)
    forged = User(user.url, user.username, "", stranger)
    forged.rest.token = user.token
    header = user.seal(chat, "", alg=p.ED25519, kid=stranger.kid(p.ED25519))
    key = user.epoch_key(chat, user.chat(chat)["epoch"])
    sealed = p.seal_raw(
        stranger, key, p.un64u(header["protected"]), p.pad(b'{"type":"text","body":"x"}'), chat, p.ED25519
    )
    replace_last(page, sealed)


def lie_not_a_member(page: Json, user: User, chat: str) -> None:
    replace_last(page, user.seal(chat, "from outside", sender="outsider"))


def lie_wrong_epoch(page: Json, user: User, chat: str) -> None:
    replace_last(page, user.seal(chat, "of another period", epoch=2))


def lie_replayed(page: Json, user: User, chat: str) -> None:
    replace_last(page, page["items"][-2])


def lie_malformed(page: Json, user: User, chat: str) -> None:
    page["items"][-1]["iv"] += "="


def lie_waiting_for_key(page: Json, user: User, chat: str) -> None:
    page["epochs"].clear()


def lie_key_lost(page: Json, user: User, chat: str) -> None:
    for epoch in page["epochs"]:
        epoch["kid"] = p.H(b"a key of long ago")


def lie_undecryptable(page: Json, user: User, chat: str) -> None:
    for epoch in page["epochs"]:
        epoch["wrapped"] = p.b64u(os.urandom(384))


LIES = [
    lie_unknown_key,
    lie_not_a_member,
    lie_wrong_epoch,
    lie_replayed,
    lie_malformed,
    lie_waiting_for_key,
    lie_key_lost,
    lie_undecryptable,
]


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: lie.__name__)
def test_a_lie_of_the_server_is_shown_by_name(
    reader: Visitor, mallory: User, lie: Callable[[Json, User, str], None]
) -> None:
    """The last message of the page is altered on its way: failed, with the name and words, and no content."""
    name = lie.__name__.removeprefix("lie_")
    reader.page.goto("about:blank")
    chat = mallory.create_chat("reader", name=f"lie {name}")
    mallory.send(chat, "the first")
    mallory.send(chat, "the second")

    def answer(route: Route) -> None:
        response = route.fetch()
        page = response.json()
        if page["items"]:
            lie(page, mallory, chat)
        route.fulfill(response=response, body=json.dumps(page))

    pattern = f"**/chats/{chat}/messages*"
    reader.page.route(pattern, answer)
    try:
        reader.page.goto(f"/chat#{chat}")
        failed = reader.articles.last
        expect(reader.articles).to_have_count(2)
        expect(failed).to_have_attribute("data-state", "failed")
        expect(failed).to_have_attribute("data-reason", name)
        expect(failed).not_to_contain_text("the second")
        assert len(failed.inner_text()) > 60
    finally:
        reader.page.unroute_all(behavior="ignoreErrors")  # of answers that are under way


def test_a_server_that_lost_what_members_saw(reader: Visitor, mallory: User) -> None:
    """`server_rollback`: a `seen` beyond what the server still has."""
    reader.page.goto("about:blank")
    chat = mallory.create_chat("reader", name="rolled back")
    mallory.send(chat, "the first")
    late = mallory.seal(chat, "I had seen more", seen=(9, p.H(b"lost")))
    mallory.send(chat, "the second")

    def answer(route: Route) -> None:
        response = route.fetch()
        page = response.json()
        if page["items"]:
            replace_last(page, late)
        route.fulfill(response=response, body=json.dumps(page))

    reader.page.route(f"**/chats/{chat}/messages*", answer)
    reader.page.goto(f"/chat#{chat}")
    expect(reader.article("I had seen more")).to_have_attribute("data-warning", "server_rollback")
    reader.page.unroute_all(behavior="ignoreErrors")
