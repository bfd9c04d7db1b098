"""A backup: a store's stream (`transfer`) in one file, which is a `.tar.gz` that any `tar tzf` shows.

    backup.json    first: {"format": "chatsec-backup", "version": 2, "product", "store", "at"}
    …              the stream's entries
    end.json       last: {"accounts", "chats", "items", "attachments", "sha256"}

`sha256` is over the lines that `sha256sum` prints for the entries before it, in their order. The file is written beside
its place with mode 0600, and moved there when it is whole and on the disk. Version 1 had no `combined` chats, and is read
as well. Reading refuses what is cut, altered, foreign
or of a newer version, and `check` does so for the whole file before anything of it is used. Nothing is signed: who can
write the file can make another good one. It holds password hashes: it is to be kept encrypted.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import re
import tarfile
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import orjson

from chatsec import __version__
from chatsec.domain.models import Json
from chatsec.storage import records
from chatsec.storage.transfer import (
    ACCOUNTS,
    PART,
    Entry,
    Readable,
    TransferError,
    chat_name,
    copy,
    sync_folder,
)

FORMAT, VERSION = "chatsec-backup", 2
FIRST, LAST = "backup.json", "end.json"
KINDS = ("accounts", "chats", "items", "attachments")
LEVEL = 1  # of compression: base64 loses its quarter at once, and ciphertext nothing ever
SMALL = 64 * 1024  # bytes that the first and last entry have at most
UUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
NAME = re.compile(rf"attachments/{UUID}|chats/{UUID}\.ndjson|accounts\.ndjson")
BROKEN = (tarfile.TarError, EOFError, gzip.BadGzipFile, zlib.error)


def write(path: Path, entries: Iterable[Entry], store: str, at: str) -> Counter[str]:
    """Makes the file, in place of one that is there; answers what is in it."""
    unfinished = path.with_name(path.name + ".part")
    unfinished.unlink(missing_ok=True)
    try:
        handle = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as raw:
            with gzip.GzipFile("", "wb", LEVEL, raw, mtime=0) as file:
                counts = _write(file, entries, {"product": __version__, "store": store, "at": at})
            raw.flush()
            os.fsync(raw.fileno())
        unfinished.rename(path)
        sync_folder(path.parent)
    finally:
        unfinished.unlink(missing_ok=True)
    return counts


def _write(file: gzip.GzipFile, entries: Iterable[Entry], about: Json) -> Counter[str]:
    counts, sums = Counter(dict.fromkeys(KINDS, 0)), hashlib.sha256()
    _put_json(file, FIRST, {"format": FORMAT, "version": VERSION, **about}, sums)
    for entry in entries:
        _put(file, entry.name, entry.size, entry.file)
        sums.update(_sum_line(entry.sha256, entry.name))
        counts.update(entry.counts)
    _put_json(file, LAST, counts | {"sha256": sums.hexdigest()}, sums)
    file.write(bytes(2 * tarfile.BLOCKSIZE))
    return counts


def _put_json(file: gzip.GzipFile, name: str, content: Json, sums: Any) -> None:
    data = orjson.dumps(content) + b"\n"
    _put(file, name, len(data), io.BytesIO(data))
    sums.update(_sum_line(hashlib.sha256(data).hexdigest(), name))


def _put(file: gzip.GzipFile, name: str, size: int, content: Readable) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o600
    file.write(info.tobuf(tarfile.PAX_FORMAT))
    copy(content, file.write)
    file.write(bytes(-size % tarfile.BLOCKSIZE))


def _sum_line(sha256: str, name: str) -> bytes:
    return f"{sha256}  {name}\n".encode()


class Archive:
    """A backup, open for reading: `check` it before anything is done with its `entries`."""

    def __init__(self, path: Path) -> None:
        """`TransferError` if it is no backup, or of a version that is not known here."""
        self._raw = path.open("rb")
        self._checked: dict[str, tuple[str, Mapping[str, int]]] = {}  # SHA-256, counts
        try:
            self.header = self._read_header(path)
        except BaseException:
            self._raw.close()
            raise

    def _read_header(self, path: Path) -> Json:
        try:
            header = next((_read_json(part) for name, part in self._parts() if name == FIRST), {})
        except TransferError:
            header = {}
        if header.get("format") != FORMAT or not isinstance(header.get("version"), int):
            raise TransferError(f"{path} is no backup of Chat-Sec, or not whole")
        if header["version"] > VERSION:
            raise TransferError(
                f"{path} was made by a newer Chat-Sec, {header.get('product')}; restore it with that"
            )
        return header

    def close(self) -> None:
        self._raw.close()

    def check(self) -> None:
        """Reads all of it; `TransferError` or `Damaged` unless it is whole, unaltered and of its form."""
        counts, sums, end = Counter(dict.fromkeys(KINDS, 0)), hashlib.sha256(), None
        for name, part in self._parts():
            if end is not None or name in self._checked:
                raise TransferError("the backup goes on where it must not")
            if name == LAST:
                end = _read_json(part)
                continue
            found = {} if name == FIRST else _judge(name, part)
            counts.update(found)
            copy(part, len)
            self._checked[name] = part.sha256, found
            sums.update(_sum_line(part.sha256, name))
        if end is None or ACCOUNTS not in self._checked:
            raise TransferError("the backup is cut off")
        if end != counts | {"sha256": sums.hexdigest()}:
            raise TransferError("the backup was altered")

    def entries(self) -> Iterator[Entry]:
        """The stream, as it was checked."""
        for name, part in self._parts():
            if name in (FIRST, LAST):
                continue
            sha256, counts = self._checked.get(name, ("", {}))
            if sha256:
                yield Entry(name, part.size, sha256, part, counts)
                copy(part, len)
            if part.sha256 != sha256:
                raise TransferError("the backup was altered while it was read")

    def _parts(self) -> Iterator[tuple[str, _Part]]:
        """What is in the file, from its beginning; each is good until the next."""
        self._raw.seek(0)
        with (
            _reading(),
            gzip.GzipFile(fileobj=self._raw) as file,
            tarfile.open(fileobj=file, mode="r|") as tar,
        ):
            while (info := tar.next()) is not None:
                content = tar.extractfile(info)
                if content is None:
                    raise TransferError("the backup holds what is no file")
                yield info.name, _Part(content, info.size)
                tar.members = []  # type: ignore[attr-defined]  # it would keep all of them
            while file.read(PART):  # up to the checksum at its end
                pass


class _Part:
    """`Readable`: a file in the archive, hashed while it is read."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self.size = size
        self._file = file
        self._digest = hashlib.sha256()

    @property
    def sha256(self) -> str:
        """Of what was read so far."""
        return self._digest.hexdigest()

    def read(self, size: int, /) -> bytes:
        with _reading():
            data = self._file.read(size)
        self._digest.update(data)
        return data

    def __iter__(self) -> Iterator[bytes]:
        while True:
            with _reading():
                line = self._file.readline()
            if not line:
                return
            self._digest.update(line)
            yield line


@contextmanager
def _reading() -> Iterator[None]:
    try:
        yield
    except BROKEN as error:
        raise TransferError("the backup is cut off or altered") from error


def _read_json(part: _Part) -> Json:
    try:
        content = orjson.loads(part.read(SMALL))
    except ValueError as error:
        raise TransferError("the backup is not of its form") from error
    return content if isinstance(content, dict) else {}


def _judge(name: str, part: _Part) -> dict[str, int]:
    """Reads an entry for its form; what it brings."""
    if not NAME.fullmatch(name):
        raise TransferError("the backup holds what does not belong there")
    if name == ACCOUNTS:
        return {"accounts": sum(1 for _ in map(records.read_account, part))}
    if not name.startswith("chats/"):
        return {}
    chat = records.read_chat(iter(part))
    if chat_name(chat.head.chat) != name:
        raise TransferError(f"{name} holds another chat")
    return {"chats": 1, "items": sum(1 for _ in chat.items), "attachments": len(chat.attachments)}
