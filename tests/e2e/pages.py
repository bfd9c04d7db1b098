"""The page as its users see it: every control by its accessible name, as docs/testing.md promises them."""

import re
from typing import Any

from playwright.sync_api import Browser, ConsoleMessage, Dialog, Locator, expect

PASSWORD = "quiet harbour lamp"
SENT = re.compile("^(sent|delivered|read)$")
ALGORITHMS = ("RSA-PSS-SHA256", "DSA-SHA256", "Ed25519")
WAIT = 20_000  # ms; only an upper bound: keys and Argon2id take their time on a busy machine


class Visitor:
    """One person at one clean browser."""

    def __init__(self, browser: Browser, origin: str, **options: Any) -> None:
        """`options` go to the browser context: viewport, color_scheme …"""
        self.context = browser.new_context(base_url=origin, locale="en-GB", **options)
        self.context.set_default_timeout(WAIT)
        self.complaints: list[str] = []
        self.page = self.context.new_page()
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.complaints.append(f"page error: {error}"))
        self.page.on("dialog", self._dialog)

    def close(self) -> None:
        """Ends the browser context."""
        self.context.close()

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"{message.type}: {message.text} ({message.location.get('url')})")

    def _dialog(self, dialog: Dialog) -> None:
        self.complaints.append(f"a native dialog: {dialog.message}")
        dialog.dismiss()

    # ---- accounts

    def fill_register(self, username: str, display_name: str, password: str = PASSWORD) -> None:
        """Opens the register page by its link and fills the form, without sending it."""
        self.page.goto("/login")
        self.page.get_by_role("link", name="Create account").click()
        self.page.get_by_label("Username").fill(username)
        self.page.get_by_label("Display name").fill(display_name)
        self.page.get_by_label("Password").fill(password)

    def register(self, username: str, display_name: str, password: str = PASSWORD) -> None:
        """Makes an account and waits for the chats."""
        self.fill_register(username, display_name, password)
        self.page.get_by_role("button", name="Create account").click()
        self.chats.wait_for()

    def login(self, username: str, password: str = PASSWORD) -> None:
        """Logs in and waits for the chats."""
        self.page.goto("/login")
        self.page.get_by_label("Username").fill(username)
        self.page.get_by_label("Password").fill(password)
        self.page.get_by_role("button", name="Log in").click()
        self.chats.wait_for()

    def logout(self) -> None:
        """Logs out and waits for the log-in page."""
        self.page.get_by_role("button", name="Log out").click()
        self.page.get_by_role("button", name="Log in", exact=True).wait_for()

    # ---- chats

    @property
    def chats(self) -> Locator:
        """The list pane."""
        return self.page.get_by_role("navigation", name="Chats")

    def person(self, username: str) -> Locator:
        """A row of the people list."""
        return self.page.get_by_role("region", name="People").locator(f'[data-username="{username}"]')

    def start_chat(self, *usernames: str, name: str = "") -> str:
        """Starts a chat with these people; its id."""
        self.page.get_by_role("button", name="New chat").click()
        dialog = self.page.get_by_role("dialog", name="New chat")
        for username in usernames:
            dialog.get_by_label("Find people").fill(username)
            expect(dialog.get_by_role("list", name="Found people")).to_have_attribute("aria-busy", "false")
            dialog.get_by_role("checkbox", name=username, exact=True).check()
        if name:
            dialog.get_by_label("Chat name").fill(name)
        dialog.get_by_role("button", name="Start chat").click()
        self.field.wait_for()
        return self.page.url.rpartition("#")[2]

    def open_chat(self, title: str) -> None:
        """Opens a chat from the list."""
        self.chats.get_by_role("link").filter(has_text=title).click()
        self.messages.wait_for()

    @property
    def messages(self) -> Locator:
        """The open chat's messages."""
        return self.page.get_by_label("Messages", exact=True)

    @property
    def articles(self) -> Locator:
        """One per message."""
        return self.messages.get_by_role("article")

    def article(self, text: str) -> Locator:
        """The message with this text."""
        return self.articles.filter(has_text=text)

    @property
    def field(self) -> Locator:
        """Where one writes."""
        return self.page.get_by_role("textbox", name=re.compile("^Message to "))

    def accept(self) -> None:
        """Says yes to a server-made key."""
        self.page.get_by_role("group", name="Server-made key").get_by_role("button", name="Accept").click()

    def write(self, text: str, alg: str | None = None) -> None:
        """Signs and sends, and waits until the server has it."""
        if alg:
            self.page.get_by_label("Sign with").select_option(alg)
        self.field.fill(text)
        self.page.get_by_role("button", name="Send", exact=True).click()
        expect(self.article(text)).to_have_attribute("data-state", SENT)

    def expect_verified(self, text: str, alg: str) -> None:
        """The message of another is here, and its signature was good."""
        article = self.article(text)
        expect(article).to_have_attribute("data-state", "verified")
        expect(article).to_have_attribute("data-alg", alg)

    def stored(self) -> str:
        """Everything that script can read in this browser's storage, as text; keys that cannot be exported as such."""
        return str(self.page.evaluate(STORED))


STORED = """async () => {
  const bytes = (data) => String.fromCharCode(...new Uint8Array(data.buffer ?? data, data.byteOffset ?? 0, data.byteLength));
  const show = async (value) => {
    if (value instanceof CryptoKey) {
      if (!value.extractable) return `[key that stays: ${value.type}]`;
      return `[EXTRACTABLE ${value.type}]`;
    }
    if (value instanceof ArrayBuffer || ArrayBuffer.isView(value)) return bytes(value);
    if (value instanceof Blob) return bytes(await value.arrayBuffer());
    if (value instanceof Map || value instanceof Set) return show([...value]);
    if (value && typeof value === 'object') {
      const parts = [];
      for (const [name, inner] of Object.entries(value)) parts.push(`${name}: ${await show(inner)}`);
      return `{${parts.join(', ')}}`;
    }
    return String(value);
  };
  const found = [];
  for (const area of [localStorage, sessionStorage]) {
    for (const [name, value] of Object.entries(area)) found.push(`${name}: ${value}`);
  }
  for (const name of await caches.keys()) found.push(`cache ${name}`);
  for (const { name } of await indexedDB.databases()) {
    const db = await new Promise((done, fail) => {
      const request = indexedDB.open(name);
      request.onsuccess = () => done(request.result);
      request.onerror = () => fail(request.error);
    });
    for (const store of db.objectStoreNames) {
      const values = await new Promise((done, fail) => {
        const request = db.transaction(store).objectStore(store).getAll();
        request.onsuccess = () => done(request.result);
        request.onerror = () => fail(request.error);
      });
      for (const value of values) found.push(`${store}: ${await show(value)}`);
    }
    db.close();
  }
  return found.join('\\n');
}"""
