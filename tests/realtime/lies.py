"""What a lying server can show of a `combined` chat, and what a reader must make of it (protocol §4, §5).

    1 create, 2 "one" · 3 add of carol, 4 "two" · 5 rename, 6 "three" by carol · 7 removal of carol, 8 "four"

alice made the chat and sends, where nothing else is said; the epochs begin with 1, 3 and 7; bob reads. mallory is in none of
it: her keys stand for those that a server makes up.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.realtime.refusals import flipped, rewritten
from tests.support import protocol as p
from tests.support.client import Json, User
from tests.support.signed import author, share_fields, sign_object


@dataclass
class Told:
    """What a server shows bob of a chat; lies change it."""

    chat: str
    page: Json
    log: list[Json]
    people: dict[str, p.Person]
    keys: list[p.KeySet] = field(default_factory=list)

    def event(self, seq: int) -> Json:
        found: Json = self.page["items"][seq - 1]["event"]
        return found

    def epoch(self, number: int) -> Json:
        return next(epoch for epoch in self.page["epochs"] if epoch["number"] == number)

    def share(self, number: int) -> Json:
        found: Json = self.epoch(number)["client_share"]
        return found

    def read(self) -> p.Reader:
        reader = p.Reader(self.chat, self.keys, self.people, "combined", "bob")
        reader.learn_log(self.log)
        reader.page(self.page)
        return reader


def resigned(told: Told, stage: dict[str, User], number: int, by: str, **fields: Any) -> Json:
    """Entry `number` as `by` would sign it, with these fields."""
    said = json.loads(p.un64u(told.log[number - 1]["protected"])) | fields
    user = stage[by]
    head = author(user.keys, told.chat, by, p.bundle_hash(by, user.bundle))
    return sign_object(user.keys, "membership", p.ED25519, said | head)


def new_share(told: Told, stage: dict[str, User], number: int, signer: str, **fields: Any) -> Json:
    """A share of an epoch as `signer` would make it, shown in place of the true one."""
    user, true = stage[signer], p.read_share(told.share(number), told.chat)
    names = {name: (kh, stage[name].keys.spki(p.WRAPPING)) for name, (kh, _) in true.recipients.items()}
    said, wraps, _ = share_fields(told.chat, number, true.membership, names)
    head = author(user.keys, told.chat, signer, p.bundle_hash(signer, user.bundle))
    return sign_object(user.keys, "share", p.ED25519, head | said | fields) | {"wrapped": wraps["bob"]}


def put_share(told: Told, number: int, share: Json) -> None:
    """Shows it, and has the event name it."""
    told.epoch(number)["client_share"] = share
    for item in told.page["items"]:
        if "event" in item and item["event"]["epoch"] == number and item["event"]["share"]:
            item["event"]["share"] = p.signed_hash(share)


def put_entry(told: Told, seq: int, entry: Json) -> None:
    number = p.read_entry(entry, told.chat).n
    told.log[number - 1] = entry
    told.event(seq)["log"] = p.signed_hash(entry)


def edit(of: Json, **fields: Any) -> None:
    of.update(fields)


LATER = {4: "unknown_key", 6: "unknown_key"}
Lie = Callable[[Told, dict[str, User]], Any]
LIES: dict[str, tuple[Lie, set[str], set[str], dict[int, str]]] = {
    # the lie → warnings of the chat that must be there, those that may, failures of messages
    "an entry withheld": (
        lambda t, s: t.log.clear(),
        {"invalid_membership"},
        {"bad_share", "history_fork"},
        {},
    ),
    "an entry in another's place": (
        lambda t, s: edit(t.event(5), log=p.signed_hash(t.log[1])),
        {"invalid_membership"},
        {"bad_share", "history_fork"},
        {},
    ),
    "an entry whose signature is broken": (
        lambda t, s: put_entry(t, 5, t.log[2] | {"signature": flipped(t.log[2]["signature"])}),
        {"invalid_membership"},
        {"history_fork", "bad_share"},
        {},
    ),
    "a name that nobody signed": (
        lambda t, s: put_entry(t, 5, rewritten(t.log[2], name="Another")),
        {"invalid_membership"},
        {"history_fork", "bad_share"},
        {},
    ),
    "an entry by the server's own keys": (
        lambda t, s: put_entry(t, 5, resigned(t, s, 3, "mallory")),
        {"invalid_membership"},
        {"history_fork", "bad_share"},
        {},
    ),
    "a member renames": (
        lambda t, s: (put_entry(t, 5, resigned(t, s, 3, "carol", name="Hers")), edit(t.event(5), by="carol")),
        {"invalid_membership"},
        {"history_fork", "bad_share"},
        {},
    ),
    "a member in it whom the event does not name": (
        lambda t, s: edit(t.event(3), usernames=[]),
        {"invalid_membership"},
        {"history_fork", "bad_share"},
        {},
    ),
    "a removal told as a leave": (
        lambda t, s: edit(t.event(7), kind="leave", by="carol", share=""),
        {"invalid_membership"},
        {"history_fork", "bad_share"},
        {},
    ),
    "a leave that she did not sign": (
        lambda t, s: edit(t.event(5), kind="leave", by="carol", usernames=["carol"], log=""),
        {"invalid_membership"},
        {"bad_share"},
        {6: "not_a_member"},
    ),
    "keys said by the server": (
        lambda t, s: edit(t.event(5), keys=p.H(b"?")),
        {"invalid_membership"},
        {"history_fork", "bad_share"},
        {},
    ),
    "an epoch without a share": (
        lambda t, s: edit(t.event(7), share=""),
        {"bad_share"},
        set(),
        {8: "unknown_key"},
    ),
    "a share by somebody else": (
        lambda t, s: put_share(t, 2, new_share(t, s, 2, "mallory", by="alice")),
        {"bad_share"},
        {"history_fork"},
        LATER,
    ),
    "a share by another member": (
        lambda t, s: put_share(t, 2, new_share(t, s, 2, "carol")),
        {"bad_share"},
        {"history_fork"},
        LATER,
    ),
    "a share with a broken signature": (
        lambda t, s: put_share(t, 2, t.share(2) | {"signature": flipped(t.share(2)["signature"])}),
        {"bad_share"},
        {"history_fork"},
        LATER,
    ),
    "the share of another epoch": (
        lambda t, s: put_share(t, 2, t.share(1)),
        {"bad_share"},
        {"history_fork"},
        LATER,
    ),
    "a share over another entry": (
        lambda t, s: put_share(t, 2, new_share(t, s, 2, "alice", membership=p.signed_hash(t.log[0]))),
        {"bad_share"},
        {"history_fork"},
        LATER,
    ),
    "a share with a member left out": (
        lambda t, s: put_share(
            t,
            2,
            new_share(
                t, s, 2, "alice", recipients={"alice": {"keys": t.people["alice"].kh, "wrap": p.H(b"?")}}
            ),
        ),
        {"bad_share"},
        {"history_fork"},
        LATER,
    ),
    "a share that the event does not name": (
        lambda t, s: edit(t.epoch(2), client_share=new_share(t, s, 2, "alice")),
        {"bad_share"},
        set(),
        LATER,
    ),
    "another C, in a share that alice did sign": (
        lambda t, s: put_share(t, 2, new_share(t, s, 2, "alice")),
        {"history_fork"},
        set(),
        {4: "key_mismatch", 6: "key_mismatch"},
    ),
    "a wrap unlike its hash": (
        lambda t, s: edit(t.share(2), wrapped=flipped(t.share(2)["wrapped"])),
        {"bad_share"},
        set(),
        {4: "undecryptable", 6: "undecryptable"},
    ),
    "the wrap of another epoch": (
        lambda t, s: edit(t.share(2), wrapped=t.share(1)["wrapped"]),
        {"bad_share"},
        set(),
        {4: "undecryptable", 6: "undecryptable"},
    ),
    "S_e of another epoch": (
        lambda t, s: edit(t.epoch(2), wrapped=t.epoch(1)["wrapped"]),
        set(),
        set(),
        {4: "undecryptable", 6: "undecryptable"},
    ),
    "a commitment to another C": (
        lambda t, s: put_share(t, 2, new_share(t, s, 2, "alice", commit=p.H(b"?"))),
        {"wrong_recipient_key"},
        {"history_fork"},
        {4: "undecryptable", 6: "undecryptable"},
    ),
    "a share withheld": (
        lambda t, s: edit(t.epoch(2), client_share=None),
        {"bad_share"},
        set(),
        LATER,
    ),
    "an epoch withheld": (
        lambda t, s: t.page["epochs"].remove(t.epoch(2)),
        set(),
        set(),
        {4: "waiting_for_key", 6: "waiting_for_key"},
    ),
    "a wrap withheld": (
        lambda t, s: edit(t.share(2), wrapped=None),
        {"bad_share"},
        set(),
        {4: "undecryptable", 6: "undecryptable"},
    ),
    "an Epoch with one more in it": (
        lambda t, s: edit(t.epoch(2), members=["alice", "bob", "carol", "mallory"]),
        {"history_fork"},
        set(),
        {},
    ),
    "a removal hidden": (
        lambda t, s: edit(t.page, items=renumbered([i for i in t.page["items"] if i["seq"] != 7])),
        set(),
        set(),
        {7: "wrong_epoch"},
    ),
    "a message of who was removed": (
        lambda t, s: edit(t.page, items=renumbered([*t.page["items"], late(t, s)])),
        set(),
        {"history_fork"},
        {9: "not_a_member"},
    ),
}


def renumbered(items: list[Json]) -> list[Json]:
    return [item | {"seq": seq} for seq, item in enumerate(items, start=1)]


def late(told: Told, stage: dict[str, User]) -> Json:
    """carol and the server together: in epoch 3, whose S_e she is given and whose C she cannot have."""
    carol = stage["carol"]
    opened = told.page["items"][6]
    return dict(
        p.seal_envelope(
            carol.keys,
            bytes(32),
            b'{"type":"text","body":"boo"}',
            chat=told.chat,
            epoch=3,
            id="00000000-0000-4000-8000-000000000000",
            sender="carol",
            lane=p.new_lane(),
            seen=(7, p.H(b"?")),
            alg=p.ED25519,
            log=opened["event"]["log"],
        )
    )
