"""Chromium for the tests marked `browser`.

Where it is missing they are left out, in one line that says so; with CHATSEC_REQUIRE_BROWSER=1 that is a failure.
"""

import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.e2e.pages import WAIT, Visitor
from tests.support.server import ServerProcess

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
LEFT_OUT = pytest.StashKey[Counter[str]]()


def pytest_configure(config: pytest.Config) -> None:
    """Registers the marker."""
    config.addinivalue_line("markers", "browser: needs Chromium")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without Chromium: refuses to start if it is required, else takes the browser tests out."""
    browser = [item for item in items if item.get_closest_marker("browser")]
    if not browser or shutil.which(CHROMIUM):
        return
    if os.environ.get("CHATSEC_REQUIRE_BROWSER") == "1":
        raise pytest.UsageError(f"no Chromium at {CHROMIUM}, and CHATSEC_REQUIRE_BROWSER=1 asks for it")
    config.stash[LEFT_OUT] = Counter(item.nodeid.split("::")[0] for item in browser)
    config.hook.pytest_deselected(items=browser)
    items[:] = [item for item in items if item not in browser]


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """The one line."""
    left_out = config.stash.get(LEFT_OUT, None)
    if left_out:
        tests = ", ".join(f"{path} ({count})" for path, count in sorted(left_out.items()))
        terminalreporter.write_line(f"no Chromium at {CHROMIUM}; left out: {tests}")


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """One browser process for the whole run."""
    expect.set_options(timeout=WAIT)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def combined_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server on which the page makes end-to-end encrypted chats; a module that wants it names it `server`."""
    with ServerProcess(tmp_path_factory.mktemp("combined"), CHAT_KEY_MODE="combined") as process:
        yield process
    log = process.log()
    assert "Traceback" not in log and "fault in" not in log, log[-4000:]


@pytest.fixture
def visit(chromium: Browser, server: ServerProcess) -> Iterator[Callable[..., Visitor]]:
    """Makes clean browsers at the server's origin; afterwards no console error or CSP violation may have shown."""
    visitors: list[Visitor] = []

    def make(**options: Any) -> Visitor:
        visitors.append(Visitor(chromium, server.url, **options))
        return visitors[-1]

    yield make
    complaints = [text for visitor in visitors for text in visitor.complaints]
    for visitor in visitors:
        visitor.close()
    assert complaints == []
