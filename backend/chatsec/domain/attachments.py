"""Attachments: ciphertext that members put beside a chat, taken in and given out as a stream (protocol §5, end).

    AttachmentService(chats=…, attachments=…, files=…, offload=…, clock=…)

Only members may, at the time of asking; to everyone else a chat and its attachments are `not_found`. Over 100 MiB is
`too_large`, said before the rest is read. Ids are made here and nothing that a client sends becomes part of a path. A
file is in place and durable before the store knows it, so what was answered is there; what the store does not know is
an orphan (a crash, someone removed during the upload, an erased chat) and is swept.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from chatsec.domain.models import Attachment
from chatsec.domain.ports import AttachmentStore, ChatStore, CiphertextFiles, Clock, Offload
from chatsec.errors import ChatSecError, invalid

MAX_ATTACHMENT = 100 * 1024 * 1024
PART = 256 * 1024  # bytes read or written in one go
SWEEP_PAUSE = 3600.0

logger = logging.getLogger(__name__)


class Download:
    """An attachment that is open for reading; whoever gets one closes it."""

    def __init__(self, attachment: Attachment, file: BinaryIO, offload: Offload) -> None:
        self.attachment = attachment
        self._file = file
        self._offload = offload

    def parts(self, start: int, stop: int) -> Iterator[bytes]:
        """The bytes start … stop − 1."""
        self._offload.run(self._file.seek, start)
        while start < stop:
            part = self._offload.run(self._file.read, min(PART, stop - start))
            if not part:
                raise ChatSecError("unavailable", "the attachment is shorter than it was")
            start += len(part)
            yield part

    def close(self) -> None:
        self._file.close()


class AttachmentService:
    def __init__(
        self,
        *,
        chats: ChatStore,
        attachments: AttachmentStore,
        files: CiphertextFiles,
        offload: Offload,
        clock: Clock,
    ) -> None:
        self._chats = chats
        self._attachments = attachments
        self._files = files
        self._offload = offload
        self._clock = clock

    def upload(self, username: str, chat: str, parts: Iterable[bytes], declared: int | None) -> Attachment:
        """Takes in what `parts` brings, of which nothing is asked for before the caller is known to be a member.

        `declared` is the length that the client says, if it does.
        """
        self._require_member(username, chat)
        if (declared or 0) > MAX_ATTACHMENT:
            raise _too_large()
        attachment = str(uuid.uuid4())
        size = self._write(attachment, parts)
        stored = Attachment(attachment, chat, username, size, self._clock.now())
        try:
            self._attachments.create(stored)
        except ChatSecError:
            self._offload.run(self._files.remove, attachment)
            raise
        return stored

    def open(self, username: str, chat: str, attachment: str) -> Download:
        """`not_found` unless the attachment is of that chat and the caller is in it now."""
        self._require_member(username, chat)
        found = self._attachments.get(chat, attachment)
        if found is None:
            raise ChatSecError("not_found")
        return Download(found, self._offload.run(self._files.open, found.id), self._offload)

    def forget(self, attachments: Iterable[str]) -> None:
        """The files of an erased chat go at once."""
        for attachment in attachments:
            self._offload.run(self._files.remove, attachment)

    def sweep(self, age: float = SWEEP_PAUSE) -> int:
        """Removes orphans and unfinished uploads that are older than `age` seconds; answers how many.

        At the start of the only process `age` may be 0: nothing is on its way in.
        """
        # Files before ids: what was stored in between is in neither or in both, never a file without an id.
        files = self._offload.run(self._files.older_than, age)
        known = self._attachments.all_ids()
        orphans = [one for one in files if one not in known]
        self.forget(orphans)
        return len(orphans) + self._offload.run(self._files.drop_unfinished, age)

    def sweep_hourly(self) -> None:
        """For ever; to be started beside."""
        while True:
            self._offload.sleep(SWEEP_PAUSE)
            try:
                self.sweep()
            except ChatSecError as error:
                logger.warning("attachments cannot be swept: %s", error)

    def _require_member(self, username: str, chat: str) -> None:
        head = self._chats.head(chat)
        if head is None or username not in head.members:
            raise ChatSecError("not_found")

    def _write(self, attachment: str, parts: Iterable[bytes]) -> int:
        file = self._offload.run(self._files.begin, attachment)
        size = 0
        try:
            for part in parts:
                size += len(part)
                if size > MAX_ATTACHMENT:
                    raise _too_large()
                self._offload.run(file.write, part)
            if size == 0:
                raise invalid("body", "must not be empty")
            self._offload.run(file.keep)
        finally:
            self._offload.run(file.drop)
        return size


def _too_large() -> ChatSecError:
    return ChatSecError("too_large", f"an attachment has at most {MAX_ATTACHMENT} bytes")
