"""Markup that people write is text: as message, display name, chat name, reaction and file name it runs nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.e2e.pages import Visitor
from tests.support.client import User

pytestmark = pytest.mark.browser

MARKUP = (
    "<script>window.ran = 1</script>",
    "<img src=x onerror='window.ran = 1'>",
    "<svg/onload=window.ran=1>",
    '"><iframe srcdoc="<script>parent.ran=1</script>"></iframe>',
    "<a href='javascript:window.ran=1'>click</a>",
    "javascript:window.ran=1",
    "[link](javascript:window.ran=1)",
    "{{constructor.constructor('window.ran=1')()}}",
    "<math><mtext></p><style><img src onerror=window.ran=1>",
    "&lt;b&gt; &amp; <!-- --> ]]>",
    "${window.ran = 1}",
)
NAME = "<img src=x onerror='window.ran=1'>"
RAN = "() => window.ran ?? 0"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" onload="window.ran = 1"><script>window.ran = 1</script></svg>'


@pytest.fixture
def mallory(users: Callable[..., User]) -> User:
    user = users("mallory.markup")
    user.rest.request("PATCH", "/me", {"display_name": NAME})
    return user


def test_markup_is_shown_as_text(visit: Callable[..., Visitor], mallory: User) -> None:
    """ASVS 3.2.2, 1.3.4, 1.3.5: on the screen stands exactly what was written; no element comes of it and no script runs."""
    reader = visit()
    reader.register("reader.markup", NAME[:30])
    chat = mallory.create_chat("reader.markup", name=NAME)
    for text in MARKUP:
        mallory.send(chat, text)
    mallory.send(chat, {"type": NAME})
    reader.open_chat(NAME)
    for number, text in enumerate(MARKUP):
        article = reader.articles.nth(number)
        expect(article).to_have_attribute("data-state", "verified")
        expect(article.get_by_text(text, exact=True)).to_have_count(1)
    expect(reader.articles.nth(len(MARKUP))).to_contain_text(NAME)
    assert reader.page.evaluate(RAN) == 0
    assert reader.messages.locator("img, script, iframe, style, a[href^='javascript']").count() == 0
    expect(reader.page.get_by_role("main")).to_contain_text(NAME)


def test_an_svg_is_a_download(visit: Callable[..., Visitor]) -> None:
    """ASVS 1.3.4, 1.3.5: an SVG that says what it is, or that it is a PNG, is never drawn as markup; saved, it is its bytes."""
    reader = visit()
    reader.register("reader.svg", "Rita")
    writer = visit()
    writer.register("writer.svg", "Wim")
    writer.start_chat("reader.svg")
    writer.page.locator("input[type=file]").set_input_files(
        [
            {"name": "drawing.svg", "mimeType": "image/svg+xml", "buffer": SVG},
            {"name": "photo.png", "mimeType": "image/png", "buffer": SVG},
        ]
    )
    writer.page.get_by_role("button", name="Send", exact=True).click()
    reader.open_chat("Wim")
    article = reader.articles.first
    expect(article.get_by_role("list", name="Files").get_by_role("listitem")).to_have_count(2)
    expect(article).to_contain_text("not an image that can be shown")
    expect(article.locator("img, svg image, object, embed, iframe")).to_have_count(0)
    for name in ("drawing.svg", "photo.png"):
        with reader.page.expect_download() as saved:
            article.get_by_role("button", name=f"Download {name}").click()
        assert saved.value.path().read_bytes() == SVG
    assert reader.page.evaluate(RAN) == 0
