"""Chats and epochs on the wire (protocol §6); in `server` chats there is no membership log and no client share."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from chatsec.domain.models import MAX_MEMBERS, Chat, Epoch, Json, NewEvent, timestamp
from chatsec.errors import invalid
from chatsec.wire import ChatName, Id, Limit, Model, Number, QueryNumber, Username

People = Annotated[list[Username], Field(max_length=MAX_MEMBERS)]


class CreateChat(Model):
    id: Id | None = None
    members: People
    name: ChatName | None = None
    key_mode: Literal["server"] = "server"
    membership: None = None
    client_share: None = None


class ChangeChat(Model):
    """One change of a chat; which of the fields belong to which kind is judged by `event`."""

    kind: Literal["add", "remove", "leave", "role", "rename", "rekey"]
    usernames: People | None = None
    role: Literal["owner", "member"] | None = None
    name: ChatName | None = None
    membership: None = None
    client_share: None = None

    def event(self, chat: str, by: str) -> NewEvent:
        """The event asked for; `invalid` where its fields do not fit its kind."""
        named = tuple(sorted(set(self.usernames or ())))
        if self.kind in ("add", "remove", "role"):
            if not named:
                raise invalid("usernames", f"`{self.kind}` needs whom it is about")
        elif named and named != (by,):
            raise invalid("usernames", f"`{self.kind}` is about nobody else")
        if self.kind == "role" and self.role is None:
            raise invalid("role", "`role` needs which")
        if self.role is not None and self.kind not in ("add", "role"):
            raise invalid("role", f"`{self.kind}` gives no role")
        if self.name is not None and self.kind != "rename":
            raise invalid("name", f"`{self.kind}` gives no name")
        usernames = (by,) if self.kind == "leave" else named if self.kind in ("add", "remove", "role") else ()
        return NewEvent(chat, self.kind, by, usernames, role=self.role, name=self.name)


class After(Model):
    """The query of a list that goes on by number."""

    after: QueryNumber = 0


class EpochPage(Model):
    """The query of a chat's epochs: `cursor` is the number of the last one seen."""

    limit: Limit = 50
    cursor: QueryNumber = 0


class SyncBody(Model):
    chats: Annotated[dict[Id, Number], Field(max_length=10_000)]


def epoch_json(epoch: Epoch) -> Json:
    return {
        "number": epoch.number,
        "opened_seq": epoch.opened_seq,
        "opened_at": timestamp(epoch.opened_at),
        "members": epoch.members,
        "kid": epoch.kid,
        "wrapped": epoch.wrapped,
        "client_share": None,
    }


def people_json(chat: Chat) -> Json:
    """The part of a Chat that is the same for all of its members, and long."""
    return {
        "members": [
            {
                "username": member.username,
                "display_name": member.display_name,
                "role": member.role,
                "joined_seq": member.joined_seq,
            }
            for member in chat.members
        ],
        "read": {name: mark.read for name, mark in chat.marks.items()},
        "delivered": {name: mark.delivered for name, mark in chat.marks.items()},
    }


def chat_json(chat: Chat, *, listed: bool = False, people: Json | None = None) -> Json:
    """Chat as its member sees it; in lists `epoch` is its number and place only. `people`: its `people_json`, if made."""
    epoch = epoch_json(chat.epoch)
    return {
        "id": chat.id,
        "name": chat.name,
        "key_mode": chat.key_mode,
        "created_by": chat.created_by,
        "created_at": timestamp(chat.created_at),
        "membership": None,
        "epoch": {key: epoch[key] for key in ("number", "opened_seq")} if listed else epoch,
        "share_due": False,
        "first_seq": chat.first_seq,
        "last_seq": chat.last_seq,
        **(people or people_json(chat)),
    }
