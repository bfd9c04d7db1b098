"""Makes the vector files that Python owns: `python -m tests.vectors.make`.

kid, bundle, chain and encodings; the others are made by frontend/tests/vectors/make.js. Shape: every file is
`{construction, source, made_by, cases: [{name, valid, …}]}`, bytes as b64u, must-fail cases with their `failure`.
"""

import json
from pathlib import Path
from typing import Any

from tests.vectors.made import bundles, chains, encodings, kids

HERE = Path(__file__).parent
SOURCES = {
    "encodings": "protocol, Words",
    "kid": "protocol §2",
    "bundle": "protocol §2",
    "chain": "protocol §4",
}


def files() -> dict[str, str]:
    """File name → its whole text."""
    cases = {
        "encodings": encodings.cases(),
        "kid": kids.cases(),
        "bundle": bundles.cases(),
        "chain": chains.cases(),
    }
    return {f"{name}.json": _render(name, made) for name, made in cases.items()}


def _render(name: str, cases: list[dict[str, Any]]) -> str:
    head = {"construction": name, "source": SOURCES[name], "made_by": "python", "cases": cases}
    return json.dumps(head, indent=1) + "\n"


if __name__ == "__main__":
    for file, content in files().items():
        (HERE / file).write_text(content)
