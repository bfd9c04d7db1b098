"""Attachments' ciphertext in memory, each step of which another handle may come between."""

from __future__ import annotations

import time
from collections.abc import Iterator

from chatsec.errors import ChatSecError
from chatsec.storage.memory.data import Handle, StoredBytes


class MemoryFiles:
    """`CiphertextFiles`."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle

    def begin(self, attachment: str) -> MemoryUpload:
        with self._handle.step() as data:
            data.files[attachment] = StoredBytes(time.time())
        return MemoryUpload(self._handle, attachment)

    def open(self, attachment: str) -> MemoryFile:
        with self._handle.step() as data:
            found = data.files.get(attachment)
        if found is None or not found.kept:
            raise ChatSecError("not_found")
        return MemoryFile(self._handle, found)

    def remove(self, attachment: str) -> None:
        with self._handle.step() as data:
            data.files.pop(attachment, None)

    def older_than(self, seconds: float) -> Iterator[str]:
        yield from self._old(seconds, kept=True)

    def drop_unfinished(self, seconds: float) -> int:
        unfinished = self._old(seconds, kept=False)
        for attachment in unfinished:
            self.remove(attachment)
        return len(unfinished)

    def _old(self, seconds: float, kept: bool) -> list[str]:
        latest = time.time() - seconds
        with self._handle.step() as data:
            return [name for name, file in data.files.items() if file.kept == kept and file.at <= latest]


class MemoryUpload:
    """`UploadFile`."""

    def __init__(self, handle: Handle, attachment: str) -> None:
        self._handle = handle
        self._attachment = attachment
        self._kept = False

    def write(self, part: bytes) -> None:
        self._change(part, kept=False)

    def keep(self) -> None:
        self._change(b"", kept=True)
        self._kept = True

    def drop(self) -> None:
        if not self._kept:
            with self._handle.step() as data:
                data.files.pop(self._attachment, None)

    def _change(self, part: bytes, kept: bool) -> None:
        with self._handle.step() as data:
            file = data.files.get(self._attachment)
            if file is None:
                raise ChatSecError("unavailable", "the upload was swept")
            file.at, file.parts, file.kept = time.time(), file.parts + part, kept


class MemoryFile:
    """`StoredFile`."""

    def __init__(self, handle: Handle, file: StoredBytes) -> None:
        self._handle = handle
        self._file = file

    def read(self, start: int, size: int) -> bytes:
        with self._handle.step():
            return self._file.parts[start : start + size]

    def close(self) -> None:
        """Nothing is open."""
