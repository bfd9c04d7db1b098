"""Ten lies about `combined` chats (protocol §4, §5), each from what a hostile member or server makes to what its reader sees.

What the server itself would take comes from the reference client with real keys; for the rest its answers are rewritten on
their way to the page. Beside every lie stands an honest chat of the same making, of which nothing is said. A clean browser
is the reader's own after a log-out, which leaves nothing in it.
"""

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Request, expect

from tests.e2e.lies import (
    LOGIN,
    PRELOGIN,
    Change,
    Json,
    alarms,
    enter,
    exchanged,
    lying,
    made,
    match,
    misdirected,
    nothing_said,
    notice,
    renewed,
    sidebar_alarms,
    verify,
    wraps_of,
)
from tests.e2e.pages import SENT, Visitor
from tests.support import protocol as p
from tests.support.client import User
from tests.support.cluster import until
from tests.support.server import ServerProcess

pytestmark = pytest.mark.browser

Users = Callable[..., User]
# Chromium's own lines: somebody else was faster, and what was under way when a session ended.
EXPECTED = r"status of (409 .*/(events|state)\)|401 )"


@pytest.fixture(scope="module")
def server(combined_server: ServerProcess) -> ServerProcess:
    return combined_server


@pytest.fixture(scope="module")
def rita(users: Users) -> User:
    """Who reads; the reference client made her account, with keys that are ready."""
    return users("rita", real_kdf=True)


@pytest.fixture(scope="module")
def reader(chromium: Browser, server: ServerProcess, rita: User) -> Iterator[Visitor]:
    """Rita at one browser for all cases."""
    visitor = Visitor(chromium, server.url)
    enter(visitor)
    yield visitor
    complaints = [text for text in visitor.complaints if not re.search(EXPECTED, text)]
    visitor.close()
    assert complaints == []


@pytest.fixture(scope="module")
def alice(users: Users) -> User:
    """The owner of all chats; `eve` is in none."""
    users("eve")
    return users("alice")


@pytest.fixture(scope="module")
def mallory(users: Users) -> User:
    """A member of all chats, with a client that follows no rule."""
    return users("mallory")


# ---- shares


def test_the_share_of_an_older_epoch(reader: Visitor, rita: User, alice: User, mallory: User) -> None:
    """1, `bad_share`: the server shows again what a removed member may know."""
    reader.page.goto("about:blank")
    chat, honest = made(alice, "old share"), made(alice, "own share")
    for each in (chat, honest):
        alice.signer(each).rekey()
        alice.send(each, "the second")
    old = wraps_of(rita, chat, 1)

    def change(path: str, part: Json) -> None:
        if chat in path and part.get("number") == 2 and part.get("client_share"):
            part["client_share"] = old

    with lying(reader, change):
        reader.page.goto(f"/chat#{chat}")
        notice(reader, "bad_share")
        reader.expect_verified("the first", p.PSS)
        expect(reader.articles.nth(1)).to_have_attribute("data-reason", "unknown_key")
        expect(reader.articles.nth(1)).not_to_contain_text("the second")
        renewed(reader, alice, chat, "the third")
    nothing_said(reader, honest, "the first", "the second")


@pytest.mark.parametrize(("forge", "name"), [(exchanged, "bad_share"), (misdirected, "wrong_recipient_key")])
def test_a_wrap_that_is_not_for_me(
    reader: Visitor,
    rita: User,
    alice: User,
    mallory: User,
    forge: Callable[[User, User, User, str], Change],
    name: str,
) -> None:
    """2, `bad_share` where it is not what was signed, `wrong_recipient_key` where it is."""
    reader.page.goto("about:blank")
    chat, honest = made(alice, f"{name} wrap"), made(alice, f"{name} honest")
    change = forge(rita, alice, mallory, chat)
    mallory.signer(honest).rekey()
    for each in (chat, honest):
        alice.send(each, "the second")
    with lying(reader, change):
        reader.page.goto(f"/chat#{chat}")
        notice(reader, name)
        expect(reader.articles.nth(1)).to_have_attribute("data-reason", "undecryptable")
        renewed(reader, alice, chat, "the third")
    nothing_said(reader, honest, "the first", "the second")


