"""Runs writers in every order that their accesses to a shared store can have.

Each writer is a greenlet that gives way before every access: in memory by the `turn` of its store's offload, in front of
MongoDB at each command that its driver sends. The orders are
walked depth first: an order is replayed up to its last choice that has another branch, and takes that branch. Two
orders that led to the same data, past the same observations of every writer, have the same future: of these only the
first is followed to its end. Every reachable outcome is so reached.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass

from greenlet import getcurrent, greenlet
from pymongo.monitoring import CommandFailedEvent, CommandListener, CommandStartedEvent, CommandSucceededEvent

from tests.support.direct import DirectOffload

READS = ("find", "getMore", "aggregate")
WRITES = ("insert", "update", "delete", "findAndModify")
Writers = Sequence[Callable[[], object]]


class Stepwise(DirectOffload):
    """Gives way at every access of a writer; the test's own accesses go straight through."""

    def turn(self) -> None:
        give_way()

    def sleep(self, seconds: float) -> None:
        give_way()


class Commands(CommandListener):
    """Gives way before each command of a writer to MongoDB; `wrote` says that one may have changed something."""

    wrote = True

    def started(self, event: CommandStartedEvent) -> None:
        if event.command_name in (*READS, *WRITES):  # and not what a connection begins with
            give_way()
            self.wrote |= event.command_name in WRITES

    def succeeded(self, event: CommandSucceededEvent) -> None: ...

    def failed(self, event: CommandFailedEvent) -> None: ...


def give_way() -> None:
    scheduler = getcurrent().parent
    if scheduler is not None:
        scheduler.switch()


@dataclass
class Choice:
    """Which of `options` writers took a step."""

    taken: int
    options: int


def orders(
    start: Callable[[], tuple[Writers, Callable[[], Hashable]]], breaks: float = math.inf
) -> Iterator[str]:
    """Calls `start` for fresh writers and a function that answers the shared data as a value; runs them to their end;
    yields the order as text. Until there is no other in which writers are interrupted at most `breaks` times."""
    seen: set[Hashable] = set()
    choices: list[Choice] = []
    while True:
        if _run(*start(), choices, seen, breaks):
            yield "".join(str(choice.taken) for choice in choices)
        while choices and choices[-1].taken + 1 == choices[-1].options:
            choices.pop()
        if not choices:
            return
        choices[-1].taken += 1


def _run(
    writers: Writers,
    data: Callable[[], Hashable],
    choices: list[Choice],
    seen: set[Hashable],
    breaks: float,
) -> bool:
    """Replays `choices`, then adds to them; False where it came to what was seen before."""
    running = {number: greenlet(writer) for number, writer in enumerate(writers)}
    observed: dict[int, Hashable] = dict.fromkeys(running)
    replayed = len(choices)
    step = 0
    last = -1
    now = data()
    while running:
        able = [last] if last in running and not breaks else sorted(running)
        if step == len(choices):
            choices.append(Choice(0, len(able)))
        number = able[choices[step].taken]
        breaks -= last in running and number != last
        last = number
        observed[number] = hash((observed[number], now))
        running[number].switch()
        now = data()
        if running[number].dead:
            del running[number]
        step += 1
        state = (now, tuple(observed.items()), tuple(running), breaks, last if breaks < math.inf else None)
        if step >= replayed:
            if state in seen:
                return False
            seen.add(state)
    return True
