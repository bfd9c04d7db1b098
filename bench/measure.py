"""One run of the load generator against a server, and what it cost that server: CPU beside throughput and latency."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import orjson

from bench.load import Client, Result
from bench.processes import ROOT
from bench.report import Figures


def run_load(
    folder: Path,
    port: int,
    clients: Sequence[Client],
    warm: int,
    *,
    every: float = 0.0,
    ordered: bool = True,
    on_warm: Callable[[], None] = lambda: None,
    on_done: Callable[[], None] = lambda: None,
) -> Result:
    """What `bench.load` found; `on_warm` and `on_done` are called around what is measured. RuntimeError if it was answered wrongly."""
    plan, result = folder / "plan.json", folder / "result.json"
    plan.write_bytes(
        orjson.dumps(
            {
                "host": "127.0.0.1",
                "port": port,
                "warm": warm,
                "every": every,
                "ordered": ordered,
                "clients": list(clients),
            }
        )
    )
    command = [sys.executable, "-m", "bench.load", str(plan), str(result)]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    ) as load:
        assert load.stdin and load.stdout
        if load.stdout.readline() != "warm\n":
            raise RuntimeError("the load failed before it was warm")
        on_warm()
        load.stdin.write("go\n")
        if load.stdout.readline() != "done\n":
            raise RuntimeError("the load failed")
        on_done()
    if load.returncode:
        raise RuntimeError("the load was answered wrongly")
    found: Result = orjson.loads(result.read_bytes())
    return found


def cost_of_load(
    folder: Path,
    port: int,
    clients: Sequence[Client],
    warm: int,
    meters: Mapping[str, Callable[[], float]],
    *,
    ordered: bool = True,
) -> Figures:
    """Milliseconds of CPU for each delivery by each of the meters, which tell seconds; and how fast they were."""
    read: list[dict[str, float]] = []

    def note() -> None:
        read.append({name: meter() for name, meter in meters.items()})

    found = run_load(folder, port, clients, warm, ordered=ordered, on_warm=note, on_done=note)
    each = 1000 / found["deliveries"]
    return {
        **{name: (read[1][name] - read[0][name]) * each for name in meters},
        "deliveries_per_second": found["deliveries"] / found["seconds"],
        **latencies(found),
        "load_cpu_ms": found["load_cpu"] * each,
        **({} if ordered else {"out_of_order": found["out_of_order"] / found["deliveries"]}),
    }


def latencies(found: Result) -> Figures:
    return {
        "ack_p50_ms": found["ack_ms"]["p50"],
        "ack_p95_ms": found["ack_ms"]["p95"],
        "delivery_p50_ms": found["delivery_ms"]["p50"],
        "delivery_p95_ms": found["delivery_ms"]["p95"],
    }
