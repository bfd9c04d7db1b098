"""The server's entry, but for one thing: every S_e that the session service draws is written down beside DATA_DIR.

`python recording_app.py FILE`, with the backend as working directory. Nothing of the server is replaced: the system's
generator makes the keys, and only what `chatsec.domain.epochs` draws is noted.
"""

import runpy
import secrets
import sys
from pathlib import Path

DRAWN = Path(sys.argv.pop())
draw = secrets.token_bytes


def recorded(size: int | None = None) -> bytes:
    """`secrets.token_bytes`, noting the session service's."""
    drawn = draw(size)
    if sys._getframe(1).f_globals.get("__name__") == "chatsec.domain.epochs":
        with DRAWN.open("a") as file:
            file.write(drawn.hex() + "\n")
    return drawn


if __name__ == "__main__":
    secrets.token_bytes = recorded
    sys.path.insert(0, str(Path.cwd()))
    runpy.run_path("app.py", run_name="__main__")
