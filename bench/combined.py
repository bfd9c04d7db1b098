"""What key mode `combined` costs the server: the relay beside that of a `server` chat, and a new epoch of a large chat.

The relay's sides take turns as in `bench.relay`, each message with the log's entry in its header. A new epoch is a request
with a client share for everybody in it, honest and made beforehand, with or without an entry; its CPU counts from the
request to the answer and what is told after that. How late the event loop was meanwhile is asked by somebody else: the longest
of many short questions during the change, less what they take when it is quiet (`lag`); and the most that the loop's thread
worked while one waited (`held`), which other work on the machine does not lengthen. `no change` is the same without one.
"""

from __future__ import annotations

import http.client
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import orjson

from bench.processes import chat_sec, cpu_seconds, thread_seconds
from bench.relay import COLUMNS as RELAY_COLUMNS
from bench.relay import Relay
from bench.report import Figures, Report, in_turns, median, options, ratio, scratch, show
from bench.workload import Api, user_of
from tests.support.client import Signer, User

MAX_RATIO, MAX_CPU_MS, MAX_HELD_MS = 1.03, 150.0, 5.0
PAUSE = 0.001  # seconds between two short questions
SETTLE = 0.1  # seconds in which what an event sets going is over
COLUMNS = {"cpu_ms": ".3f", "took_ms": ".1f", "lag_ms": ".1f", "held_ms": ".1f"} | {
    name: shape for name, shape in RELAY_COLUMNS.items() if name != "cpu_ms"
}
Body = dict[str, Any]


class Questions:
    """Somebody who asks what costs nothing, again and again, over one connection."""

    def __init__(self, pid: int, port: int) -> None:
        self._pid = pid
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._took: list[tuple[float, float]] = []
        self._over = threading.Event()
        asked = [self._ask() for _ in range(50)]
        self._quiet = tuple(statistics.median(column) for column in zip(*asked, strict=True))

    def _ask(self) -> tuple[float, float]:
        """Seconds that the answer took, and of the loop's thread at work meanwhile."""
        began, used = time.perf_counter(), thread_seconds(self._pid)
        self._connection.request("GET", "/api/v1/server")
        self._connection.getresponse().read()
        return time.perf_counter() - began, thread_seconds(self._pid) - used

    def _go(self) -> None:
        while not self._over.wait(PAUSE):
            self._took.append(self._ask())

    @contextmanager
    def asking(self) -> Iterator[None]:
        self._took, self._over = [], threading.Event()
        thread = threading.Thread(target=self._go)
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()

    def late(self) -> tuple[float, float]:
        """Milliseconds of the longest answer beyond a quiet one, and of the most work that one waited for."""
        longest = (max(column) for column in zip(*self._took, strict=True))
        return tuple(max(0.0, most - quiet) * 1000 for most, quiet in zip(longest, self._quiet, strict=True))

    def close(self) -> None:
        self._connection.close()


class Crowd:
    """An owner and others in one large chat of each key mode, on one server."""

    def __init__(self, port: int, members: int) -> None:
        api = Api(f"http://127.0.0.1:{port}")
        names = [f"member{number:03}" for number in range(members)]
        self.people = [user_of(api, name, number) for number, name in enumerate(names)]
        self.owner, self.last = self.people[0], names[-1]
        self.server = self.owner.create_chat(*names[1:])
        self.combined = self.owner.create_combined(*names[1:])
        self.port = port

    def changes(self, count: int) -> dict[str, Iterator[tuple[str, Body]]]:
        """side → so many changes, each (chat, request), made when it is asked for."""
        return {
            "server rekey": ((self.server, {"kind": "rekey"}) for _ in range(count)),
            "combined rekey": ((self.combined, self._signer().body("rekey")) for _ in range(count)),
            "combined entry": ((self.combined, self._in_or_out(number)) for number in range(count)),
        }

    def _signer(self) -> Signer:
        return self.owner.signer(self.combined)

    def _in_or_out(self, number: int) -> Body:
        signer = self._signer()
        return signer.add_body(self.last) if number % 2 else signer.remove_body(self.last)


