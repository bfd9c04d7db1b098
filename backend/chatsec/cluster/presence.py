"""Who is here on the other workers, by Redis: each worker keeps its own people there, and tells of every change.

    shared = RedisPresence(link, offload)
    presence = PresenceService(…, share=shared.share, linger=LINGER)
    shared.attach(presence, crashed)
    shared.start() … shared.leave()

In Redis each worker has a hash, username → "stamp status", that expires unless its worker goes on beating, and the set
of all workers. Every change has a number, in the hash (under "") and in what is told: one that does not follow the
last means that something was missed, and the hash is read. So it is when the link comes back, and when two beats in a
row find a worker further than it told.

While Redis is away nothing of the others changes. Afterwards each writes its hash anew, and none is missed before all
had the time to. A worker whose hash is gone is no more; whoever takes it out of the set stores when its people were
last seen. One that stops says so, and its people have `GRACE` to come back elsewhere.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import redis

from chatsec.cluster.link import LinkDown
from chatsec.domain.models import Json
from chatsec.domain.ports import Offload, Signal
from chatsec.domain.roster import Fact

# Seconds. The others know of a crash within EXPIRY and one BEAT; clients come back within two, most of them.
BEAT = 5.0
EXPIRY = 15  # of a hash, after the last beat
GRACE = 5  # for the people of a worker that stops
LINGER = 3.0  # that a socket which is gone counts for, so that who goes to another worker was never away
PEOPLE = "chatsec:presence"  # the set of workers; PEOPLE:worker is the hash
VERSION = ""  # no username

logger = logging.getLogger(__name__)


class Link(Protocol):
    """What this needs of `chatsec.cluster.link.Link`."""

    worker: str

    def call(self, command: Callable[[redis.Redis], Any]) -> Any: ...

    def tell(self, kind: str, fact: Json) -> None: ...

    def on(self, kind: str, handler: Callable[[str, Json], None]) -> None: ...

    def on_up(self, handler: Callable[[bool], None]) -> None: ...


class Presence(Protocol):
    """What this needs of the presence service."""

    def own(self) -> dict[str, Fact]: ...

    def hear(self, worker: str, told: Mapping[str, tuple[Fact, bool]]) -> None: ...

    def learn(self, worker: str, facts: Mapping[str, Fact]) -> None: ...

    def lose(self, worker: str, store: bool) -> None: ...

    def refresh(self) -> None: ...


class RedisPresence:
    """All that is asked of Redis is asked by one greenlet, so nothing overtakes; `share` and hearing never wait."""

    def __init__(self, link: Link, offload: Offload, clock: Callable[[], float] = time.monotonic) -> None:
        self._link = link
        self._offload = offload
        self._clock = clock
        self._key = f"{PEOPLE}:{link.worker}"
        self._version = 0
        self._changes: dict[str, tuple[Fact, bool]] = {}  # not told yet
        self._heard: dict[str, int] = {}  # worker → version that is known of it
        self._found: dict[str, int] = {}  # worker → version that the last beat found
        self._unread: set[str] = set()
        self._anew = True  # the own hash must be written as a whole
        self._beat_at = 0.0
        self._patient_until = 0.0  # until then a hash may be missing
        self._wake: Signal | None = None
        self._leaving = False

    def attach(self, presence: Presence, crashed: Callable[[], None]) -> None:
        """Before the link starts. `crashed` is called when a worker is gone that did not say so."""
        self._presence = presence
        self._crashed = crashed
        self._link.on("presence", self._hear)
        self._link.on_up(self._up)

    def start(self) -> None:
        self._offload.start(self._run)

    def share(self, username: str, fact: Fact, here: bool) -> None:
        """The domain's `Share`."""
        self._changes[username] = fact, here
        self._rouse()

    def leave(self) -> None:
        """This worker stops: from now on it tells nothing, and the others wait a little before they miss its people."""
        self._leaving = True
        self._rouse()
        self._link.tell("presence", {"leaves": True})
        try:
            self._link.call(self._let_go)
        except LinkDown:
            logger.info("Redis is away, so the others will learn by time that this worker is gone")

    def _let_go(self, redis: redis.Redis) -> None:
        with redis.pipeline() as pipe:
            pipe.srem(PEOPLE, self._link.worker)
            pipe.expire(self._key, GRACE)
            pipe.execute()

    # ------------------------------------------------------------ hearing

    def _up(self, missed: bool) -> None:
        self._anew, self._beat_at = True, 0.0
        self._unread |= self._heard.keys()
        if missed:
            self._presence.refresh()
        self._rouse()

    def _hear(self, worker: str, fact: Json) -> None:
        if fact.get("leaves"):
            self._offload.start(self._lose_later, worker)
            return
        version, known = fact["version"], self._heard.get(worker, -1)
        if version == known + 1 and "people" in fact:
            self._heard[worker] = version
            people = fact["people"].items()
            self._presence.hear(worker, {name: (Fact(*known), here) for name, (*known, here) in people})
        elif version > known:
            self._unread.add(worker)
            self._rouse()

    def _lose_later(self, worker: str) -> None:
        self._offload.sleep(GRACE)
        if not self._leaving:
            self._lose(worker, store=False)

    def _lose(self, worker: str, store: bool) -> None:
        self._heard.pop(worker, None)
        self._found.pop(worker, None)
        self._presence.lose(worker, store)

    # ------------------------------------------------------------ the greenlet

    def _rouse(self) -> None:
        if self._wake is not None:
            wake, self._wake = self._wake, None
            wake.send()

    def _run(self) -> None:
        while not self._leaving:
            wake = self._wake = self._offload.event()  # before looking, or a wake-up could be missed
            try:
                self.step()
            except LinkDown:
                self._anew = True  # the changes that were taken are not told
            wake.wait(max(0.01, self._beat_at - self._clock()))

    def step(self) -> None:
        """Does what is due; `LinkDown`."""
        due = self._clock() >= self._beat_at
        if due:
            self._beat_at = self._clock() + BEAT
        if self._anew:
            self._write_all()
        elif self._changes:
            self._write_changes()
        if due:
            self._beat()
        while self._unread:
            self._read(self._unread.pop())

    def _write_all(self) -> None:
        self._anew = False
        self._changes.clear()
        self._version += 1
        facts = self._encoded(self._presence.own())

        def write(redis: redis.Redis) -> None:
            with redis.pipeline() as pipe:
                pipe.delete(self._key)
                pipe.hset(self._key, mapping=facts)
                pipe.expire(self._key, EXPIRY)
                pipe.sadd(PEOPLE, self._link.worker)
                pipe.execute()

        self._link.call(write)
        self._link.tell("presence", {"version": self._version})
        self._patient_until = self._clock() + EXPIRY  # others may have to write theirs anew, too

    def _write_changes(self) -> None:
        changes, self._changes = self._changes, {}
        self._version += 1
        facts = self._encoded({name: fact for name, (fact, here) in changes.items() if here})
        gone = [name for name, (_, here) in changes.items() if not here]

        def write(redis: redis.Redis) -> None:
            with redis.pipeline() as pipe:
                pipe.hset(self._key, mapping=facts)
                if gone:
                    pipe.hdel(self._key, *gone)
                pipe.execute()

        self._link.call(write)
        people = {name: (*fact, here) for name, (fact, here) in changes.items()}
        self._link.tell("presence", {"version": self._version, "people": people})

    def _encoded(self, facts: Mapping[str, Fact]) -> dict[Any, Any]:
        encoded = {name: f"{fact.stamp} {fact.status}" for name, fact in facts.items()}
        return {VERSION: self._version} | encoded

    def _beat(self) -> None:
        def beat(redis: redis.Redis) -> Any:
            with redis.pipeline() as pipe:
                pipe.expire(self._key, EXPIRY)
                pipe.smembers(PEOPLE)
                return pipe.execute()

        lives, listed = self._link.call(beat)
        if not lives:  # Redis has lost it
            self._write_all()
        others = sorted(({worker.decode() for worker in listed} | self._heard.keys()) - {self._link.worker})
        for worker, version in zip(others, self._versions(others), strict=True):
            if version is None:
                self._miss(worker)
                continue
            if self._heard.get(worker, -1) < self._found.get(worker, 0):  # what is newer may be on its way
                self._unread.add(worker)
            self._found[worker] = version

    def _versions(self, workers: Sequence[str]) -> list[int | None]:
        def versions(redis: redis.Redis) -> Any:
            with redis.pipeline(transaction=False) as pipe:
                for worker in workers:
                    pipe.hget(f"{PEOPLE}:{worker}", VERSION)
                return pipe.execute()

        return [None if found is None else int(found) for found in self._link.call(versions)]

    def _miss(self, worker: str) -> None:
        """Its hash is gone; one of those who see it takes it out of the set."""
        if self._clock() < self._patient_until:
            return
        first = self._link.call(lambda redis: redis.srem(PEOPLE, worker))
        if worker in self._heard:
            self._crashed()
        self._lose(worker, store=bool(first))

    def _read(self, worker: str) -> None:
        facts = self._link.call(lambda redis: redis.hgetall(f"{PEOPLE}:{worker}"))
        version = int(facts.pop(VERSION.encode(), -1))
        self._offload.turn()  # with thousands of people each part takes milliseconds
        people = {}
        for name, fact in facts.items():
            stamp, status = fact.split()
            people[name.decode()] = Fact(int(stamp), status.decode())
        self._offload.turn()
        known = self._heard.get(worker, -1)
        if version < known or version < 0:
            return  # what was told meanwhile is newer; or it is no more, which the beat will see
        self._heard[worker] = version
        self._presence.learn(worker, people)
        if known >= 0:
            self._presence.refresh()  # the statuses of those who left unheard are in the store
