"""Several workers on consecutive ports, each a process of its own; one that ends is started anew on its port.

Refuses to start, with one line for each reason, when a setting is wrong, MONGO_URI or REDIS_URL is missing, or a port is
taken. SIGTERM or SIGINT stops all of them, the second one at once. A worker that finds its settings wrong (status 2)
stops all: the next would find the same. Each worker's standard input is a pipe that nobody writes to; its end tells the
worker that the supervisor is gone, however it went. Knows no eventlet and patches nothing.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import structlog

from chatsec import logs
from chatsec.config import PACKAGE, BadSettings, environment, from_env

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 10.0  # seconds before it is started again; doubled while it keeps ending
STOP_SECONDS = 15  # that workers get to answer what is under way
WRONG_SETTINGS = 2  # a worker's status
WORKER = (sys.executable, "-m", "chatsec.worker")
logger = structlog.get_logger("chatsec.supervisor")


def run(flags: Mapping[str, str], workers: int) -> int:
    """Supervises until told to stop, `flags` standing over the environment; above 0 if it cannot start, or a worker had
    to be killed in the end."""
    environ = environment() | dict(flags)
    try:
        settings = from_env(environ, workers)
    except BadSettings as error:
        sys.stderr.write(f"chatsec: cannot start, settings are wrong:\n{error}\n")
        return WRONG_SETTINGS
    ports = range(settings.port, settings.port + workers)
    for port in ports:
        try:
            _try_port(settings.host, port)
        except OSError as error:
            sys.stderr.write(f"chatsec: cannot listen on {settings.host}:{port}: {error.strerror}\n")
            return 1
    logs.configure(settings.log_level)
    paths = filter(None, (str(PACKAGE.parent), environ.get("PYTHONPATH")))
    return Supervisor(ports, environ | {"PYTHONPATH": os.pathsep.join(paths)}).run()


def _try_port(host: str, port: int) -> None:
    """OSError if nobody could listen there now."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, port))


@dataclass
class Worker:
    """A port, and the process that serves it, if one does."""

    port: int
    process: subprocess.Popen[bytes] | None = None
    due: float = 0  # when it is to be started, by the monotonic clock
    started: float = 0
    pause: float = FIRST_PAUSE

    def start(self, command: Sequence[str], environ: Mapping[str, str], now: float) -> None:
        self.process = subprocess.Popen(
            command, env={**environ, "PORT": str(self.port)}, stdin=subprocess.PIPE
        )
        self.started = now

    def ended(self) -> int | None:
        """The status of its process, once, when that is over."""
        if self.process is None or (status := self.process.poll()) is None:
            return None
        with self.process:  # closes its pipe
            self.process = None
        return status

    def rest(self, now: float) -> float:
        """Puts its next start off, each time for longer while it does not live long; answers how many seconds."""
        pause = FIRST_PAUSE if now - self.started > LONGEST_PAUSE else self.pause
        self.due, self.pause = now + pause, min(2 * pause, LONGEST_PAUSE)
        return pause


class Supervisor:
    """Keeps a worker on each port: `command`, with its own PORT over `environ`."""

    def __init__(
        self, ports: Iterable[int], environ: Mapping[str, str], command: Sequence[str] = WORKER
    ) -> None:
        self._workers = [Worker(port) for port in ports]
        self._environ, self._command = environ, command
        self._status: int | None = None  # how this process is to end, once it is to
        self._deadline = 0.0  # for stopping

    def run(self) -> int:
        """Until told to stop and all have stopped: 0, or what else there is to say."""
        signals = _signals()
        while True:
            now = time.monotonic()
            for worker in self._workers:
                self._tend(worker, now)
            running = [worker.process for worker in self._workers if worker.process]
            if self._status is not None and not running:
                return self._status
            if self._status is not None and now >= self._deadline:
                self._status = self._status or 1
                for process in running:
                    process.kill()
            select.select([signals], [], [], self._pause(now))
            self._hear(signals)

    def _tend(self, worker: Worker, now: float) -> None:
        status = worker.ended()
        if self._status is not None:
            return
        if status == WRONG_SETTINGS:
            logger.error("worker cannot start, stopping all", port=worker.port, how=_how(status))
            self._stop(WRONG_SETTINGS)
        elif status is not None:
            logger.warning("worker ended", port=worker.port, how=_how(status), again_in=worker.rest(now))
        elif worker.process is None and worker.due <= now:
            try:
                worker.start(self._command, self._environ, now)
            except OSError as error:  # the system has no process to give
                logger.error(
                    "worker not started", port=worker.port, how=str(error), again_in=worker.rest(now)
                )

    def _pause(self, now: float) -> float | None:
        """How long nothing is to be done, if no signal comes."""
        if self._status is not None:
            return self._deadline - now if self._deadline > now else None
        due = [worker.due for worker in self._workers if worker.process is None]
        return max(0.0, min(due) - now) if due else None

    def _hear(self, signals: socket.socket) -> None:
        try:
            heard = signals.recv(64)
        except BlockingIOError:
            return
        for number in heard:
            if number in (signal.SIGTERM, signal.SIGINT):
                self._stop(0)

    def _stop(self, status: int) -> None:
        """Asks all workers to stop; asked again, gives them no more time."""
        now = time.monotonic()
        self._deadline = now if self._status is not None else now + STOP_SECONDS
        if self._status is None:
            logger.info("stopping")
            self._status = status
            for worker in self._workers:
                if worker.process:
                    worker.process.terminate()


def _how(status: int) -> str:
    return f"status {status}" if status >= 0 else f"signal {-status}"


def _signals() -> socket.socket:
    """A socket from which the numbers of the signals that came can be read."""
    read, write = socket.socketpair()
    read.setblocking(False)
    write.setblocking(False)
    signal.set_wakeup_fd(write.detach())
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    return read
