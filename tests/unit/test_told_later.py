"""What is told beside the committer while the store cannot be asked: it stays untold, and nothing breaks for it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chatsec.bootstrap import build
from chatsec.config import from_env
from chatsec.domain.models import Head, Mark
from chatsec.errors import ChatSecError
from chatsec.storage.memory import MemoryStorage
from tests.contract.world import World, new_id
from tests.support.direct import DirectOffload

CHAT = new_id(1)


class Beside(DirectOffload):
    """Keeps what runs beside, so that its end, and how it ended, can be waited for."""

    def __init__(self) -> None:
        super().__init__()
        self.threads: list[threading.Thread] = []

    def start(self, function: Callable[..., object], *args: Any) -> None:
        self.threads.append(threading.Thread(target=function, args=args, daemon=True))
        self.threads[-1].start()


class Away:
    """A store's chats, whose heads cannot be read."""

    def __init__(self, chats: Any) -> None:
        self._chats = chats
        self.asked = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._chats, name)

    def head(self, chat: str) -> Head | None:
        self.asked += 1
        raise ChatSecError("unavailable", "the store is out of reach")


@pytest.fixture
def beside(monkeypatch: pytest.MonkeyPatch) -> tuple[Beside, list[BaseException]]:
    """And what was raised beside, by nobody caught."""
    faults: list[BaseException] = []
    monkeypatch.setattr(threading, "excepthook", lambda args: faults.append(args.exc_value))
    return Beside(), faults


def test_a_store_that_is_away_breaks_nothing_beside(
    tmp_path: Path, beside: tuple[Beside, list[BaseException]]
) -> None:
    """A mark is durable and answered; whom to tell cannot be asked. The server's own `rekey` waits for the next message."""
    offload, faults = beside
    storage = MemoryStorage()
    settings = from_env({"DATA_DIR": str(tmp_path), "BCRYPT_ROUNDS": "4", "RATE_LIMITS": "off"})
    built = build(settings, offload, async_mode="threading", storage=storage)
    built.committer._rouse = lambda: built.committer._commit(built.committer._take())  # type: ignore[method-assign]
    World(storage).join("alice", "bob").chat("alice", "bob", number=1)
    away = Away(storage.chats)
    storage.chats = away  # type: ignore[misc, assignment]
    assert built.services.messages.mark(Mark(CHAT, "bob", read=1)).read == 1
    offload.start(built.services.chats.rekey_full, CHAT, 1)
    for thread in offload.threads:
        thread.join(10)
    assert away.asked == 2 and faults == []
