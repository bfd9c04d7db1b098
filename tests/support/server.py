"""The real server as a process: started, asked whether it lives, stopped, killed, started again on the same data."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType

import requests

from tests.support.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 30
STOP_SECONDS = 20


def store_env(data_dir: Path) -> dict[str, str]:
    """With CHATSEC_TEST_STORE=mongo the settings of a database of its own, else none: the embedded store."""
    if os.environ.get("CHATSEC_TEST_STORE", "sqlite") != "mongo":
        return {}
    from tests.support.mongo import shared  # which starts one, if it must

    name = hashlib.sha256(str(data_dir).encode()).hexdigest()[:20]
    return {"MONGO_URI": shared().uri(f"server_{name}"), "SECRET_KEY": "only-for-tests-" * 3}


class ServerProcess:
    """`python app.py` with settings for tests; `env` overrides them. The log goes to a file in `data_dir`."""

    backend = ROOT / "backend"
    command: tuple[str, ...] = ("app.py",)

    def __init__(self, data_dir: Path, prefix: tuple[str, ...] = (), **env: str) -> None:
        """`prefix`: words before the command, such as strace and its options."""
        self.data_dir = data_dir
        self.port = int(env.get("PORT") or free_port())
        self.url = f"http://127.0.0.1:{self.port}"
        self.log_path = data_dir / "server.log"
        self._prefix = prefix
        self._env = (
            store_env(data_dir)
            | {
                "DATA_DIR": str(data_dir / "data"),
                "HOST": "127.0.0.1",
                "BCRYPT_ROUNDS": "4",
                "RATE_LIMITS": "off",
                "CHAT_KEY_MODE": "server",  # who wants the page to make `combined` chats says so
            }
            | env
        )
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> "ServerProcess":
        """Starts and waits until it answers; the log in the error if it does not."""
        inherited = {
            name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "TMPDIR")
        }
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [*self._prefix, sys.executable, *self.command],
                cwd=self.backend,
                env=inherited | self._env | {"PORT": str(self.port), "PYTHONUNBUFFERED": "1"},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                if requests.get(f"{self.url}/healthz", timeout=5).ok:
                    return self
            except requests.ConnectionError:
                time.sleep(0.05)
        self.kill()
        raise RuntimeError(f"the server did not start:\n{self.log()}")

    def stop(self) -> int:
        """SIGTERM, and the exit status."""
        return self._end(signal.SIGTERM)

    def kill(self) -> int:
        """SIGKILL to it and whatever it started."""
        return self._end(signal.SIGKILL)

    def restart(self) -> "ServerProcess":
        """Stops, and starts again on the same port and data."""
        self.stop()
        return self.start()

    def _end(self, how: signal.Signals) -> int:
        assert self.process is not None
        if self.process.poll() is None:
            os.killpg(self.process.pid, how)
        try:
            return self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            raise

    def log(self) -> str:
        """Everything it wrote so far."""
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def __enter__(self) -> "ServerProcess":
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
