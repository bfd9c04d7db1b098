"""One server process: patches the standard library first, then reads the settings, builds and serves.

Refuses to start, with one line for each reason: a setting that is wrong is status 2, a store that cannot be opened or a
port that is taken is status 1 and may pass. `python -m chatsec.worker` is a worker under a supervisor: it stops when its
standard input ends, which the supervisor holds open for as long as it lives.
"""

from __future__ import annotations

import warnings

warnings.filterwarnings("ignore", message=r"\s*Eventlet is deprecated")

import eventlet  # noqa: E402 - nothing may be imported before the patch

eventlet.monkey_patch()

import logging  # noqa: E402
import os  # noqa: E402
import signal  # noqa: E402
import sys  # noqa: E402
from collections.abc import Mapping  # noqa: E402

from eventlet.patcher import original  # noqa: E402

from chatsec import bootstrap, logs, serve  # noqa: E402
from chatsec.config import BadSettings, environment, from_env  # noqa: E402
from chatsec.errors import ChatSecError  # noqa: E402
from chatsec.offload import EventletOffload  # noqa: E402

STOP_SECONDS = 15  # for a worker whose supervisor is gone, before it is ended without asking


def run(flags: Mapping[str, str]) -> int:
    """Serves until told to stop, `flags` standing over the environment; above 0 if it cannot start."""
    try:
        settings = from_env(environment() | dict(flags))
        logs.configure(settings.log_level)
        server = bootstrap.build(settings, EventletOffload())
        listener = serve.listen(settings.host, settings.port)
        server.start()
    except BadSettings as error:
        sys.stderr.write(f"chatsec: cannot start, settings are wrong:\n{error}\n")
        return 2
    except ChatSecError as error:
        sys.stderr.write(f"chatsec: cannot start: {error.detail}\n")
        return 1
    except OSError as error:
        sys.stderr.write(f"chatsec: cannot listen on {settings.host}:{settings.port}: {error.strerror}\n")
        return 1
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    logging.getLogger("chatsec").info("listening on http://%s:%s", host, settings.port)
    serve.run(server.app, server.sio, listener, server.stop)
    return 0


def _leave_with_supervisor() -> None:
    """A real thread, which sees the end of standard input even where the loop or the start hangs."""
    while os.read(0, 64):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    original("time").sleep(STOP_SECONDS)
    os._exit(1)


if __name__ == "__main__":
    original("threading").Thread(target=_leave_with_supervisor, daemon=True).start()
    sys.exit(run({}))
