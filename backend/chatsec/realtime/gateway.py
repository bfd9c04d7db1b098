"""What has become true, told to those whom it concerns: the domain's `Publisher` on Socket.IO.

Rooms are per user and per session, never per chat: who is told is decided by the members of that moment, so that a
removal works at once. A packet is encoded once, whoever gets it. Other workers' sockets are reached by the same emits;
what each worker tells its own alone is presence, the end of a session, and a chat after a change, of which it tells the
other workers: each member's view has 100 KB in a large chat, but for a few words the same for all of them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Protocol

import orjson
import socketio

from chatsec import crypto
from chatsec.domain.models import Appended, Chat, Json, Mark, NewMessage
from chatsec.realtime.connection import NAMESPACE, Connections, user_room
from chatsec.wire.chats import chat_json, own_json, seen_by
from chatsec.wire.messages import item_json

SLICE = 5  # views of a Chat, up to 100 KB each, between two turns of the loop
LONG = ("members", "read", "delivered")  # parts of a Chat that are encoded once


class Others(Protocol):
    """The other workers."""

    def tell_ended(self, session_id: str) -> None:
        """They cut its sockets."""

    def tell_change(self, told: Json) -> None:
        """They do `Gateway.change` with it."""


class Gateway:
    def __init__(self, sio: socketio.Server, others: Others | None = None) -> None:
        self._sio = sio
        self._others = others
        self._connections: Connections | None = None

    def attach(self, connections: Connections) -> None:
        """The sockets whose sessions it can cut; they need the services that need a publisher."""
        self._connections = connections

    def message(self, message: NewMessage, placed: Appended, skip_sid: str | None) -> None:
        before = crypto.b64u_encode(placed.before)
        item = item_json(message.chat, placed.seq, placed.received_at, placed.body, before)
        self._emit("message", orjson.Fragment(item), placed.members, skip_sid)

    def event(self, placed: Appended, views: Mapping[str, Chat]) -> None:
        if not views:
            return
        chat, before = next(iter(views.values())), crypto.b64u_encode(placed.before)
        item = orjson.loads(item_json(chat.id, placed.seq, placed.received_at, placed.body, before))
        own = {username: own_json(view) for username, view in views.items()}
        told = {"item": item, "chat": chat_json(chat), "own": own}
        if self._others is not None:
            self._others.tell_change(told)
        self.change(told)

    def change(self, told: Json) -> None:
        """An event, as `event` has it told, to this worker's sockets."""
        here = [name for name in told["own"] if self._is_here(name)]
        chat = told["chat"] | {key: orjson.Fragment(orjson.dumps(told["chat"][key])) for key in LONG}
        for count, username in enumerate(here, 1):
            # `chat` is the whole Chat here (§7), where an item has the id.
            view = {**told["item"], "chat": seen_by(chat, told["own"][username])}
            self._emit("event", view, [username], own=True)
            if count % SLICE == 0:
                self._sio.sleep(0)

    def receipt(self, mark: Mark, members: Iterable[str], skip_sid: str | None) -> None:
        receipt = {
            "chat": mark.chat,
            "username": mark.username,
            "delivered": mark.delivered,
            "read": mark.read,
        }
        self._emit("receipt", receipt, members, skip_sid)

    def typing(
        self, chat: str, username: str, active: bool, members: Iterable[str], skip_sid: str | None
    ) -> None:
        self._emit("typing", {"chat": chat, "username": username, "active": active}, members, skip_sid)

    def chat_removed(self, chat: str, usernames: Iterable[str], skip_sid: str | None = None) -> None:
        self._emit("chat:removed", {"chat": chat}, usernames, skip_sid)

    def keys(self, username: str, version: int, peers: Iterable[str]) -> None:
        self._emit("keys", {"username": username, "version": version}, {*peers, username})

    def session_ended(self, session_id: str) -> None:
        if self._connections is not None:
            self._connections.cut(session_id)
        if self._others is not None:
            self._others.tell_ended(session_id)

    def presence_list(self, people: Sequence[Json], sid: str) -> None:
        self._sio.emit("presence:list", list(people), to=sid, namespace=NAMESPACE, ignore_queue=True)

    def presence(self, changes: Sequence[Json], usernames: Iterable[str], skip_sids: Collection[str]) -> None:
        self._emit("presence", list(changes), usernames, list(skip_sids), own=True)

    def presence_to(self, changes: Sequence[Json], sids: Iterable[str]) -> None:
        if to := list(sids):
            self._sio.emit("presence", list(changes), to=to, namespace=NAMESPACE, ignore_queue=True)

    def _is_here(self, username: str) -> bool:
        """Whether they have a socket at this worker: a packet that is for none of them is not even made."""
        return user_room(username) in self._sio.manager.rooms.get(NAMESPACE, ())

    def _emit(
        self,
        event: str,
        data: Any,
        usernames: Iterable[str],
        skip_sid: str | list[str] | None = None,
        own: bool = False,
    ) -> None:
        """`own`: to this worker's sockets only."""
        rooms = [user_room(username) for username in usernames]
        if rooms:
            self._sio.emit(event, data, to=rooms, skip_sid=skip_sid, namespace=NAMESPACE, ignore_queue=own)
