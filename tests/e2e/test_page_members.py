"""Who is in an end-to-end encrypted chat, and whether they are who they seem: the members dialog and safety numbers, in a real
browser with the reference client on the other side."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, expect

from tests.e2e.axe import violations
from tests.e2e.pages import Visitor
from tests.support import protocol as p
from tests.support.client import User
from tests.support.safety import safety_number
from tests.support.server import ServerProcess

pytestmark = pytest.mark.browser

Users = Callable[..., User]


@pytest.fixture(scope="module")
def server(combined_server: ServerProcess) -> ServerProcess:
    return combined_server


@pytest.fixture(scope="module")
def olga(chromium: Browser, server: ServerProcess) -> Iterator[Visitor]:
    """At the page, for all tests of this module."""
    visitor = Visitor(chromium, server.url)
    visitor.register("olga", "Olga")
    yield visitor
    complaints = visitor.complaints
    visitor.close()
    assert complaints == []


def members(visitor: Visitor) -> Locator:
    """Opens the members dialog."""
    visitor.page.get_by_role("button", name="Members", exact=True).click()
    return visitor.page.get_by_role("dialog", name="Members")


def row(dialog: Locator, username: str) -> Locator:
    return dialog.get_by_role("listitem").filter(has_text=f"@{username}")


def roles(user: User, chat: str) -> dict[str, str]:
    """Who is in it by the server's word, which follows the signed log."""
    found: list[dict[str, Any]] = user.chat(chat)["members"]
    return {one["username"]: one["role"] for one in found}


def test_an_owner_changes_the_chat(olga: Visitor, users: Users) -> None:
    """Name, roles, people in and out, a new key; each is in the signed log that the others read."""
    ann, bob, cas = (users(f"{name}.members") for name in ("ann", "bob", "cas"))
    chat = olga.start_chat(ann.username, bob.username, name="Garden")
    expect(olga.page.get_by_role("main")).to_contain_text("End-to-end encrypted")
    olga.write("before anything")

    dialog = members(olga)
    expect(row(dialog, "olga")).to_contain_text("Owner")
    expect(dialog.get_by_role("listitem")).to_have_count(3)
    dialog.get_by_role("button", name="Rename").click()
    dialog.get_by_label("Chat name").fill("Allotment")
    dialog.get_by_role("button", name="Save name").click()
    expect(olga.page.get_by_role("main", name="Chat with Allotment")).to_be_visible()
    expect(dialog.get_by_role("button", name="Rename")).to_be_focused()

    dialog.get_by_role("button", name="Add people").click()
    adding = olga.page.get_by_role("dialog", name="Add people")
    adding.get_by_label("Find people").fill(cas.username)
    adding.get_by_role("checkbox", name=cas.username, exact=True).check()
    assert violations(olga.page) == []
    adding.get_by_role("button", name="Add", exact=True).click()
    expect(row(dialog, cas.username)).to_be_visible()

    row(dialog, ann.username).get_by_role("button", name="Options for ").click()
    row(dialog, ann.username).get_by_role("button", name="Make owner: ").click()
    expect(row(dialog, ann.username)).to_contain_text("Owner")
    expect(row(dialog, ann.username).get_by_role("button", name="Make member: ")).to_be_focused()
    row(dialog, bob.username).get_by_role("button", name="Options for ").click()
    row(dialog, bob.username).get_by_role("button", name="Remove ").click()
    expect(row(dialog, bob.username)).to_have_count(0)
    expect(dialog.get_by_role("heading", name="Members")).to_be_focused()
    assert violations(olga.page) == []
    dialog.get_by_role("button", name="Renew key").click()
    dialog.get_by_role("alert", name="Renew the key?").get_by_role("button", name="Cancel").click()
    expect(dialog.get_by_role("alert", name="Renew the key?")).to_have_count(0)
    dialog.get_by_role("button", name="Renew key").click()
    dialog.get_by_role("button", name="Yes, renew").click()
    expect(dialog.get_by_role("button", name="Yes, renew")).to_have_count(0)
    dialog.get_by_role("button", name="Close").click()

    olga.write("after all of it")
    assert roles(ann, chat) == {"olga": "owner", ann.username: "owner", cas.username: "member"}
    assert ann.chat(chat)["name"] == "Allotment"
    for reader in (ann.reader(chat), cas.reader(chat)):
        assert reader.failures() == {} and reader.warnings == set()
    cas.send(chat, "thank you")
    olga.expect_verified("thank you", p.PSS)

    dialog = members(olga)
    dialog.get_by_role("button", name="Leave chat").click()
    dialog.get_by_role("button", name="Yes, leave").click()
    expect(olga.page.get_by_role("main", name=re.compile("^Chat with "))).to_have_count(0)
    assert roles(ann, chat) == {ann.username: "owner", cas.username: "member"}


def test_safety_numbers_and_what_becomes_of_the_mark(olga: Visitor, users: Users) -> None:
    """Compared, marked wherever the name stands, kept over a reload; keys that are replaced stop what is sent, and are
    confirmed with a second tap."""
    vera = users("vera.known")
    vera.rest.request("PATCH", "/me", {"display_name": "Vera"})
    chat = olga.start_chat(vera.username)
    olga.write("is it you?")
    verify = members(olga).get_by_role("button", name="Verify Vera")
    verify.click()
    dialog = olga.page.get_by_role("dialog", name="Verify Vera")
    expect(dialog).to_be_visible()
    olga.page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(verify).to_be_focused()
    olga.page.keyboard.press("Enter")
    digits = dialog.get_by_role("group", name="Safety number")
    expect(digits).to_be_visible()
    assert " ".join(digits.inner_text().split()) == number(vera, "olga")
    expect(dialog.get_by_role("img", name="QR code of the safety number")).to_be_visible()
    assert violations(olga.page) == []
    expect(dialog.get_by_role("button", name="They match")).not_to_be_focused()
    dialog.get_by_role("button", name="They don't match").click()
    expect(dialog.get_by_role("alert")).to_contain_text("Vera stays unverified")
    dialog.get_by_role("button", name="They match").click()
    expect(dialog).to_have_count(0)
    olga.page.keyboard.press("Escape")
    marked = re.compile("Vera.*, verified")
    for _ in range(2):
        expect(olga.page.get_by_role("heading", name=marked)).to_be_visible()
        expect(olga.chats.get_by_role("link", name=marked)).to_be_visible()
        olga.page.reload()

    vera.rotate(p.pool(9), link=None)
    again = olga.page.get_by_role("button", name="Compare again")
    expect(again).to_be_visible()
    expect(olga.page.get_by_role("heading", name=marked)).to_have_count(0)
    confirm = olga.page.get_by_role("button", name="Confirm Vera's new keys")
    expect(confirm).to_have_count(0)
    assert violations(olga.page) == []
    again.click()
    dialog.get_by_role("button", name="They match").click()
    expect(olga.page.get_by_role("heading", name=marked)).to_be_visible()
    confirm.click()
    expect(confirm).to_have_count(0)
    olga.write("welcome back")
    vera.send(chat, "it is me")
    olga.expect_verified("it is me", p.PSS)
    assert vera.reader(chat).failures() == {}


def number(user: User, other: str) -> str:
    """The safety number by the reference client."""
    theirs = user.rest.get(f"/users/{other}/keys")
    return safety_number(
        (user.username, p.bundle_statement(user.username, user.bundle)),
        (other, p.bundle_statement(other, theirs)),
    )
