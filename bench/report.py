"""What a measurement writes down: medians with their spread, the state of the machine, a table for people, a file."""

from __future__ import annotations

import argparse
import math
import os
import platform
import statistics
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import orjson

from bench.processes import ROOT

Figures = dict[str, float]
Turn = Callable[[Path], Figures]  # one measurement in a new folder
TURNS = 3


def options(name: str, about: str | None, **sizes: int | float) -> argparse.ArgumentParser:
    """A parser with `--turns`, `--json` and one option for each of the sizes."""
    parser = argparse.ArgumentParser(prog=f"bench/{name}", description=about)
    parser.add_argument("--turns", type=int, default=TURNS, help="measurements of each side")
    parser.add_argument("--json", type=Path, default=ROOT / "bench/results" / f"{name}.json")
    for size, default in sizes.items():
        parser.add_argument(f"--{size}", type=type(default), default=default)
    return parser


def in_turns(turns: int, sides: Mapping[str, Turn], folder: Path) -> dict[str, list[Figures]]:
    """Every side `turns` times, A B A B …, so that what else the machine does hits all of them."""
    found: dict[str, list[Figures]] = {side: [] for side in sides}
    for turn in range(turns):
        for side, measure in sides.items():
            place = folder / f"{side}-{turn}".replace(" ", "-")
            place.mkdir()
            found[side].append(measure(place))
    return found


def scratch(stack: ExitStack) -> Path:
    """A folder that is gone with the stack."""
    return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="chatsec-bench-")))


class Report:
    """Begun before the measurement, since it notes the state of the machine then and at the end."""

    def __init__(self, question: str, load: Mapping[str, Any]) -> None:
        self._began = {"load_average": os.getloadavg(), "stolen": _stolen()}
        self._head = {
            "question": question,
            "at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "python": platform.python_version(),
            "load": dict(load),
        }

    def write(
        self, path: Path, sides: Mapping[str, Sequence[Figures]], bars: Sequence[tuple[str, float, float]]
    ) -> dict[str, Any]:
        """The file: of each side its turns, medians and spread; of each bar (name, value, at most) whether it is met."""
        found = {
            **self._head,
            "machine": {
                "system": f"{platform.system()} {platform.machine()}",
                "processor": _processor(),
                "cores": os.cpu_count(),
                "load_average_before": self._began["load_average"],
                "load_average_after": os.getloadavg(),
                "stolen_share": _share(self._began["stolen"], _stolen()),
            },
            "sides": {
                side: {
                    "median": _each(turns, statistics.median),
                    "lowest": _each(turns, min),
                    "highest": _each(turns, max),
                    "turns": turns,
                }
                for side, turns in sides.items()
            },
            "bars": [
                {"name": name, "value": value, "at_most": most, "met": value <= most}
                for name, value, most in bars
            ],
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(orjson.dumps(found, option=orjson.OPT_INDENT_2) + b"\n")
        return found


def show(found: Mapping[str, Any], columns: Mapping[str, str]) -> None:
    """The medians as a table, the lowest and highest of the first column beside it, then the bars. `columns`: figure → format."""
    first = next(iter(columns))
    names = [first, "from … to", *list(columns)[1:]]
    rows = [["", *(name.replace("_", " ") for name in names)]]
    for side, values in found["sides"].items():
        cells = [_cell(values["median"], name, shape) for name, shape in columns.items()]
        ends = [_cell(values[end], first, columns[first]) for end in ("lowest", "highest")]
        rows.append([side, cells[0], " … ".join(ends), *cells[1:]])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for side, *cells in rows:
        line = "  ".join(cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True))
        print(side.ljust(widths[0]), line, sep="  ")
    print()
    for bar in found["bars"]:
        verdict = "met" if bar["met"] else "MISSED"
        print(f"{bar['name']}: {bar['value']:.3g}, at most {bar['at_most']:g}: {verdict}")


def median(turns: Sequence[Figures], name: str) -> float:
    return statistics.median(turn[name] for turn in turns)


def ratio(above: Sequence[Figures], below: Sequence[Figures], name: str) -> float:
    """The median of the ratios within a turn, where both sides met the same neighbours."""
    pairs = [(a[name], b[name]) for a, b in zip(above, below, strict=True)]
    return statistics.median(a / b if b else math.inf for a, b in pairs)


def _cell(figures: Figures, name: str, shape: str) -> str:
    return format(figures[name], shape) if name in figures else "-"


def _each(turns: Sequence[Figures], of: Callable[[list[float]], float]) -> Figures:
    return {name: of([turn[name] for turn in turns]) for name in turns[0]}


def _processor() -> str:
    names = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return names[0].partition(":")[2].strip() if names else platform.processor()


def _stolen() -> list[int]:
    """Clock ticks of all cores since start-up, by kind (proc_stat(5)); the eighth is what other guests took."""
    return [int(ticks) for ticks in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]


def _share(before: list[int], after: list[int]) -> float:
    passed = [b - a for a, b in zip(before, after, strict=True)]
    return round(passed[7] / max(1, sum(passed)), 3)
