"""A store in memory, for tests: nothing outlives the process. The port's contract is in `chatsec.domain.ports`.

It keeps its chats as a database without cheap transactions would (see `log`), so that such an adapter has a pattern.
"""

from __future__ import annotations

from chatsec.domain.ports import Offload
from chatsec.storage.memory.accounts import MemoryAccounts
from chatsec.storage.memory.attachments import MemoryAttachments
from chatsec.storage.memory.chats import MemoryChats
from chatsec.storage.memory.data import Handle, MemoryData
from chatsec.storage.memory.files import MemoryFiles
from chatsec.storage.memory.keys import MemoryKeys
from chatsec.storage.memory.log import MemoryLog
from chatsec.storage.memory.sessions import MemorySessions

__all__ = ["MemoryData", "MemoryStorage"]


class MemoryStorage:
    """`Storage`. Several of them over one `MemoryData` are several writers, as several processes would be.

    `offload.turn` is called before each access to the shared data.
    """

    def __init__(self, offload: Offload | None = None, data: MemoryData | None = None) -> None:
        handle = Handle(MemoryData() if data is None else data, _at_once if offload is None else offload.turn)
        self._handle = handle
        self.accounts = MemoryAccounts(handle)
        self.keys = MemoryKeys(handle)
        self.sessions = MemorySessions(handle)
        self.chats = MemoryChats(handle)
        self.log = MemoryLog(handle)
        self.attachments = MemoryAttachments(handle)
        self.files = MemoryFiles(handle)

    def ping(self) -> None:
        with self._handle.step():
            return

    def close(self) -> None:
        """Nothing is open."""


def _at_once() -> None:
    """No loop turns."""
