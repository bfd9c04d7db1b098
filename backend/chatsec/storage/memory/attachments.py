"""Attachments in memory: whose ciphertext there is. The ciphertext itself lies in `files`."""

from __future__ import annotations

from collections.abc import Iterable

from chatsec.domain.models import Attachment
from chatsec.errors import ChatSecError
from chatsec.storage.memory.data import Handle
from chatsec.storage.memory.heads import head_of


class MemoryAttachments:
    """`AttachmentStore`."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle

    def create(self, attachment: Attachment) -> None:
        with self._handle.step() as data:
            head = head_of(data, attachment.chat)
            if head is None or attachment.username not in head.members:
                raise ChatSecError("not_found")
            data.attachments[attachment.id] = attachment

    def get(self, chat: str, attachment: str) -> Attachment | None:
        with self._handle.step() as data:
            found = data.attachments.get(attachment)
        return found if found and found.chat == chat else None

    def known(self, attachments: Iterable[str]) -> set[str]:
        with self._handle.step() as data:
            return data.attachments.keys() & attachments
