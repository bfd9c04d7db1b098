"""Server CPU per delivered durable message, beside the bare grouped ceiling with the same bytes.

Both get the same sealed envelopes from the same load generator, in turns, in one run: what else the machine does hits
both. Each starts anew for each turn; Chat-Sec on a copy of one prepared store. Fails where a message was lost or altered.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import orjson

from bench.processes import ROOT, cpu_seconds, free_port, running
from bench.workload import Api, Pair, make_pairs, seal_all

PAIRS, LANES = 20, 8
WARM, MESSAGES = 10, 100  # of each lane
TURNS = 3
MAX_RATIO, MAX_CPU_MS = 1.5, 0.20
Lanes = list[list[list[dict[str, str]]]]
Figures = dict[str, float]


@contextmanager
def chat_sec(data: Path) -> Iterator[tuple[int, int]]:
    """(pid, port) of the real server on the store in `data`."""
    port = free_port()
    environ = {"DATA_DIR": str(data), "HOST": "127.0.0.1", "PORT": str(port), "LOG_LEVEL": "warning"}
    environ |= {"RATE_LIMITS": "off", "BCRYPT_ROUNDS": "4"}
    with running(["backend/app.py"], port, environ, data.with_suffix(".log")) as pid:
        yield pid, port


def prepare(folder: Path) -> tuple[list[Pair], Lanes]:
    """Makes the store in `folder` with people and chats, and seals what is sent."""
    with chat_sec(folder) as (_, port):
        pairs = make_pairs(Api(f"http://127.0.0.1:{port}"), PAIRS)
    return pairs, seal_all(pairs, LANES, WARM + MESSAGES)


def turn_of_chat_sec(folder: Path, name: str, pairs: list[Pair], lanes: Lanes) -> Figures:
    data = folder / name
    shutil.copytree(folder / "store", data)
    with chat_sec(data) as (pid, port):
        api = Api(f"http://127.0.0.1:{port}")
        tokens = [(api.log_in(pair.sender), api.log_in(pair.receiver)) for pair in pairs]
        return measure(folder, pid, port, tokens, lanes)


def turn_of_ceiling(folder: Path, name: str, pairs: list[Pair], lanes: Lanes) -> Figures:
    port, database = free_port(), folder / f"{name}.sqlite"
    environ = {"PYTHONPATH": "backend"}
    tokens = [(f"{p.sender} {p.receiver}", f"{p.receiver} {p.sender}") for p in pairs]
    command = ["-m", "bench.ceiling", str(port), str(database)]
    with running(command, port, environ, folder / f"{name}.log") as pid:
        return measure(folder, pid, port, tokens, lanes)


def measure(folder: Path, pid: int, port: int, tokens: list[tuple[str, str]], lanes: Lanes) -> Figures:
    """One run of the load against the server `pid`."""
    clients = []
    for (sender, receiver), of_pair in zip(tokens, lanes, strict=True):
        clients += [{"token": receiver, "lanes": []}, {"token": sender, "lanes": of_pair}]
    plan, result = folder / "plan.json", folder / "result.json"
    plan.write_bytes(orjson.dumps({"host": "127.0.0.1", "port": port, "warm": WARM, "clients": clients}))
    command = [sys.executable, "-m", "bench.load", str(plan), str(result)]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    ) as load:
        assert load.stdin and load.stdout
        if load.stdout.readline() != "warm\n":
            raise RuntimeError("the load failed before it was warm")
        before = cpu_seconds(pid)
        load.stdin.write("go\n")
        if load.stdout.readline() != "done\n":
            raise RuntimeError("the load failed")
        used = cpu_seconds(pid) - before
    if load.returncode:
        raise RuntimeError("the load was answered wrongly")
    found: dict[str, Any] = orjson.loads(result.read_bytes())
    return {
        "cpu_ms": used * 1000 / found["messages"],
        "per_second": found["messages"] / found["seconds"],
        "ack_p50_ms": found["ack_ms"]["p50"],
        "ack_p95_ms": found["ack_ms"]["p95"],
        "delivery_p50_ms": found["delivery_ms"]["p50"],
        "delivery_p95_ms": found["delivery_ms"]["p95"],
    }


def medians(turns: list[Figures]) -> Figures:
    return {name: statistics.median(turn[name] for turn in turns) for name in turns[0]}


def report(ceiling: list[Figures], server: list[Figures], envelope_bytes: int) -> dict[str, Any]:
    """What stands in results/relay.json."""
    a, b = medians(ceiling), medians(server)
    ratio = b["cpu_ms"] / a["cpu_ms"]
    return {
        "question": "server CPU per delivered durable message, beside a bare relay with grouped commits",
        "at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "python": platform.python_version(),
        "load": {
            "pairs": PAIRS,
            "lanes": LANES,
            "messages_a_turn": PAIRS * LANES * MESSAGES,
            "turns": len(server),
        },
        "envelope_bytes": envelope_bytes,
        "ceiling": {"median": a, "turns": ceiling},
        "chat_sec": {"median": b, "turns": server},
        "ratio": ratio,
        "bars": {"ratio": MAX_RATIO, "cpu_ms": MAX_CPU_MS},
        "met": ratio <= MAX_RATIO and b["cpu_ms"] <= MAX_CPU_MS,
    }


def show(found: dict[str, Any]) -> None:
    load = found["load"]
    print(
        f"{load['pairs']} pairs × {load['lanes']} lanes, envelopes of {found['envelope_bytes']} bytes, "
        f"medians of {load['turns']} turns of {load['messages_a_turn']} messages\n"
    )
    print(
        f"{'':10}{'CPU ms/msg':>12}{'msg/s':>9}{'ack p50':>10}{'p95 ms':>8}{'delivery p50':>15}{'p95 ms':>8}"
    )
    for name in ("ceiling", "chat_sec"):
        m = found[name]["median"]
        print(
            f"{name:10}{m['cpu_ms']:12.4f}{m['per_second']:9.0f}{m['ack_p50_ms']:10.1f}{m['ack_p95_ms']:8.1f}"
            f"{m['delivery_p50_ms']:15.1f}{m['delivery_p95_ms']:8.1f}"
        )
    cpu = found["chat_sec"]["median"]["cpu_ms"]
    print(f"\nratio {found['ratio']:.2f} (bar {MAX_RATIO}), CPU {cpu:.3f} ms (bar {MAX_CPU_MS}):", end=" ")
    print("met" if found["met"] else "MISSED")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=TURNS)
    parser.add_argument("--json", type=Path, default=ROOT / "bench/results/relay.json")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="chatsec-relay-") as name:
        folder = Path(name)
        pairs, lanes = prepare(folder / "store")
        ceiling, server = [], []
        for turn in range(options.turns):
            ceiling.append(turn_of_ceiling(folder, f"ceiling{turn}", pairs, lanes))
            server.append(turn_of_chat_sec(folder, f"server{turn}", pairs, lanes))
    found = report(ceiling, server, len(orjson.dumps(lanes[0][0][0])))
    options.json.parent.mkdir(exist_ok=True)
    options.json.write_bytes(orjson.dumps(found, option=orjson.OPT_INDENT_2) + b"\n")
    show(found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
