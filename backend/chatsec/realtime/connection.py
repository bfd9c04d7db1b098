"""Who is behind a socket: the token is checked when it connects, and it lives as long as its session (protocol §7).

Refused, with `unauthorized`: no token, a bad or expired one, one of a session that has ended.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

import socketio

from chatsec.domain.ports import SessionStore, Tokens
from chatsec.errors import ChatSecError

NAMESPACE = "/chat"


def user_room(username: str) -> str:
    return f"user:{username}"


def session_room(session_id: str) -> str:
    return f"session:{session_id}"


@dataclass(frozen=True, slots=True)
class Connection:
    """One socket."""

    sid: str
    username: str
    session_id: str


class Connections:
    """The open sockets of this process."""

    def __init__(self, sio: socketio.Server, tokens: Tokens, sessions: SessionStore) -> None:
        self._sio = sio
        self._tokens = tokens
        self._sessions = sessions
        self._open: dict[str, Connection] = {}

    def get(self, sid: str) -> Connection | None:
        return self._open.get(sid)

    def open(self, sid: str, auth: Any) -> Connection:
        """Lets a socket in, or refuses the connection."""
        try:
            token = auth.get("token") if isinstance(auth, dict) else None
            if not isinstance(token, str):
                raise ChatSecError("unauthorized")
            username, session_id = self._tokens.read_access(token)
            # In the session's room before the session is looked at: one that ends meanwhile cuts this socket too.
            self._sio.enter_room(sid, session_room(session_id), namespace=NAMESPACE)
            if self._sessions.get(session_id) is None:
                raise ChatSecError("unauthorized")
        except ChatSecError as error:
            code = "unavailable" if error.code == "unavailable" else "unauthorized"
            raise socketio.exceptions.ConnectionRefusedError(code) from error
        self._sio.enter_room(sid, user_room(username), namespace=NAMESPACE)
        connection = self._open[sid] = Connection(sid, username, session_id)
        return connection

    def close(self, sid: str) -> Connection | None:
        """Forgets a socket that is gone."""
        return self._open.pop(sid, None)

    def session_ids(self) -> set[str]:
        """Of the open sockets."""
        return {connection.session_id for connection in self._open.values()}

    def cut(self, session_id: str) -> None:
        """Ends every socket of a session that has ended, after telling it so."""
        room = session_room(session_id)
        self._sio.emit("session:revoked", {}, to=room, namespace=NAMESPACE, ignore_queue=True)
        for sid, eio_sid in list(self._sio.manager.get_participants(NAMESPACE, room)):
            self._sio.disconnect(sid, namespace=NAMESPACE, ignore_queue=True)
            # From beside: closing waits until what is queued for the client is written.
            self._sio.start_background_task(self._sio.eio.disconnect, eio_sid)

    def hang_up(self, within: float) -> None:
        """Closes the sockets that are open now, each at a moment of its own in about `within` seconds.

        As a transport that breaks, without a word: a client that is told to go, by Socket.IO or (python-socketio's) by
        Engine.IO, stays away; one whose transport ends comes back by itself.
        """
        sids = list(self._open)
        random.shuffle(sids)
        for sid in sids:
            self._sio.sleep(2 * within * random.random() / len(sids))
            eio_sid = self._sio.manager.eio_sid_from_sid(sid, NAMESPACE)
            if transport := self._sio.eio.sockets.get(eio_sid):
                transport.close(wait=False, abort=True, reason=self._sio.eio.reason.TRANSPORT_CLOSE)
