"""Fixtures that several folders share: a live server process, and people on it. And where there is no Chromium.

Then the tests marked `browser` are left out, in one line that says so; with CHATSEC_REQUIRE_BROWSER=1 that is a failure.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.client import User
from tests.support.server import ServerProcess

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")


def pytest_configure(config: pytest.Config) -> None:
    """Registers the marker; without Chromium, refuses to start if it is required."""
    config.addinivalue_line("markers", "browser: needs Chromium")
    if os.environ.get("CHATSEC_REQUIRE_BROWSER") == "1" and not shutil.which(CHROMIUM):
        raise pytest.UsageError(f"no Chromium at {CHROMIUM}, and CHATSEC_REQUIRE_BROWSER=1 asks for it")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without Chromium: takes the browser tests out."""
    browser = [item for item in items if item.get_closest_marker("browser")]
    if browser and not shutil.which(CHROMIUM):
        config.hook.pytest_deselected(items=browser)
        items[:] = [item for item in items if item not in browser]


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """The one line. Tests that run side by side are collected elsewhere, so it does not say how many."""
    if not shutil.which(CHROMIUM):
        terminalreporter.write_line(f"no Chromium at {CHROMIUM}: tests in a browser are left out")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """One server process for the tests of a module; nothing in its log may tell of a fault of its own."""
    folder: Path = tmp_path_factory.mktemp("server")
    with ServerProcess(folder) as process:
        yield process
    log = process.log()
    assert "Traceback" not in log, log[-4000:]
    assert "fault in" not in log, log[-4000:]


@pytest.fixture(scope="module")
def users(server: ServerProcess) -> Iterator[Callable[..., User]]:
    """Makes accounts: `users("alice")`. Each module has its own server, so names need to be unique there only."""
    made: list[User] = []

    def make(username: str, key_set: int | None = None, **options: bool) -> User:
        index = len(made) if key_set is None else key_set
        made.append(User.register(server.url, username, index, **options))
        return made[-1]

    yield make
    for user in made:
        user.close()