# ---- the membership log


def test_an_entry_that_the_server_made(reader: Visitor, alice: User, mallory: User) -> None:
    """3, `invalid_membership`: it adds somebody in the owner's name, with entry, share and all; they are not in it."""
    reader.page.goto("about:blank")
    chat, honest = made(alice, "added by nobody"), made(alice, "added by Alice")
    server = User(alice.url, "alice", "", p.fresh(6))
    server.rest.token = alice.token
    forged = server.signer(chat).add_body("eve")
    entry, share = forged["membership"], forged["client_share"]
    for each in (chat, honest):
        alice.signer(each).add("eve")
    (true,) = alice.log(chat, 1)

    def change(path: str, part: Json) -> None:
        if chat not in path:
            return
        if part.get("protected") == true["protected"]:
            part |= entry
        elif part.get("kind") == "add" and "log" in part:
            part |= {"log": p.signed_hash(entry), "share": p.signed_hash(share)}
        elif part.get("number") == 2 and part.get("client_share"):
            wrapped = share["wraps"]["rita"]
            part["client_share"] = {**{name: share[name] for name in ("protected", "signature")}} | {
                "wrapped": wrapped
            }
        elif part.get("n") == 2 and "hash" in part:
            part["hash"] = p.signed_hash(entry)

    with lying(reader, change):
        reader.page.goto(f"/chat#{chat}")
        reader.expect_verified("the first", p.PSS)
        notice(reader, "invalid_membership").get_by_role("button").click()
        members = reader.page.get_by_role("dialog", name="Members")
        expect(members.get_by_role("listitem").filter(has_text="@mallory")).to_have_count(1)
        expect(members).not_to_contain_text("@eve")
    nothing_said(reader, honest, "the first")
    reader.page.get_by_role("button", name="Members").click()
    expect(reader.page.get_by_role("dialog", name="Members")).to_contain_text("@eve")


def test_another_entry_than_was_held(reader: Visitor, alice: User, mallory: User) -> None:
    """4, `history_fork`: the owner signed both, and others were shown the other one."""
    chat, honest = made(alice, "forked"), made(alice, "straight")
    signer = alice.signer(chat)
    other = signer.entry("rename", signer.members, name="their name")
    for each in (chat, honest):
        alice.signer(each).rename("our name")
        nothing_said(reader, each, "the first")
    expect(reader.page.get_by_role("main")).to_contain_text("our name")
    (true,) = alice.log(chat, 1)
    reader.page.goto("about:blank")

    def change(path: str, part: Json) -> None:
        if chat in path and part.get("protected") == true["protected"]:
            part |= other
        elif chat in path and part.get("kind") == "rename":
            part["log"] = p.signed_hash(other)

    with lying(reader, change):
        reader.page.goto(f"/chat#{chat}")
        notice(reader, "history_fork").get_by_role("button").click()
        expect(reader.page.get_by_role("dialog", name="New chat")).to_contain_text("mallory")
    nothing_said(reader, honest, "the first")


def test_a_shorter_log_than_another_browser_saw(reader: Visitor, alice: User, mallory: User) -> None:
    """5, `server_rollback`, in a clean browser: the client state says how long the log was."""
    chat, honest = made(alice, "shortened"), made(alice, "whole")
    for each in (chat, honest):
        alice.signer(each).rename(f"{each[:8]} renamed")
        nothing_said(reader, each, "the first")
    reader.logout()

    def change(path: str, part: Json) -> None:
        if path.endswith(f"{chat}/membership"):
            part["items"] = [item for item in part.get("items", ()) if item["n"] < 2]

    with lying(reader, change):
        enter(reader)
        reader.page.goto(f"/chat#{chat}")
        notice(reader, "server_rollback")
    nothing_said(reader, honest, "the first")


# ---- what a clean browser remembers


