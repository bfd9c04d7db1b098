"""`python -m chatsec`: what operators do with a store: back it up, restore it, move it from SQLite to MongoDB.

Where the store is, is said by MONGO_URI and DATA_DIR, in the environment or `.env`, as for the server. Needs no SECRET_KEY,
no loop and no running server. Ends with 0 when it is done, 1 when it is not, 2 when it was asked wrongly; says why in one
line.
"""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path

from chatsec import __version__, storage
from chatsec.config import BadSettings, Settings, environment, from_env
from chatsec.domain.models import timestamp
from chatsec.errors import ChatSecError
from chatsec.storage.archive import Archive, write
from chatsec.storage.records import Damaged
from chatsec.storage.transfer import Entry, Target, TransferError, export, take

PROGRESS = 5.0  # seconds between two lines that say how far it is
NO_SECRET = "no token is made or read here"  # what stands for SECRET_KEY, which is not asked for
ABOUT = """\
Back up, restore or move everything that a Chat-Sec server keeps.

Settings come from the environment and .env, as for the server: with MONGO_URI the store is that database, else the
embedded one in DATA_DIR. SECRET_KEY is neither needed nor part of a backup."""
BACKUP = """\
Writes all accounts, keys, chats, messages and attachments into FILE, also while the server runs. Everything that was
acknowledged before is in it. FILE is replaced when the new one is whole.

Sessions are not in it: after a restore everyone logs in again, with the same password. SECRET_KEY is not in it: keep it
apart, or have the server make or get another. FILE is a .tar.gz that only its owner can read; it holds password hashes
and who talks with whom, though no message's text: keep it encrypted."""
RESTORE = """\
Checks FILE, fills an empty store with it and compares every entry. Stop the server first. An embedded store is there
when it is whole, or not at all; a database that is half filled is refused by servers, until the same command has come to
its end. Messages that were sent after the backup are gone: clients that had them say so (server_rollback)."""
MIGRATE = """\
Copies the embedded store in the folder PATH into the empty database at URI, attachments too, and compares every entry.
Stop the server first. If it is interrupted, run it again: it goes on where it was. The embedded store stays as it is.

`sqlite:` alone takes DATA_DIR, `mongodb:` alone MONGO_URI, so that no password stands in a list of processes. Sessions do
not come along: everyone logs in again, with the same password."""


class Misused(Exception):
    """What was asked for makes no sense."""


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    logging.basicConfig(format="chatsec: %(message)s", level=logging.WARNING)
    try:
        options.run(options, from_env(environment() | {"SECRET_KEY": NO_SECRET * 2}))
    except (BadSettings, Misused) as error:
        _say(str(error))
        return 2
    except (TransferError, Damaged) as error:
        _say(str(error))
        return 1
    except ChatSecError as error:
        _say(error.detail)
        return 1
    except OSError as error:
        _say(f"{error.filename or options.command}: {(error.strerror or str(error)).lower()}")
        return 1
    except KeyboardInterrupt:
        _say("stopped before its end")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m chatsec", description=ABOUT, formatter_class=_Text)
    parser.add_argument("--version", action="version", version=f"chatsec {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", dest="command", required=True)
    backup = commands.add_parser(
        "backup", help="everything into a file", description=BACKUP, formatter_class=_Text
    )
    backup.add_argument("file", metavar="FILE", type=Path)
    backup.set_defaults(run=_backup)
    restore = commands.add_parser(
        "restore", help="a backup into an empty store", description=RESTORE, formatter_class=_Text
    )
    restore.add_argument("file", metavar="FILE", type=Path)
    restore.set_defaults(run=_restore)
    migrate = commands.add_parser(
        "migrate", help="the embedded store into a MongoDB", description=MIGRATE, formatter_class=_Text
    )
    migrate.add_argument("source", metavar="sqlite:PATH")
    migrate.add_argument("target", metavar="mongodb:URI", help="mongodb://… or mongodb+srv://…")
    migrate.set_defaults(run=_migrate)
    return parser


class _Text(argparse.RawDescriptionHelpFormatter):
    """Help as it is written above."""


def _backup(options: argparse.Namespace, settings: Settings) -> None:
    path: Path = options.file.absolute()
    kind = "mongodb" if settings.mongo_uri else "sqlite"
    at = timestamp(time.time_ns() // 1_000_000)
    with closing(storage.open_source(settings.data_dir, settings.mongo_uri)) as source:
        counts = write(path, _watched(export(source, path.parent, _say)), kind, at)
    _say(f"saved {_told(counts)} in {options.file}")


def _restore(options: argparse.Namespace, settings: Settings) -> None:
    with closing(Archive(options.file)) as archive:
        archive.check()
        with closing(storage.open_target(settings.data_dir, settings.mongo_uri)) as target:
            counts = _fill(target, archive.entries(), settings)
    _say(f"restored {_told(counts)}; everyone logs in again")


def _migrate(options: argparse.Namespace, settings: Settings) -> None:
    folder, uri = _folder(options.source, settings), _uri(options.target, settings)
    with (
        closing(storage.open_source(folder, "", alone=True)) as source,
        closing(storage.open_target(folder, uri)) as target,
    ):
        counts = _fill(target, export(source, settings.data_dir, _say), settings)
    _say(f"moved {_told(counts)}; start the server with MONGO_URI, everyone logs in again")


def _fill(target: Target, entries: Iterable[Entry], settings: Settings) -> Counter[str]:
    return take(_watched(entries), target, settings.data_dir, _say)


def _folder(text: str, settings: Settings) -> Path:
    if not text.startswith("sqlite:"):
        raise Misused(f"{text}: only sqlite:PATH can be moved from")
    path = Path(text.removeprefix("sqlite:") or settings.data_dir).expanduser()
    return path.parent if path.is_file() else path


def _uri(text: str, settings: Settings) -> str:
    given = text if "://" in text else settings.mongo_uri if text == "mongodb:" else ""
    if not given.startswith(("mongodb://", "mongodb+srv://")):
        raise Misused("only mongodb://…, or mongodb: with MONGO_URI, can be moved to")
    return given


def _watched(entries: Iterable[Entry]) -> Iterator[Entry]:
    """Says now and then how far it is."""
    counts, told = Counter[str](), time.monotonic()
    for entry in entries:
        yield entry
        counts.update(entry.counts)
        if time.monotonic() - told > PROGRESS:
            told = time.monotonic()
            _say(f"{_told(counts)} so far")


def _told(counts: Mapping[str, int]) -> str:
    kinds = ("accounts", "chats", "items", "attachments")
    return ", ".join(f"{counts.get(kind, 0)} {kind}" for kind in kinds)


def _say(text: str) -> None:
    for line in text.splitlines():
        sys.stderr.write(f"chatsec: {line}\n")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # tidies up, as after Ctrl-C
    sys.exit(main())
