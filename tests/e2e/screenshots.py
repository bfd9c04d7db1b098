"""Pictures of seven screens at two widths, from the running page: `python -m tests.e2e.screenshots` → docs/screens."""

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, expect, sync_playwright

from tests.conftest import CHROMIUM
from tests.e2e.conftest import FLAGS
from tests.e2e.pages import PASSWORD, Visitor
from tests.support import protocol as p
from tests.support.client import User
from tests.support.server import ServerProcess

SCREENS = Path(__file__).parents[2] / "docs" / "screens"
SIZES = ((390, 844), (1280, 800))
ME = "ines"
PEOPLE = {"mara": "Mara Lindqvist", "jonas.w": "Jonas Weber", "priya": "Priya Raman", "tomas": "Tomás Rey"}
TALK = (
    ("mara", "Morning! The new certificates are here.", p.PSS),
    ("mara", "Could you compare the fingerprints before we switch over?", p.PSS),
    (ME, "Just did, against the printed list. All twelve match.", p.ED25519),
    ("mara", "Wonderful, thank you!", p.ED25519),
    (ME, "I will roll them out at two, then write it up for the archive.", p.PSS),
    ("mara", "The archive still asks for DSA, so here is my sign-off in the old style.", p.DSA),
)


def register(url: str, username: str, display_name: str, index: int) -> User:
    """A person at the reference client, under a name of two words."""
    user = User.register(url, username, index)
    user.rest.call("PATCH", "/me", {"display_name": display_name})
    return user


def spoil(user: User, chat: str) -> None:
    """Sends a message whose signature is wrong, then a good one."""
    envelope = user.seal(chat, "changed on its way")
    signature = bytearray(p.un64u(envelope["signature"]))
    signature[0] ^= 1
    user.post(envelope | {"signature": p.b64u(bytes(signature))})
    user.send(chat, "Did my last one reach you? My proxy has been acting up.")


def shoot(visitor: Visitor, screen: str, width: int) -> None:
    """Waits until nothing moves, and takes the picture."""
    visitor.page.evaluate("Promise.all(document.getAnimations().map((each) => each.finished.catch(() => 0)))")
    visitor.page.screenshot(path=SCREENS / f"{screen}-{width}.png")


def before_log_in(visitor: Visitor, width: int) -> None:
    """login, register; then the account is made and its empty list shown: empty."""
    visitor.page.goto("/login")
    visitor.page.get_by_label("Username").fill(ME)
    shoot(visitor, "login", width)
    visitor.fill_register(ME, "Inés Ortega", PASSWORD)
    expect(visitor.page.get_by_text("Strong.")).to_be_visible()
    shoot(visitor, "register", width)
    visitor.page.get_by_role("button", name="Create account").click()
    visitor.chats.wait_for()
    expect(visitor.person("mara")).to_have_attribute("data-status", "online")
    shoot(visitor, "empty", width)


def choose_people(visitor: Visitor, width: int) -> None:
    """The dialog with two people chosen: new-chat."""
    visitor.page.get_by_role("button", name="New chat").click()
    dialog = visitor.page.get_by_role("dialog", name="New chat")
    for username in ("mara", "priya"):
        dialog.get_by_role("checkbox", name=username, exact=True).check()
    dialog.get_by_label("Chat name").fill("Spring release")
    shoot(visitor, "new-chat", width)
    dialog.get_by_role("button", name="Close").click()


def talk(visitor: Visitor, mara: User, jonas: User, width: int) -> None:
    """Three chats in the list, one of them open with messages signed in all three ways: chat; then a bad one: chat-failed."""
    chat = visitor.start_chat("mara")
    expect(visitor.messages).to_have_attribute("aria-busy", "false")
    for sender, text, alg in TALK:
        if sender == ME:
            visitor.write(text, alg)
        else:
            mara.send(chat, text, alg)
            visitor.expect_verified(text, alg)
    mara.reader(chat)
    live = mara.connect()
    last = mara.chat(chat)["last_seq"]
    live.call("message:delivered", {"chat": chat, "seq": last})
    live.call("message:read", {"chat": chat, "seq": last})
    group = jonas.create_chat(ME, "mara", "priya", name="Spring release")
    jonas.send(group, "Draft of the plan is in the shared folder.")
    jonas.send(group, "Comments by Thursday, please.")
    visitor.page.locator("nav a", has_text="Spring release").wait_for(state="attached")
    visitor.page.get_by_label("Sign with").select_option(p.PSS)
    shoot(visitor, "chat", width)
    verify(visitor, width)
    spoil(mara, chat)
    expect(visitor.articles.and_(visitor.page.locator('[data-reason="bad_signature"]'))).to_be_visible()
    visitor.expect_verified("Did my last one reach you?", p.PSS)
    visitor.page.locator("nav a", has_text="Mara").filter(has_not_text="unread").wait_for(state="attached")
    shoot(visitor, "chat-failed", width)


def verify(visitor: Visitor, width: int) -> None:
    """The safety number with mara: verify."""
    visitor.page.get_by_role("button", name="Members").click()
    visitor.page.get_by_role("button", name="Verify Mara").click()
    dialog = visitor.page.get_by_role("dialog", name="Verify Mara")
    expect(dialog.get_by_role("button", name="They match")).to_be_enabled()
    shoot(visitor, "verify", width)
    visitor.page.keyboard.press("Escape")
    visitor.page.keyboard.press("Escape")


def take(browser: Browser, url: str, width: int, height: int) -> None:
    """All screens at one width."""
    users = {name: register(url, name, words, i) for i, (name, words) in enumerate(PEOPLE.items())}
    users["mara"].connect()
    users["priya"].connect().call("presence:set", {"status": "away"})
    phone = {"has_touch": True, "is_mobile": True, "device_scale_factor": 2} if width < 600 else {}
    visitor = Visitor(browser, url, viewport={"width": width, "height": height}, **phone)
    before_log_in(visitor, width)
    choose_people(visitor, width)
    talk(visitor, users["mara"], users["jonas.w"], width)
    visitor.close()
    for user in users.values():
        user.close()
    assert visitor.complaints == [], visitor.complaints


def main() -> int:
    """0 when all pictures are there."""
    SCREENS.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as run:
        browser = run.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        for width, height in SIZES:
            with (
                tempfile.TemporaryDirectory() as folder,
                ServerProcess(Path(folder), CHAT_KEY_MODE="combined") as server,
            ):
                take(browser, server.url, width, height)
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
