"""Key bundles in memory. They are written with their accounts, see `accounts`."""

from __future__ import annotations

from collections.abc import Iterable

from chatsec.domain.models import Bundle
from chatsec.storage.memory.data import Handle


class MemoryKeys:
    """`KeyStore`."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle

    def current(self, usernames: Iterable[str]) -> dict[str, Bundle]:
        with self._handle.step() as data:
            return {name: data.bundles[name][-1] for name in usernames if data.bundles.get(name)}

    def history(self, username: str, after: int) -> list[Bundle]:
        with self._handle.step() as data:
            return [bundle for bundle in reversed(data.bundles.get(username, [])) if bundle.version > after]

    def bundles(self, usernames: Iterable[str]) -> list[Bundle]:
        with self._handle.step() as data:
            return [bundle for name in usernames for bundle in data.bundles.get(name, [])]
