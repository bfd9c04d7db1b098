"""The project's files, as git knows them."""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@cache
def tracked(*suffixes: str, under: tuple[str, ...] = ("",)) -> list[Path]:
    """Files that are tracked or would be, of these suffixes (all without any), in these folders."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    return [
        ROOT / name
        for name in sorted(set(names))
        if name.startswith(under) and (not suffixes or name.endswith(suffixes)) and (ROOT / name).is_file()
    ]


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))
