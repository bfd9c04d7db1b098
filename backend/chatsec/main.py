"""The command that starts the server: `python app.py` in the repository, `chatsec-server` when installed.

Reads the flags, which stand over the environment, and hands on: to one worker in this process, or to the supervisor of
several. Which of the two is imported only then: a worker patches the standard library first, a supervisor must not.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from chatsec import __version__

MAX_WORKERS = 64


def main(arguments: Sequence[str] | None = None) -> int:
    """Serves until told to stop; 2 if it cannot start for its settings, 1 if for the store or the port."""
    options = _parser().parse_args(arguments)
    flags = {"HOST": options.host, "PORT": options.port, "DATA_DIR": options.data_dir}
    given = {name: value for name, value in flags.items() if value is not None}
    if options.workers == 1:
        from chatsec import worker

        return worker.run(given)
    from chatsec import supervisor

    return supervisor.run(given, options.workers)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="The Chat-Sec server: page, REST and Socket.IO. Settings come from the environment and .env."
    )
    parser.add_argument("--host", metavar="ADDRESS", help="where to listen (HOST, 127.0.0.1)")
    parser.add_argument("--port", metavar="NUMBER", help="the port, or the first of several (PORT, 5001)")
    parser.add_argument("--data-dir", metavar="FOLDER", help="database, attachments and secret (DATA_DIR)")
    parser.add_argument(
        "--workers",
        metavar="NUMBER",
        type=int,
        choices=range(1, MAX_WORKERS + 1),
        default=1,
        help="processes on consecutive ports; above 1 with MONGO_URI and REDIS_URL (1)",
    )
    parser.add_argument("--version", action="version", version=f"chatsec {__version__}")
    return parser
