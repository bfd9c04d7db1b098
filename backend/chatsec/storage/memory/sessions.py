"""Sessions in memory: devices that are logged in."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from chatsec.domain.models import Session
from chatsec.storage.memory.data import Handle


class MemorySessions:
    """`SessionStore`."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle

    def create(self, session: Session) -> None:
        with self._handle.step() as data:
            data.sessions[session.id] = session

    def get(self, session_id: str) -> Session | None:
        with self._handle.step() as data:
            return data.sessions.get(session_id)

    def living(self, session_ids: Collection[str]) -> set[str]:
        with self._handle.step() as data:
            return data.sessions.keys() & set(session_ids)

    def list(self, username: str) -> list[Session]:
        with self._handle.step() as data:
            mine = [session for session in data.sessions.values() if session.username == username]
        return sorted(mine, key=lambda session: (session.created_at, session.id), reverse=True)

    def rotate(self, session_id: str, counter: int, at: int) -> bool:
        with self._handle.step() as data:
            session = data.sessions.get(session_id)
            if session is None or session.counter != counter:
                return False
            data.sessions[session_id] = replace(session, counter=counter + 1, rotated_at=at, used_at=at)
            return True

    def end(self, session_id: str) -> None:
        with self._handle.step() as data:
            data.sessions.pop(session_id, None)

    def end_idle(self, used_before: int, created_before: int) -> Sequence[str]:
        with self._handle.step() as data:
            ended = [
                session.id
                for session in data.sessions.values()
                if session.used_at < used_before or session.created_at < created_before
            ]
            for session_id in ended:
                del data.sessions[session_id]
        return ended
