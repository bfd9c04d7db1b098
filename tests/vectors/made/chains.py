"""Event hashes, the chain over items, and `before` (protocol §4).

Three kinds: `event` (chat, event → hash), `chain` (before, hashes → chain, the c after each) and `page` (before,
items → chain). A failing page claims a `chain` end that its items do not give (`history_fork`).
"""

from typing import Any

from tests.support.encoding import H, b64u, un64u
from tests.support.envelopes import CHAIN_START, chain_step, event_hash, item_hash
from tests.vectors.fixed import stream

CHAT = "5a1d7f04-3c7e-4d0b-9b52-7d6f1c2e9a10"
TIME = "2026-11-24T18:00:00.123Z"
NONE = {"log": "", "share": "", "keys": ""}
EVENTS: list[dict[str, Any]] = [
    {"kind": "create", "by": "alice", "usernames": ["carol", "alice", "bob"], "epoch": 1},
    {"kind": "add", "by": "alice", "usernames": ["dave"], "epoch": 2},
    {"kind": "remove", "by": "alice", "usernames": ["dave"], "epoch": 3},
    {"kind": "leave", "by": "carol", "usernames": ["carol"], "epoch": 4},
    {"kind": "role", "by": "alice", "usernames": ["bob"], "epoch": 4},
    {"kind": "rename", "by": "alice", "usernames": [], "epoch": 4},
    {"kind": "keys", "by": "bob", "usernames": ["bob"], "epoch": 5, "keys": H(b"bundle")},
    {"kind": "rekey", "by": "", "usernames": [], "epoch": 6},
    {"kind": "ended", "by": "", "usernames": ["bob"], "epoch": 2**53 - 1},
    {
        "kind": "add",
        "by": "a.b-c_d",
        "usernames": ["a-b", "a.b", "a_b", "a0b"],
        "epoch": 10,
        "log": H(b"log"),
    },
    {"kind": "rekey", "by": "alice", "usernames": [], "epoch": 11, "share": H(b"share")},
]
MALFORMED: dict[str, dict[str, Any]] = {
    "LF in by": {"by": "alice\nbob"},
    "comma in a username": {"usernames": ["bob,carol"]},
    "LF in a username": {"usernames": ["bob\n2"]},
    "upper case": {"by": "Alice"},
    "epoch 0": {"epoch": 0},
    "epoch a text": {"epoch": "2"},
    "epoch a boolean": {"epoch": True},
    "epoch 2^53": {"epoch": 2**53},
    "log no hash": {"log": "x"},
    "keys null": {"keys": None},
    "usernames a text": {"usernames": "bob"},
    "kind with LF": {"kind": "add\nremove"},
}


def cases() -> list[dict[str, Any]]:
    """All cases of the file."""
    return [*_events(), *_chains(), *_pages()]


def _events() -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    for event in EVENTS:
        whole = NONE | event
        case = {
            "kind": "event",
            "chat": CHAT,
            "event": whole,
            "hash": event_hash({"chat": CHAT, "event": whole}),
        }
        made.append({"name": f"{event['kind']} by {event['by'] or 'the server'}", "valid": True, **case})
    for name, change in MALFORMED.items():
        case = {"kind": "event", "chat": CHAT, "event": NONE | EVENTS[1] | change}
        made.append({"name": name, "valid": False, "failure": "malformed", **case})
    return made


def _chains() -> list[dict[str, Any]]:
    made = []
    hashes = [H(f"item {n}".encode()) for n in range(1, 6)]
    for name, before, some in (
        ("from the start", CHAIN_START, hashes),
        ("from the middle", stream("middle", 32), hashes[2:]),
        ("nothing", stream("middle", 32), []),
    ):
        steps = _steps(before, some)
        case = {"kind": "chain", "before": b64u(before), "hashes": some, "chain": steps}
        made.append({"name": f"chain {name}", "valid": True, **case})
    return made


def _pages() -> list[dict[str, Any]]:
    items = [_event_item(1, EVENTS[0]), _message(2), _message(3), _event_item(4, EVENTS[1]), _message(5)]
    end = _steps(CHAIN_START, [b64u(item_hash(item)) for item in items])[-1]
    good = {"kind": "page", "before": b64u(CHAIN_START), "items": items, "end": end}
    changed = [*items[:1], items[1] | {"signature": items[2]["signature"]}, *items[2:]]
    wrong: dict[str, dict[str, Any]] = {
        "an item dropped": {"items": items[:2] + items[3:]},
        "two swapped": {"items": [items[0], items[2], items[1], *items[3:]]},
        "one twice": {"items": [*items, items[-1]]},
        "a signature replaced": {"items": changed},
        "an event changed": {"items": [_event_item(1, EVENTS[0] | {"by": "bob"}), *items[1:]]},
        "another before": {"before": b64u(stream("middle", 32))},
    }
    made: list[dict[str, Any]] = [{"name": "page", "valid": True, **good}]
    for name, change in wrong.items():
        made.append({"name": f"page: {name}", "valid": False, "failure": "history_fork", **(good | change)})
    return made


def _steps(before: bytes, hashes: list[str]) -> list[str]:
    steps = []
    for hashed in hashes:
        before = chain_step(before, un64u(hashed))
        steps.append(b64u(before))
    return steps


def _event_item(seq: int, event: dict[str, Any]) -> dict[str, Any]:
    return {"chat": CHAT, "seq": seq, "received_at": TIME, "event": NONE | event}


def _message(seq: int) -> dict[str, Any]:
    """Not a message that opens: the chain runs over the texts as they travel."""
    parts = {"protected": 300, "iv": 12, "ciphertext": 48, "signature": 64}
    texts = {name: b64u(stream(f"{name} {seq}", size)) for name, size in parts.items()}
    return {"chat": CHAT, "seq": seq, "received_at": TIME, **texts}
