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
from datetime import datetime
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


class Scene:
    """Everybody of `people` has `copies` devices at `url` and sends, but for the last two, who listen; nobody at all if
    not `sends`. `workers`: the addresses where each worker is asked at the end, by someone who is still here. `maker` made
    the chat."""

    def __init__(
        self,
        people: Mapping[str, User],
        url: str,
        workers: Sequence[str] = (),
        copies: int = 1,
        sends: bool = True,
        maker: str = "",
    ) -> None:
        self._people = dict(people)
        self._workers = workers or [url]
        maker = maker or next(iter(people))
        self.chat = people[maker].create_chat(*(name for name in people if name != maker))
        listeners = list(people)[-2:] if sends else list(people)
        self.devices = [
            Device(user, self.chat, url, sends=None if name in listeners else PACE)
            for name, user in people.items()
            for _ in range(copies)
        ]
        self._gone: list[Device] = []
        self._fault_at = 0.0
        self._red: list[float] = []

    @property
    def senders(self) -> list[Device]:
        return [device for device in self.devices if device.sends is not None]

    def flow(self, count: int = 5, within: float = RIGHT) -> None:
        """Until so many more messages of everybody who sends are acked, and everybody is there."""
        before = {device: len(device.acked) for device in self.senders}
        until(
            lambda: all(len(device.acked) >= was + count for device, was in before.items()),
            f"{count} more acks for each: {[(d.name, len(d.acked) - was) for d, was in before.items()]}",
            within,
        )
        self.all_there()

    def trickle(self, count: int) -> None:
        """Until so many more messages are acked, whoever's they are."""
        enough = sum(len(device.acked) for device in self.senders) + count
        until(
            lambda: sum(len(device.acked) for device in self.senders) >= enough, f"{count} more acks", RIGHT
        )

    def all_there(self) -> None:
        until(lambda: all(device.connected for device in self.devices), "everybody is there", RIGHT)

    def are_back(self, times: int) -> bool:
        """Whether each device is there, for so many times more than the first."""
        return all(device.connected and device.connects > times for device in self.devices)

    def fault(self) -> None:
        """It goes wrong now: times are counted from here."""
        self._fault_at = time.monotonic()

    def acks_since_fault(self) -> list[float]:
        """Of all, how many seconds each took."""
        return [seconds for device in self.senders for at, seconds in device.acks if at > self._fault_at]

    def clock(self) -> float:
        """The server's time of the last item, in seconds since 1970."""
        asker = self.devices[0].at(self._workers[0])
        at = asker.history(self.chat, limit=1)["items"][0]["received_at"]
        asker.close()
        return datetime.fromisoformat(at.replace("Z", "+00:00")).timestamp()

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
        askers = [self.devices[0].at(url) for url in self._workers]
        try:
            wrong = self._wrong(askers)
            deadline = time.monotonic() + RIGHT
            while wrong and time.monotonic() < deadline:
                time.sleep(1)  # as often as people may ask
                wrong = self._wrong(askers)
            assert not wrong, f"{what}: {wrong[:20]}"
            self._log(what)
            self._verify(askers[0])
        finally:
            for asker in askers:
                asker.close()
        complaints = [
            f"{device.name}: {one}" for device in [*self.devices, *self._gone] for one in device.complaints
        ]
        assert not complaints, f"{what}: {complaints[:20]}"
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
        if not all_acks or not self._fault_at:
            return
        logger.info(
            "%s: no ack for %.1f s by all, %.1f s by one; slowest ack %.1f s; %d acked; all right after %.1f s; refused %s",
            what,
            gaps[0],
            max(gaps[1:], default=0),
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
            device.go()
        for device in self.devices:
            device.leave()


def _longest(times: Sequence[float], since: float) -> float:
    """The longest pause that ended after `since`."""
    return max((b - a for a, b in pairwise(times) if b > since), default=0)
