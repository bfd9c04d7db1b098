"""The page in a real browser against the real server: the six steps, a clean browser, hostile messages, and house rules."""

import gzip
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.e2e.axe import violations
from tests.e2e.pages import ALGORITHMS, PASSWORD, SENT, Visitor

pytestmark = pytest.mark.browser

OUT = Path(__file__).parents[2] / "frontend" / "out"
FIRST_LOAD = 200 * 1024  # bytes of script, gzipped
Visit = Callable[..., Visitor]


def test_six_steps_then_history_in_a_clean_browser(visit: Visit) -> None:
    """Two people register, see each other, start a chat, exchange signed messages; then one reads it all elsewhere."""
    alice, bob = visit(), visit()
    alice.register("alice.six", "Alice Ashworth")
    bob.register("bob.six", "Bob Brenner")
    expect(alice.person("bob.six")).to_have_attribute("data-status", "online")

    alice.start_chat("bob.six")
    expect(alice.page.get_by_role("main")).to_contain_text("Server-made key")
    for alg in ALGORITHMS:
        alice.write(f"from Alice, {alg}", alg)

    bob.open_chat("Alice Ashworth")
    for alg in ALGORITHMS:
        bob.expect_verified(f"from Alice, {alg}", alg)
    bob.accept()
    for alg in ALGORITHMS:
        bob.write(f"from Bob, {alg}", alg)
        alice.expect_verified(f"from Bob, {alg}", alg)
    expect(alice.article("from Alice, Ed25519")).to_have_attribute("data-state", "read")

    clean = visit()
    clean.login("alice.six")
    clean.open_chat("Bob Brenner")
    for alg in ALGORITHMS:
        clean.expect_verified(f"from Bob, {alg}", alg)
        expect(clean.article(f"from Alice, {alg}")).to_have_attribute("data-alg", alg)
        expect(clean.article(f"from Alice, {alg}")).to_have_attribute("data-state", SENT)
    expect(clean.articles).to_have_count(6)
    clean.write("and written from there")
    bob.expect_verified("and written from there", "RSA-PSS-SHA256")


def test_a_reload_resumes_and_keeps_the_open_chat(visit: Visit) -> None:
    """Keys and session outlive the page; the open chat's id is in the fragment."""
    alice, bob = visit(), visit()
    bob.register("bob.reload", "Bob")
    alice.register("alice.reload", "Alice")
    chat = alice.start_chat("bob.reload")
    alice.write("before the reload")
    alice.page.reload()
    expect(alice.article("before the reload")).to_have_attribute("data-state", SENT)
    alice.write("after the reload")
    assert alice.page.url.endswith(f"#{chat}")


def test_a_server_made_chat_of_another_asks_first(visit: Visit) -> None:
    """Nothing leaves before the yes; what was written waits for it, and it is asked once."""
    alice, bob = visit(), visit()
    bob.register("bob.consent", "Bob")
    alice.register("alice.consent", "Alice")
    alice.start_chat("bob.consent")
    alice.write("hello")
    bob.open_chat("Alice")
    bob.expect_verified("hello", "RSA-PSS-SHA256")
    bob.field.fill("an answer")
    bob.page.get_by_role("button", name="Send", exact=True).click()
    expect(bob.articles).to_have_count(1)
    expect(bob.field).to_have_value("an answer")
    bob.accept()
    expect(bob.article("an answer")).to_have_attribute("data-state", SENT)
    alice.expect_verified("an answer", "RSA-PSS-SHA256")
    bob.page.reload()
    bob.article("an answer").wait_for()
    expect(bob.page.get_by_role("group", name="Server-made key")).to_have_count(0)


def test_a_group_chat_with_a_name_and_its_members(visit: Visit) -> None:
    """Three people, a name, usernames beside display names, events that are no articles."""
    people = {name: visit() for name in ("ann", "ben", "cas")}
    for name, visitor in people.items():
        visitor.register(f"{name}.group", name.title())
    ann, ben, cas = people.values()
    ann.start_chat("ben.group", "cas.group", name="Book club")
    ann.write("welcome, both", "Ed25519")
    for reader in (ben, cas):
        reader.open_chat("Book club")
        reader.expect_verified("welcome, both", "Ed25519")
        expect(reader.article("welcome, both")).to_contain_text("@ann.group")
        expect(reader.articles).to_have_count(1)
        expect(reader.messages.locator('li[data-kind="create"]')).to_contain_text("started this chat")
    ben.page.get_by_role("button", name="Members").click()
    members = ben.page.get_by_role("dialog", name="Members")
    expect(members.get_by_role("listitem")).to_have_count(3)


