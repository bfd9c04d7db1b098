"""Makes the vector files that Python owns: `PYTHONPATH=backend python -m tests.vectors.make`.

kid, bundle, chain, encodings, client state, attachments and those of `combined` chats; the others are made by frontend/tests/vectors/make.js. Shape: every file is
`{construction, source, made_by, cases: [{name, valid, …}]}`, bytes as b64u, must-fail cases with their `failure`.
"""

import json
from pathlib import Path
from typing import Any

from tests.vectors.made import attachments, bundles, chains, encodings, epochs, kids, logs, safety, states

HERE = Path(__file__).parent
SOURCES = {
    "encodings": "protocol, Words",
    "kid": "protocol §2",
    "bundle": "protocol §2",
    "chain": "protocol §4",
    "membership": "protocol §4",
    "share": "protocol §4",
    "combined": "protocol §4, RFC 8017 §7.1, RFC 5869",
    "safety": "protocol §2",
    "state": "protocol §3",
    "attachment": "protocol §5",
}


def files() -> dict[str, str]:
    """File name → its whole text."""
    cases = {
        "encodings": encodings.cases(),
        "kid": kids.cases(),
        "bundle": bundles.cases(),
        "chain": chains.cases(),
        "membership": logs.entries(),
        "share": logs.shares(),
        "combined": epochs.cases(),
        "safety": safety.cases(),
        "state": states.cases(),
        "attachment": attachments.cases(),
    }
    return {f"{name}.json": _render(name, made) for name, made in cases.items()}


def _render(name: str, cases: list[dict[str, Any]]) -> str:
    head = {"construction": name, "source": SOURCES[name], "made_by": "python"}
    people = {"people": logs.people()} if name in ("membership", "share") else {}
    return json.dumps(head | people | {"cases": cases}, indent=1) + "\n"


if __name__ == "__main__":
    for file, content in files().items():
        (HERE / file).write_text(content)
