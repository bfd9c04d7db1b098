"""`combined` chats for store tests: as `World`, of people with real keys who sign their entries and shares.

Only S_e is made up. What is asked for fits the chat as it is then, unless its fields say otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from chatsec import crypto
from chatsec.domain import membership, signed
from chatsec.domain.models import (
    Appended,
    Bundle,
    Entry,
    Head,
    LogMember,
    NewChat,
    NewEpoch,
    NewEvent,
    NewMessage,
    Share,
    Wrap,
)
from chatsec.domain.ports import Storage
from tests.contract.world import World, account, message
from tests.support.combined import Human, stored
from tests.support.encoding import b64u
from tests.support.keys import DSA, ED25519, PSS, WRAPPING, fresh
from tests.support.signed import author, share_fields, sign_object

Roles = Mapping[str, tuple[str, str]]  # username → (role, bundle hash)


def envelope(text: str) -> tuple[bytes, bytes]:
    """Body and hash of a message that has an envelope's form, which a way out of a store checks."""
    fields = (b64u(text.encode()), "i" * 16, "c" * 30, "s" * 20)
    names = ("protected", "iv", "ciphertext", "signature")
    body = ",".join(f'"{name}":"{field}"' for name, field in zip(names, fields, strict=True))
    return body.encode(), crypto.envelope_hash(*fields)


def wrap(spki: bytes, secret: bytes, label: bytes) -> bytes:
    """As long as a wrap under the pool's keys, another for each; nobody opens it here."""
    return (secret + spki[-16:] + spki[40:72] + label).ljust(384, b"\0")[:384]


