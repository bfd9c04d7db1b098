"""What stands in no file of the project: paths of somebody's machine, where packages were fetched from, secrets."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.house.sources import ROOT, name, tracked

MACHINE = re.compile(r"(?<![\w.~/-])/(?:work|root|home/\w+|Users/\w+)/[\w.-]+")
FETCHED = re.compile(
    r'"resolved":|registry\s*=\s*"?https?:|--(?:extra-)?index-url|--find-links|--trusted-host'
)
SECRET = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----|\bAKIA[0-9A-Z]{16}\b|\bgh[pousr]_\w{36}\b")
BINARY = (".png", ".svg", ".ico", ".woff2", ".jpg", ".webp", ".gz")


def text(path: Path) -> str:
    return path.read_text("utf-8")


@pytest.mark.parametrize("pattern", [MACHINE, FETCHED, SECRET], ids=["machine", "fetched", "secret"])
def test_no_file_holds(pattern: re.Pattern[str]) -> None:
    """ASVS 13.3.1."""
    found = [
        f"{name(path)}: {match[0]}"
        for path in tracked()
        if path.suffix not in BINARY and path != Path(__file__)
        for match in pattern.finditer(text(path))
    ]
    assert found == []


def test_the_patterns_find_what_they_are_for() -> None:
    assert MACHINE.search("see " + "/home/" + "ann/x") and MACHINE.search('"' + "/root/" + '.cache"')
    assert not MACHINE.search("https://chat.example/" + "home/ann/x") and not MACHINE.search("../work/x")
    assert FETCHED.search('"resolved"' + ': "https://x"')


PIN = r'[\w.-]+(\[\w+\])?==[\w.]+(; python_version (<|>=) "3\.\d+")?'


def test_python_pins_are_exact() -> None:
    """ASVS 15.1.2."""
    for file in ("requirements.txt", "requirements-dev.txt"):
        for line in text(ROOT / file).splitlines():
            if line and not line.startswith(("#", "-r ")):
                assert re.fullmatch(PIN, line), line


def test_what_builds_the_wheel_is_pinned() -> None:
    (requires,) = re.findall(r"^requires = \[(.*)\]$", text(ROOT / "pyproject.toml"), re.MULTILINE)
    pins = re.findall(r'"([^"]+)"', requires)
    assert pins and all(re.fullmatch(PIN, pin) for pin in pins)


def test_script_pins_are_exact() -> None:
    package = json.loads(text(ROOT / "frontend" / "package.json"))
    for kind in ("dependencies", "devDependencies"):
        for dependency, version in package.get(kind, {}).items():
            assert re.fullmatch(r"\d+\.\d+\.\d+(-[\w.]+)?", version), f"{dependency}: {version}"


def test_the_ignored_stays_out() -> None:
    """Data, secrets and what is built."""
    for path in tracked():
        assert not re.search(
            r"(^|/)(data|out|node_modules|\.venv|\.next|__pycache__)/|(^|/)\.env$", name(path)
        ), path
