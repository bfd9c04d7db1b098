"""One server on either store: its clients are cut off at random places, all at once, and its clock jumps (R4, R5, R10, R11)."""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from tests.e2e.scene import Scene
from tests.support.client import User
from tests.support.cluster import until
from tests.support.line import Line
from tests.support.mongo import MongoProcess
from tests.support.server import ServerProcess

NAMES = ("alice", "bob", "carol", "dora", "eve")
CUTS = 20
MOST = 30_000  # bytes between two cuts
STARVED = 20  # seconds without an ack
HOUR = 3600
STORES = ("sqlite", "mongo")


@pytest.fixture(scope="module", params=STORES)
def store(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, str]]:
    """Settings for a store of its own."""
    if request.param == "sqlite":
        yield {}
        return
    database = MongoProcess(tmp_path_factory.mktemp("database")).start()
    yield {"MONGO_URI": database.uri("chatsec"), "SECRET_KEY": "only-for-tests-" * 3}
    database.kill()


@pytest.fixture(scope="module")
def served(store: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    made = ServerProcess(tmp_path_factory.mktemp("server"), **store).start()
    yield made
    made.kill()
    clean(made)


def clean(server: ServerProcess) -> None:
    assert "Traceback" not in server.log() and "fault in" not in server.log(), server.log()[-6000:]


@pytest.fixture(scope="module")
def line(served: ServerProcess) -> Iterator[Line]:
    made = Line(served.port).start()
    yield made
    made.end()


@pytest.fixture
def register() -> Iterator[Callable[..., dict[str, User]]]:
    """Makes accounts with these names."""
    made: list[User] = []

    def people(server: ServerProcess, *names: str) -> dict[str, User]:
        users = {name: User.register(server.url, name, number) for number, name in enumerate(names)}
        made.extend(users.values())
        return users

    yield people
    for user in made:
        user.close()


People = Callable[..., dict[str, User]]


def test_whatever_is_cut_sync_brings_everything_once(
    served: ServerProcess, line: Line, register: People
) -> None:
    seed = random.randrange(1 << 32)
    chance = random.Random(seed)
    people = register(served, *NAMES)
    with Scene(people, f"http://127.0.0.1:{line.port}", [served.url]) as scene:
        scene.flow()
        for _ in range(CUTS):
            before = sum(device.connects for device in scene.devices)
            line.cut_after(chance.randrange(1, MOST))
            until(lambda: sum(device.connects for device in scene.devices) > before, "the cut came")  # noqa: B023
        scene.flow()
        scene.leave("eve")
        scene.judge(f"{CUTS} cuts, seed {seed}")


def test_the_server_is_killed(served: ServerProcess, line: Line, register: People) -> None:
    """And one of its clients is gone for good meanwhile."""
    people = register(served, *(f"{name}-2" for name in NAMES))
    with Scene(people, f"http://127.0.0.1:{line.port}", [served.url]) as scene:
        scene.flow()
        scene.fault()
        scene.rest()
        served.kill()
        scene.leave("eve-2")
        served.start()
        scene.judge("the server is killed, and nobody says anything new")
        scene.flow()
        scene.judge("the server is killed")


def test_two_hundred_come_back_at_once(served: ServerProcess, line: Line, register: People) -> None:
    """The rest are not starved: their messages are acked all the while."""
    people = register(served, *(f"{name}-3" for name in NAMES))
    guests = register(served, *(f"guest-{number}" for number in range(10)))
    url = f"http://127.0.0.1:{line.port}"
    with (
        Scene(people, served.url) as scene,
        Scene(guests, url, [served.url], copies=20, sends=False) as crowd,
    ):
        crowd.all_there()
        scene.flow()
        scene.fault()
        crowd.fault()
        line.cut()
        line.mend()
        while not crowd.are_back(1):
            scene.trickle(5)
        scene.flow(1)
        assert max(scene.acks_since_fault()) < STARVED
        scene.judge("200 others come back at once")
        crowd.judge("200 are cut off")


# ---------------------------------------------------------------- a clock that is wrong


def faked(clock: Path) -> tuple[str, ...]:
    """What stands before a command whose clock is as far off as the file says; waiting goes by another clock."""
    found = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
    if found is None:
        pytest.fail("libfaketime is needed to see what a clock that jumps does (Debian: faketime)")
    settings = {
        "LD_PRELOAD": str(found),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    return (shutil.which("env") or "env", *(f"{name}={value}" for name, value in settings.items()))


def test_a_clock_that_jumps(store: dict[str, str], tmp_path: Path, register: People) -> None:
    """An hour back, two ahead, and right again: everyone goes on, and whoever comes then gets in."""
    clock = tmp_path / "clock"

    def jump(seconds: int) -> None:
        (tmp_path / "next").write_text(f"{seconds:+d}")
        (tmp_path / "next").replace(clock)

    jump(0)
    with ServerProcess(tmp_path, faked(clock), **(store | {"RATE_LIMITS": "on"})) as server:
        people = register(server, *(f"{name}-4" for name in NAMES))
        with Scene(people, server.url) as scene:
            scene.flow()
            for number, seconds in enumerate((-HOUR, HOUR, 0)):
                scene.fault()
                jump(seconds)
                scene.flow()  # sockets live on; a token of a time to come is none, and is renewed
                for device in scene.devices:
                    device.come_back()
                until(lambda: scene.are_back(number + 1), "everybody is let in again")  # noqa: B023
                scene.flow()
                assert abs(scene.clock() - time.time() - seconds) < 60, "the server's clock did jump"
                assert requests.get(f"{server.url}/readyz", timeout=10).status_code == 200
                latecomer = register(server, f"latecomer-{number}")[f"latecomer-{number}"]
                assert latecomer.rest.get("/me")["username"] == latecomer.username
                scene.judge(f"the clock is off by {seconds} s")
    assert '"status":5' not in server.log().replace(" ", "")
    clean(server)