def test_typing_unread_and_presence(visit: Visit) -> None:
    """The small signs of life, in words."""
    alice, bob = visit(), visit()
    bob.register("bob.signs", "Bob")
    alice.register("alice.signs", "Alice")
    alice.start_chat("bob.signs")
    alice.write("one")
    alice.write("two")
    row = bob.chats.get_by_role("link").filter(has_text="Alice")
    expect(row).to_contain_text(re.compile(r"[23] unread"))
    bob.open_chat("Alice")
    expect(row).not_to_contain_text("unread")
    alice.field.press_sequentially("thinking")
    expect(bob.page.get_by_role("main")).to_contain_text("Alice is typing")
    bob.page.get_by_label("Status").select_option("away")
    expect(alice.person("bob.signs")).to_have_attribute("data-status", "away")
    bob.page.get_by_label("Status").select_option("invisible")
    expect(alice.person("bob.signs")).to_have_attribute("data-status", "offline")


@pytest.mark.parametrize(
    ("username", "password", "words"),
    [
        ("ok.name", "short", "at least 8"),
        ("ok.name", "password123", "most common"),
        ("ok.name", "aaaaaaaaaa", "different characters"),
        ("ok.name.same", "ok.name.same", "other than your username"),
        ("-no", PASSWORD, "3 to 32 characters"),
    ],
)
def test_register_refuses(visit: Visit, username: str, password: str, words: str) -> None:
    """Bad names and weak passwords stop in the page: no request to register leaves it."""
    visitor = visit()
    sent: list[str] = []
    visitor.page.on("request", lambda request: sent.append(request.url))
    visitor.fill_register(username, "Somebody", password)
    visitor.page.get_by_role("button", name="Create account").click()
    expect(visitor.page.get_by_text(re.compile(words)).first).to_be_visible()
    assert not any("/auth/register" in url for url in sent)


def test_nothing_readable_is_stored_and_logout_clears_all(visit: Visit) -> None:
    """ASVS 14.3.1, 14.3.3: no text, password or exportable key in the browser's storage; after log-out nothing."""
    alice, bob = visit(), visit()
    bob.register("bob.stored", "Bob")
    alice.register("alice.stored", "Alice")
    alice.start_chat("bob.stored")
    alice.write("canary in the clear", "DSA-SHA256")
    bob.open_chat("Alice")
    bob.expect_verified("canary in the clear", "DSA-SHA256")
    for visitor in (alice, bob):
        stored = visitor.stored()
        assert "key that stays" in stored
        for secret in ("canary", PASSWORD, "EXTRACTABLE", "PRIVATE KEY", "pkcs8"):
            assert secret not in stored
    alice.logout()
    assert alice.stored() == ""
    alice.page.goto("/chat")
    alice.page.get_by_role("button", name="Log in").wait_for()


def test_wrong_password_says_so(visit: Visit) -> None:
    """A refused log-in is told in words, and the form stays."""
    visitor = visit()
    visitor.register("carol.wrong", "Carol")
    visitor.logout()
    visitor.page.get_by_label("Username").fill("carol.wrong")
    visitor.page.get_by_label("Password").fill("not the password")
    visitor.page.get_by_role("button", name="Log in").click()
    expect(visitor.page.get_by_role("alert").filter(has_text="Wrong username or password")).to_be_visible()
    expect(visitor.page.get_by_label("Username")).to_have_value("carol.wrong")
    visitor.complaints[:] = [text for text in visitor.complaints if "401" not in text]


