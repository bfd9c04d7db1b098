"""Runs writers in every order that their accesses to a shared store can have.

Each writer is a greenlet that gives way before every access, by the `turn` of its store's offload. The orders are
walked depth first: an order is replayed up to its last choice that has another branch, and takes that branch. Two
orders that led to the same data, past the same observations of every writer, have the same future: of these only the
first is followed to its end. Every reachable outcome is so reached.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass

from greenlet import getcurrent, greenlet

from tests.support.direct import DirectOffload

Writers = Sequence[Callable[[], object]]


class Stepwise(DirectOffload):
    """Gives way at every access of a writer; the test's own accesses go straight through."""

    def turn(self) -> None:
        scheduler = getcurrent().parent
        if scheduler is not None:
            scheduler.switch()


@dataclass
class Choice:
    """Which of `options` writers took a step."""

    taken: int
    options: int


def orders(start: Callable[[], tuple[Writers, Callable[[], Hashable]]]) -> Iterator[str]:
    """Calls `start` for fresh writers and a function that answers the shared data as a value; runs them to their end;
    yields the order as text. Until there is no other."""
    seen: set[Hashable] = set()
    choices: list[Choice] = []
    while True:
        if _run(*start(), choices, seen):
            yield "".join(str(choice.taken) for choice in choices)
        while choices and choices[-1].taken + 1 == choices[-1].options:
            choices.pop()
        if not choices:
            return
        choices[-1].taken += 1


def _run(writers: Writers, data: Callable[[], Hashable], choices: list[Choice], seen: set[Hashable]) -> bool:
    """Replays `choices`, then adds to them; False where it came to what was seen before."""
    running = {number: greenlet(writer) for number, writer in enumerate(writers)}
    observed: dict[int, Hashable] = dict.fromkeys(running)
    replayed = len(choices)
    step = 0
    while running:
        if step == len(choices):
            choices.append(Choice(0, len(running)))
        number = sorted(running)[choices[step].taken]
        observed[number] = hash((observed[number], data()))
        running[number].switch()
        if running[number].dead:
            del running[number]
        step += 1
        state = (data(), tuple(observed.items()), tuple(running))
        if step >= replayed:
            if state in seen:
                return False
            seen.add(state)
    return True
