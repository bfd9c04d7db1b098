"""The whole way without a mouse: whatever is used is reached with Tab, shows that it has the focus, and does its work by a key."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Locator, expect

from tests.e2e.pages import PASSWORD, SENT, Visitor
from tests.support import protocol as p
from tests.support.client import User
from tests.support.server import ServerProcess

pytestmark = pytest.mark.browser

NEW = "another harbour lamp"
MOST = 60  # presses of Tab from anywhere to anywhere
HAS_FOCUS = "(element) => element === document.activeElement"
SHOWS_FOCUS = """(element) => {
  const { outlineStyle, outlineWidth } = getComputedStyle(element);
  return element.matches(':focus-visible') && outlineStyle !== 'none' && outlineWidth !== '0px';
}"""


@pytest.fixture(scope="module")
def server(combined_server: ServerProcess) -> ServerProcess:
    return combined_server


class Typist:
    """Somebody at the page who has keys and nothing else."""

    def __init__(self, visitor: Visitor) -> None:
        self.page = visitor.page
        self.key = visitor.page.keyboard.press

    def reach(self, control: Locator) -> None:
        """Goes on until the focus is there."""
        control.wait_for()
        for _ in range(MOST):
            if control.evaluate(HAS_FOCUS):
                assert control.evaluate(SHOWS_FOCUS), f"no one sees that {control} has the focus"
                return
            self.key("Tab")
        pytest.fail(f"{control} is not reached")

    def press(self, control: Locator, key: str = "Enter") -> None:
        """Reaches it, and presses a key there."""
        self.reach(control)
        self.key(key)

    def type(self, control: Locator, text: str) -> None:
        """Reaches it, and writes in place of what is there."""
        self.reach(control)
        self.key("Control+A")
        self.page.keyboard.type(text)

    def button(self, name: str, within: Locator | None = None) -> Locator:
        """The control with just that name."""
        return (within or self.page).get_by_role("button", name=name, exact=True)

    def dialog(self, name: str) -> Locator:
        """The open dialog of that name."""
        return self.page.get_by_role("dialog", name=name)


def test_the_whole_way(visit: Callable[..., Visitor], users: Callable[..., User], tmp_path: Path) -> None:
    """From the account's making to its last log-in."""
    kim, ned = users("kim.keys"), users("ned.keys")
    visitor = visit()
    typist = Typist(visitor)
    page, press, button = visitor.page, typist.press, typist.button

    page.goto("/login")
    press(page.get_by_role("link", name="Create account"))
    typist.type(page.get_by_label("Display name"), "Tess")
    typist.type(page.get_by_label("Username"), "tess.keys")
    typist.type(page.get_by_label("Password"), PASSWORD)
    typist.key("Enter")
    visitor.chats.wait_for()

    press(button("New chat"))
    new = typist.dialog("New chat")
    for user in (kim, ned):
        typist.type(new.get_by_label("Find people"), user.username)
        expect(new.get_by_role("list", name="Found people")).to_have_attribute("aria-busy", "false")
        press(new.get_by_role("checkbox", name=user.username, exact=True), "Space")
    typist.type(new.get_by_label("Chat name"), "Keys only")
    press(button("Start chat", new))
    typist.type(visitor.field, "typed")
    typist.key("Enter")
    expect(visitor.article("typed")).to_have_attribute("data-state", SENT)
    chat = page.url.rpartition("#")[2]

    press(page.get_by_label("Sign with"), "E")
    (note := tmp_path / "note.txt").write_text("a file")
    with page.expect_file_chooser() as chosen:
        press(visitor.field, "Control+U")
    chosen.value.set_files(note)
    typist.type(visitor.field, "with a file")
    typist.key("Enter")
    article = visitor.article("with a file")
    expect(article).to_have_attribute("data-state", SENT)
    expect(article).to_have_attribute("data-alg", "Ed25519")
    with page.expect_download() as fetched:
        press(button("Download note.txt", article))
    assert Path(fetched.value.path()).read_text("utf-8") == "a file"
    assert kim.reader(chat).failures() == {}
    kim.send(chat, "read it")
    visitor.expect_verified("read it", p.PSS)

    press(button("Members"))
    members = typist.dialog("Members")
    press(button("Rename", members))
    typist.type(members.get_by_label("Chat name"), "Keys")
    typist.key("Enter")
    expect(page.get_by_role("main", name="Chat with Keys")).to_be_visible()
    theirs = members.get_by_role("listitem").filter(has_text="@kim.keys")
    press(theirs.get_by_role("button", name="Options for "))
    press(theirs.get_by_role("button", name="Make owner: "))
    expect(theirs).to_contain_text("Owner")
    press(theirs.get_by_role("button", name="Verify "))
    press(button("They match"))
    expect(theirs).to_contain_text("verified")
    press(button("Renew key", members))
    press(button("Yes, renew", members))
    expect(button("Yes, renew", members)).to_have_count(0)
    gone = members.get_by_role("listitem").filter(has_text="@ned.keys")
    press(gone.get_by_role("button", name="Options for "))
    press(gone.get_by_role("button", name="Remove "))
    expect(gone).to_have_count(0)
    press(button("Add people", members))
    adding = typist.dialog("Add people")
    typist.type(adding.get_by_label("Find people"), ned.username)
    press(adding.get_by_role("checkbox", name=ned.username, exact=True), "Space")
    press(button("Add", adding))
    expect(adding).to_have_count(0)
    expect(gone).to_be_visible()
    typist.key("Escape")
    expect(members).to_have_count(0)

    press(button("Account"))
    press(typist.dialog("Account").get_by_role("button", name="Recovery code"))
    saving = typist.dialog("Recovery code")
    press(button("Make a recovery code", saving))
    code = saving.get_by_role("group", name="Recovery code").inner_text().strip()
    typist.type(saving.get_by_label("Type the code"), code)
    typist.type(saving.get_by_label("Current password"), PASSWORD)
    typist.key("Enter")
    expect(saving.get_by_role("status").filter(has_text="Recovery code saved")).to_be_visible()
    press(button("Done", saving))
    press(button("Account"))
    press(button("Sessions", typist.dialog("Account")))
    press(button("Back", typist.dialog("Sessions")))
    press(button("Change password", typist.dialog("Account")))
    changing = typist.dialog("Change password")
    typist.type(changing.get_by_label("Current password"), PASSWORD)
    typist.type(changing.get_by_label("New password"), NEW)
    press(changing.get_by_role("checkbox", name="Someone may know my password"), "Space")
    press(button("Change password", changing))
    expect(changing.get_by_role("status").filter(has_text="Password changed")).to_be_visible()
    press(button("I have kept the code", changing))

    press(button("Log out"))
    typist.type(page.get_by_label("Username"), "tess.keys")
    typist.type(page.get_by_label("Password"), NEW)
    typist.key("Enter")
    press(visitor.chats.get_by_role("link").filter(has_text=re.compile("Keys")))
    expect(visitor.article("read it")).to_be_visible()
    press(button("Members"))
    press(button("Leave chat", members))
    press(button("Yes, leave", members))
    expect(page.get_by_role("main", name=re.compile("^Chat with "))).to_have_count(0)
