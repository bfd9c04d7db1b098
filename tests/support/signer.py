"""`Signer`: a member who changes a `combined` chat: entries, shares and the requests that carry them (protocol §4, §6).

    chat = Signer(alice).create("bob", name="Team")["id"]
    Signer(alice, chat).add("carol")
    Signer(bob, chat).rekey()

It looks at Chat, log and bundles when it is made, and judges the log; what it makes is honest and fits what it saw then.
`entry`, `share` and `body` make the parts alone, for what is wrong on purpose.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from tests.support.connections import Json
from tests.support.encoding import un64u
from tests.support.keys import ED25519
from tests.support.membership import check_entry, confirmed
from tests.support.person import Person
from tests.support.signed import (
    Entry,
    Signed,
    author,
    entry_fields,
    read_entry,
    share_fields,
    sign_object,
)

if TYPE_CHECKING:
    from tests.support.client import User

Members = Mapping[str, tuple[str, str]]  # username → (role, bundle hash)
WITH_SHARE = ("create", "add", "remove", "keys", "retire", "rekey")


class Signer:
    """One user at work on one chat, as it stood at the last `look`."""

    def __init__(self, user: User, chat: str = "") -> None:
        """Without `chat`, one that is not there yet."""
        self.user, self.chat = user, chat or str(uuid.uuid4())
        self.view: Json = {}
        self.people: dict[str, Person] = {}
        self.log: list[Signed] = []
        self.head: Entry | None = None
        if chat:
            self.look()

    def look(self) -> Signer:
        """Reads the Chat, its log and everybody's bundles anew."""
        self.view, self.people = self.user.chat(self.chat), self.user.people(self.chat)
        self.log, self.head = self.user.log(self.chat), None
        for signed in self.log:
            self.head = check_entry(signed, self.chat, self.head, self.people, None)
        return self

    def meet(self, *names: str) -> Signer:
        """Fetches the bundles of people who are not in the chat yet."""
        items = self.user.rest.get("/keys", usernames=",".join(names))["items"]
        self.people |= {item["username"]: Person(item["username"], item) for item in items}
        return self

    # ---- who is in it

    @property
    def members(self) -> dict[str, tuple[str, str]]:
        """The log's members: role and bundle hash."""
        return dict(self.head.members) if self.head else {}

    @property
    def epoch(self) -> int:
        return int(self.view["epoch"]["number"]) if self.view else 0

    def gone(self) -> set[str]:
        """Members of the log who are in the chat no more."""
        return set(self.members) - {member["username"] for member in self.view["members"]}

    def unconfirmed(self, members: Members) -> set[str]:
        """Who has reset their keys since the log named them."""
        return {name for name, (_, kh) in members.items() if not confirmed(self.people[name], kh)}

    def now(self, *names: str, role: str = "member") -> dict[str, tuple[str, str]]:
        """These people under their current bundles."""
        return {name: (role, self.people[name].kh) for name in names}

    def changed(self, **changes: tuple[str, str] | None) -> dict[str, tuple[str, str]]:
        """The members with these changes; None takes somebody out."""
        merged: dict[str, tuple[str, str] | None] = {**self.members, **changes}
        return {name: member for name, member in merged.items() if member is not None}

    # ---- what they sign

    def sign(self, kind: str, fields: Mapping[str, Any], /, alg: str = ED25519, **overrides: Any) -> Signed:
        """A signed object of this chat by this user; `overrides` replace its fields, for hostile ones."""
        keys, name = self.user.keys, self.user.username
        head = author(keys, self.chat, name, self.people[name].kh, alg)
        return sign_object(keys, kind, alg, head | dict(fields) | overrides)

    def entry(self, op: str, members: Members, /, **overrides: Any) -> Signed:
        """The next entry."""
        name = overrides.pop("name", self.head.name if self.head else None)
        return self.sign("membership", entry_fields(self.head, op, members, name), **overrides)

    def share(
        self,
        serves: Signed | None = None,
        /,
        epoch: int | None = None,
        recipients: Mapping[str, tuple[str, bytes]] | None = None,
        excluded: Iterable[str] | None = None,
        **overrides: Any,
    ) -> Signed:
        """A share that serves an entry of the same request, or the log as it stands."""
        entry = read_entry(serves, self.chat) if serves else self.head
        assert entry is not None
        out = self.unconfirmed(entry.members) if excluded is None else set(excluded)
        if recipients is None:
            recipients = {name: self.recipient(name) for name in entry.members if name not in out}
        number = epoch or self.epoch + 1
        fields, wraps, _ = share_fields(self.chat, number, entry.hash, recipients, out)
        return self.sign("share", fields, **overrides) | {"wraps": wraps}

    def recipient(self, name: str) -> tuple[str, bytes]:
        """(bundle hash, SPKI of the wrapping key) of somebody's current bundle."""
        person = self.people[name]
        bundle = person.bundles[max(person.bundles)]
        return person.kh, un64u(bundle["encryption"]["spki"])

    def body(
        self, kind: str, usernames: Iterable[str] = (), members: Members | None = None, **fields: Any
    ) -> Json:
        """The request of a change; `members` is the whole result, None for a change without entry."""
        body: Json = {"kind": kind, "usernames": list(usernames)} | fields
        if members is not None:
            named = {"name": fields["name"]} if "name" in fields else {}
            body["membership"] = self.entry(kind, members, **named)
        if kind in WITH_SHARE:
            body["client_share"] = self.share(body.get("membership"))
        return body

    def post(self, body: Mapping[str, Any]) -> Any:
        """Sends it; the Chat, None to who left. `ApiError` if it is refused."""
        return self.user.rest.post(f"/chats/{self.chat}/events", dict(body))

    # ---- changes as requests

    def create_body(
        self, *others: str, name: str | None = None, owners: Iterable[str] = (), **overrides: Any
    ) -> Json:
        """Makes the chat; `overrides` replace fields of entry 1."""
        me = self.user.username
        self.meet(me, *others)
        plain = [other for other in others if other not in owners]
        members = self.now(me, *owners, role="owner") | self.now(*plain)
        entry = self.entry("create", members, name=name, **overrides)
        body: Json = {"id": self.chat, "members": list(others), "key_mode": "combined", "membership": entry}
        return body | {"client_share": self.share(entry)} | ({} if name is None else {"name": name})

    def add_body(self, *names: str, role: str | None = None) -> Json:
        self.meet(*names)
        members = self.changed(**self.now(*names, role=role or "member"))
        return self.body("add", names, members, **({"role": role} if role else {}))

    def remove_body(self, *names: str) -> Json:
        return self.body("remove", names, self.changed(**dict.fromkeys(names)))

    def leave_body(self, heir: str | None = None) -> Json:
        me = self.user.username
        changes: dict[str, tuple[str, str] | None] = {me: None}
        if heir:
            changes[heir] = ("owner", self.members[heir][1])
        return self.body("leave", [me], self.changed(**changes))

    def role_body(self, role: str, *names: str) -> Json:
        members = self.changed(**{name: (role, self.members[name][1]) for name in names})
        return self.body("role", names, members, role=role)

    def rename_body(self, name: str | None) -> Json:
        return self.body("rename", (), self.members, name=name)

    def keys_body(self, name: str) -> Json:
        """Confirms somebody's keys after a reset."""
        return self.body(
            "keys", [name], self.changed(**{name: (self.members[name][0], self.people[name].kh)})
        )

    def retire_body(self) -> Json:
        """Takes out everyone who is gone; `by` becomes owner where none is left."""
        gone = self.gone()
        members = self.changed(**dict.fromkeys(gone))
        if not any(role == "owner" for role, _ in members.values()):
            members |= {self.user.username: ("owner", members[self.user.username][1])}
        return self.body("retire", sorted(gone), members)

    # ---- changes, made

    def create(self, *others: str, name: str | None = None, owners: Iterable[str] = ()) -> Json:
        """The new Chat."""
        made: Json = self.user.rest.post("/chats", self.create_body(*others, name=name, owners=owners))
        return made

    def add(self, *names: str, role: str | None = None) -> Any:
        return self.post(self.add_body(*names, role=role))

    def remove(self, *names: str) -> Any:
        return self.post(self.remove_body(*names))

    def leave(self, heir: str | None = None) -> Any:
        return self.post(self.leave_body(heir))

    def role(self, role: str, *names: str) -> Any:
        return self.post(self.role_body(role, *names))

    def rename(self, name: str | None) -> Any:
        return self.post(self.rename_body(name))

    def confirm(self, name: str) -> Any:
        return self.post(self.keys_body(name))

    def retire(self) -> Any:
        return self.post(self.retire_body())

    def rekey(self) -> Any:
        """Posts a share over the log as it stands: what is done when one is due."""
        return self.post(self.body("rekey"))
