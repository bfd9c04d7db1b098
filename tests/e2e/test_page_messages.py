"""What can be done with messages in a real browser: answers, reactions, edits, deletions, files; all of it by keyboard."""

import base64
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.e2e.axe import violations
from tests.e2e.pages import SENT, Visitor
from tests.support.server import ServerProcess

pytestmark = pytest.mark.browser

Visit = Callable[..., Visitor]
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>window.ran = 1</script></svg>'
TEXT = b"line one\nline two\n"


@pytest.fixture(scope="module")
def server(combined_server: ServerProcess) -> ServerProcess:
    return combined_server


def test_answer_react_edit_and_delete_by_keyboard(visit: Visit) -> None:
    """Nothing here needs a pointer, and the other one sees what became of it."""
    ann, ben = visit(), visit()
    ben.register("ben.deeds", "Ben")
    ann.register("ann.deeds", "Ann")
    ann.start_chat("ben.deeds")
    ann.write("shall we meet at noon?")
    ben.open_chat("Ann")
    ben.expect_verified("shall we meet at noon?", "RSA-PSS-SHA256")
    keys = ben.page.keyboard

    ben.messages.focus()
    keys.press("ArrowUp")
    expect(ben.article("shall we meet at noon?")).to_be_focused()
    expect(ben.article("shall").get_by_role("toolbar", name="Message actions")).to_be_visible()
    expect(ben.article("shall").get_by_role("button", name="Edit")).to_have_count(0)
    assert violations(ben.page) == []
    keys.press("e")
    expect(ben.page.get_by_role("button", name="Thumbs up")).to_be_focused()
    keys.press("ArrowRight")
    keys.press("ArrowLeft")
    keys.press("Enter")
    reaction = re.compile("^Thumbs up, 1: ")
    expect(ann.page.get_by_role("button", name=reaction)).to_contain_text("1")
    ann.page.get_by_role("button", name=reaction).click()
    mine = ben.page.get_by_role("button", name=re.compile("^Thumbs up, 2: "))
    expect(mine).to_have_attribute("aria-pressed", "true")
    mine.click()
    expect(ben.page.get_by_role("button", name=reaction)).to_have_attribute("aria-pressed", "false")

    ben.article("shall").focus()
    keys.press("r")
    expect(ben.page.get_by_role("group", name="Reply")).to_contain_text("shall we meet at noon?")
    keys.press("Escape")
    expect(ben.page.get_by_role("group", name="Reply")).to_have_count(0)
    ben.article("shall").focus()
    keys.press("r")
    expect(ben.field).to_be_focused()
    keys.type("nooon is fine")
    keys.press("Enter")
    expect(ann.article("nooon is fine")).to_contain_text("shall we meet at noon?")
    ann.article("nooon is fine").get_by_role("button", name=re.compile("^Answers ")).click()
    expect(ann.article("shall we meet at noon?").first).to_be_focused()

    ben.field.focus()
    keys.press("ArrowUp")
    expect(ben.page.get_by_role("group", name="Edit")).to_be_visible()
    expect(ben.field).to_have_value("nooon is fine")
    ben.field.fill("noon is fine")
    keys.press("Enter")
    expect(ann.article("noon is fine")).to_contain_text("edited")
    expect(ann.articles.filter(has_text="nooon")).to_have_count(0)

    ben.article("noon is fine").focus()
    keys.press("Delete")
    dialog = ben.page.get_by_role("dialog", name="Delete message")
    assert violations(ben.page) == []
    keys.press("Escape")
    expect(ben.article("noon is fine")).to_be_focused()
    keys.press("Delete")
    dialog.get_by_role("button", name="Delete").focus()
    keys.press("Enter")
    expect(ann.articles.filter(has_text="This message was deleted")).to_have_count(1)
    expect(ben.article("This message was deleted")).to_be_focused()
    expect(ann.articles.filter(has_text="noon is fine")).to_have_count(0)


def test_files_are_sent_shown_and_saved(visit: Visit) -> None:
    """ASVS 1.3.4, 1.3.5: an image is shown, all else is saved under a plain name; an SVG is never drawn."""
    ann, ben = visit(), visit()
    ben.register("ben.files", "Ben")
    ann.register("ann.files", "Ann")
    ann.start_chat("ben.files")
    ann.page.locator("input[type=file]").set_input_files(
        [
            {"name": "dot.png", "mimeType": "image/png", "buffer": PNG},
            {"name": "drawing.svg", "mimeType": "image/svg+xml", "buffer": SVG},
            {"name": "notes\u202etxt.exe", "mimeType": "text/html", "buffer": TEXT},
            {"name": "not this one.txt", "mimeType": "text/plain", "buffer": b"taken away"},
        ]
    )
    chosen = ann.page.get_by_role("list", name="Files to send")
    expect(chosen.get_by_role("listitem")).to_have_count(4)
    ann.page.get_by_role("button", name="Remove not this one.txt").click()
    assert violations(ann.page) == []
    ann.field.fill("three files")
    ann.page.get_by_role("button", name="Send", exact=True).click()
    expect(ann.article("three files")).to_have_attribute("data-state", SENT)
    expect(chosen).to_have_count(0)

    ben.open_chat("Ann")
    article = ben.article("three files")
    expect(article.get_by_role("list", name="Files").get_by_role("listitem")).to_have_count(3)
    image = article.get_by_role("img", name="dot.png")
    expect(image).to_be_visible()
    assert image.evaluate("(img) => img.decode().then(() => img.naturalWidth)") == 1
    expect(article.get_by_role("img")).to_have_count(1)
    assert violations(ben.page) == []
    for name, content in (("drawing.svg", SVG), ("notes_txt.exe", TEXT)):
        with ben.page.expect_download() as saved:
            article.get_by_role("button", name=f"Download {name}").click()
        assert saved.value.suggested_filename == name
        assert saved.value.path().read_bytes() == content
    assert ben.page.evaluate("window.ran") is None
    article.get_by_role("button", name="Show dot.png large").click()
    large = ben.page.get_by_role("dialog", name="dot.png")
    expect(large).to_be_visible()
    assert violations(ben.page) == []
    ben.page.keyboard.press("Escape")
    expect(large).to_have_count(0)
    expect(article.get_by_role("button", name="Show dot.png large")).to_be_focused()


def test_a_file_that_is_too_large_is_told_at_once(visit: Visit, tmp_path: Path) -> None:
    """Before anything of it is sent; what fits stays chosen."""
    ann, ben = visit(), visit()
    ben.register("ben.large", "Ben")
    ann.register("ann.large", "Ann")
    ann.start_chat("ben.large")
    large, small = tmp_path / "large.bin", tmp_path / "small.bin"
    with large.open("wb") as file:
        file.truncate(100 * 1024 * 1024)
    small.write_bytes(b"fits")
    ann.page.locator("input[type=file]").set_input_files([large, small])
    chosen = ann.page.get_by_role("list", name="Files to send")
    expect(chosen.get_by_role("listitem")).to_have_count(1)
    told = ann.page.get_by_role("status").filter(has_text="Files of more than 105 MB cannot be sent")
    expect(told).to_be_visible()
    ann.page.get_by_role("button", name="Remove small.bin").press("Enter")
    expect(told).to_have_count(0)
    expect(ann.field).to_be_focused()
