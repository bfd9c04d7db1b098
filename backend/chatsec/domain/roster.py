"""Who is here, on which workers, and with what status. Pure: tells nobody, waits for nothing, knows no store.

Someone is here while any of their sockets is, on any worker. A status is the person's, not a socket's or a worker's:
the newest holds, by the stamp that it carries, so that all workers end with the same one in whatever order they hear.
A stamp is the time at which a status was set, or later than all that were known then; clocks need not agree.

One process has nobody to `share` with. Several tell one another what changes of their own people: `share` there,
`hear` here.
"""

from __future__ import annotations

from collections.abc import Callable, KeysView, Mapping
from dataclasses import dataclass
from typing import NamedTuple

UNKNOWN = ""  # the status of who is not here, or was not read from the store yet


class Fact(NamedTuple):
    """A status and when it was set; the greater one holds."""

    stamp: int
    status: str


NOTHING = Fact(0, UNKNOWN)
# Tells the other workers: username, status, whether they are here. Never waits.
Share = Callable[[str, Fact, bool], None]


@dataclass(slots=True)
class _Person:
    """Someone who is here; `workers` are the others that have them."""

    fact: Fact = NOTHING
    workers: frozenset[str] = frozenset()


def alone(username: str, fact: Fact, here: bool) -> None:
    """`Share` where there is no other worker."""


class Roster:
    def __init__(self, share: Share = alone) -> None:
        self._share = share
        self._people: dict[str, _Person] = {}
        self._sids: dict[str, set[str]] = {}  # username → sockets on this worker
        self._names: dict[str, str] = {}  # and back

    # ------------------------------------------------------------ who is here

    def names(self) -> KeysView[str]:
        """Everybody."""
        return self._people.keys()

    def own_names(self) -> KeysView[str]:
        """Who has a socket on this worker."""
        return self._sids.keys()

    def status(self, username: str) -> str:
        """`online`, `away` or `invisible`; `UNKNOWN` for who is not here."""
        person = self._people.get(username)
        return person.fact.status if person else UNKNOWN

    def name(self, sid: str) -> str | None:
        """Whose socket on this worker it is."""
        return self._names.get(sid)

    # ------------------------------------------------------------ this worker's sockets

    def enter(self, username: str, sid: str) -> bool:
        """A socket is here. Whether it is the first on this worker, or the status is not known yet: then `know` it."""
        sids = self._sids.setdefault(username, set())
        first = not sids
        sids.add(sid)
        self._names[sid] = username
        fact = self._people.setdefault(username, _Person()).fact
        if first and fact.status:
            self._share(username, fact, True)
        return first or not fact.status

    def leave(self, sid: str) -> bool:
        """A socket is gone, or never was. Whether it was the last of its person on this worker."""
        username = self._names.pop(sid, None)
        if username is None:
            return False
        sids = self._sids[username]
        sids.discard(sid)
        if sids:
            return False
        del self._sids[username]
        person = self._people[username]
        if person.fact.status:
            self._share(username, person.fact, False)
        self._forget_if_gone(username, person)
        return True

    def set(self, username: str, status: str, now: int) -> bool:
        """Somebody sets their status. Whether it is another one."""
        person = self._people.get(username)
        if person is None:
            return False
        was = person.fact
        person.fact = Fact(max(now, was.stamp + 1), status)
        self._share(username, person.fact, username in self._sids)
        return was.status != status

    def know(self, username: str, status: str, since: int) -> bool:
        """A status is read from the store, by a reading that began at `since`. Whether it is another one."""
        person = self._people.get(username)
        if person is None or person.fact.status == status or since <= person.fact.stamp:
            return False  # gone, known, or set meanwhile
        return self._take(username, person, Fact(since, status))

    # ------------------------------------------------------------ the other workers' people

    def own(self) -> dict[str, Fact]:
        """What the others must know: everybody with a socket on this worker."""
        facts = {username: self._people[username].fact for username in self._sids}
        return {username: fact for username, fact in facts.items() if fact.status}

    def hear(self, worker: str, told: Mapping[str, tuple[Fact, bool]]) -> dict[str, str]:
        """Another worker tells who is there, or no longer. Answers whose status changed, and from what."""
        before = {username: self.status(username) for username in told}
        for username, (fact, here) in told.items():
            person = self._people.get(username)
            if person is None:
                if not here:
                    continue
                person = self._people[username] = _Person()
            person.workers = person.workers | {worker} if here else person.workers - {worker}
            self._take(username, person, fact)
            self._forget_if_gone(username, person)
        return {username: was for username, was in before.items() if self.status(username) != was}

    def learn(self, worker: str, facts: Mapping[str, Fact]) -> dict[str, str]:
        """All that another worker has; whoever is not named is not there. Answers as `hear`."""
        there = {username for username, person in self._people.items() if worker in person.workers}
        gone = dict.fromkeys(there - facts.keys(), (NOTHING, False))
        return self.hear(worker, gone | {username: (fact, True) for username, fact in facts.items()})

    def _take(self, username: str, person: _Person, fact: Fact) -> bool:
        """The greater fact holds. Whether the status is another one now."""
        if fact <= person.fact:
            return False
        was, person.fact = person.fact, fact
        if username in self._sids:
            self._share(username, fact, True)
        return was.status != fact.status

    def _forget_if_gone(self, username: str, person: _Person) -> None:
        if username not in self._sids and not person.workers:
            del self._people[username]
