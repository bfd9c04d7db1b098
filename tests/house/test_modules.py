"""What every module owes its reader, and what none may do."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.sources import ROOT, name, tracked

PYTHON = tracked(".py", under=("backend/", "tests/", "bench/"))
SERVER = tracked(".py", under=("backend/",))
SCRIPTS = tracked(
    ".js", ".jsx", under=("frontend/app/", "frontend/components/", "frontend/hooks/", "frontend/lib/")
)


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def test_there_are_modules() -> None:
    assert len(SERVER) > 40 and len(SCRIPTS) > 20 and len(PYTHON) > len(SERVER)


@pytest.mark.parametrize("path", PYTHON, ids=name)
def test_a_module_says_what_it_is_for(path: Path) -> None:
    empty = path.name == "__init__.py" and not path.read_text("utf-8")
    assert empty or ast.get_docstring(tree(path)), "no docstring"


@pytest.mark.parametrize("path", [path for path in SCRIPTS if "app" not in path.parts], ids=name)
def test_a_script_says_what_it_is_for(path: Path) -> None:
    text = re.sub(r"\A(['\"])use client\1;?\s*", "", path.read_text("utf-8"))
    assert text.lstrip().startswith(("/*", "//")), "no comment at its top"


def complaints(path: Path) -> Iterator[str]:
    for node in ast.walk(tree(path)):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in ("print", "eval", "exec")
        ):
            yield f"{node.lineno}: {node.func.id}"
        if isinstance(node, ast.ExceptHandler):
            kinds = ast.unparse(node.type) if node.type else "everything"
            if all(isinstance(one, ast.Pass | ast.Continue) for one in node.body) and kinds in (
                "everything",
                "Exception",
                "BaseException",
            ):
                yield f"{node.lineno}: swallows {kinds}"
            if all(isinstance(one, ast.Pass) for one in node.body):
                yield f"{node.lineno}: an empty except"


@pytest.mark.parametrize("path", SERVER, ids=name)
def test_nothing_is_printed_swallowed_or_evaluated(path: Path) -> None:
    assert list(complaints(path)) == []


@pytest.mark.parametrize("path", SCRIPTS, ids=name)
def test_no_console_and_no_empty_catch(path: Path) -> None:
    """ASVS 1.3.2, 1.2.2."""
    text = path.read_text("utf-8")
    assert not re.search(r"\bconsole\.\w+\(", text)
    assert not re.search(r"catch\s*(\([^)]*\))?\s*\{\s*\}", text)
    assert not re.search(r"\beval\(|new Function\(|dangerouslySetInnerHTML|\.innerHTML\s*=", text)


def test_a_blind_except_says_why() -> None:
    for path in PYTHON:
        for line in path.read_text("utf-8").splitlines():
            if re.search(r"# noqa: (BLE001|S110)", line):
                assert re.search(r"# noqa: (BLE001|S110)\b.* - \w", line), f"{name(path)}: {line.strip()}"


def test_only_config_reads_the_environment() -> None:
    readers = [
        name(path) for path in SERVER if re.search(r"\bos\.(environ|getenv)\b", path.read_text("utf-8"))
    ]
    assert readers == ["backend/chatsec/config.py"]


def test_no_work_at_import() -> None:
    """A module of the server defines; it opens, starts and reads nothing."""
    for path in SERVER:
        if path == ROOT / "backend" / "chatsec" / "worker.py":  # patches the standard library
            continue
        for node in tree(path).body:
            assert not isinstance(node, ast.For | ast.While | ast.With | ast.Try), (
                f"{name(path)}:{node.lineno}"
            )
            if isinstance(node, ast.Expr):
                assert isinstance(node.value, ast.Constant), f"{name(path)}:{node.lineno}: a call at import"
