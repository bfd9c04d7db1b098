"""Server CPU of a login beside bcrypt alone, and the relay while 20 people log in at once.

Logins and bcrypt alone, with the same rounds, take turns one by one. The relay's load has its own pace, so that its
latency counts from when a message was due: measured quiet, and again while all the logins wait for their answer.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import bcrypt

from bench.measure import latencies, run_load
from bench.processes import chat_sec, cpu_seconds
from bench.report import Figures, Report, median, options, ratio, scratch, show
from bench.workload import Api, make_work

MAX_RATIO, MAX_P95_MS = 1.15, 30.0
WARM = 2
EVERY = 0.1  # seconds between two messages of a pair
COLUMNS = {"cpu_ms": ".1f", "took_ms": ".1f", "delivery_p50_ms": ".1f", "delivery_p95_ms": ".1f"}


class Login:
    """`people` who log in, and pairs who write to one another meanwhile for `seconds`."""

    def __init__(self, folder: Path, people: int, rounds: int, pairs: int, seconds: float) -> None:
        self._store, self._rounds = folder, rounds
        self._people = [f"user{number}" for number in range(people)]
        with chat_sec(folder) as (_, port):  # cheap passwords for those who write
            api = Api(f"http://127.0.0.1:{port}")
            self._work = make_work(api, pairs, 2, 2, WARM + round(seconds / EVERY))

    def turn(self, folder: Path) -> dict[str, Figures]:
        """side → figures."""
        shutil.copytree(self._store / "data", folder / "data")
        with chat_sec(folder, BCRYPT_ROUNDS=str(self._rounds)) as (pid, port):
            api = Api(f"http://127.0.0.1:{port}")
            for name in self._people:
                api.register(name)
            return {
                **self._one_by_one(pid, api),
                "quiet": self._relay(folder, port, api, 0, []),
                "beside logins": self._relay(folder, port, api, 1, self._people),
            }

    def _one_by_one(self, pid: int, api: Api) -> dict[str, Figures]:
        hashed = bcrypt.hashpw(b"password", bcrypt.gensalt(self._rounds))
        api.log_in(self._people[0])
        alone, login, took = 0.0, 0.0, 0.0
        for name in self._people:
            before, began = cpu_seconds(pid), time.perf_counter()
            api.log_in(name)
            took += time.perf_counter() - began
            login += cpu_seconds(pid) - before
            own = time.process_time()
            bcrypt.checkpw(b"password", hashed)
            alone += time.process_time() - own
        each = 1000 / len(self._people)
        return {
            "bcrypt alone": {"cpu_ms": alone * each},
            "login": {"cpu_ms": login * each, "took_ms": took * each},
        }

    def _relay(self, folder: Path, port: int, api: Api, lane: int, people: Sequence[str]) -> Figures:
        """One `lane` of all pairs is sent, while `people` log in."""
        clients = self._work.clients(api, slice(lane, lane + 1))
        with ThreadPoolExecutor(max(1, len(people))) as pool:
            waiting = []

            def all_at_once() -> None:
                waiting.extend(pool.submit(Api(api.base).log_in, name) for name in people)

            began = time.perf_counter()
            found = latencies(run_load(folder, port, clients, WARM, every=EVERY, on_warm=all_at_once))
            for job in waiting:
                job.result()
        return found | ({"took_ms": (time.perf_counter() - began) * 1000 / len(people)} if people else {})


def main(arguments: Sequence[str] | None = None) -> int:
    sizes = {"people": 20, "rounds": 12, "pairs": 20, "seconds": 4.0}
    chosen = options("login", __doc__, **sizes).parse_args(arguments)
    with ExitStack() as stack:
        folder = scratch(stack)
        login = Login(folder / "store", chosen.people, chosen.rounds, chosen.pairs, chosen.seconds)
        load = {name: getattr(chosen, name) for name in sizes} | {"seconds_between_messages": EVERY}
        report = Report("server CPU of a login, and the relay beside many at once", load)
        found = [login.turn(folder / str(turn)) for turn in range(chosen.turns)]
        turns = {side: [turn[side] for turn in found] for side in found[0]}
    bars = [
        ("login beside bcrypt alone", ratio(turns["login"], turns["bcrypt alone"], "cpu_ms"), MAX_RATIO),
        ("relay p95 ms beside logins", median(turns["beside logins"], "delivery_p95_ms"), MAX_P95_MS),
    ]
    show(report.write(chosen.json, turns, bars), COLUMNS)
    return 0


if __name__ == "__main__":
    sys.exit(main())
