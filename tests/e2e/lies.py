"""How a server's lies are told to the page, its answers rewritten on their way, and what the page then says."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Locator, Route, expect

from tests.e2e.pages import Visitor
from tests.support import protocol as p
from tests.support.client import User

Json = dict[str, Any]
Change = Callable[[str, Json], None]  # the path that was asked for, and an object of the answer
CHATS, LOGIN, PRELOGIN = "**/api/v1/chats**", "**/api/v1/auth/login", "**/api/v1/auth/prelogin"

# What the page says of each, and what it offers.
SAID = {
    "bad_share": (
        "Unusable key share",
        "does not match its members, so nothing under it is accepted",
        "Renew key",
    ),
    "wrong_recipient_key": ("Key wrapped for someone else", "opens with no key of yours", "Renew key"),
    "invalid_membership": ("Invalid change of members", "was refused", "See who is in"),
    "history_fork": (
        "Members see different histories",
        "something else than it showed to others",
        "Start another chat",
    ),
    "server_rollback": ("The server lost something", "no longer has what it had confirmed", "Look again"),
    "mode_changed": (
        "Kind of encryption changed",
        "another kind of key than before",
        "Start another chat",
    ),
}


def parts(value: Any) -> Iterator[Json]:
    """All objects in an answer."""
    if isinstance(value, dict):
        yield value
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from parts(inner)


@contextmanager
def lying(reader: Visitor, change: Change, pattern: str = CHATS) -> Iterator[None]:
    """Every object that the server gives is changed on its way; what it is asked to take is not."""

    def answer(route: Route) -> None:
        if pattern == CHATS and route.request.method != "GET":
            route.continue_()
            return
        response = route.fetch()
        body = response.json()
        for part in list(parts(body)):
            change(route.request.url.partition("?")[0], part)
        route.fulfill(response=response, body=json.dumps(body))

    reader.page.route(pattern, answer)
    try:
        yield
    finally:
        reader.page.unroute_all(behavior="ignoreErrors")  # of answers that are under way
        reader.page.goto("about:blank")


def notice(reader: Visitor, name: str) -> Locator:
    """What the page says of a chat: the words, and the one thing to do."""
    title, sentence, button = SAID[name]
    shown = reader.page.get_by_role("main").get_by_role("alert").filter(has_text=title)
    expect(shown).to_contain_text(sentence)
    expect(shown.get_by_role("button")).to_have_text([button])
    return shown


def alarms(reader: Visitor) -> Locator:
    """Everything that is said loudly; the router's own node, which reads titles out, is none."""
    return reader.page.locator("[role=alert]:not(#__next-route-announcer__)")


def nothing_said(reader: Visitor, chat: str, *texts: str) -> None:
    """All of it is read, and no alarm is raised."""
    reader.page.goto(f"/chat#{chat}")
    for text in texts:
        reader.expect_verified(text, p.PSS)
    expect(reader.messages.locator("[data-warning], [data-state=failed]")).to_have_count(0)
    expect(alarms(reader)).to_have_text([])


def sidebar_alarms(reader: Visitor) -> Locator:
    return reader.chats.get_by_role("alert")


def verify(reader: Visitor, name: str) -> None:
    """Rita compares safety numbers with somebody, and says that they match."""
    reader.page.get_by_role("button", name="Members").click()
    members = reader.page.get_by_role("dialog", name="Members")
    members.get_by_role("button", name=f"Options for {name}").click()
    members.get_by_role("button", name=f"Verify {name}").click()
    match(reader, name)
    reader.page.get_by_role("dialog").get_by_role("button", name="Close").click()


def match(reader: Visitor, name: str) -> None:
    """The two numbers are the same."""
    dialog = reader.page.get_by_role("dialog", name=f"Verify {name}")
    dialog.get_by_role("button", name="They match").click()
    expect(dialog).to_have_count(0)


def enter(reader: Visitor) -> None:
    reader.login("rita", "passphrase of rita")


def made(alice: User, name: str) -> str:
    """A chat with its first message."""
    chat = alice.create_combined("rita", "mallory", name=name)
    alice.send(chat, "the first")
    return chat


def wraps_of(rita: User, chat: str, epoch: int) -> Json:
    """The client share of an epoch, with the wrap that is Rita's."""
    (found,) = (item for item in rita.rest.get(f"/chats/{chat}/epochs")["items"] if item["number"] == epoch)
    share: Json = found["client_share"]
    return share


def renewed(reader: Visitor, alice: User, chat: str, text: str) -> None:
    """Rita's client has posted a share of its own; her tap posts another, under which she reads."""
    rekeys = reader.messages.locator('li[data-kind="rekey"]')
    expect(rekeys).to_have_count(2)
    reader.page.get_by_role("button", name="Renew key").click()
    expect(rekeys).to_have_count(3)
    alice.send(chat, text)
    reader.expect_verified(text, p.PSS)


def exchanged(rita: User, alice: User, mallory: User, chat: str) -> Change:
    """The server gives the wrap of the epoch before, which its signed hash does not fit."""
    alice.signer(chat).rekey()
    old = wraps_of(rita, chat, 1)["wrapped"]

    def change(path: str, part: Json) -> None:
        if chat in path and part.get("number") == 2 and part.get("client_share"):
            part["client_share"]["wrapped"] = old

    return change


def misdirected(rita: User, alice: User, mallory: User, chat: str) -> Change:
    """A member signs, in Rita's name, a wrap to a key of his own; the server cannot know."""
    signer = mallory.signer(chat)
    recipients = {name: signer.recipient(name) for name in signer.members}
    recipients["rita"] = (recipients["rita"][0], recipients["mallory"][1])
    signer.post({"kind": "rekey", "usernames": [], "client_share": signer.share(recipients=recipients)})
    return lambda path, part: None
