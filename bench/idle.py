"""Memory of a connection that does nothing: connected to /chat, presence on, pings answered; beside the bare relay.

Everyone has an account and a session of their own. Each turn starts anew on a copy of one prepared store; a few
connections come and go before the first look, so that what is loaded once is counted for nobody.
"""

from __future__ import annotations

import selectors
import shutil
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from bench.load import Connection, Wrong
from bench.processes import ceiling, chat_sec, cpu_seconds, pss_kib
from bench.report import Figures, Report, in_turns, median, options, scratch, show
from bench.workload import Api

MAX_KIB = 90.0
FIRST = 20  # connections that come and go before
COLUMNS = {"kib_per_connection": ".1f", "process_mib": ".0f", "cpu_us_per_second": ".0f", "connect_ms": ".2f"}


class Idle:
    def __init__(self, folder: Path, connections: int, settle: float) -> None:
        self._store, self._settle = folder, settle
        with chat_sec(folder) as (_, port):
            api = Api(f"http://127.0.0.1:{port}")
            self._tokens = [api.register(f"user{number}") for number in range(connections)]

    def chat_sec(self, folder: Path) -> Figures:
        shutil.copytree(self._store / "data", folder / "data")
        with chat_sec(folder) as (pid, port):
            return self._measure(pid, port, self._tokens)

    def bare(self, folder: Path) -> Figures:
        with ceiling(folder, durable=False) as (pid, port):
            return self._measure(pid, port, [f"user{number}" for number in range(len(self._tokens))])

    def _measure(self, pid: int, port: int, tokens: Sequence[str]) -> Figures:
        with ExitStack() as first:
            hold(connect(first, port, tokens[:FIRST]), min(1.0, self._settle))
        time.sleep(min(1.0, self._settle))
        memory, cpu = pss_kib(pid), cpu_seconds(pid)
        with ExitStack() as stack:
            open_ones = connect(stack, port, tokens)
            connected = cpu_seconds(pid)
            hold(open_ones, self._settle)
            grown, idled = pss_kib(pid) - memory, cpu_seconds(pid) - connected
        return {
            "kib_per_connection": grown / len(tokens),
            "process_mib": (memory + grown) / 1024,
            "cpu_us_per_second": idled * 1e6 / len(tokens) / self._settle,
            "connect_ms": (connected - cpu) * 1000 / len(tokens),
        }


def connect(stack: ExitStack, port: int, tokens: Sequence[str]) -> list[Connection]:
    """Open connections, closed with the stack."""
    made = []
    for token in tokens:
        connection = Connection("127.0.0.1", port, token)
        stack.callback(connection.socket.close)
        made.append(connection)
    return made


def hold(connections: Sequence[Connection], seconds: float) -> None:
    """Answers pings meanwhile; Wrong if a connection is lost."""
    with selectors.DefaultSelector() as selector:
        for connection in connections:
            selector.register(connection.socket, selectors.EVENT_READ, connection)
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            for key, _ in selector.select(left):
                key.data.receive()


def main(arguments: Sequence[str] | None = None) -> int:
    chosen = options("idle", __doc__, connections=1000, settle=35.0).parse_args(arguments)
    with ExitStack() as stack:
        folder = scratch(stack)
        idle = Idle(folder, chosen.connections, chosen.settle)
        report = Report(
            "server memory (Pss) of an idle connection",
            {"connections": chosen.connections, "settled_seconds": chosen.settle},
        )
        turns = in_turns(chosen.turns, {"bare": idle.bare, "chat_sec": idle.chat_sec}, folder)
    bars = [("KiB per connection", median(turns["chat_sec"], "kib_per_connection"), MAX_KIB)]
    show(report.write(chosen.json, turns, bars), COLUMNS)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Wrong as error:
        sys.exit(f"idle: {error}")
