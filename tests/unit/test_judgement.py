"""The judgement after a fault finds each thing that can be wrong, and nothing where all is well."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.support import protocol as p
from tests.support.judgement import View, faults

Json = dict[str, Any]
HERE = {"alice", "bob"}


def item(seq: int, sender: str = "alice", name: str = "") -> Json:
    header = json.dumps({"from": sender, "id": name or f"id-{seq}"}).encode()
    parts = dict.fromkeys(("iv", "ciphertext", "signature"), p.b64u(bytes([seq])))
    return {"seq": seq, "protected": p.b64u(header), **parts}


def chain(items: list[Json]) -> list[bytes]:
    return [p.chain(items[:count]) for count in range(1, len(items) + 1)]


def story() -> tuple[list[Json], View, View]:
    """Four messages, of which the first three are alice's and acked; two clients that have it all."""
    stored = [item(1), item(2), item(3), item(4, "bob")]
    sent = {f"id-{one['seq']}": one for one in stored[:3]}
    alice = View("alice", chain(stored), sent, {"id-1": 1, "id-2": 2, "id-3": 3}, HERE)
    return stored, alice, View("bob", chain(stored), shown=HERE)


def test_all_is_well() -> None:
    stored, alice, bob = story()
    assert faults(stored, [alice, bob, View("a worker", shown=HERE)], HERE) == []
    assert faults([], [], ()) == []


Change = Callable[[list[Json], View, View], tuple[list[Json], View, View]]
WRONG: dict[str, Change] = {
    "lost": lambda stored, a, b: (stored[:2], replace(a, chain=a.chain[:2]), replace(b, chain=b.chain[:2])),
    "lost: alice's id-2": lambda stored, a, b: (stored, replace(a, acked={"id-2": 3}), b),
    "gap: no seq 2": lambda stored, a, b: ([stored[0], *stored[2:]], a, b),
    "gap: no seq 1": lambda stored, a, b: (stored[1:], a, b),
    "repeated: seq 3": lambda stored, a, b: ([*stored[:3], item(3, "bob"), stored[3]], a, b),
    "repeated: id ('alice', 'id-1')": lambda stored, a, b: ([*stored, item(5, name="id-1")], a, b),
    "order": lambda stored, a, b: ([stored[1], stored[0], *stored[2:]], a, b),
    "behind: bob": lambda stored, a, b: (stored, a, replace(b, chain=b.chain[:3])),
    "behind: bob has 0": lambda stored, a, b: (stored, a, replace(b, chain=[])),
    "fork: bob": lambda stored, a, b: (stored, a, replace(b, chain=[*b.chain[:3], bytes(32)])),
    "fork: alice": lambda stored, a, b: (stored[:3], a, replace(b, chain=b.chain[:3])),
    "presence: bob shows alice as offline": lambda stored, a, b: (stored, a, replace(b, shown={"bob"})),
    "presence: alice shows carol": lambda stored, a, b: (stored, replace(a, shown={*HERE, "carol"}), b),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_named(name: str) -> None:
    stored, alice, bob = WRONG[name](*story())
    found = faults(stored, [alice, bob], HERE)
    assert any(one.startswith(name) for one in found), found


def test_bytes_that_are_not_those_that_were_acked_are_a_loss() -> None:
    stored, alice, bob = story()
    stored[1] = stored[1] | {"ciphertext": "AA"}
    views = [replace(alice, chain=chain(stored)), replace(bob, chain=chain(stored))]
    assert [one.split(":")[0] for one in faults(stored, views, HERE)] == ["lost"]
