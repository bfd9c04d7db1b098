"""The account's settings in a real browser: recovery code, password, sessions, the account's end; and the way back in."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, expect

from tests.e2e.axe import violations
from tests.e2e.pages import PASSWORD, Visitor
from tests.support.server import ServerProcess

pytestmark = pytest.mark.browser

Visit = Callable[..., Visitor]
NEW = "another harbour lamp"


@pytest.fixture(scope="module")
def server(combined_server: ServerProcess) -> ServerProcess:
    return combined_server


def settings(visitor: Visitor, entry: str) -> Locator:
    """Opens one entry of the account's settings; the dialog."""
    visitor.page.get_by_role("button", name="Account", exact=True).click()
    visitor.page.get_by_role("dialog", name="Account").get_by_role("button", name=entry).click()
    return visitor.page.get_by_role("dialog", name=entry)


def shown_code(place: Locator) -> str:
    """The recovery code that is on screen."""
    return place.get_by_role("group", name="Recovery code").inner_text().strip()


def make_code(visitor: Visitor) -> str:
    """Makes a recovery code, types it back and saves it."""
    dialog = settings(visitor, "Recovery code")
    dialog.get_by_role("button", name="Make a recovery code").click()
    code = shown_code(dialog)
    dialog.get_by_label("Current password").fill(PASSWORD)
    dialog.get_by_label("Type the code").fill("not this one")
    dialog.get_by_role("button", name="Save code").click()
    expect(dialog.get_by_label("Type the code")).to_have_attribute("aria-invalid", "true")
    dialog.get_by_label("Type the code").fill(code.lower().replace("-", " "))
    dialog.get_by_role("button", name="Save code").click()
    expect(dialog.get_by_role("status").filter(has_text="Recovery code saved")).to_be_visible()
    dialog.get_by_role("button", name="Done").click()
    return code


def test_a_recovery_code_brings_back_who_forgot_the_password(visit: Visit) -> None:
    """A calm reminder until it is saved; later, in a clean browser: code, new password, the whole history; and used once."""
    ann, ben = visit(), visit()
    ben.register("ben.recovers", "Ben")
    ann.register("ann.recovers", "Ann")
    reminder = ann.page.get_by_role("group", name="Recovery code")
    reminder.get_by_role("button", name="Later").click()
    expect(reminder).to_have_count(0)
    ann.page.reload()
    reminder.get_by_role("button", name="Save recovery code").click()
    ann.page.get_by_role("dialog", name="Recovery code").get_by_role("button", name="Close").click()
    ann.start_chat("ben.recovers")
    ann.write("remember this")
    code = make_code(ann)
    expect(reminder).to_have_count(0)
    ann.page.get_by_role("button", name="Account", exact=True).click()
    ann.page.set_viewport_size({"width": 390, "height": 844})
    expect(ann.chats).to_be_hidden()
    expect(ann.page.get_by_role("dialog", name="Account")).to_be_visible()
    ann.page.keyboard.press("Escape")

    clean = visit()
    clean.page.goto("/login")
    clean.page.get_by_role("link", name="Forgot password?").click()
    clean.page.get_by_label("Username").fill("ann.recovers")
    clean.page.get_by_label("Recovery code").fill("too short")
    clean.page.get_by_label("New password").fill(NEW)
    clean.page.get_by_role("button", name="Set new password").click()
    expect(clean.page.get_by_label("Recovery code")).to_have_attribute("aria-invalid", "true")
    assert violations(clean.page) == []
    clean.page.get_by_label("Recovery code").fill(code)
    clean.page.get_by_role("button", name="Set new password").click()
    fresh = clean.page.get_by_role("main").filter(has_text="Your new recovery code")
    expect(fresh).to_be_visible()
    assert shown_code(fresh) != code
    clean.page.get_by_role("button", name="I have kept the code").click()
    clean.open_chat("Ben")
    expect(clean.article("remember this")).to_be_visible()
    expect(clean.page.get_by_role("group", name="Recovery code")).to_have_count(0)

    again = visit()
    again.page.goto("/recover")
    again.page.get_by_label("Username").fill("ann.recovers")
    again.page.get_by_label("Recovery code").fill(code)
    again.page.get_by_label("New password").fill(NEW)
    again.page.get_by_role("button", name="Set new password").click()
    expect(again.page.get_by_role("alert").first).to_be_visible()
    for visitor in (again, ann):
        visitor.complaints[:] = [text for text in visitor.complaints if not re.search("401|WebSocket", text)]


def test_password_sessions_and_the_end(visit: Visit) -> None:
    """Another session is seen and ended; the password changes, with new keys and a new code; the account ends."""
    ann, other = visit(), visit()
    ann.register("ann.settings", "Ann")
    other.login("ann.settings")

    dialog = settings(ann, "Sessions")
    expect(dialog.get_by_role("heading", name="Sessions")).to_be_focused()
    expect(dialog.get_by_role("listitem")).to_have_count(2)
    assert violations(ann.page) == []
    dialog.get_by_role("button", name="End session: ").click()
    expect(dialog.get_by_role("listitem")).to_have_count(1)
    other.page.get_by_role("button", name="Log in").wait_for()
    dialog.get_by_role("button", name="Back", exact=True).click()

    ann.page.get_by_role("dialog", name="Account").get_by_role("button", name="Change password").click()
    dialog = ann.page.get_by_role("dialog", name="Change password")
    change = dialog.get_by_role("button", name="Change password")
    dialog.get_by_label("Current password").fill("not the password")
    dialog.get_by_label("New password").fill("short")
    change.click()
    expect(dialog.get_by_label("New password")).to_have_attribute("aria-invalid", "true")
    dialog.get_by_label("New password").fill(NEW)
    change.click()
    expect(dialog.get_by_role("alert")).to_contain_text("Wrong password")
    dialog.get_by_label("Current password").fill(PASSWORD)
    dialog.get_by_role("checkbox", name="Someone may know my password").check()
    assert violations(ann.page) == []
    change.click()
    expect(dialog.get_by_role("status").filter(has_text="Password changed")).to_be_visible()
    ann.page.keyboard.press("Escape")
    assert re.fullmatch(r"([0-9A-Z]{4}-){7}[0-9A-Z]{4}", shown_code(dialog))
    dialog.get_by_role("button", name="I have kept the code").click()

    dialog = settings(ann, "Delete account")
    dialog.get_by_label("Current password").fill(NEW)
    delete = dialog.get_by_role("button", name="Delete account")
    expect(delete).to_be_disabled()
    dialog.get_by_role("checkbox").check()
    assert violations(ann.page) == []
    delete.click()
    ann.page.get_by_role("button", name="Log in").wait_for()
    assert ann.stored() == ""
    for visitor in (ann, other):
        visitor.complaints[:] = [
            text for text in visitor.complaints if not re.search("401|403|WebSocket", text)
        ]


def test_settings_open_without_a_connection(visit: Visit) -> None:
    """Opened for the first time while offline, nothing that they need is missing."""
    ann = visit()
    ann.register("ann.offline", "Ann")
    ann.page.wait_for_load_state("networkidle")
    ann.context.set_offline(True)
    settings(ann, "Password")
    ann.page.close()
    ann.complaints[:] = [
        text for text in ann.complaints if "ERR_INTERNET_DISCONNECTED" not in text
    ]  # Chromium's own
