"""Sessions: devices that are logged in, their tokens, and how all of that ends.

A session lives 30 days from its last refresh and 180 days in all. Its tokens are derived from its id and a counter, of
which the store keeps the good one: whoever shows an older refresh token ends the session, except the last one within
30 s while its successor is unused, which gives the same successor again (protocol §6). Refused: `unauthorized`,
`token_expired`, and `not_found` for another's session.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterable
from dataclasses import dataclass

from chatsec.domain.models import Caller, Session
from chatsec.domain.ports import Clock, Offload, Publisher, Storage, Tokens
from chatsec.errors import ChatSecError

ACCESS_SECONDS = 15 * 60
DAY = 24 * 60 * 60 * 1000
IDLE_MS, MOST_MS = 30 * DAY, 180 * DAY
GRACE_MS = 30_000  # for a lost answer, or two tabs
SWEEP_PAUSE = 3600.0  # seconds
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Grant:
    """The tokens of a session as they are handed out."""

    session_id: str
    access_token: str
    refresh_token: str
    csrf_token: str
    expires_in: int = ACCESS_SECONDS


class SessionService:
    def __init__(self, *, storage: Storage, tokens: Tokens, clock: Clock, publisher: Publisher) -> None:
        self._sessions = storage.sessions
        self._tokens = tokens
        self._clock = clock
        self._publisher = publisher

    def open(self, username: str, agent: str) -> Grant:
        """A new session of someone who has just proved who they are."""
        now = self._clock.now()
        session = Session(str(uuid.uuid4()), username, now, now, rotated_at=now, agent=agent)
        self._sessions.create(session)
        return self._grant(session, 0)

    def authenticate(self, access_token: str) -> Caller:
        """Whose access token this is; the session is looked up each time, so that its end is the token's end."""
        username, session_id = self._tokens.read_access(access_token)
        session = self._living(session_id)
        if session is None or session.username != username:
            raise ChatSecError("unauthorized", "the session has ended")
        return Caller(username, session_id)

    def refresh(self, refresh_token: str) -> Grant:
        """The next tokens; see the module's words on reuse."""
        session_id, counter = self._tokens.read_refresh(refresh_token)
        while session := self._living(session_id):
            now = self._clock.now()
            if counter == session.counter:
                if self._sessions.rotate(session_id, counter, now):
                    return self._grant(session, counter + 1)
            elif counter == session.counter - 1 and now - session.rotated_at <= GRACE_MS:
                return self._grant(session, session.counter)
            else:
                self._end([session_id])
                break
        raise ChatSecError("unauthorized", "the session has ended")

    def renew(self, caller: Caller) -> Grant:
        """Fresh tokens for the session that asks, as after a new password."""
        session = self._living(caller.session_id)
        if session is None:
            raise ChatSecError("unauthorized", "the session has ended")
        return self.refresh(self._tokens.refresh(session.id, session.counter))

    def of_refresh_token(self, refresh_token: str) -> Caller:
        """The session that a refresh token, good or used, belongs to."""
        session_id, _ = self._tokens.read_refresh(refresh_token)
        session = self._living(session_id)
        if session is None:
            raise ChatSecError("unauthorized", "the session has ended")
        return Caller(session.username, session.id)

    def list(self, username: str) -> list[Session]:
        """Living ones, newest first."""
        now = self._clock.now()
        return [session for session in self._sessions.list(username) if not _outlived(session, now)]

    def end(self, caller_name: str, session_id: str) -> None:
        """One of the caller's sessions, with its tokens and sockets."""
        session = self._sessions.get(session_id)
        if session is None or session.username != caller_name:
            raise ChatSecError("not_found")
        self._end([session_id])

    def ended(self, session_ids: Iterable[str]) -> None:
        """Cuts what belongs to sessions that the store has ended already."""
        for session_id in session_ids:
            self._publisher.session_ended(session_id)

    def sweep(self) -> None:
        """Ends the sessions that outlived themselves, their sockets too."""
        now = self._clock.now()
        self.ended(self._sessions.end_idle(now - IDLE_MS, now - MOST_MS))

    def sweep_hourly(self, offload: Offload) -> None:
        """For ever; to be started beside."""
        while True:
            try:
                self.sweep()
            except ChatSecError as error:
                logger.warning("sessions cannot be swept: %s", error)
            offload.sleep(SWEEP_PAUSE)

    def _end(self, session_ids: Iterable[str]) -> None:
        for session_id in session_ids:
            self._sessions.end(session_id)
            self._publisher.session_ended(session_id)

    def _living(self, session_id: str) -> Session | None:
        session = self._sessions.get(session_id)
        return None if session is None or _outlived(session, self._clock.now()) else session

    def _grant(self, session: Session, counter: int) -> Grant:
        return Grant(
            session.id,
            self._tokens.access(session.username, session.id),
            self._tokens.refresh(session.id, counter),
            self._tokens.csrf(session.id),
        )


def _outlived(session: Session, now: int) -> bool:
    return now - session.used_at >= IDLE_MS or now - session.created_at >= MOST_MS
