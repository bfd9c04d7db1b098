"""Attachments' ciphertext as files in a folder, named by ids that the server made.

Written under another name, fsynced, then moved in place, so that a file with its real name is whole. Readable by the
server's user alone. A name that is no lower-case UUID is `not_found` before it gets near a path; a failing disk is
`unavailable`. What blocks is done on other threads.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from chatsec.domain.ports import Offload
from chatsec.errors import ChatSecError

T = TypeVar("T")
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
UNFINISHED = ".part"


class DiskFiles:
    """`CiphertextFiles`."""

    def __init__(self, folder: Path, offload: Offload) -> None:
        self._folder = folder
        self._disk = Disk(offload)
        with _failures():
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def begin(self, attachment: str) -> DiskUpload:
        return self._disk(DiskUpload, self._path(attachment), self._disk)

    def open(self, attachment: str) -> DiskFile:
        return self._disk(DiskFile, self._path(attachment), self._disk)

    def remove(self, attachment: str) -> None:
        self._disk(self._path(attachment).unlink, True)

    def older_than(self, seconds: float) -> Iterator[str]:
        yield from filter(UUID.fullmatch, self._disk(self._old, seconds))

    def drop_unfinished(self, seconds: float) -> int:
        unfinished = [name for name in self._disk(self._old, seconds) if name.endswith(UNFINISHED)]
        for name in unfinished:
            self._disk((self._folder / name).unlink, True)
        return len(unfinished)

    def _path(self, attachment: str) -> Path:
        if not UUID.fullmatch(attachment):
            raise ChatSecError("not_found")
        return self._folder / attachment

    def _old(self, seconds: float) -> list[str]:
        latest = time.time() - seconds
        found = []
        with os.scandir(self._folder) as entries:
            for entry in entries:
                with contextlib.suppress(FileNotFoundError):  # gone meanwhile
                    if entry.stat(follow_symlinks=False).st_mtime <= latest:
                        found.append(entry.name)
        return found


class Disk:
    """Calls what blocks, on another thread."""

    def __init__(self, offload: Offload) -> None:
        self._offload = offload

    def __call__(self, function: Callable[..., T], *args: Any) -> T:
        with _failures():
            return self._offload.run(function, *args)


class DiskUpload:
    """`UploadFile`: a file that is not in its place yet. To be made on another thread."""

    def __init__(self, path: Path, disk: Disk) -> None:
        self._path = path
        self._disk = disk
        self._unfinished = path.with_name(path.name + UNFINISHED)
        handle = os.open(self._unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        self._file = os.fdopen(handle, "wb", buffering=0)

    def write(self, part: bytes) -> None:
        self._disk(self._write, part)

    def keep(self) -> None:
        self._disk(self._keep)

    def drop(self) -> None:
        self._disk(self._drop)

    def _write(self, part: bytes) -> None:
        rest = memoryview(part)
        while rest:
            rest = rest[self._file.write(rest) or 0 :]

    def _keep(self) -> None:
        os.fsync(self._file.fileno())
        self._file.close()
        self._unfinished.rename(self._path)
        # The name is durable only when its folder is.
        folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _drop(self) -> None:
        self._file.close()
        self._unfinished.unlink(missing_ok=True)


class DiskFile:
    """`StoredFile`. To be made on another thread."""

    def __init__(self, path: Path, disk: Disk) -> None:
        self._disk = disk
        try:
            self._file = path.open("rb", buffering=0)
        except FileNotFoundError as error:
            raise ChatSecError("not_found") from error

    def read(self, start: int, size: int) -> bytes:
        return self._disk(os.pread, self._file.fileno(), size, start)

    def close(self) -> None:
        self._file.close()


@contextlib.contextmanager
def _failures() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ChatSecError("unavailable", "the disk does not do its work") from error
