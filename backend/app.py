"""Starts Chat-Sec: `python app.py`. Patches the standard library first, reads the settings, builds, serves.

Refuses to start, with one line for each reason, when a setting is wrong, the store cannot be opened or the port is
taken. Flags that override the environment: --host, --port, --data-dir.
"""

import warnings

warnings.filterwarnings("ignore", message=r"\s*Eventlet is deprecated")

import eventlet  # noqa: E402 - nothing may be imported before the patch

eventlet.monkey_patch()

import logging  # noqa: E402
import os  # noqa: E402
import sys  # noqa: E402

from dotenv import load_dotenv  # noqa: E402

from chatsec import bootstrap, logs, serve  # noqa: E402
from chatsec.config import ROOT, BadSettings, from_env  # noqa: E402
from chatsec.errors import ChatSecError  # noqa: E402
from chatsec.offload import EventletOffload  # noqa: E402


def main() -> int:
    """Serves until told to stop; 2 if it cannot start."""
    load_dotenv(ROOT / ".env")
    try:
        settings = from_env(os.environ)
        logs.configure(settings.log_level)
        server = bootstrap.build(settings, EventletOffload())
        listener = serve.listen(settings.host, settings.port)
    except BadSettings as error:
        sys.stderr.write(f"chatsec: cannot start, settings are wrong:\n{error}\n")
        return 2
    except ChatSecError as error:
        sys.stderr.write(f"chatsec: cannot start: {error.detail}\n")
        return 2
    except OSError as error:
        sys.stderr.write(f"chatsec: cannot listen on {settings.host}:{settings.port}: {error.strerror}\n")
        return 2
    server.start()
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    logging.getLogger("chatsec").info("listening on http://%s:%s", host, settings.port)
    serve.run(server.app, server.sio, listener, server.stop)
    return 0


if __name__ == "__main__":
    sys.exit(main())
