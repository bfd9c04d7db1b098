"""`--workers`: so many processes on consecutive ports, one that ends comes back, all end together, none is left behind."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from tests.support.cluster import workers
from tests.support.mongo import shared
from tests.support.ports import free_ports
from tests.support.redis import RedisProcess
from tests.support.server import ROOT, STOP_SECONDS, ServerProcess

WAIT = 30
SECRET = "only-for-tests-" * 3


def until(true: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + WAIT
    while not true():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def gone(pid: int) -> bool:
    """It is no more, or a zombie that its new parent has not looked at."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


def answers(port: int) -> bool:
    try:
        return requests.get(f"http://127.0.0.1:{port}/healthz", timeout=5).ok
    except requests.ConnectionError:
        return False


def told(log: str, event: str) -> list[dict[str, object]]:
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    return [line for line in lines if line["event"] == event]


# ---------------------------------------------------------------- the server itself


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisProcess]:
    with RedisProcess(tmp_path_factory.mktemp("redis")) as process:
        yield process


@pytest.fixture
def start(tmp_path: Path, redis: RedisProcess) -> Iterator[Callable[[int], ServerProcess]]:
    """Starts a supervisor of so many workers, all of which answer."""
    made: list[ServerProcess] = []

    def make(count: int) -> ServerProcess:
        first = free_ports(count)
        server = ServerProcess(
            tmp_path,
            PORT=str(first),
            MONGO_URI=shared().uri("supervised"),
            REDIS_URL=redis.url,
            SECRET_KEY=SECRET,
        )
        server.command = ("app.py", "--workers", str(count))
        made.append(server.start())
        until(lambda: all(map(answers, range(first, first + count))), server.log())
        return server

    yield make
    for server in made:
        server.kill()
        assert "Traceback" not in server.log(), server.log()[-4000:]


def test_one_that_dies_comes_back_and_all_stop_together(start: Callable[[int], ServerProcess]) -> None:
    server = start(3)
    assert server.process is not None
    before = workers(server.process.pid)
    assert sorted(before) == [server.port, server.port + 1, server.port + 2]
    port = server.port + 1
    os.kill(before[port], signal.SIGKILL)
    until(lambda: gone(before[port]) and answers(port), server.log())
    after = workers(server.process.pid)
    assert after.pop(port) != before.pop(port) and after == before
    (ended,) = told(server.log(), "worker ended")
    assert (ended["port"], ended["how"], ended["again_in"]) == (port, "signal 9", 0.5)
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(STOP_SECONDS) == 0
    assert all(map(gone, after.values()))
    assert len(told(server.log(), "stopping")) == 4  # each in good order


def test_a_supervisor_that_is_killed_leaves_no_worker(start: Callable[[int], ServerProcess]) -> None:
    server = start(2)
    assert server.process is not None
    left = workers(server.process.pid)
    server.process.kill()
    server.process.wait()
    until(lambda: all(map(gone, left.values())), server.log())
    assert len(told(server.log(), "stopping")) == 2  # in good order, too


def test_a_worker_whose_settings_have_gone_wrong_stops_all(start: Callable[[int], ServerProcess]) -> None:
    server = start(2)
    assert server.process is not None
    before = workers(server.process.pid)
    data = server.data_dir / "data"
    shutil.rmtree(data)
    data.write_text("no folder any more")
    os.kill(before[server.port], signal.SIGKILL)
    assert server.process.wait(STOP_SECONDS) == 2
    assert all(map(gone, before.values()))
    (wrong,) = told(server.log(), "worker cannot start, stopping all")
    assert (wrong["port"], wrong["how"]) == (server.port, "status 2")
    assert "DATA_DIR: must be a folder that can be written" in server.log()


# ---------------------------------------------------------------- refusals and flags


def app(tmp_path: Path, *flags: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "app.py", *flags],
        cwd=ROOT / "backend",
        env={"PATH": os.environ["PATH"], "DATA_DIR": str(tmp_path), "SECRET_KEY": SECRET} | env,
        capture_output=True,
        text=True,
        timeout=WAIT,
        check=False,
    )


JOINED = {"MONGO_URI": "mongodb://127.0.0.1:1/x", "REDIS_URL": "redis://127.0.0.1:1/0"}


