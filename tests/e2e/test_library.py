"""The JavaScript library on the real server: `frontend/tests/live`, which needs one, run by Node against this one."""

import os
import shutil
import subprocess

import pytest

from tests.support.server import ROOT, ServerProcess

FRONTEND = ROOT / "frontend"
FILES = sorted((FRONTEND / "tests" / "live").glob("*.test.js"))


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.stem)
def test_library(server: ServerProcess, file: os.PathLike[str]) -> None:
    node = shutil.which("node")
    assert node is not None, "node is needed"
    run = subprocess.run(
        [node, "--test", os.fspath(file)],
        cwd=FRONTEND,
        env=os.environ | {"CHATSEC_URL": server.url},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-6000:] + run.stderr[-2000:]
    assert "# skipped 0" in run.stdout
