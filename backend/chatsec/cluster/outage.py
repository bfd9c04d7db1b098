"""What a worker does while Redis is away, and about what it may have missed.

Redis keeps nothing for who was away. So whenever the link is up again, and when another worker could not tell
something, or is gone without a word and may have stored what it did not come to tell, this worker closes its own sockets, spread over a few seconds: clients come back by themselves and `sync`,
and that is how they catch up. Nothing acked is lost, since all of it is in the store. It begins when all workers have
had the time to find Redis again, so that nobody is sent away twice for one outage.

While the link is down nobody tells of sessions that end elsewhere. So each worker then looks every two seconds, in the
store, whether the sessions of its open sockets still live; and every minute otherwise, since another worker's link may
be down without this one's.
"""

from __future__ import annotations

import logging
from typing import Protocol

from chatsec.cluster.link import PAUSES, Link
from chatsec.domain.ports import Offload, SessionStore
from chatsec.errors import ChatSecError

SETTLE = PAUSES[1] + 0.5  # seconds until every worker has its link, and has told of what it could not
SPREAD = 3.0  # seconds in which all sockets are closed
LOOK_PAUSE = 2.0
LOOKS_SKIPPED = 30  # while the link is up
CHUNK = 500  # sessions looked up at once

logger = logging.getLogger(__name__)


class Sockets(Protocol):
    """The open sockets of this worker."""

    def session_ids(self) -> set[str]: ...

    def cut(self, session_id: str) -> None:
        """Tells them that the session has ended, and ends them."""

    def hang_up(self, within: float) -> None:
        """Closes them all so that their clients come back, spread over so many seconds."""


class Outage:
    def __init__(self, link: Link, offload: Offload, sessions: SessionStore, sockets: Sockets) -> None:
        self._link = link
        self._offload = offload
        self._sessions = sessions
        self._sockets = sockets
        self._waiting = False
        link.on_up(self._up)

    def start(self) -> None:
        self._offload.start(self._keep_looking)

    def _up(self, missed: bool) -> None:
        # A socket that was there before the link heard nothing either.
        if missed or self._sockets.session_ids():
            self.missed()

    def missed(self) -> None:
        """Something may not have been told here: the sockets are closed, once for all that happens meanwhile."""
        if not self._waiting:
            self._waiting = True
            self._offload.start(self._hang_up)

    def _hang_up(self) -> None:
        self._offload.sleep(SETTLE)
        self._waiting = False
        self._sockets.hang_up(SPREAD)

    def _keep_looking(self) -> None:
        skipped = 0
        while True:
            self._offload.sleep(LOOK_PAUSE)
            skipped += 1
            if not self._link.up or skipped >= LOOKS_SKIPPED:
                skipped = 0
                self.look()

    def look(self) -> None:
        """Cuts the sockets whose sessions have ended."""
        ids = sorted(self._sockets.session_ids())
        try:
            for start in range(0, len(ids), CHUNK):
                asked = ids[start : start + CHUNK]
                for session_id in set(asked) - self._sessions.living(asked):
                    self._sockets.cut(session_id)
        except ChatSecError as error:
            logger.warning("sessions cannot be looked up: %s", error)
