"""The import contracts of pyproject.toml hold, and would be seen to be broken."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.sources import ROOT


def lint(backend: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--config", ROOT / "pyproject.toml", "--no-cache"],
        env={**os.environ, "PYTHONPATH": str(backend)},
        cwd=backend,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_contracts_hold() -> None:
    result = lint(ROOT / "backend")
    assert result.returncode == 0, result.stdout
    assert "0 broken" in result.stdout


@pytest.mark.parametrize(
    ("module", "line", "broken"),
    [
        ("domain/models.py", "import sqlite3", "no framework"),
        ("domain/chats.py", "from chatsec.rest import guard", "Layers"),
        ("errors.py", "from chatsec import crypto", "Layers"),
        ("storage/memory/log.py", "from chatsec.storage.sqlite import database", "Stores"),
        ("storage/sqlite/log.py", "import pymongo", "driver"),
        ("rest/guard.py", "import eventlet", "eventlet"),
        ("supervisor.py", "from chatsec import offload", "supervisor"),
        ("realtime/messages.py", "import flask", "Flask"),
        ("rest/chats.py", "import socketio", "sockets"),
    ],
)
def test_a_wrong_import_is_seen(tmp_path: Path, module: str, line: str, broken: str) -> None:
    shutil.copytree(ROOT / "backend" / "chatsec", tmp_path / "chatsec")
    with (tmp_path / "chatsec" / module).open("a") as file:
        file.write(f"\n{line}\n")
    result = lint(tmp_path)
    assert result.returncode != 0
    kept = [row for row in result.stdout.splitlines() if row.endswith("BROKEN")]
    assert any(broken in row for row in kept), result.stdout
