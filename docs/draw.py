"""Draws docs/infrastructure.svg from docs/infrastructure.dot: `python docs/draw.py`, with graphviz installed.

Gives the picture its colours, by day and by night, and writes into it which source it is made of.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
from pathlib import Path

SOURCE = Path(__file__).with_name("infrastructure.dot")
COLOURS = """
text { font-family: system-ui, Helvetica, Arial, sans-serif; fill: #1c2733 }
.graph > polygon { fill: #ffffff; stroke: none }
.edge path { fill: none; stroke: #6b7a89; stroke-width: 1.2 } .edge polygon { fill: #6b7a89; stroke: #6b7a89 } .edge text { fill: #5b6875 }
.place path { fill: #f5f7f9; stroke: #c3ccd5 } .place text { fill: #5b6875 }
.people path { fill: #e8f1ff; stroke: #7ea6dd } .proxy path { fill: #fff4e2; stroke: #d8ab62 }
.worker path { fill: #ffffff; stroke: #9fb0c0 } .store path { fill: #eaf5ea; stroke: #8db88d }
@media (prefers-color-scheme: dark) {
text { fill: #e3e9ef } .graph > polygon { fill: #14191f }
.edge path { stroke: #8a98a6 } .edge polygon { fill: #8a98a6; stroke: #8a98a6 } .edge text, .place text { fill: #a7b3be }
.place path { fill: #1b2229; stroke: #3a4651 } .people path { fill: #1c2f4a; stroke: #4d79b8 }
.proxy path { fill: #3a2e18; stroke: #a67f3d } .worker path { fill: #252e37; stroke: #5b6b79 } .store path { fill: #1d3322; stroke: #568a5d }
}
"""


def main() -> None:
    drawn = subprocess.run(["dot", "-Tsvg", SOURCE], check=True, capture_output=True, text=True).stdout
    svg = drawn[drawn.index("<svg") :]
    svg = re.sub(r"<!--.*?-->\n|<title>[^<]*</title>\n", "", svg, flags=re.S)
    svg = re.sub(r' (fill|stroke|font-family)="[^"]*"', "", svg)
    svg = re.sub(
        r'<svg width="(\d+)pt" height="(\d+)pt"', '<svg role="img" aria-label="Where Chat-Sec runs"', svg
    )
    digest = hashlib.sha256(SOURCE.read_bytes()).hexdigest()
    svg = svg.replace(
        ">\n", f">\n<!-- made of {SOURCE.name}, sha256 {digest} -->\n<style>{COLOURS}</style>\n", 1
    )
    SOURCE.with_suffix(".svg").write_text(svg, "utf-8")


if __name__ == "__main__":
    main()
