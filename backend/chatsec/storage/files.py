"""Attachments' ciphertext as files in `DATA_DIR/attachments`, named by ids that the server made.

Written under another name, fsynced, then moved in place, so that a file with its real name is whole. Readable by the
server's user alone. A name that is no lower-case UUID is `not_found` before it gets near a path; a failing disk is
`unavailable`. Everything here blocks: the domain calls it through `Offload`.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from chatsec.errors import ChatSecError

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
UNFINISHED = ".part"


class AttachmentFiles:
    """`CiphertextFiles` in a folder."""

    def __init__(self, data_dir: Path) -> None:
        self._folder = data_dir / "attachments"
        with _disk():
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def begin(self, attachment: str) -> FileUpload:
        with _disk():
            return FileUpload(self._path(attachment))

    def open(self, attachment: str) -> BinaryIO:
        with _disk():
            return self._path(attachment).open("rb")

    def remove(self, attachment: str) -> None:
        with _disk():
            self._path(attachment).unlink(missing_ok=True)

    def older_than(self, seconds: float) -> list[str]:
        return [path.name for path in self._old(seconds) if UUID.fullmatch(path.name)]

    def drop_unfinished(self, seconds: float) -> int:
        unfinished = [path for path in self._old(seconds) if path.suffix == UNFINISHED]
        with _disk():
            for path in unfinished:
                path.unlink(missing_ok=True)
        return len(unfinished)

    def _path(self, attachment: str) -> Path:
        if not UUID.fullmatch(attachment):
            raise ChatSecError("not_found")
        return self._folder / attachment

    def _old(self, seconds: float) -> list[Path]:
        latest = time.time() - seconds
        found = []
        with _disk(), os.scandir(self._folder) as entries:
            for entry in entries:
                with contextlib.suppress(FileNotFoundError):  # gone meanwhile
                    if entry.stat(follow_symlinks=False).st_mtime <= latest:
                        found.append(Path(entry.path))
        return found


class FileUpload:
    """`UploadFile`: a file that is not in its place yet."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._unfinished = path.with_name(path.name + UNFINISHED)
        handle = os.open(self._unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        self._file = os.fdopen(handle, "wb", buffering=0)

    def write(self, part: bytes) -> None:
        rest = memoryview(part)
        with _disk():
            while rest:
                rest = rest[self._file.write(rest) or 0 :]

    def keep(self) -> None:
        with _disk():
            os.fsync(self._file.fileno())
            self._file.close()
            self._unfinished.rename(self._path)
            # The name is durable only when its folder is.
            folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def drop(self) -> None:
        with _disk():
            self._file.close()
            self._unfinished.unlink(missing_ok=True)


@contextlib.contextmanager
def _disk() -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise ChatSecError("not_found") from error
    except OSError as error:
        raise ChatSecError("unavailable", "the disk does not do its work") from error
