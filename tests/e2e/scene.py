"""People at their devices in one chat, while something goes wrong; and the judgement when it is over.

with Scene(people, url, workers) as scene:
    scene.flow()                 # everyone's sends are acked
    cluster.kill_worker(0)
    scene.flow()
    scene.judge("a worker is killed")
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from types import TracebackType

from tests.e2e.load import history
from tests.support.client import Json, User
from tests.support.cluster import until
from tests.support.device import Device
from tests.support.judgement import View, faults

RIGHT = 60  # seconds after which everything is right again; presence has 45 of them (protocol §7)
PACE = 0.04  # seconds between an ack and the next message
logger = logging.getLogger(__name__)


def elsewhere(user: User, url: str) -> User:
    """The same session at another address."""
    other = User(url, user.username, user.password, user.keys)
    other.kdf, other.bundle, other._real_kdf = user.kdf, user.bundle, user._real_kdf
    other.rest.token, other.refresh_token = user.rest.token, user.refresh_token
    return other


class Scene:
    """Everybody of `people` has a device at `url` and sends, but the last two, who listen. `workers`: the addresses where
    each worker is asked at the end, by those people who are still here."""

    def __init__(self, people: Mapping[str, User], url: str, workers: Sequence[str] = ()) -> None:
        self._people = dict(people)
        self._workers = workers or [url]
        first, *others = people
        self.chat = people[first].create_chat(*others)
        names = list(people)
        self.devices = [
            Device(people[name], self.chat, url, sends=PACE if name in names[:-2] else None) for name in names
        ]
        self._gone: list[Device] = []
        self._fault_at = 0.0
        self._red: list[float] = []

    @property
    def senders(self) -> list[Device]:
        return [device for device in self.devices if device.sends is not None]

    def flow(self, count: int = 5) -> None:
        """Until so many more messages of everybody who sends are acked, and everybody is there."""
        before = {device: len(device.acked) for device in self.senders}
        until(
            lambda: all(len(device.acked) >= was + count for device, was in before.items()),
            f"{count} more acks for each: {[(d.name, len(d.acked) - was) for d, was in before.items()]}",
            RIGHT,
        )
        until(lambda: all(device.connected for device in self.devices), "everybody is there", RIGHT)

    def fault(self) -> None:
        """It goes wrong now: times are counted from here."""
        self._fault_at = time.monotonic()

    def acks_since_fault(self) -> list[float]:
        """Of all, how many seconds each took."""
        return [seconds for device in self.senders for at, seconds in device.acks if at > self._fault_at]

    def leave(self, name: str) -> None:
        """Someone goes for good."""
        (device,) = (device for device in self.devices if device.name == name)
        self.devices.remove(device)
        self._gone.append(device)
        device.leave()

    def rest(self) -> None:
        for device in self.devices:
            device.rest()

    def judge(self, what: str) -> None:
        """Nobody sends any more; then everything must come right, and the faults that are left are told."""
        self.rest()
        still = [device.is_still for device in self.devices]
        until(lambda: all(is_still() for is_still in still), f"{what}: all is acked and read", RIGHT)
        askers = [elsewhere(self._people[self.devices[0].name], url) for url in self._workers]
        try:
            wrong = self._wrong(askers)
            deadline = time.monotonic() + RIGHT
            while wrong and time.monotonic() < deadline:
                time.sleep(0.5)
                wrong = self._wrong(askers)
            assert not wrong, f"{what}: {wrong[:20]}"
            self._log(what)
            self._verify(askers[0])
        finally:
            for asker in askers:
                asker.close()
        assert [one for device in [*self.devices, *self._gone] for one in device.complaints] == [], what
        for device in self.devices:
            device.go_on()

    def _wrong(self, askers: Sequence[User]) -> list[str]:
        stored, *others = (history(asker, self.chat) for asker in askers)
        found = ["the workers do not give the same history"] if any(one != stored for one in others) else []
        views = [
            View(device.name, tuple(device.chain), device.sent, dict(device.acked), tuple(device.shown))
            for device in self.devices
        ]
        views += [View(device.name, None, device.sent, device.acked) for device in self._gone]
        views += [View(asker.url, shown=self._shown(asker)) for asker in askers]
        return found + faults(stored, views, {device.name for device in self.devices})

    def _shown(self, asker: User) -> list[str]:
        here: list[Json] = asker.rest.get("/users", online="true")["items"]
        return [one["username"] for one in here if one["username"] in self._people]

    def _verify(self, reader: User) -> None:
        """Every signature, lane and chain is good, and every message opens."""
        read = reader.reader(self.chat)
        assert read.failures() == {} and read.warnings == set()
        assert [one for judged in read.judged.values() for one in judged.warnings] == []

    def _log(self, what: str) -> None:
        """For docs/deployment.md: the longest that nobody's, and somebody's, message was acked; and until all was right."""
        all_acks = sorted(at for device in [*self.senders, *self._gone] for at, _ in device.acks)
        gaps = [_longest(all_acks, self._fault_at)]
        gaps += [_longest([at for at, _ in device.acks], self._fault_at) for device in self.senders]
        logger.info(
            "%s: no ack for %.1f s by all, %.1f s by one; slowest ack %.1f s; %d acked; all right after %.1f s; refused %s",
            what,
            gaps[0],
            max(gaps[1:]),
            max(self.acks_since_fault(), default=0),
            len(all_acks),
            time.monotonic() - self._fault_at,
            dict(sum((device.refusals for device in self.devices), Counter())),
        )

    def __enter__(self) -> Scene:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for device in self.devices:
            device.leave()


def _longest(times: Sequence[float], since: float) -> float:
    """The longest pause that ended after `since`."""
    return max((b - a for a, b in pairwise(times) if b > since), default=0)
