"""Every bench runs, at its smallest: messages are checked by the load generator, the table and the file hold all sides."""

import json
import os
import subprocess
import sys

import pytest

from tests.support.server import ROOT

CASES = {
    "relay": ({"bare", "grouped", "chat_sec"}, ["--pairs=2", "--lanes=2", "--messages=4", "--warm=1"]),
    "fanout": ({"bare", "grouped", "chat_sec"}, ["--members=3", "--lanes=2", "--messages=4", "--warm=1"]),
    "idle": ({"bare", "chat_sec"}, ["--connections=5", "--settle=0.1"]),
    "history": ({"bare", "chat_sec"}, ["--messages=20", "--reads=2"]),
    "login": (
        {"bcrypt alone", "login", "quiet", "beside logins"},
        ["--people=2", "--rounds=4", "--pairs=2", "--seconds=0.3"],
    ),
    "combined": (
        {
            "server relay",
            "combined relay",
            "no change",
            "server rekey",
            "combined rekey",
            "combined entry",
        },
        ["--pairs=1", "--lanes=1", "--messages=2", "--warm=1", "--members=3", "--changes=1"],
    ),
    "cluster": (
        {"1 alone", "1 with Redis", "2 with Redis"},
        ["--pairs=2", "--lanes=2", "--messages=4", "--warm=1", "--most=2"],
    ),
    "page": ({"log-in", "remove", "add"}, ["--members=3", "--chats=3", "--changes=1"]),
    "attachment": ({"up", "down"}, ["--mib=8"]),
}
IN_BROWSER = ("page", "attachment")


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.browser] if name in IN_BROWSER else []) for name in CASES],
)
def test_runs(name, tmp_path):
    sides, sizes = CASES[name]
    file = tmp_path / "found.json"
    ran = subprocess.run(
        [sys.executable, "-m", f"bench.{name}", "--turns=1", f"--json={file}", *sizes],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": "backend"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ran.returncode == 0, ran.stderr
    found = json.loads(file.read_text())
    assert set(found["sides"]) == sides and found["bars"] and found["machine"]["cores"]
    for side, values in found["sides"].items():
        assert f"\n{side}" in ran.stdout
        assert values["median"] == values["turns"][0]
        assert all(value >= 0 for value in values["median"].values())
    for bar in found["bars"]:
        assert bar["name"] in ran.stdout


def test_each_has_its_command():
    for name in CASES:
        command = ROOT / "bench" / name
        assert os.access(command, os.X_OK) and f"-m bench.{name} " in command.read_text()
