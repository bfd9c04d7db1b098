"""Judges the membership log and client shares of `combined` chats as a member's client does (protocol §4, §5).

`invalid_membership`, `bad_share`, `wrong_recipient_key`, `history_fork`: by the page's rules for clients, as who is
excluded, and which bundle was current, only poster and server can judge. A late joiner cannot see who had gone before,
and passes None for it.
"""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from tests.support.encoding import Failure, H, un64u
from tests.support.keys import KeySet, signing_keys, verify
from tests.support.person import Person
from tests.support.signed import (
    Entry,
    Share,
    commit,
    read_entry,
    read_share,
    share_label,
    signing_input,
)

People = Mapping[str, Person]
SHARED = ("create", "add", "remove", "keys", "retire", "rekey")
FORM = {"membership": "invalid_membership", "share": "bad_share"}


@dataclass(frozen=True)
class View:
    """What holds in a chat after an item: its epoch, who is in it, the last entry named, the share of the epoch."""

    epoch: int = 0
    members: frozenset[str] = frozenset()
    entry: Entry | None = None
    share: Share | None = None

    def gone(self) -> frozenset[str]:
        """Members of the log who are in the chat no more."""
        return frozenset(self.entry.members) - self.members if self.entry else frozenset()


def reaches(person: Person, old: str, new: str) -> bool:
    """Whether unbroken continuity leads from one bundle to the other."""
    low, high = person.version(old), person.version(new)
    return 0 < low <= high and person.identity[low] == person.identity[high]


def confirmed(person: Person, kh: str) -> bool:
    """Whether no reset is known since this bundle."""
    return reaches(person, kh, person.kh)


def _verify(kind: str, signed: Mapping[str, str], read: Entry | Share, people: People, known: str) -> None:
    """The signature, by a key of the bundle that it names, reached from the one the log stands by."""
    person = people[read.by]
    if not reaches(person, known, read.keys):
        raise Failure(FORM[kind], "author's keys")
    alg, spki = signing_keys(person.bundles[person.version(read.keys)]).get(read.kid, ("", b""))
    if alg != read.alg or not verify(
        alg, spki, un64u(signed["signature"]), signing_input(kind, signed["protected"])
    ):
        raise Failure(FORM[kind], "signature")


def check_entry(
    signed: Mapping[str, Any],
    chat: str,
    before: Entry | None,
    people: People,
    gone: frozenset[str] | None = frozenset(),
    share: Share | None = None,
) -> Entry:
    """The next entry of the log, or `invalid_membership`; `gone` may be retired, `share` is the last one."""
    entry = read_entry(signed, chat)
    old = before.members if before else {}
    new = entry.members

    def want(condition: object, why: str) -> None:
        if not condition:
            raise Failure("invalid_membership", f"entry {entry.n}: {why}")

    want(entry.n == (before.n + 1 if before else 1), "n")
    want(entry.prev == (before.hash if before else ""), "prev")
    want((entry.op == "create") == (before is None), "op")
    want(set(new) <= set(people), "nobody knows them")
    want(entry.by in (old if before else new), "by")
    _verify("membership", signed, entry, people, (old if before else new)[entry.by][1])
    if share and entry.by in share.recipients:
        want(reaches(people[entry.by], share.recipients[entry.by][0], entry.keys), "older keys")
    want(entry.owners() or not new, "an owner is always left")
    for who in new:
        want(people[who].version(new[who][1]), "a bundle of somebody else")
    if before is None:
        want(entry.by in entry.owners(), "create")
        return entry
    came, went = set(new) - set(old), set(old) - set(new)
    roles = {who for who in set(old) & set(new) if old[who][0] != new[who][0]}
    keys = {who for who in set(old) & set(new) if old[who][1] != new[who][1]}
    owner = entry.by in before.owners()
    heirs = set(new) and not before.owners() - went
    want(entry.name == before.name or entry.op == "rename", "name")
    want(entry.op not in ("add", "remove", "role", "rename") or owner, "not an owner")
    if entry.op == "add":
        want(came and not (went or roles or keys), "add")
    elif entry.op == "remove":
        want(went and entry.by not in went and not (came or roles or keys), "remove")
    elif entry.op == "role":
        want(roles and not (came or went or keys), "role")
    elif entry.op == "rename":
        want(not (came or went or roles or keys), "rename")
    elif entry.op == "leave":
        want(went == {entry.by} and not (came or keys), "leave")
        want(len(roles) == (1 if heirs else 0), "heir")
    elif entry.op == "retire":
        want(went and entry.by not in went and not (came or keys), "retire")
        want(gone is None or went <= gone, "they are still here")
        want(roles == ({entry.by} if heirs else set()), "heir")
    else:
        want(len(keys) == 1 and entry.by not in keys and not (came or went or roles), "keys")
        (who,) = keys
        want(people[who].version(new[who][1]) > people[who].version(old[who][1]), "an older bundle")
        want(not reaches(people[who], old[who][1], new[who][1]), "there was no reset")
        # Whoever can sign by what is known now could then: a reset is never undone.
        others = before.owners() - {who, entry.by} - (gone or set())
        able = {name for name in others if confirmed(people[name], old[name][1])}
        want(owner or not able, "an owner could do it")
    return entry


