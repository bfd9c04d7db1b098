"""docs/security-checklist.md is true of the sources: each row's tests are there and bear its numbers; no weak construction."""

from __future__ import annotations

import ast
import json
import re
from functools import cache

import pytest

from tests.house.sources import ROOT, name, tracked

ROW = re.compile(r"^\| (\d+) \| ([\d. ]+) \| .* \| (.*) \|$", re.MULTILINE)
NUMBER = re.compile(r"\d+\.\d+\.\d+")
LEFT = {26}  # second factors, which are not offered
WEAK = {
    "PKCS1v15": "encryption and signatures that bend",
    "ECB": "equal blocks look alike",
    "MD5": "broken",
    "CBC": "no authentication",
    "RC4": "broken",
    "TripleDES": "64-bit blocks",
}


def rows() -> dict[int, tuple[list[str], list[str]]]:
    """Row → its numbers in the standard, and its tests as `file::test`."""
    text = (ROOT / "docs" / "security-checklist.md").read_text("utf-8")
    return {
        int(row): (NUMBER.findall(numbers), re.findall(r"`([^`]+::[^`]+)`", tests))
        for row, numbers, tests in ROW.findall(text)
    }


@cache
def docstrings(file: str) -> dict[str, str]:
    """Test → its docstring."""
    tree = ast.parse((ROOT / file).read_text("utf-8"))
    return {
        node.name: ast.get_docstring(node) or "" for node in tree.body if isinstance(node, ast.FunctionDef)
    }


def said_of(test: str) -> str:
    """What a test says of itself: its docstring in Python, its title in JavaScript."""
    file, _, title = test.partition("::")
    if file.endswith(".py"):
        assert title in docstrings(file), f"there is no {test}"
        return docstrings(file)[title]
    titles = re.findall(r"^\s*test\(\s*['`\"](.*?)['`\"],", (ROOT / file).read_text("utf-8"), re.MULTILINE)
    found = [one for one in titles if title in one]
    assert found, f"there is no {test}"
    return found[0]


def test_every_row_is_there() -> None:
    assert rows().keys() == set(range(1, 41)) - LEFT
    numbers = [number for numbers, _ in rows().values() for number in numbers]
    assert len(numbers) > 80 and all(tests for _, tests in rows().values())


@pytest.mark.parametrize("row", sorted(set(range(1, 41)) - LEFT))
def test_a_row_s_tests_bear_its_numbers(row: int) -> None:
    numbers, tests = rows()[row]
    said = {test: said_of(test) for test in tests}
    for test, text in said.items():
        assert set(numbers) & set(NUMBER.findall(text)), f"{test} names none of {numbers}"
    borne = {number for text in said.values() for number in NUMBER.findall(text)}
    assert set(numbers) <= borne, f"no test of row {row} names {sorted(set(numbers) - borne)}"


@pytest.mark.parametrize("page", ["threat-model.md", "testing.md"])
def test_what_shows_a_claim_is_there(page: str) -> None:
    places = re.findall(
        r"`((?:tests|frontend|backend|bench)/[\w./*-]+)`", (ROOT / "docs" / page).read_text("utf-8")
    )
    assert len(places) >= 3
    for place in places:
        assert list(ROOT.glob(place)), f"{page}: there is no {place}"


def test_no_weak_construction_is_named() -> None:
    """ASVS 11.3.1, 11.3.2: neither side can so much as spell one. Chance comes from the system's generator."""
    sources = tracked(".py", under=("backend/",)) + tracked(".js", under=("frontend/lib/",))
    assert len(sources) > 80
    for path in sources:
        text = path.read_text("utf-8")
        found = [word for word in WEAK if re.search(rf"\b{word}\b", text)]
        assert found == [], f"{name(path)}: {found}"
    chance = [
        name(path)
        for path in sources
        if re.search(r"^import random$|Math\.random", path.read_text("utf-8"), re.M)
    ]
    # When sockets are cut and how long a client waits are no secrets.
    assert chance == ["backend/chatsec/realtime/connection.py", "frontend/lib/client.js"]


def test_every_script_package_is_known_by_its_hash() -> None:
    """ASVS 15.1.2: what is installed is what was chosen; with requirements.txt this is the list of all that is built in."""
    packages = json.loads((ROOT / "frontend" / "package-lock.json").read_text("utf-8"))["packages"]
    foreign = {place: package for place, package in packages.items() if place}
    assert len(foreign) > 100
    for place, package in foreign.items():
        assert re.fullmatch(r"\d+\.\d+\.\d+.*", package["version"]), place
        assert package["integrity"].startswith("sha512-"), place
