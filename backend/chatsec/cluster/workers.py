"""What joins this worker to the others, in one: built before the sockets are, attached to them, started, left.

    workers = Workers(url, offload)      # opens nothing
    socketio.Server(client_manager=workers.fanout)
    workers.attach(sockets, sessions, presence, change)
    workers.start() … workers.leave(), workers.stop()

Whether there are other workers just now is nobody's business: one that is alone with its Redis does the same.
"""

from __future__ import annotations

from collections.abc import Callable

from chatsec.cluster.fanout import Fanout
from chatsec.cluster.limits import RedisBuckets
from chatsec.cluster.link import Link
from chatsec.cluster.outage import Outage, Sockets
from chatsec.cluster.presence import LINGER, Presence, RedisPresence
from chatsec.domain.models import Json
from chatsec.domain.ports import Offload, SessionStore

CUT, CHANGE = "cut", "change"  # kinds of what is told: a session has ended, a chat has changed
START_SECONDS = 2.0  # that Redis gets to answer before the first socket comes


class Workers:
    linger = LINGER

    def __init__(self, url: str, offload: Offload) -> None:
        self._offload = offload
        self._outage: Outage | None = None
        self.link = Link(url, offload)
        self.fanout = Fanout(self.link)
        self.buckets = RedisBuckets(self.link)
        self.presence = RedisPresence(self.link, offload)

    def attach(
        self,
        sockets: Sockets,
        sessions: SessionStore,
        presence: Presence,
        change: Callable[[Json], None],
    ) -> None:
        """The sockets of this worker, where their sessions are looked up, who is here, and who tells them of a chat's
        change. Once, before `start`."""

        def cut(worker: str, fact: Json) -> None:
            sockets.cut(fact["session"])

        self._outage = Outage(self.link, self._offload, sessions, sockets)
        self.link.on(CUT, cut)
        self.link.on(CHANGE, lambda worker, told: change(told))
        self.presence.attach(presence, self._outage.missed)

    def start(self) -> None:
        """Returns when the link is up, or Redis has had its time: this worker does not need it to begin."""
        assert self._outage is not None  # attached
        self.link.start()
        self._outage.start()
        self.presence.start()
        for _ in range(int(START_SECONDS / 0.05)):
            if self.link.up:
                break
            self._offload.sleep(0.05)

    def is_up(self) -> bool:
        return self.link.up

    def tell_ended(self, session_id: str) -> None:
        """The other workers cut its sockets."""
        self.link.tell(CUT, {"session": session_id})

    def tell_change(self, told: Json) -> None:
        """The other workers tell their sockets."""
        self.link.tell(CHANGE, told)

    def leave(self) -> None:
        """Before its sockets are closed: who goes on to another worker is not told as gone."""
        self.presence.leave()

    def stop(self) -> None:
        """Last of all: what waits is sent first."""
        self.link.close()
