"""One lie in a request of honest members: in its entry, in its share, or beside what is signed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from tests.support.combined import CHAT, NAMES, Request, World
from tests.support.encoding import b64u, un64u
from tests.support.keys import DSA
from tests.support.signed import Signed, signed_hash

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