def test_another_kind_of_encryption_than_another_browser_saw(
    reader: Visitor, alice: User, mallory: User
) -> None:
    """7, `mode_changed`, in a clean browser: nothing is sent where the server could read."""
    chat, honest = made(alice, "downgraded"), made(alice, "as it was")
    for each in (chat, honest):
        nothing_said(reader, each, "the first")
    reader.logout()

    def change(path: str, part: Json) -> None:
        if part.get("id") == chat:
            part |= {"key_mode": "server", "membership": None}

    with lying(reader, change):
        enter(reader)
        reader.page.goto(f"/chat#{chat}")
        notice(reader, "mode_changed")
        expect(reader.page.get_by_role("main")).to_contain_text("End-to-end encrypted")
        before = alice.chat(chat)["last_seq"]
        reader.field.fill("not for the server")
        reader.page.get_by_role("button", name="Send", exact=True).click()
        expect(reader.page.get_by_role("alert").filter(has_text="Kind of encryption changed")).to_have_count(
            2
        )
        assert alice.chat(chat)["last_seq"] == before
    nothing_said(reader, honest, "the first")


def test_a_client_state_that_is_older_or_missing(
    reader: Visitor, rita: User, alice: User, users: Users
) -> None:
    """6, `server_rollback` on the account, in a clean browser: nobody shows as verified until a log-in finds it whole."""
    reader.page.goto("about:blank")
    vera = users("vera")
    until(lambda: rita.rest.get("/me/state")["state"] is not None, "a state is stored")
    old = rita.rest.get("/me/state")["state"]
    chat = vera.create_combined("rita", "alice", name="with Vera")
    vera.send(chat, "the first")
    nothing_said(reader, chat, "the first")
    verify(reader, "Vera")
    mark = reader.article("the first").get_by_title("Verified: ")
    expect(mark).to_have_count(1)
    reader.logout()
    with reader.page.expect_response(lambda answer: anchors(answer.request)):
        enter(reader)
    nothing_said(reader, chat, "the first")
    expect(mark).to_have_count(1)
    for told in (None, old):

        def change(path: str, part: Json, told: Json | None = told) -> None:
            if "access_token" in part:
                part["state"] = told

        reader.logout()
        with lying(reader, change, LOGIN):
            enter(reader)
            reader.page.goto(f"/chat#{chat}")
            reader.expect_verified("the first", p.PSS)
            expect(sidebar_alarms(reader)).to_have_count(1)
            expect(sidebar_alarms(reader)).to_contain_text("The server lost something")
            expect(sidebar_alarms(reader)).to_contain_text("nobody shows as verified")
            expect(mark).to_have_count(0)
            sidebar_alarms(reader).get_by_role("button", name="Log in again").click()
            reader.page.get_by_label("Username").wait_for()
        enter(reader)
        nothing_said(reader, chat, "the first")
        expect(mark).to_have_count(1)
    reader.complaints[:] = [
        text for text in reader.complaints if "409" not in text
    ]  # the state is stored anew


def anchors(request: Request) -> bool:
    """The key backup learns which state there is."""
    return request.method == "PUT" and request.url.endswith("/me/key-backup")


# ---- people


