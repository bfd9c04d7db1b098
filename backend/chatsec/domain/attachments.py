"""Attachments: ciphertext that members put beside a chat, taken in and given out as a stream (protocol §5, end).

    AttachmentService(chats=…, attachments=…, files=…, clock=…)

Only members may, at the time of asking; to everyone else a chat and its attachments are `not_found`. Over 100 MiB is
`too_large`, said before the rest is read. Ids are made here and nothing that a client sends becomes part of a path. A
file is in place and durable before the store knows it, so what was answered is there; what the store does not know is
an orphan (a crash, someone removed during the upload, an erased chat) and is swept.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterable, Iterator
from itertools import islice

from chatsec.domain.models import Attachment
from chatsec.domain.ports import AttachmentStore, ChatStore, CiphertextFiles, Clock, Offload, StoredFile
from chatsec.errors import ChatSecError, invalid

MAX_ATTACHMENT = 100 * 1024 * 1024
PART = 256 * 1024  # bytes read or written in one go
SWEEP_PAUSE = 3600.0
GROUP = 500  # files asked for at once

logger = logging.getLogger(__name__)


class Download:
    """An attachment that is open for reading; whoever gets one closes it."""

    def __init__(self, attachment: Attachment, file: StoredFile) -> None:
        self.attachment = attachment
        self._file = file

    def parts(self, start: int, stop: int) -> Iterator[bytes]:
        """The bytes start … stop − 1."""
        while start < stop:
            part = self._file.read(start, min(PART, stop - start))
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
        clock: Clock,
    ) -> None:
        self._chats = chats
        self._attachments = attachments
        self._files = files
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
            self._files.remove(attachment)
            raise
        return stored

    def open(self, username: str, chat: str, attachment: str) -> Download:
        """`not_found` unless the attachment is of that chat and the caller is in it now."""
        self._require_member(username, chat)
        found = self._attachments.get(chat, attachment)
        if found is None:
            raise ChatSecError("not_found")
        return Download(found, self._files.open(found.id))

    def forget(self, attachments: Iterable[str]) -> None:
        """The files of an erased chat go at once."""
        for attachment in attachments:
            self._files.remove(attachment)

    def sweep(self, age: float = SWEEP_PAUSE) -> int:
        """Removes orphans and unfinished uploads that are older than `age` seconds; answers how many.

        Younger ones may be on their way in, here or through another worker.
        """
        swept = self._files.drop_unfinished(age)
        files = self._files.older_than(age)
        while group := list(islice(files, GROUP)):
            orphans = set(group) - self._attachments.known(group)
            self.forget(orphans)
            swept += len(orphans)
        return swept

    def sweep_hourly(self, offload: Offload) -> None:
        """For ever; to be started beside."""
        while True:
            try:
                self.sweep()
            except ChatSecError as error:
                logger.warning("attachments cannot be swept: %s", error)
            offload.sleep(SWEEP_PAUSE)

    def _require_member(self, username: str, chat: str) -> None:
        head = self._chats.head(chat)
        if head is None or username not in head.members:
            raise ChatSecError("not_found")

    def _write(self, attachment: str, parts: Iterable[bytes]) -> int:
        file = self._files.begin(attachment)
        size = 0
        try:
            for part in parts:
                size += len(part)
                if size > MAX_ATTACHMENT:
                    raise _too_large()
                file.write(part)
            if size == 0:
                raise invalid("body", "must not be empty")
            file.keep()
        finally:
            file.drop()
        return size


def _too_large() -> ChatSecError:
    return ChatSecError("too_large", f"an attachment has at most {MAX_ATTACHMENT} bytes")
