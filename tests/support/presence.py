"""What stands around the presence service in its tests: a loop that runs when told to, and sockets that keep their mail."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

from chatsec.domain.models import Json
from tests.support.direct import DirectOffload


class Steps(DirectOffload):
    """Runs what was started only when told to, and sleeps without waiting."""

    def __init__(self) -> None:
        super().__init__()
        self.started: list[tuple[Callable[..., object], tuple[Any, ...]]] = []
        self.slept: list[float] = []
        self.meanwhile: list[Callable[[], object]] = []

    def start(self, function: Callable[..., object], *args: Any) -> None:
        self.started.append((function, args))

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        if self.meanwhile:
            self.meanwhile.pop(0)()

    def settle(self) -> None:
        while self.started:
            function, args = self.started.pop(0)
            function(*args)


class Sockets:
    """`PresencePublisher`: every socket's mail."""

    def __init__(self) -> None:
        self.users: dict[str, str] = {}  # sid → username
        self.mail: dict[str, list[tuple[str, Any]]] = {}

    def presence_list(self, people: Sequence[Json], sid: str) -> None:
        self._put("presence:list", list(people), [sid])

    def presence(self, changes: Sequence[Json], usernames: Iterable[str], skip_sids: Collection[str]) -> None:
        names = set(usernames)
        sids = [sid for sid, user in self.users.items() if user in names and sid not in skip_sids]
        self._put("presence", list(changes), sids)

    def presence_to(self, changes: Sequence[Json], sids: Iterable[str]) -> None:
        self._put("presence", list(changes), sids)

    def typing(
        self, chat: str, username: str, active: bool, members: Iterable[str], skip_sid: str | None
    ) -> None:
        names = set(members)
        sids = [sid for sid, user in self.users.items() if user in names and sid != skip_sid]
        self._put("typing", {"chat": chat, "username": username, "active": active}, sids)

    def _put(self, event: str, data: Any, sids: Iterable[str]) -> None:
        for sid in sids:
            self.mail.setdefault(sid, []).append((event, data))

    def take(self, sid: str) -> list[tuple[str, Any]]:
        return self.mail.pop(sid, [])
