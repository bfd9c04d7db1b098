"""Fixtures that several folders share: a live server process, and people on it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.client import User
from tests.support.server import ServerProcess


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
