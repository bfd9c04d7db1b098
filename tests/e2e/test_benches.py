"""Every bench runs, at its smallest: messages are checked by the load generator, the table and the file hold all sides."""

import json
from importlib import import_module

import pytest

CASES = {
    "relay": ({"bare", "grouped", "chat_sec"}, ["--pairs=2", "--lanes=2", "--messages=4", "--warm=1"]),
    "fanout": ({"bare", "grouped", "chat_sec"}, ["--members=3", "--lanes=2", "--messages=4", "--warm=1"]),
    "idle": ({"bare", "chat_sec"}, ["--connections=5", "--settle=0.1"]),
    "history": ({"bare", "chat_sec"}, ["--messages=20", "--reads=2"]),
    "login": (
        {"bcrypt alone", "login", "quiet", "beside logins"},
        ["--people=2", "--rounds=4", "--pairs=2", "--seconds=0.3"],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_runs(name, tmp_path, capsys):
    sides, sizes = CASES[name]
    file = tmp_path / "found.json"
    assert import_module(f"bench.{name}").main(["--turns=1", f"--json={file}", *sizes]) == 0
    found = json.loads(file.read_text())
    table = capsys.readouterr().out
    assert set(found["sides"]) == sides and found["bars"] and found["machine"]["cores"]
    for side, values in found["sides"].items():
        assert f"\n{side}" in table
        assert values["median"] == values["turns"][0] and all(
            value >= 0 for value in values["median"].values()
        )
