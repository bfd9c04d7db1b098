"""Chats and epochs on the wire (protocol §6). Of an entry or a share only the outer form is judged here."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from chatsec.domain.models import MAX_MEMBERS, Chat, ClientShare, Epoch, Json, NewEvent, timestamp
from chatsec.errors import invalid
from chatsec.wire import ChatName, Id, Limit, Model, Number, QueryNumber, Username

ABOUT_PEOPLE = frozenset({"add", "remove", "role", "keys", "retire"})
People = Annotated[list[Username], Field(max_length=MAX_MEMBERS)]


class SignedObject(Model):
    """A membership entry: what is in it is read by `domain.signed`."""

    protected: str
    signature: str


class ClientShareBody(SignedObject):
    """A share with C wrapped for each of its recipients."""

    wraps: dict[str, str]


class CreateChat(Model):
    """A chat; in key mode `combined` with `id`, the log's first entry and a share."""

    id: Id | None = None
    members: People
    name: ChatName | None = None
    key_mode: Literal["server", "combined"] = "server"
    membership: SignedObject | None = None
    client_share: ClientShareBody | None = None

    def chat_id(self) -> str | None:
        """As given; `invalid` where the fields are not those of its key mode."""
        signs = {"membership": self.membership, "client_share": self.client_share}
        if self.key_mode == "combined":
            if missing := [name for name, value in {"id": self.id, **signs}.items() if value is None]:
                raise invalid(missing[0], "missing")
        elif given := [name for name, value in signs.items() if value is not None]:
            raise invalid(given[0], "has no place in a `server` chat")
        return self.id


class ChangeChat(Model):
    """One change of a chat; which of the fields belong to which kind is judged by `event`."""

    kind: Literal["add", "remove", "leave", "role", "rename", "keys", "retire", "rekey"]
    usernames: People | None = None
    role: Literal["owner", "member"] | None = None
    name: ChatName | None = None
    membership: SignedObject | None = None
    client_share: ClientShareBody | None = None

    def event(self, chat: str, by: str) -> NewEvent:
        """The event asked for; `invalid` where its fields do not fit its kind. What an entry says is judged with it."""
        named = tuple(sorted(set(self.usernames or ())))
        if self.role is not None and self.kind not in ("add", "role"):
            raise invalid("role", f"`{self.kind}` gives no role")
        if self.name is not None and self.kind != "rename":
            raise invalid("name", f"`{self.kind}` gives no name")
        if self.membership is None:
            self._judge_named(named, by)
            named = named if self.kind in ABOUT_PEOPLE else ()
        if self.kind == "leave" and not named:
            named = (by,)
        return NewEvent(chat, self.kind, by, named, role=self.role, name=self.name)

    def _judge_named(self, named: tuple[str, ...], by: str) -> None:
        if self.kind in ABOUT_PEOPLE:
            if not named:
                raise invalid("usernames", f"`{self.kind}` needs whom it is about")
        elif named and named != (by,):
            raise invalid("usernames", f"`{self.kind}` is about nobody else")
        if self.kind == "role" and self.role is None:
            raise invalid("role", "`role` needs which")


class After(Model):
    """The query of the membership log: entries above n `after`; `cursor` goes on from the last one seen."""

    after: QueryNumber = 0
    limit: Limit = 50
    cursor: QueryNumber = 0


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
        "client_share": client_share_json(epoch.client_share),
    }


def client_share_json(share: ClientShare | None) -> Json | None:
    if share is None:
        return None
    return {"protected": share.protected, "signature": share.signature, "wrapped": share.wrapped}


def chat_json(chat: Chat, *, listed: bool = False) -> Json:
    """Chat as its member sees it; in lists `epoch` is its number and place only."""
    epoch = epoch_json(chat.epoch)
    return {
        "id": chat.id,
        "name": chat.name,
        "key_mode": chat.key_mode,
        "created_by": chat.created_by,
        "created_at": timestamp(chat.created_at),
        "membership": dict(zip(("n", "hash"), chat.membership, strict=True)) if chat.membership else None,
        "epoch": {key: epoch[key] for key in ("number", "opened_seq")} if listed else epoch,
        "share_due": chat.share_due,
        "first_seq": chat.first_seq,
        "last_seq": chat.last_seq,
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


def own_json(chat: Chat) -> list[Any]:
    """What of a Chat is its member's own, and short: the rest, up to 100 KB, is the same for all of them."""
    epoch, share = chat.epoch, chat.epoch.client_share
    return [chat.first_seq, epoch.kid, epoch.wrapped, share.wrapped if share else None]


def seen_by(chat: Json, own: list[Any]) -> Json:
    """Somebody's Chat as the member sees it whose `own_json` this is."""
    first_seq, kid, wrapped, client_wrapped = own
    epoch = chat["epoch"] | {"kid": kid, "wrapped": wrapped}
    if share := epoch["client_share"]:
        epoch["client_share"] = share | {"wrapped": client_wrapped}
    return chat | {"first_seq": first_seq, "epoch": epoch}
