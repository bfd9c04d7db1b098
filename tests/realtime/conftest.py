"""Three people on the module's server, a chat of the first two, and sockets that end with the test."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.client import LiveClient, User

Users = Callable[..., User]
Connect = Callable[[User], LiveClient]


@pytest.fixture(scope="module")
def alice(users: Users) -> User:
    return users("alice", 0)


@pytest.fixture(scope="module")
def bob(users: Users) -> User:
    return users("bob", 1)


@pytest.fixture(scope="module")
def carol(users: Users) -> User:
    return users("carol", 2)


@pytest.fixture
def chat(alice: User, bob: User) -> Iterator[str]:
    """A fresh chat, owned by alice; erased afterwards, so that it does not show in other tests."""
    made = alice.create_chat("bob")
    yield made
    if alice.rest.request("GET", f"/chats/{made}").ok:
        alice.rest.request("DELETE", f"/chats/{made}")


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Sockets with empty inboxes."""
    lives: list[LiveClient] = []

    def make(user: User, **options: Any) -> LiveClient:
        live = LiveClient(user.url, user.token, **options)
        lives.append(live)
        live.next("presence:list")
        live.clear()
        return live

    yield make
    for live in lives:
        live.close()