@pytest.mark.parametrize("answer", ["Continue unverified", "Compare again"])
def test_a_verified_person_whose_keys_were_swapped(
    reader: Visitor, alice: User, users: Users, answer: str
) -> None:
    """8, `identity_reset`, which even the owner believed: nothing is sent until the reader has said yes."""
    reader.page.goto("about:blank")
    carl = users(f"carl{answer[:4].lower()}")
    name = carl.username.title()
    chat = alice.create_combined("rita", carl.username, name=f"with {name}")
    carl.send(chat, "the first")
    nothing_said(reader, chat, "the first")
    verify(reader, name)
    carl.rotate(p.fresh(7))
    reader.write("to the same person")
    nothing_said(reader, chat, "the first")

    carl.rotate(p.fresh(8), link=None)
    alice.signer(chat).confirm(carl.username)
    warned = reader.page.get_by_role("main").get_by_role("alert")
    expect(warned).to_contain_text(f"{name} (@{carl.username}) has other keys than those you verified")
    expect(warned).to_contain_text("Nothing is sent here until you have compared safety numbers again")
    expect(warned.get_by_role("button")).to_have_text(["Compare again", "Continue unverified"])
    before = alice.chat(chat)["last_seq"]
    reader.field.fill("not to these keys")
    reader.page.get_by_role("button", name="Send", exact=True).click()
    mine = reader.article("not to these keys")
    expect(mine).to_have_attribute("data-state", "queued")
    carl.send(chat, "under new keys")
    reader.expect_verified("under new keys", p.PSS)
    expect(reader.article("under new keys")).to_have_attribute("data-warning", "unconfirmed_key")
    expect(mine).to_have_attribute("data-state", "queued")
    assert alice.chat(chat)["last_seq"] == before + 1

    warned.get_by_role("button", name=answer).click()
    if answer == "Compare again":
        match(reader, name)
    expect(mine).to_have_attribute("data-state", SENT)
    expect(warned).to_have_count(0)
    expect(reader.article("under new keys")).not_to_have_attribute("data-warning", "unconfirmed_key")
    mark = reader.article("under new keys").get_by_title("Verified: ")
    expect(mark).to_have_count(1 if answer == "Compare again" else 0)


def test_a_late_message_of_a_removed_member(reader: Visitor, alice: User, users: Users) -> None:
    """9, `not_a_member`: though he knows the key of the time after, and the server lets him in."""
    reader.page.goto("about:blank")
    bob = users("bob")
    chats = [alice.create_combined("rita", "bob", name=name) for name in ("late", "in time")]
    for chat in chats:
        bob.send(chat, "while I was there")
        alice.signer(chat).remove("bob")
        alice.send(chat, "he is out")
    late, honest = chats
    header = alice.seal(late, "", sender="bob", kid=bob.keys.kid(p.PSS), lane=p.new_lane())
    key = alice.epoch_key(late, alice.chat(late)["epoch"])
    text = p.pad(b'{"type":"text","body":"still here"}')
    envelope = p.seal_raw(bob.keys, key, p.un64u(header["protected"]), text, late, p.PSS)

    def change(path: str, part: Json) -> None:
        if late in path and part.get("items") and path.endswith("/messages"):
            last = part["items"][-1]
            part["items"][-1] = envelope | {name: last[name] for name in ("seq", "received_at")}

    with lying(reader, change):
        reader.page.goto(f"/chat#{late}")
        reader.expect_verified("while I was there", p.PSS)
        failed = reader.articles.last
        expect(failed).to_have_attribute("data-reason", "not_a_member")
        expect(failed).to_contain_text("Sender is not in this chat")
        expect(failed).to_contain_text("Someone who was not a member at this point sent this")
        expect(failed).not_to_contain_text("still here")
        expect(failed).to_contain_text("@bob")
    nothing_said(reader, honest, "while I was there", "he is out")


def test_a_server_that_wants_the_password_itself(reader: Visitor) -> None:
    """10, `weak_kdf` at log-in: refused before anything that was made of the password is sent."""
    reader.logout()
    asked: list[str] = []
    reader.page.on("request", lambda request: asked.append(request.url))
    for weak in (None, {"m": 1024}):

        def change(path: str, part: Json, weak: Json | None = weak) -> None:
            if "kdf" in part:
                part["kdf"] = weak and part["kdf"] | weak

        with lying(reader, change, PRELOGIN):
            reader.page.goto("/login")
            reader.page.get_by_label("Username").fill("rita")
            reader.page.get_by_label("Password").fill("passphrase of rita")
            reader.page.get_by_role("button", name="Log in").click()
            expect(alarms(reader)).to_contain_text("Password protection refused")
            expect(alarms(reader)).to_contain_text("Nothing was sent; do not try again there")
            expect(reader.page.get_by_role("button", name="Log in")).to_be_enabled()
    assert any(url.endswith("/auth/prelogin") for url in asked)
    assert not any(url.endswith("/auth/login") for url in asked)
    enter(reader)
    expect(alarms(reader)).to_have_text([])