@pytest.mark.parametrize(
    ("flags", "env", "lines"),
    [
        ((), {"MONGO_URI": ""}, ["MONGO_URI: must be given when there are several workers"]),
        ((), {"REDIS_URL": ""}, ["REDIS_URL: must be given when there are several workers"]),
        (("--port", "65534"), {}, ["PORT: must leave room for 3 workers up to 65535"]),
        ((), {"SECRET_KEY": ""}, ["SECRET_KEY: must be given with MONGO_URI"]),
        (
            ("--port", "x"),
            {"MONGO_URI": "", "REDIS_URL": ""},
            [
                "PORT: must be a number from 1 to 65535",
                "MONGO_URI: must be given",
                "REDIS_URL: must be given",
            ],
        ),
    ],
    ids=["no database", "no Redis", "no room", "no secret", "all at once"],
)
def test_several_workers_are_refused(
    tmp_path: Path, flags: tuple[str, ...], env: dict[str, str], lines: list[str]
) -> None:
    result = app(tmp_path, "--workers", "3", *flags, **(JOINED | env))
    assert result.returncode == 2
    first, *told = result.stderr.splitlines()
    assert first == "chatsec: cannot start, settings are wrong:" and len(told) == len(lines)
    assert all(line.startswith(start) for line, start in zip(told, lines, strict=True)), told
    assert result.stdout == "" and list(tmp_path.iterdir()) == []


def test_a_port_that_is_taken_is_told(tmp_path: Path) -> None:
    first = free_ports(3)
    with socket.create_server(("127.0.0.1", first + 2)):
        result = app(tmp_path, "--workers", "3", PORT=str(first), **JOINED)
    assert result.returncode == 1
    assert result.stderr == f"chatsec: cannot listen on 127.0.0.1:{first + 2}: Address already in use\n"


@pytest.mark.parametrize("count", ["0", "-1", "65", "many"])
def test_a_number_that_is_none_is_refused(tmp_path: Path, count: str) -> None:
    result = app(tmp_path, "--workers", count)
    assert result.returncode == 2 and "--workers" in result.stderr


def test_one_worker_needs_no_database_and_flags_stand_over_the_environment(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path)
    server.command = ("app.py", "--workers", "1", "--host", "127.0.0.2", "--data-dir", str(tmp_path / "flag"))
    server.url = f"http://127.0.0.2:{server.port}"
    with server:
        assert not answers(server.port)
        assert (tmp_path / "flag" / "chatsec.db").exists()
        assert not (tmp_path / "data").exists()


# ---------------------------------------------------------------- whatever a worker does, at the cost of none

SUPERVISE = """
import sys
from chatsec import logs
from chatsec.supervisor import Supervisor
logs.configure()
sys.exit(Supervisor([1], {}, [sys.executable, "-c", sys.argv[1]]).run())
"""


@pytest.fixture
def supervise(tmp_path: Path) -> Iterator[Callable[[str], tuple[subprocess.Popen[bytes], Path]]]:
    """A supervisor of a worker that is a few words of Python, and its log."""
    made: list[subprocess.Popen[bytes]] = []

    def make(worker: str) -> tuple[subprocess.Popen[bytes], Path]:
        log = tmp_path / "log"
        with log.open("wb") as output:
            command = [sys.executable, "-c", SUPERVISE, worker]
            made.append(subprocess.Popen(command, env={"PYTHONPATH": str(ROOT / "backend")}, stderr=output))
        return made[-1], log

    yield make
    for process in made:
        process.kill()
        process.wait()


def test_one_that_keeps_ending_is_started_less_and_less_often(
    supervise: Callable[[str], tuple[subprocess.Popen[bytes], Path]],
) -> None:
    process, log = supervise("raise SystemExit(1)")
    until(lambda: len(told(log.read_text(), "worker ended")) == 3, "it was started three times")
    process.terminate()
    assert process.wait(STOP_SECONDS) == 0
    ends = told(log.read_text(), "worker ended")
    assert [(end["how"], end["again_in"]) for end in ends] == [
        ("status 1", 0.5),
        ("status 1", 1),
        ("status 1", 2),
    ]


def test_the_second_signal_does_not_wait(
    supervise: Callable[[str], tuple[subprocess.Popen[bytes], Path]],
) -> None:
    deaf = "import signal, sys; signal.signal(15, signal.SIG_IGN); print('deaf', file=sys.stderr); sys.stdin.read()"
    process, log = supervise(deaf)
    until(lambda: "deaf" in log.read_text(), "the worker runs")
    (worker,) = workers(process.pid).values()
    process.terminate()
    until(lambda: bool(told(log.read_text(), "stopping")), "it was heard")
    assert process.poll() is None and not gone(worker)
    process.send_signal(signal.SIGINT)
    assert process.wait(STOP_SECONDS) == 1
    assert gone(worker)
