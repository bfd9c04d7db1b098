"""The embedded store serves one process: a second one on the same folder is refused, and gets it when the first is gone."""

import subprocess
import sys
from pathlib import Path

import pytest

from chatsec.errors import ChatSecError
from chatsec.storage.sqlite import SqliteStorage
from tests.support.direct import DirectOffload

BACKEND = Path(__file__).resolve().parents[2] / "backend"
HOLD = """
import sys
from pathlib import Path
from chatsec.storage.sqlite import SqliteStorage
from tests.support.direct import DirectOffload
storage = SqliteStorage(Path(sys.argv[1]), DirectOffload())
print("held", flush=True)
sys.stdin.read()
"""


def test_a_second_process_is_refused_until_the_first_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "chatsec.db"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)],
        env={"PYTHONPATH": f"{BACKEND}:{BACKEND.parent}"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as holder:
        assert holder.stdout and holder.stdout.readline() == b"held\n"
        with pytest.raises(ChatSecError, match="another process uses") as refused:
            SqliteStorage(path, DirectOffload())
        assert refused.value.code == "unavailable"
        holder.kill()
    SqliteStorage(path, DirectOffload()).close()


def test_closing_twice_closes_no_descriptor_of_another(tmp_path: Path) -> None:
    storage = SqliteStorage(tmp_path / "chatsec.db", DirectOffload())
    storage.close()
    with (tmp_path / "another").open("w") as file:  # gets the number that the lock had
        storage.close()
        file.write("still open")
