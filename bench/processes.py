"""Servers under measurement: starting them on a free port, their CPU time and memory, and stopping them."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
START_SECONDS = 60.0
TICK = 1 / os.sysconf("SC_CLK_TCK")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(command: Sequence[str], port: int, environ: Mapping[str, str], log: Path) -> Iterator[int]:
    """The pid of a process that listens on `port`; it is stopped, gently first, on the way out."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, *command], cwd=ROOT, env={**os.environ, **environ}, stdout=output, stderr=output
        )
    try:
        _wait_for(process, port, log)
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def chat_sec(folder: Path, **settings: str) -> Iterator[tuple[int, int]]:
    """(pid, port) of the real server, its store in `folder`/data; only the rate limits are off, passwords are cheap."""
    port = free_port()
    environ = {
        "DATA_DIR": str(folder / "data"),
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "LOG_LEVEL": "warning",
    }
    environ |= {"RATE_LIMITS": "off", "BCRYPT_ROUNDS": "4"} | settings
    folder.mkdir(parents=True, exist_ok=True)
    with running(["backend/app.py"], port, environ, folder / "server.log") as pid:
        yield pid, port


@contextmanager
def ceiling(folder: Path, *, durable: bool = True) -> Iterator[tuple[int, int]]:
    """(pid, port) of the bare relay, with grouped durable commits or with none."""
    port = free_port()
    command = ["-m", "bench.ceiling", str(port), *([str(folder / "ceiling.sqlite")] if durable else [])]
    with running(command, port, {"PYTHONPATH": "backend"}, folder / "ceiling.log") as pid:
        yield pid, port


def _wait_for(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"the server did not start:\n{log.read_text()[-2000:]}")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError(f"nothing listens on {port}:\n{log.read_text()[-2000:]}")


def cpu_seconds(pid: int) -> float:
    """User and system time of all its threads so far, in steps of a clock tick (proc_pid_stat(5), fields 14 and 15)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * TICK


def thread_seconds(pid: int) -> float:
    """What its first thread was at work so far, to the nanosecond (Linux, Documentation/scheduler/sched-stats.rst)."""
    return int(Path(f"/proc/{pid}/task/{pid}/schedstat").read_text().split()[0]) / 1e9


def tree_cpu_seconds(pid: int) -> float:
    """As `cpu_seconds`, of a process and its children."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return cpu_seconds(pid) + sum(tree_cpu_seconds(int(child)) for child in children)


def pss_kib(pid: int) -> int:
    """Its memory, with its share of what it shares (proc_pid_smaps(5))."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    raise RuntimeError("the system tells no Pss")