class Post:
    """Sends a request that was encoded beforehand."""

    def __init__(self, owner: User, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._headers = {"Authorization": f"Bearer {owner.token}", "Content-Type": "application/json"}

    def send(self, chat: str, body: bytes) -> float:
        """Seconds that the answer took."""
        began = time.perf_counter()
        self._connection.request("POST", f"/api/v1/chats/{chat}/events", body, self._headers)
        answer = self._connection.getresponse()
        said = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{answer.status}: {said[:300]!r}")
        return time.perf_counter() - began

    def close(self) -> None:
        self._connection.close()


def epochs(folder: Path, members: int, changes: int) -> dict[str, Figures]:
    """side → what a change took the server, one half measured alone, the other while somebody asks."""
    with chat_sec(folder) as (pid, port), ExitStack() as stack:
        crowd = Crowd(port, members)
        post = stack.enter_context(closing(Post(crowd.owner, port)))
        questions = stack.enter_context(closing(Questions(pid, port)))
        found = {
            side: _measure(pid, post, questions, made, changes)
            for side, made in crowd.changes(2 * changes).items()
        }
        return {"no change": _measure_nothing(questions, changes), **found}


def _measure_nothing(questions: Questions, times: int) -> Figures:
    """How late answers are while nothing happens: what else the machine does."""
    late = []
    for _ in range(times):
        with questions.asking():
            time.sleep(SETTLE)
        late.append(questions.late())
    return _lags(late)


def _lags(late: Sequence[tuple[float, float]]) -> Figures:
    lags, held = zip(*late, strict=True)
    return {
        "lag_ms": statistics.median(lags),
        "worst_lag_ms": max(lags),
        "held_ms": statistics.median(held),
        "worst_held_ms": max(held),
    }


def _measure(
    pid: int, post: Post, questions: Questions, made: Iterator[tuple[str, Body]], changes: int
) -> Figures:
    used, took, late = 0.0, [], []
    for number, (chat, body) in enumerate(made):
        encoded = orjson.dumps(body)
        if number < changes:
            before = cpu_seconds(pid)
            took.append(post.send(chat, encoded))
            time.sleep(SETTLE)
            used += cpu_seconds(pid) - before
        else:
            with questions.asking():
                post.send(chat, encoded)
                time.sleep(SETTLE)
            late.append(questions.late())
    return {
        "cpu_ms": used * 1000 / changes,
        "took_ms": statistics.median(took) * 1000,
        **_lags(late),
    }


def relays(folder: Path, chosen: Any) -> dict[str, Callable[[Path], Figures]]:
    """The two sides of the relay."""
    modes = ("server", "combined")
    relay = Relay(folder, chosen.pairs, 2, chosen.lanes, chosen.messages, chosen.warm, modes)
    return {f"{mode} relay": partial(relay.chat_sec, key_mode=mode) for mode in modes}


def _bars(turns: Mapping[str, Sequence[Figures]]) -> list[tuple[str, float, float]]:
    relay = ratio(turns["combined relay"], turns["server relay"], "cpu_ms")
    found = [("relay beside server chats", relay, MAX_RATIO)]
    for side in ("combined rekey", "combined entry"):
        found.append((f"CPU ms of a {side}", median(turns[side], "cpu_ms"), MAX_CPU_MS))
        found.append((f"loop held ms at a {side}", median(turns[side], "held_ms"), MAX_HELD_MS))
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    sizes = {"pairs": 20, "lanes": 8, "messages": 100, "warm": 10, "members": 200, "changes": 10}
    chosen = options("combined", __doc__, **sizes).parse_args(arguments)
    with ExitStack() as stack:
        folder = scratch(stack)
        sides = relays(folder, chosen)
        report = Report("what key mode combined costs", {name: getattr(chosen, name) for name in sizes})
        turns = in_turns(chosen.turns, sides, folder)
        found = [
            epochs(folder / f"epochs{turn}", chosen.members, chosen.changes) for turn in range(chosen.turns)
        ]
        turns |= {side: [turn[side] for turn in found] for side in found[0]}
    show(report.write(chosen.json, turns, _bars(turns)), COLUMNS)
    return 0


if __name__ == "__main__":
    sys.exit(main())