def check_share(
    signed: Mapping[str, Any],
    chat: str,
    epoch: int,
    entry: Entry,
    people: People,
    before: Share | None = None,
) -> Share:
    """The share that opens `epoch` over the last entry named, or `bad_share`; `before` is the previous one held."""
    share = read_share(signed, chat)

    def want(condition: object, why: str) -> None:
        if not condition:
            raise Failure("bad_share", why)

    want(share.epoch == epoch, "epoch")
    want(share.membership == entry.hash, "serves another entry")
    want(set(share.recipients) | share.excluded == set(entry.members), "members")
    want(share.by in share.recipients, "author")
    _verify("share", signed, share, people, entry.members[share.by][1])
    for who, (kh, _) in share.recipients.items():
        want(reaches(people[who], entry.members[who][1], kh), f"bundle of {who}")
        last = before.recipients.get(who) if before else None
        want(
            last is None or people[who].version(kh) >= people[who].version(last[0]),
            f"older bundle of {who}",
        )
    return share


def follow(
    view: View,
    chat: str,
    event: Mapping[str, Any],
    people: People,
    entry: Mapping[str, Any] | None = None,
    share: Mapping[str, Any] | None = None,
) -> View:
    """What holds after an event item that came with this entry and share; every lie about them is named."""
    return follow_share(follow_log(view, chat, event, people, entry), chat, event, people, share)


def follow_log(
    view: View,
    chat: str,
    event: Mapping[str, Any],
    people: People,
    entry: Mapping[str, Any] | None,
) -> View:
    """What an event makes of the members and of the log, or `invalid_membership`."""
    kind, by, who = event["kind"], event["by"], set(event["usernames"])
    if (entry is None) != (event["log"] == "") or event["keys"] or (by == "") != (kind == "ended"):
        raise Failure("invalid_membership", "log, keys or by")
    if entry is None and who != {"rekey": set(), "leave": {by}, "ended": who & view.members or {by}}.get(
        kind
    ):
        raise Failure("invalid_membership", f"no such {kind} without an entry")
    named = view.entry
    if entry is not None:
        named = check_entry(entry, chat, view.entry, people, view.gone(), view.share)
        if (named.hash, named.op, named.by) != (event["log"], kind, by) or changed(view.entry, named) != who:
            raise Failure("invalid_membership", "the event names something else")
    members = view.members | who if kind in ("create", "add") else view.members
    if kind in ("remove", "leave", "ended"):
        members = view.members - who
    return replace(view, members=members, entry=named)


def follow_share(
    view: View,
    chat: str,
    event: Mapping[str, Any],
    people: People,
    share: Mapping[str, Any] | None,
) -> View:
    """What an event makes of the epoch and its share, once the log has followed, or `bad_share`."""
    if (share is None) != (event["share"] == "") or (share is None) == (event["kind"] in SHARED):
        raise Failure("bad_share", "share")
    if share is None and event["epoch"] != view.epoch:
        raise Failure("bad_share", "an epoch without a share")
    if share is None or view.entry is None:
        return view
    held = check_share(share, chat, event["epoch"], view.entry, people, view.share)
    if (held.hash, held.by) != (event["share"], event["by"]) or held.epoch != view.epoch + 1:
        raise Failure("bad_share", "the event names something else")
    return replace(view, epoch=held.epoch, share=held)


def changed(before: Entry | None, entry: Entry) -> set[str]:
    """Whom the item must name: exactly who changed, of `leave` and `retire` who was taken out."""
    old = before.members if before else {}
    if entry.op in ("leave", "retire"):
        return set(old) - set(entry.members)
    return {who for who in set(old) | set(entry.members) if old.get(who) != entry.members.get(who)}


def check_history(held: list[str], shown: list[str]) -> None:
    """The log as hashes from entry 1 on, held and shown again: `history_fork`, or `server_rollback` where it is shorter."""
    if any(mine != theirs for mine, theirs in zip(held, shown, strict=False)):
        raise Failure("history_fork", "another entry in its place")
    if len(shown) < len(held):
        raise Failure("server_rollback")


def check_claim(log: str, named: Mapping[int, str], seen: int) -> None:
    """`log` of a header is the last entry named by an item up to `seen`, by seq in `named`; else `history_fork`."""
    if log != max(((seq, hashed) for seq, hashed in named.items() if seq <= seen), default=(0, ""))[1]:
        raise Failure("history_fork", "log")


def open_share(
    share: Share, wrapped: str, chat: str, username: str, mine: Mapping[str, KeySet | None]
) -> bytes:
    """C. `mine` is own bundle hash → keys, None where they are lost (`key_lost`)."""
    kh, wrap = share.recipients[username]
    if kh not in mine:
        raise Failure("wrong_recipient_key", "never a bundle of mine")
    if H(un64u(wrapped)) != wrap:
        raise Failure("bad_share", "not the wrap that was signed")
    keys = mine[kh]
    if keys is None:
        raise Failure("key_lost")
    try:
        secret = keys.unwrap(un64u(wrapped), share_label(chat, share.epoch))
    except ValueError as error:
        raise Failure("wrong_recipient_key", "does not open") from error
    if len(secret) != 32 or not hmac.compare_digest(commit(chat, share.epoch, secret), share.commit):
        raise Failure("wrong_recipient_key", "not what was committed to")
    return secret
