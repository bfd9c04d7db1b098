"""What a message costs several workers together, on one MongoDB, with Redis between them and nginx before them.

The relay's load through the shipped nginx, which puts each socket on whatever worker. In turns: one worker without
Redis, one with it, two, three, four; each on a copy of one prepared database. CPU of all workers, of Redis, of nginx and of
the database, apart. The database is `mongod` from the PATH, else SecantusDB: compare CPU of workers only within one.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from pymongo import MongoClient

from bench.measure import cost_of_load
from bench.processes import chat_sec, cpu_seconds, tree_cpu_seconds
from bench.report import Figures, Report, in_turns, median, options, ratio, scratch, show
from bench.workload import Api, Work, make_work
from tests.support.mongo import MongoProcess
from tests.support.mongo import command as mongo_command
from tests.support.nginx import NginxProcess
from tests.support.redis import RedisProcess

MAX_RATIO = 2.0
WORKERS = 3  # that are held against one
PREPARED = "prepared"
SECRET = "only-for-benches" * 2
COLUMNS = {
    "workers_cpu_ms": ".3f",
    "redis_cpu_ms": ".3f",
    "nginx_cpu_ms": ".3f",
    "database_cpu_ms": ".3f",
    "deliveries_per_second": ".0f",
    "delivery_p50_ms": ".0f",
    "delivery_p95_ms": ".0f",
    "out_of_order": ".4f",
    "load_cpu_ms": ".3f",
}


class Cluster:
    def __init__(
        self,
        folder: Path,
        mongo: MongoProcess,
        redis: RedisProcess,
        pairs: int,
        lanes: int,
        messages: int,
        warm: int,
    ) -> None:
        self._mongo, self._redis, self._warm = mongo, redis, warm
        with self._worker(folder / PREPARED, PREPARED, joined=False) as (_, port):
            self.work: Work = make_work(Api(f"http://127.0.0.1:{port}"), pairs, 2, lanes, warm + messages)

    @contextmanager
    def _worker(self, folder: Path, database: str, joined: bool) -> Iterator[tuple[int, int]]:
        """(pid, port)"""
        settings = {"MONGO_URI": self._mongo.uri(database), "SECRET_KEY": SECRET, "TRUSTED_PROXIES": "1"}
        if joined:
            settings["REDIS_URL"] = self._redis.url
        with chat_sec(folder, **settings) as found:
            yield found

    def turn(self, workers: int, joined: bool, folder: Path) -> Figures:
        copy_database(self._mongo.uri(), PREPARED, folder.name)
        with ExitStack() as stack:
            pids, ports = [], []
            for number in range(workers):
                pid, port = stack.enter_context(self._worker(folder / str(number), folder.name, joined))
                pids.append(pid)
                ports.append(port)
            nginx = stack.enter_context(NginxProcess(folder, ports))
            assert nginx.process and self._mongo.process and self._redis.process
            meters = {
                "workers_cpu_ms": lambda: sum(map(cpu_seconds, pids)),
                "redis_cpu_ms": partial(cpu_seconds, self._redis.process.pid),
                "nginx_cpu_ms": partial(tree_cpu_seconds, nginx.process.pid),
                "database_cpu_ms": partial(tree_cpu_seconds, self._mongo.process.pid),
            }
            clients = self.work.clients(Api(nginx.url))
            return cost_of_load(folder, nginx.port, clients, self._warm, meters, ordered=False)


def copy_database(uri: str, source: str, target: str) -> None:
    with MongoClient[dict[str, Any]](uri) as client:
        for name in client[source].list_collection_names():
            if found := list(client[source][name].find()):
                client[target][name].insert_many(found)


def one_more(turns: Mapping[str, Sequence[Figures]], most: int) -> float:
    """What one more worker costs a message, on average from the first to the last."""
    first, last = (median(turns[_joined(number)], "workers_cpu_ms") for number in (1, most))
    return (last - first) / (most - 1)


def _joined(workers: int) -> str:
    return f"{workers} with Redis"


def main(arguments: Sequence[str] | None = None) -> int:
    sizes = {"pairs": 20, "lanes": 8, "messages": 50, "warm": 5, "most": 4}
    chosen = options("cluster", __doc__, **sizes).parse_args(arguments)
    with ExitStack() as stack:
        folder = scratch(stack)
        mongo = MongoProcess(folder)
        stack.callback(mongo.stop)
        redis = stack.enter_context(RedisProcess(folder))
        cluster = Cluster(
            folder, mongo.start(), redis, chosen.pairs, chosen.lanes, chosen.messages, chosen.warm
        )
        load = {name: getattr(chosen, name) for name in sizes}
        load |= {
            "envelope_bytes": cluster.work.envelope_bytes(),
            "database": Path(mongo_command(0, folder)[0]).name,
        }
        report = Report(
            "CPU of all workers per delivered durable message; MongoDB, Redis and nginx apart", load
        )
        sides = {"1 alone": partial(cluster.turn, 1, False)}
        sides |= {
            _joined(number): partial(cluster.turn, number, True) for number in range(1, chosen.most + 1)
        }
        turns = in_turns(chosen.turns, sides, folder)
    compared = turns[_joined(min(WORKERS, chosen.most))]
    bars = [("ratio to one worker", ratio(compared, turns["1 alone"], "workers_cpu_ms"), MAX_RATIO)]
    show(report.write(chosen.json, turns, bars), COLUMNS)
    print(f"one more worker: {one_more(turns, chosen.most):.3f} ms a message")
    return 0


if __name__ == "__main__":
    sys.exit(main())