class Signers(World):
    """Does things to a store, in `combined` chats."""

    def __init__(self, storage: Storage) -> None:
        super().__init__(storage)
        self.humans: dict[str, Human] = {}

    def join(self, *usernames: str) -> Signers:
        for username in usernames:
            human = self.humans[username] = Human(username, lambda index: fresh(index).without(PSS, DSA))
            human.new_keys(len(self.humans))
            self.storage.accounts.create(account(username), self.bundle(username))
        return self

    def through(self, storage: Storage) -> Signers:
        """The same people by another writer."""
        other = Signers(storage)
        other.humans, other.now = self.humans, self.now
        return other

    def bundle(self, username: str) -> Bundle:
        """The newest, as the server has judged it."""
        human = self.humans[username]
        return replace(stored(username, human.bundles[-1]), signing={human.sets[-1].kid(ED25519): ED25519})

    def new_bundle(self, username: str, linked: bool = True) -> Bundle:
        """Their next one, by continuity or as a reset; nobody has it yet."""
        human = self.humans[username]
        human.new_keys(len(self.humans) + len(human.sets), linked)
        return self.bundle(username)

    def renew(self, username: str, linked: bool = True) -> None:
        """They have a next bundle, and everybody is told."""
        self.storage.accounts.add_bundle(self.new_bundle(username, linked), None, None)
        self.storage.log.keys_changed(username)

    # -------------------------------------------------------- what one could ask for

    def sign(self, by: str, kind: str, chat: str, fields: Mapping[str, Any]) -> dict[str, str]:
        """By their newest key."""
        human = self.humans[by]
        head = author(human.sets[-1], chat, by, human.kh)
        return sign_object(human.sets[-1], kind, ED25519, {**head, **fields})

    def entry(self, chat: str, by: str, op: str, members: Roles, name: str | None, **fields: Any) -> Entry:
        """The log's next entry; `fields` replace what it says."""
        head = self.head(chat)
        says = {
            "n": head.combined.log.n + 1 if head and head.combined else 1,
            "prev": head.combined.log.hash if head and head.combined else "",
            "op": op,
            "name": name,
            "members": {who: {"role": role, "keys": keys} for who, (role, keys) in members.items()},
        }
        made = self.sign(by, "membership", chat, says | fields)
        return signed.read_entry(made, chat, by, self.humans[by].line)

    def share(self, chat: str, by: str, serves: str, members: Roles, epoch: int | None = None) -> Share:
        """For those of the entry's members whose keys are confirmed, under their newest bundles."""
        lines = {name: self.humans[name].line for name in members}
        out = [name for name, (_, keys) in members.items() if not lines[name].confirmed(keys)]
        recipients = {
            name: (self.humans[name].kh, self.humans[name].spki) for name in members if name not in out
        }
        number = self.epoch(chat) + 1 if epoch is None else epoch
        fields, wraps, _ = share_fields(chat, number, serves, recipients, out, wrap=wrap)
        made = self.sign(by, "share", chat, fields) | {"wraps": wraps}
        return signed.read_share(made, chat, by, self.humans[by].line)

    def opened(self, share: Share) -> NewEpoch:
        """S_e for the share's recipients."""
        wraps = {}
        for name, keys in share.recipients.items():
            human = self.humans[name]
            keys_set = human.sets[human.hashes.index(keys)]
            signing = {keys_set.kid(ED25519): ED25519}
            wraps[name] = Wrap(keys_set.kid(WRAPPING), b64u(f"S of {name}".encode()), keys, signing)
        return NewEpoch(share.epoch, wraps)

    def creation(self, chat: str, by: str, others: Iterable[str], **fields: Any) -> NewEvent:
        names = tuple(sorted({by, *others}))
        members = {name: ("owner" if name == by else "member", self.humans[name].kh) for name in names}
        entry = self.entry(chat, by, "create", members, fields.get("name"))
        share = self.share(chat, by, entry.hash, members, 1)
        made = NewChat(fields.get("name"), "combined", entry.hash.encode())
        return NewEvent(
            chat, "create", by, names, self.opened(share), chat_data=made, entry=entry, share=share
        )

    def change(self, chat: str, kind: str, by: str, *usernames: str, **fields: Any) -> NewEvent:
        """`unsigned` leaves out the entry of a `leave`."""
        head = self.head(chat)
        assert head is not None and head.combined is not None  # there is such a chat
        log, entry, share = head.combined.log, None, None
        role, unsigned = fields.get("role"), fields.pop("unsigned", False)
        members = self._members_after(log.members, kind, by, usernames, role)
        if kind in membership.WITH_ENTRY or (kind == "leave" and not unsigned):
            entry = self.entry(chat, by, kind, members, fields.get("name") if kind == "rename" else log.name)
        if kind in membership.WITH_SHARE:
            share = self.share(chat, by, entry.hash if entry else log.hash, members)
        epoch = self.opened(share) if share else None
        return NewEvent(chat, kind, by, usernames, epoch, entry=entry, share=share, **fields)

    def _members_after(
        self,
        log: Mapping[str, LogMember],
        kind: str,
        by: str,
        usernames: tuple[str, ...],
        role: str | None,
    ) -> dict[str, tuple[str, str]]:
        members = {name: (one.role, one.keys) for name, one in log.items()}
        for name in usernames:
            if kind in ("remove", "leave", "retire"):
                del members[name]
            elif kind == "add":
                members[name] = role or "member", self.humans[name].kh
            elif kind == "role":
                members[name] = role or "member", members[name][1]
            elif kind == "keys":
                members[name] = members[name][0], self.humans[name].kh
        if members and not any(role == "owner" for role, _ in members.values()):
            heir = by if kind == "retire" else min(members)
            members[heir] = "owner", members[heir][1]
        return members

    def message(self, chat: str, sender: str, text: str = "hello", **fields: Any) -> NewMessage:
        """Under the epoch and key that hold now."""
        now = {"epoch": self.epoch(chat), "seen": self.items(chat)[-1].seq} | fields
        kid = self.humans[sender].sets[-1].kid(ED25519)
        body, item_hash = envelope(text)
        made = message(chat, sender, **{"alg": ED25519, "kid": kid} | now)
        return replace(made, body=body, hash=item_hash)

    # -------------------------------------------------------- doing it, looking at it

    def say(self, chat: str, sender: str, text: str = "hello", **fields: Any) -> Appended:
        return self.place(self.message(chat, sender, text, **fields))

    def head(self, chat: str) -> Head | None:
        return self.storage.chats.head(chat)

    def everything(self, chat: str, readers: Any = None) -> dict[str, Any]:
        chats = self.storage.chats
        return super().everything(chat, readers) | {
            "log": chats.membership(chat, 0, 1_000),
            "taken": [chats.taken(chat, number, number) for number in (1, 3, 99)],
        }
