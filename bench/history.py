"""Server CPU to read a history of 1,000 messages in pages of 200, as a client does; beside a bare server with the same bytes.

The bare one has one query and one join for a page, no token, no membership, no epochs. Every read is compared with what
was sent.
"""

from __future__ import annotations

import http.client
import shutil
import statistics
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path

import orjson

from bench.load import FIELDS, Envelope, Wrong
from bench.measure import run_load
from bench.processes import ceiling, chat_sec, cpu_seconds
from bench.report import Figures, Report, in_turns, median, options, ratio, scratch, show
from bench.workload import Api, make_work

MAX_CPU_MS = 25.0
PAGE = 200
LANES = 10
COLUMNS = {"cpu_ms": ".1f", "read_p50_ms": ".1f", "read_p95_ms": ".1f", "mib_per_second": ".0f"}


class Reader:
    """Reads one chat's messages, which begin above seq `start`, over one connection that is kept."""

    def __init__(self, port: int, path: str, token: str, start: int, sent: Sequence[Envelope]) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._path, self._start = path, start
        self._headers = {"Authorization": f"Bearer {token}"}
        self._sent = {envelope["signature"]: envelope for envelope in sent}

    def measure(self, pid: int, reads: int) -> Figures:
        with closing(self._connection):
            self._read()
            before = cpu_seconds(pid)
            found = [self._read() for _ in range(reads)]
            used = cpu_seconds(pid) - before
        took = [seconds for seconds, _ in found]
        cuts = statistics.quantiles(took, n=100)
        return {
            "cpu_ms": used * 1000 / reads,
            "read_p50_ms": cuts[49] * 1000,
            "read_p95_ms": cuts[94] * 1000,
            "mib_per_second": sum(size for _, size in found) / sum(took) / 2**20,
        }

    def _read(self) -> tuple[float, int]:
        """Seconds that the answers took, and their bytes; Wrong unless they hold just what was sent."""
        at, last = self._start, self._start + len(self._sent)
        seconds, size = 0.0, 0
        while at < last:
            began = time.perf_counter()
            self._connection.request("GET", f"{self._path}?after={at}&limit={PAGE}", headers=self._headers)
            answer = self._connection.getresponse()
            body = answer.read()
            seconds += time.perf_counter() - began
            size += len(body)
            if answer.status != 200:
                raise Wrong(f"{answer.status}: {body[:200]!r}")
            for item in orjson.loads(body)["items"]:
                at += 1
                sent = self._sent.get(item["signature"])
                if item["seq"] != at or sent is None or any(item[name] != sent[name] for name in FIELDS):
                    raise Wrong(f"item {at} is not one that was sent")
        return seconds, size


class History:
    """One chat with messages; each turn sends them to a new server, and reads."""

    def __init__(self, folder: Path, messages: int, reads: int) -> None:
        self._store, self._reads = folder, reads
        with chat_sec(folder) as (_, port):
            self._work = make_work(Api(f"http://127.0.0.1:{port}"), 1, 2, LANES, messages // LANES)
        self._chat = self._work.groups[0].chat
        self._sent = [envelope for lane in self._work.lanes[0] for envelope in lane]

    def chat_sec(self, folder: Path) -> Figures:
        shutil.copytree(self._store / "data", folder / "data")
        with chat_sec(folder) as (pid, port):
            clients = self._work.clients(Api(f"http://127.0.0.1:{port}"))
            run_load(folder, port, clients, 1)
            path = f"/api/v1/chats/{self._chat}/messages"
            return Reader(port, path, clients[0]["token"], 1, self._sent).measure(pid, self._reads)

    def bare(self, folder: Path) -> Figures:
        with ceiling(folder) as (pid, port):
            run_load(folder, port, self._work.bare(), 1)
            return Reader(port, f"/history/{self._chat}", "", 0, self._sent).measure(pid, self._reads)


def main(arguments: Sequence[str] | None = None) -> int:
    chosen = options("history", __doc__, messages=1000, reads=50).parse_args(arguments)
    with ExitStack() as stack:
        folder = scratch(stack)
        history = History(folder, chosen.messages, chosen.reads)
        report = Report(
            "server CPU to read a whole history",
            {"messages": chosen.messages, "page": PAGE, "reads_a_turn": chosen.reads},
        )
        turns = in_turns(chosen.turns, {"bare": history.bare, "chat_sec": history.chat_sec}, folder)
    bars = [("CPU ms for the whole", median(turns["chat_sec"], "cpu_ms"), MAX_CPU_MS)]
    show(report.write(chosen.json, turns, bars), COLUMNS)
    print(f"ratio to the bare server: {ratio(turns['chat_sec'], turns['bare'], 'cpu_ms'):.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
