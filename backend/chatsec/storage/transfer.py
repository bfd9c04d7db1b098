"""Moving a store: the one stream that backup, restore and migration are made of, so that their forms cannot drift.

A stream is a sequence of entries, each a name and bytes:

    attachments/<id>       an attachment's ciphertext, before its chat
    chats/<id>.ndjson      a line for the chat, then one for each of its items (`records`), by id of the chat
    accounts.ndjson        last: a line for each account with all its bundles, by username

Each adapter reads its store as a `Source` and fills it as a `Target`. `export` makes the stream; `take` fills a store
with one, then reads the whole store again and compares every entry. Envelopes and wraps pass through unchanged.

What is read while a server writes belongs together all the same: a chat ends at a head that is read first, and what its
items point to is read after it; accounts, to which everything points, come last. So all that was acknowledged before
the reading began is there, and of what came later some.

Not in a stream: sessions (everyone logs in again), and what only the server's settings hold (`SECRET_KEY`).
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Protocol

from chatsec.domain.models import Attachment
from chatsec.domain.ports import CiphertextFiles
from chatsec.errors import ChatSecError
from chatsec.storage import records
from chatsec.storage.records import Damaged, StoredAccount, StoredChat

PART = 256 * 1024  # bytes copied in one go
IN_MEMORY = 1 << 20  # bytes of an entry that are not worth a file
ACCOUNTS = "accounts.ndjson"
Note = Callable[[str], None]


class Readable(Protocol):
    """Bytes to be read once, in parts or by line."""

    def read(self, size: int, /) -> bytes: ...

    def __iter__(self) -> Iterator[bytes]: ...


class TransferError(Exception):
    """Why it is not done, for an operator."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A part of the stream; `file` stands at its beginning and is good until the next entry is asked for.

    `counts` says what it brings: accounts, chats, items, attachments.
    """

    name: str
    size: int
    sha256: str
    file: Readable
    counts: Mapping[str, int]


class Source(Protocol):
    """A store, for reading; also while a server uses it."""

    @property
    def files(self) -> CiphertextFiles: ...

    def chats(self) -> list[str]:
        """The ids of all chats, ascending."""

    def chat(self, chat: str) -> StoredChat | None:
        """None if there is no such chat (any more)."""

    def accounts(self) -> Iterator[StoredAccount]:
        """By username."""

    def close(self) -> None: ...


class Target(Protocol):
    """A store that is being filled and that no server may use until `finish`."""

    @property
    def files(self) -> CiphertextFiles: ...

    def done(self) -> Mapping[str, str]:
        """name → SHA-256 of the entries that an earlier run has brought in, if it can be gone on with."""

    def note(self, entry: Entry) -> None:
        """The entry is in."""

    def take_chat(self, chat: StoredChat) -> None:
        """Instead of what there is of this chat."""

    def take_accounts(self, accounts: Iterator[StoredAccount]) -> None:
        """Instead of all there are."""

    def drop_chat(self, chat: str) -> None: ...

    def source(self) -> Source:
        """The store as it is now."""

    def finish(self) -> None:
        """It is whole: servers may use it."""

    def close(self) -> None:
        """Without `finish` it is as empty as it was, or can be gone on with."""


# ---------------------------------------------------------------- out


def export(source: Source, scratch: Path, note: Note) -> Iterator[Entry]:
    """The stream of a store, made in the folder `scratch`. `note` is told of ciphertext that is not there."""
    for chat in source.chats():
        stored = source.chat(chat)
        if stored is None:
            continue
        kept: list[Attachment] = []
        for attachment in stored.attachments:
            with _made_in(scratch) as file:
                if _fetch(source, attachment, file):
                    kept.append(attachment)
                    yield _entry(ciphertext_name(attachment.id), file)
        with _made_in(scratch) as file:
            try:
                file.writelines(records.chat_lines(replace(stored, attachments=tuple(kept))))
            except ChatSecError as error:
                if error.code != "not_found":
                    raise
                continue  # erased meanwhile
            for gone in set(stored.attachments).difference(kept):
                note(f"left out: attachment {gone.id} of chat {chat}, whose ciphertext is gone")
            yield _entry(chat_name(chat), file, chats=1, items=stored.head.last_seq, attachments=len(kept))
    with _made_in(scratch) as file:
        count = 0
        for account in source.accounts():
            file.write(records.account_line(account))
            count += 1
        if count == 0:
            raise TransferError("the store holds no account: is it the right one?")
        yield _entry(ACCOUNTS, file, accounts=count)


def _fetch(source: Source, attachment: Attachment, into: IO[bytes]) -> bool:
    """Whether the ciphertext was there; that of an erased chat may go while it is read."""
    size = 0
    try:
        with closing(source.files.open(attachment.id)) as file:
            while part := file.read(size, PART):
                size += into.write(part)
    except ChatSecError as error:
        if error.code != "not_found":
            raise
        return False
    if size == attachment.size:
        return True
    if source.chat(attachment.chat) is None:
        return False
    raise Damaged(f"attachment {attachment.id} has {size} bytes instead of {attachment.size}")


def _made_in(scratch: Path) -> tempfile.SpooledTemporaryFile[bytes]:
    return tempfile.SpooledTemporaryFile(IN_MEMORY, "w+b", dir=str(scratch))


def _entry(name: str, file: IO[bytes], **counts: int) -> Entry:
    file.seek(0)
    digest = hashlib.sha256()
    size = copy(file, digest.update)
    file.seek(0)
    return Entry(name, size, digest.hexdigest(), file, counts)


def copy(file: Readable, write: Callable[[bytes], object]) -> int:
    """All that `file` has left; answers how many bytes."""
    size = 0
    while part := file.read(PART):
        size += len(part)
        write(part)
    return size


# ---------------------------------------------------------------- in


def take(entries: Iterable[Entry], target: Target, scratch: Path, note: Note) -> Counter[str]:
    """Fills `target` with a stream and compares; answers what it holds. Begun before, it goes on where that ended."""
    done, sums, counts = target.done(), dict[str, str](), Counter[str]()
    target.files.drop_unfinished(0)
    for entry in entries:
        if done.get(entry.name) != entry.sha256:
            _take(entry, target)
            target.note(entry)
        sums[entry.name] = entry.sha256
        counts.update(entry.counts)
    _compare(sums, target, scratch, note)
    target.finish()
    return counts


def _take(entry: Entry, target: Target) -> None:
    kind, _, rest = entry.name.partition("/")
    if kind == "chats":
        target.take_chat(records.read_chat(iter(entry.file)))
    elif kind == "attachments":
        target.files.remove(rest)
        upload = target.files.begin(rest)
        try:
            copy(entry.file, upload.write)
            upload.keep()
        finally:
            upload.drop()
    else:
        target.take_accounts(map(records.read_account, entry.file))


def _compare(sums: Mapping[str, str], target: Target, scratch: Path, note: Note) -> None:
    """Reads the store again: every entry must be as it was sent. What is in no entry, an earlier run left: it goes."""
    left = dict(sums)
    with closing(target.source()) as source:
        for chat in source.chats():
            if chat_name(chat) not in left:
                target.drop_chat(chat)
        for entry in export(source, scratch, note):
            if left.pop(entry.name, None) != entry.sha256:
                raise TransferError(f"{entry.name} is not as it was sent; run it again")
    unnamed = {name for name in left if name.startswith("attachments/")}  # their chat was erased meanwhile
    if missing := left.keys() - unnamed:
        raise TransferError(f"{min(missing)} did not arrive; run it again")
    named = sums.keys() - unnamed
    for attachment in list(target.files.older_than(0)):
        if ciphertext_name(attachment) not in named:
            target.files.remove(attachment)


def chat_name(chat: str) -> str:
    return f"chats/{chat}.ndjson"


def ciphertext_name(attachment: str) -> str:
    return f"attachments/{attachment}"


def sync_folder(folder: Path) -> None:
    """A name is durable only when its folder is."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
