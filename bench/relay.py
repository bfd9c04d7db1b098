"""Server CPU per delivered durable message, beside the ceilings with the same bytes.

All get the same sealed envelopes from the same load generator, in turns, in one run: what else the machine does hits
all. Each starts anew for each turn; Chat-Sec on a copy of one prepared store. Fails where a message was lost or altered.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from bench.load import Client
from bench.measure import cost_of_load
from bench.processes import ceiling, chat_sec, cpu_seconds
from bench.report import Figures, Report, in_turns, median, options, ratio, scratch, show
from bench.workload import Api, make_work

MAX_CPU_MS, MAX_RATIO = 0.18, 1.35
COLUMNS = {
    "cpu_ms": ".3f",
    "deliveries_per_second": ".0f",
    "ack_p50_ms": ".1f",
    "ack_p95_ms": ".1f",
    "delivery_p50_ms": ".1f",
    "delivery_p95_ms": ".1f",
    "load_cpu_ms": ".3f",
}


class Relay:
    """Groups with a chat each, whose first members send: the store they are in, and what is sent."""

    def __init__(
        self,
        folder: Path,
        groups: int,
        size: int,
        lanes: int,
        messages: int,
        warm: int,
        key_modes: Sequence[str] = ("server",),
    ) -> None:
        """So many groups of each key mode."""
        self._store, self._warm = folder, warm
        with chat_sec(folder) as (_, port):
            api = Api(f"http://127.0.0.1:{port}")
            made = {mode: make_work(api, groups, size, lanes, warm + messages, mode) for mode in key_modes}
        self.works, self.work = made, made[key_modes[0]]

    def chat_sec(self, folder: Path, key_mode: str = "server") -> Figures:
        shutil.copytree(self._store / "data", folder / "data")
        with chat_sec(folder) as (pid, port):
            clients = self.works[key_mode].clients(Api(f"http://127.0.0.1:{port}"))
            return self._measure(folder, pid, port, clients)

    def bare(self, folder: Path) -> Figures:
        with ceiling(folder, durable=False) as (pid, port):
            return self._measure(folder, pid, port, self.work.bare())

    def grouped(self, folder: Path) -> Figures:
        with ceiling(folder) as (pid, port):
            return self._measure(folder, pid, port, self.work.bare())

    def _measure(self, folder: Path, pid: int, port: int, clients: list[Client]) -> Figures:
        return cost_of_load(folder, port, clients, self._warm, {"cpu_ms": partial(cpu_seconds, pid)})


def main(arguments: Sequence[str] | None = None) -> int:
    chosen = options("relay", __doc__, pairs=20, lanes=8, messages=100, warm=10).parse_args(arguments)
    with ExitStack() as stack:
        folder = scratch(stack)
        relay = Relay(folder, chosen.pairs, 2, chosen.lanes, chosen.messages, chosen.warm)
        load = {"pairs": chosen.pairs, "lanes": chosen.lanes, "messages_of_a_lane": chosen.messages}
        report = Report(
            "server CPU per delivered durable message", load | {"envelope_bytes": relay.work.envelope_bytes()}
        )
        sides = {"bare": relay.bare, "grouped": relay.grouped, "chat_sec": relay.chat_sec}
        turns = in_turns(chosen.turns, sides, folder)
    bars = [
        ("CPU ms per message", median(turns["chat_sec"], "cpu_ms"), MAX_CPU_MS),
        ("ratio to the grouped ceiling", ratio(turns["chat_sec"], turns["grouped"], "cpu_ms"), MAX_RATIO),
    ]
    show(report.write(chosen.json, turns, bars), COLUMNS)
    return 0


if __name__ == "__main__":
    sys.exit(main())
