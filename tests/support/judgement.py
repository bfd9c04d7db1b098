"""What must be true once a fault is over, whatever it was: `faults` names what is not.

Nothing acked is lost, every seq stands there once and none is missing, each id once, every client holds the same chain,
and whoever is here is shown as here by everybody, whoever is gone by nobody.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tests.support import protocol as p
from tests.support.connections import Json


@dataclass(frozen=True)
class View:
    """What one client has: the c after each item, what it sent and was told of that, and whom it shows as not offline.
    A worker that is asked has a view too; None is what it does not have."""

    who: str
    chain: Sequence[bytes] | None = None
    sent: Mapping[str, p.Envelope] = field(default_factory=dict)
    acked: Mapping[str, int] = field(default_factory=dict)
    shown: Collection[str] | None = None


def faults(stored: Sequence[Json], views: Iterable[View], here: Collection[str]) -> list[str]:
    """What is wrong with the items that the store has, and with the views, while these people are here; [] if nothing."""
    found = [*_numbers(stored), *_ids(stored)]
    chain, before = [], p.CHAIN_START
    for item in stored:
        before = p.chain_step(before, p.item_hash(item))
        chain.append(before)
    places = {item["seq"]: item for item in stored}
    for view in views:
        found += [*_acks(view, places), *_chain(view, chain), *_people(view, here)]
    return found


def _numbers(stored: Sequence[Json]) -> list[str]:
    counts = Counter(item["seq"] for item in stored)
    missing = set(range(1, max(counts, default=0) + 1)) - counts.keys()
    found = [f"gap: no seq {seq}" for seq in sorted(missing)]
    found += [f"repeated: seq {seq} stands there {count} times" for seq, count in counts.items() if count > 1]
    seqs = [item["seq"] for item in stored]
    return found + (["order: not by seq"] if seqs != sorted(seqs) else [])


def _id(item: Json) -> tuple[str, str]:
    header = json.loads(p.un64u(item["protected"]))
    return header["from"], header["id"]


def _ids(stored: Sequence[Json]) -> list[str]:
    counts = Counter(_id(item) for item in stored if "protected" in item)
    return [f"repeated: id {one} stands there {count} times" for one, count in counts.items() if count > 1]


def _acks(view: View, places: Mapping[int, Json]) -> list[str]:
    found = []
    for message_id, seq in view.acked.items():
        item, sent = places.get(seq), view.sent[message_id]
        names = ("protected", "iv", "ciphertext", "signature")
        if item is None or any(item.get(name) != sent[name] for name in names):
            found.append(f"lost: {view.who}'s {message_id} was acked as seq {seq} and is not there")
    return found


def _chain(view: View, chain: list[bytes]) -> list[str]:
    if view.chain is None or list(view.chain) == chain:
        return []
    if chain[: len(view.chain)] == list(view.chain):
        return [f"behind: {view.who} has {len(view.chain)} of {len(chain)}"]
    return [f"fork: {view.who} has another chain"]


def _people(view: View, here: Collection[str]) -> list[str]:
    if view.shown is None:
        return []
    missing, ghosts = set(here) - set(view.shown), set(view.shown) - set(here)
    return [f"presence: {view.who} shows {name} as offline, who is here" for name in sorted(missing)] + [
        f"presence: {view.who} shows {name}, who is gone" for name in sorted(ghosts)
    ]
