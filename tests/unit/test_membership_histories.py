"""Random histories of honest members, which both judges always take; and one lie in each request, which neither does."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from chatsec.domain import combined
from tests.support.combined import CHAT, NAMES, Request, World
from tests.support.encoding import b64u, un64u
from tests.support.keys import DSA
from tests.support.signed import Signed, signed_hash

MAX_BUNDLES = 6
ZERO = b64u(bytes(32))
Lie = Callable[[World, Request, st.DataObject], Request | None]
"""The request with one thing changed, signed anew by its author where it is signed; None where there is no such thing."""


def fields_of(signed: Signed) -> dict[str, Any]:
    fields: dict[str, Any] = json.loads(un64u(signed["protected"]))
    return fields


def flipped(text: str, data: st.DataObject) -> str:
    raw = bytearray(un64u(text))
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    return b64u(bytes(raw))


def pick(data: st.DataObject, names: Any) -> Any:
    return data.draw(st.sampled_from(sorted(names))) if names else None


# ---------------------------------------------------------------- lies about an entry


def in_entry(change: Callable[[World, dict[str, Any], st.DataObject], dict[str, Any] | None]) -> Lie:
    """A lie in a signed entry; its share then serves it."""

    def lie(world: World, request: Request, data: st.DataObject) -> Request | None:
        if request.entry is None:
            return None
        fields = fields_of(request.entry)
        changed = change(world, fields, data)
        if changed is None:
            return None
        entry = world.sign(request.by, "membership", fields | changed)
        share = request.share
        if share is not None:
            served = fields_of(share) | {"membership": signed_hash(entry)}
            share = world.sign(request.by, "share", served) | {"wraps": share["wraps"]}
        return replace(request, entry=entry, share=share)

    return lie


def with_member(
    choose: Callable[[World, dict[str, Any], st.DataObject], Any],
    change: Callable[[World, str, Any], dict[str, str] | None],
) -> Lie:
    """A lie about one member of an entry; None takes them out."""

    def lie(world: World, fields: dict[str, Any], data: st.DataObject) -> dict[str, Any] | None:
        name = choose(world, fields, data)
        if name is None:
            return None
        members = dict(fields["members"])
        changed = change(world, name, members.pop(name, None))
        return {"members": members | ({name: changed} if changed else {})}

    return in_entry(lie)


def unchanged(world: World, fields: dict[str, Any], data: st.DataObject) -> Any:
    """Somebody who was in the log before and whose role this entry leaves alone."""
    old = world.state.log.members
    return pick(data, [n for n, m in fields["members"].items() if n in old and old[n].role == m["role"]])


def anybody(world: World, fields: dict[str, Any], data: st.DataObject) -> Any:
    return pick(data, fields["members"])


def stranger(world: World, fields: dict[str, Any], data: st.DataObject) -> Any:
    return pick(data, set(NAMES) - set(fields["members"]) - set(world.state.log.members))


def other_role(world: World, name: str, member: Any) -> dict[str, str] | None:
    # Of two members who could both be made owner by who leaves, the other one would be as good.
    return {"role": "member" if member["role"] == "owner" else "owner", "keys": member["keys"]}


ENTRY_LIES: dict[str, Lie] = {
    "n after": in_entry(lambda w, f, d: {"n": f["n"] + 1}),
    "n before": in_entry(lambda w, f, d: {"n": f["n"] - 1}),
    "prev": in_entry(lambda w, f, d: {"prev": ZERO}),
    "op": in_entry(lambda w, f, d: {"op": pick(d, {"create", "add", "leave", "role", "keys"} - {f["op"]})}),
    "chat": in_entry(lambda w, f, d: {"chat": CHAT[:-1] + "1"}),
    "alg": in_entry(lambda w, f, d: {"alg": DSA}),
    "kid": in_entry(lambda w, f, d: {"kid": ZERO}),
    "keys": in_entry(lambda w, f, d: {"keys": ZERO}),
    "by": in_entry(lambda w, f, d: {"by": pick(d, set(NAMES) - {f["by"]})}),
    "name": in_entry(lambda w, f, d: {"name": f"{f['name']}!"}),
    "no time": in_entry(lambda w, f, d: {"at": ""}),
    "somebody dropped": with_member(anybody, lambda w, name, member: None),
    "somebody invented": with_member(
        stranger, lambda w, name, _: {"role": "member", "keys": w.people[name].kh}
    ),
    "a role": with_member(unchanged, other_role),
    "a bundle": with_member(anybody, lambda w, name, member: {"role": member["role"], "keys": ZERO}),
}


# ---------------------------------------------------------------- lies about a share


def in_share(change: Callable[[World, dict[str, Any], st.DataObject], dict[str, Any] | None]) -> Lie:
    """A lie in a signed share."""

    def lie(world: World, request: Request, data: st.DataObject) -> Request | None:
        if request.share is None:
            return None
        fields = fields_of(request.share)
        changed = change(world, fields, data)
        if changed is None:
            return None
        fields, wraps = fields | changed, request.share["wraps"]
        kept = {name: wraps.get(name, wraps[request.by]) for name in fields["recipients"]}
        return replace(request, share=world.sign(request.by, "share", fields) | {"wraps": kept})

    return lie


def without(recipients: dict[str, Any], name: str) -> dict[str, Any]:
    return {other: given for other, given in recipients.items() if other != name}


def left_out(world: World, fields: dict[str, Any], data: st.DataObject) -> dict[str, Any] | None:
    name = pick(data, fields["recipients"])
    return {"recipients": without(fields["recipients"], name), "excluded": [*fields["excluded"], name]}


def let_in(world: World, fields: dict[str, Any], data: st.DataObject) -> dict[str, Any] | None:
    name = pick(data, fields["excluded"] or set(NAMES) - set(fields["recipients"]))
    if name is None:
        return None
    given = fields["recipients"][fields["by"]] | {"keys": world.people[name].kh}
    return {
        "recipients": fields["recipients"] | {name: given},
        "excluded": [other for other in fields["excluded"] if other != name],
    }


def bundle_of(choose: Callable[[World, str], str | None]) -> Lie:
    def lie(world: World, fields: dict[str, Any], data: st.DataObject) -> dict[str, Any] | None:
        name = pick(data, fields["recipients"])
        keys = choose(world, name)
        given = fields["recipients"][name] | {"keys": keys}
        return {"recipients": fields["recipients"] | {name: given}} if keys else None

    return in_share(lie)


def older(world: World, name: str) -> str | None:
    return world.people[name].hashes[-2] if len(world.people[name].hashes) > 1 else None


SHARE_LIES: dict[str, Lie] = {
    "share: the epoch after": in_share(lambda w, f, d: {"epoch": f["epoch"] + 1}),
    "share: the epoch before": in_share(lambda w, f, d: {"epoch": f["epoch"] - 1}),
    "share: another head": in_share(lambda w, f, d: {"membership": ZERO}),
    "share: chat": in_share(lambda w, f, d: {"chat": CHAT[:-1] + "1"}),
    "share: alg": in_share(lambda w, f, d: {"alg": DSA}),
    "share: keys": in_share(lambda w, f, d: {"keys": ZERO}),
    "share: by": in_share(lambda w, f, d: {"by": pick(d, set(NAMES) - {f["by"]})}),
    "share: somebody excluded": in_share(left_out),
    "share: somebody let in": in_share(let_in),
    "share: a bundle of nobody": bundle_of(lambda w, name: ZERO),
    "share: an older bundle": bundle_of(older),
}


# ---------------------------------------------------------------- lies beside what is signed


def bytes_of(part: str, name: str) -> Lie:
    def lie(world: World, request: Request, data: st.DataObject) -> Request | None:
        signed = getattr(request, part)
        return replace(request, **{part: signed | {name: flipped(signed[name], data)}}) if signed else None

    return lie


def wrap_bytes(world: World, request: Request, data: st.DataObject) -> Request | None:
    if request.share is None:
        return None
    name, wraps = pick(data, request.share["wraps"]), request.share["wraps"]
    return replace(request, share=request.share | {"wraps": wraps | {name: flipped(wraps[name], data)}})


def wrap_gone(world: World, request: Request, data: st.DataObject) -> Request | None:
    if request.share is None:
        return None
    wraps = without(request.share["wraps"], pick(data, request.share["wraps"]))
    return replace(request, share=request.share | {"wraps": wraps})


def one_more(world: World, request: Request, data: st.DataObject) -> Request | None:
    return replace(request, usernames=request.usernames | {"zoe"})


def another(world: World, request: Request, data: st.DataObject) -> Request | None:
    """Somebody else claims the request."""
    return replace(request, by=pick(data, set(NAMES) - {request.by})) if request.by else None


LIES: dict[str, Lie] = {
    **ENTRY_LIES,
    **SHARE_LIES,
    "entry: bytes": bytes_of("entry", "protected"),
    "entry: signature": bytes_of("entry", "signature"),
    "share: bytes": bytes_of("share", "protected"),
    "share: signature": bytes_of("share", "signature"),
    "share: wrap": wrap_bytes,
    "share: a wrap less": wrap_gone,
    "no entry": lambda w, r, d: replace(r, entry=None) if r.entry and r.kind != "leave" else None,
    "no share": lambda w, r, d: replace(r, share=None) if r.share else None,
    "one more": one_more,
    "by another": another,
}
REFUSALS = {
    "invalid",
    "invalid_membership",
    "membership_conflict",
    "invalid_share",
    "epoch_conflict",
    "forbidden",
    "not_found",
}
# Clients see no request and nobody else's wraps, and who is excluded or which bundle is current they cannot judge.
SERVER_ONLY = {
    "name",
    "share: wrap",
    "share: a wrap less",
    "share: somebody excluded",
    "share: an older bundle",
}


class Histories(RuleBasedStateMachine):
    """Members act as their clients let them; the people's keys move as they like."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(NAMES)

    # ---- who could

    def able(self) -> list[str]:
        """Members who can sign: the log stands by their keys."""
        state = self.world.state
        people = self.world.people
        return [n for n in sorted(state.members) if people[n].line.confirmed(state.log.members[n].keys)]

    def owners(self) -> list[str]:
        return [name for name in self.able() if name in self.world.state.log.owners]

    def settled(self) -> bool:
        return not self.world.state.waiting

    def orphaned(self, *gone: str) -> bool:
        return not self.world.state.log.owners - set(gone)

    def tell(self, data: st.DataObject, request: Request) -> None:
        """One lie first, then the honest request."""
        world = self.world
        name = data.draw(st.sampled_from(sorted(LIES)))
        lie = LIES[name](world, request, data)
        if lie is not None and lie != request:
            assert world.code(lie) in REFUSALS, name
            if name not in SERVER_ONLY and lie.by == request.by:
                assert world.failure(lie) in ("invalid_membership", "bad_share"), name
        world.take(request)

    # ---- what they do

    @initialize(data=st.data())
    def create(self, data: st.DataObject) -> None:
        others = data.draw(st.lists(st.sampled_from(NAMES[1:]), unique=True))
        roles = {name: data.draw(st.sampled_from(["owner", "member"])) for name in others}
        members = {
            name: (role, self.world.people[name].kh) for name, role in ({"alice": "owner"} | roles).items()
        }
        name = data.draw(st.none() | st.text(st.characters(categories=["L"]), max_size=5))
        self.tell(data, self.world.request("create", "alice", members, members, name))

    @precondition(
        lambda self: self.settled() and self.owners() and len(self.world.state.members) < len(NAMES)
    )
    @rule(data=st.data(), role=st.sampled_from(["owner", "member"]), old=st.booleans())
    def add(self, data: st.DataObject, role: str, old: bool) -> None:
        who = pick(data, set(NAMES) - self.world.state.members)
        human = self.world.people[who]
        kh = (
            human.hashes[-2]
            if old and len(human.hashes) > 1 and human.line.confirmed(human.hashes[-2])
            else human.kh
        )
        by = pick(data, self.owners())
        self.tell(data, self.world.request("add", by, [who], self.world.members(**{who: (role, kh)})))

    @precondition(lambda self: self.settled() and self.owners() and len(self.world.state.members) > 1)
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        by = pick(data, self.owners())
        who = pick(data, self.world.state.members - {by})
        self.tell(data, self.world.request("remove", by, [who], self.world.members(**{who: None})))

    @precondition(lambda self: self.able())
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        by = pick(data, self.able())
        members = self.world.members(**{by: None})
        if members and self.orphaned(by):
            heir = pick(data, members)
            members[heir] = ("owner", members[heir][1])
        self.tell(data, self.world.request("leave", by, [by], members))

    @precondition(lambda self: self.world.state.members)
    @rule(data=st.data(), ended=st.booleans())
    def go(self, data: st.DataObject, ended: bool) -> None:
        """Without an entry: the account ends, or its keys are gone."""
        who = pick(data, self.world.state.members)
        self.tell(
            data, self.world.request("ended", "", [who]) if ended else self.world.request("leave", who, [who])
        )

    @precondition(lambda self: self.world.state.waiting and self.able())
    @rule(data=st.data())
    def retire(self, data: st.DataObject) -> None:
        by, gone = pick(data, self.able()), self.world.state.waiting
        members = self.world.members(**dict.fromkeys(gone))
        if self.orphaned(*gone):
            members[by] = ("owner", members[by][1])
        self.tell(data, self.world.request("retire", by, gone, members))

    @precondition(lambda self: self.owners())
    @rule(data=st.data())
    def role(self, data: st.DataObject) -> None:
        by, who = pick(data, self.owners()), pick(data, self.world.state.log.members)
        role, keys = self.world.members()[who]
        if role == "owner" and self.orphaned(who):
            return
        other = "member" if role == "owner" else "owner"
        members = self.world.members(**{who: (other, keys)})
        self.tell(data, self.world.request("role", by, [who], members, role=other))

    @precondition(lambda self: self.owners())
    @rule(data=st.data(), name=st.sampled_from([None, "Us", "Them"]))
    def rename(self, data: st.DataObject, name: str | None) -> None:
        by = pick(data, self.owners())
        self.tell(data, self.world.request("rename", by, members=self.world.members(), name=name))

    @precondition(
        lambda self: self.settled() and self.able() and len(self.able()) < len(self.world.state.members)
    )
    @rule(data=st.data())
    def confirm(self, data: st.DataObject) -> None:
        by = pick(data, self.owners() or self.able())
        who = pick(data, self.world.state.members - set(self.able()))
        role = self.world.state.log.members[who].role
        members = self.world.members(**{who: (role, self.world.people[who].kh)})
        self.tell(data, self.world.request("keys", by, [who], members))

    @precondition(lambda self: self.settled() and self.able())
    @rule(data=st.data())
    def rekey(self, data: st.DataObject) -> None:
        self.tell(data, self.world.request("rekey", pick(data, self.able())))

    @rule(data=st.data(), linked=st.booleans())
    def new_keys(self, data: st.DataObject, linked: bool) -> None:
        who = self.world.people[data.draw(st.sampled_from(NAMES))]
        if len(who.bundles) < MAX_BUNDLES:
            who.new_keys(len(who.bundles), linked)

    # ---- what always holds

    @invariant()
    def both_stand_at_the_same_place(self) -> None:
        state, view = self.world.state, self.world.view
        assert (state.epoch, state.members) == (view.epoch, view.members)
        assert state.log.hash == (view.entry.hash if view.entry else "")
        assert state.waiting == view.gone()

    @invariant()
    def nobody_is_in_the_chat_but_by_the_log(self) -> None:
        state = self.world.state
        assert state.members <= state.log.members.keys()
        assert not state.log.members or state.log.owners

    @invariant()
    def a_share_that_is_not_due_is_for_just_the_members(self) -> None:
        state = self.world.state
        if not combined.share_due(state, self.world.lines(), 0):
            assert state.share.recipients.keys() | state.share.excluded == state.members


TestHistories = Histories.TestCase
TestHistories.settings = settings(max_examples=40, stateful_step_count=20, deadline=None)
