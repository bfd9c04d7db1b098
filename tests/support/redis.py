"""A Redis of one's own, which keeps nothing: started, stopped, killed and started again on the same port."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from types import TracebackType

import redis

from tests.support.ports import free_port

START_SECONDS = 20
NONE = "no Redis for the tests: install redis-server"


class RedisProcess:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> RedisProcess:
        command = shutil.which("redis-server")
        if command is None:
            raise RuntimeError(NONE)
        where = ["--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(self._folder)]
        log = self._folder / "redis.log"
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [command, *where, "--save", "", "--appendonly", "no"],
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            if self._answers():
                return self
            time.sleep(0.02)
        self.kill()
        raise RuntimeError(f"Redis did not start:\n{log.read_text(errors='replace')}")

    def client(self) -> redis.Redis:
        return redis.Redis.from_url(self.url)

    def _answers(self) -> bool:
        with self.client() as client:
            try:
                return bool(client.ping())
            except redis.RedisError:
                return False

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def hang(self) -> None:
        """It keeps its connections and answers nothing."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def _end(self, how: signal.Signals) -> None:
        if self.process is None:
            return
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGCONT)  # else one that hangs does not hear it
            os.killpg(self.process.pid, how)
        self.process.wait(20)

    def __enter__(self) -> RedisProcess:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