def test_offline_messages_wait_and_then_leave(visit: Visit) -> None:
    """Written without a connection: queued at once, sent when it is back, in order."""
    alice, bob = visit(), visit()
    bob.register("bob.offline", "Bob")
    alice.register("alice.offline", "Alice")
    alice.start_chat("bob.offline")
    alice.write("with a connection")
    alice.context.set_offline(True)
    for text in ("first in the tunnel", "second in the tunnel"):
        alice.field.fill(text)
        alice.page.get_by_role("button", name="Send", exact=True).click()
        expect(alice.article(text)).to_have_attribute("data-state", "queued")
    told = alice.page.get_by_role("status").filter(has_text="No connection. What you wrote is sent when")
    expect(told).to_be_visible()
    alice.context.set_offline(False)
    for text in ("first in the tunnel", "second in the tunnel"):
        expect(alice.article(text)).to_have_attribute("data-state", SENT, timeout=60_000)
    expect(told).to_have_count(0)
    bob.open_chat("Alice")
    bob.expect_verified("second in the tunnel", "RSA-PSS-SHA256")
    read = "\n".join(bob.articles.all_inner_texts())
    assert (
        read.index("with a connection")
        < read.index("first in the tunnel")
        < read.index("second in the tunnel")
    )
    alice.complaints[:] = [text for text in alice.complaints if not re.search("ERR_INTERNET|WebSocket", text)]


def test_at_phone_width_everything_fits(visit: Visit) -> None:
    """390 px: one pane, a way back, no sideways scrolling, targets within the window."""
    phone: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
    alice, bob = visit(**phone), visit()
    bob.register("bob.phone-with-a-very-long-name", "Bob with a rather long display name, too")

    def fits() -> None:
        width = alice.page.evaluate(
            "Math.max(document.documentElement.scrollWidth, document.body.scrollWidth)"
        )
        assert width <= 390

    alice.fill_register("alice.phone", "Alice")
    fits()
    alice.page.get_by_role("button", name="Create account").click()
    alice.chats.wait_for()
    fits()
    assert violations(alice.page) == []
    alice.start_chat("bob.phone-with-a-very-long-name")
    expect(alice.chats).to_be_hidden()
    alice.write("https://example.org/" + "without-a-blank/" * 20, "DSA-SHA256")
    fits()
    box = alice.page.get_by_role("button", name="Send", exact=True).bounding_box()
    assert box and box["x"] + box["width"] <= 390 and box["y"] + box["height"] <= 844
    alice.page.get_by_role("link", name="Back to the list").click()
    expect(alice.chats).to_be_visible()
    alice.page.go_back()
    expect(alice.chats).to_be_hidden()
    alice.page.go_back()
    expect(alice.chats).to_be_visible()
    fits()


def test_an_address_without_a_page(visit: Visit) -> None:
    """It says so, and shows a way."""
    visitor = visit()
    visitor.page.goto("/nowhere")
    expect(visitor.page.get_by_role("main")).to_contain_text("There is nothing at this address")
    assert violations(visitor.page) == []
    visitor.page.get_by_role("link", name="Go to your chats").click()
    visitor.page.get_by_role("button", name="Log in").wait_for()
    visitor.complaints[:] = [text for text in visitor.complaints if "404" not in text]


@pytest.fixture
def exported() -> Iterator[list[Path]]:
    """The exported HTML."""
    pages = sorted(OUT.rglob("*.html"))
    assert len(pages) >= 5
    yield pages


def test_exported_html_has_no_inline_style(exported: list[Path]) -> None:
    """The CSP would block it, and hydration would not repair it."""
    assert [str(page) for page in exported if re.search(r"style=|<style", page.read_text())] == []


def test_no_form_stands_in_the_exported_html(exported: list[Path]) -> None:
    """Sent before its script is there, a form would carry the typed password."""
    assert [str(page) for page in exported if re.search(r"<form|<input", page.read_text())] == []


@pytest.mark.parametrize("path", ["/login", "/chat"])
def test_first_load_is_small(visit: Visit, path: str) -> None:
    """All script that a first visit fetches, gzipped."""
    visitor = visit()
    scripts: set[str] = set()
    visitor.page.on("request", lambda request: scripts.add(request.url.split("?")[0]))
    visitor.page.goto(path)
    visitor.page.get_by_role("button", name="Log in").wait_for()
    files = [OUT / "_next" / url.partition("/_next/")[2] for url in scripts if url.endswith(".js")]
    total = sum(len(gzip.compress(file.read_bytes(), 9)) for file in files)
    assert 0 < total <= FIRST_LOAD
