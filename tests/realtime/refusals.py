"""Requests that the server refuses in a `combined` chat, and the code of each (protocol §4, §6).

The chat is alice's, with bob, carol and erin. bob has newer keys, and a share for them was posted; erin has reset hers,
which nobody confirmed; dave has no part in it. Its log has one entry, its epoch is the second.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from tests.support import protocol as p
from tests.support.client import Json, Signer

Body = Callable[[Signer], Json]
ZERO = p.b64u(bytes(32))


# ---- parts that are wrong


def flipped(text: str) -> str:
    """The same but for one bit."""
    data = p.un64u(text)
    return p.b64u(data[:-1] + bytes((data[-1] ^ 1,)))


def rewritten(signed: Json, drop: str = "", **fields: Any) -> Json:
    """A signed object whose JSON says something else; the signature is left as it was."""
    said = json.loads(p.un64u(signed["protected"])) | fields
    said.pop(drop, None)
    return {**signed, "protected": p.b64u(json.dumps(said).encode())}


def unsigned(signed: Json) -> Json:
    return signed | {"signature": flipped(signed["signature"])}


def without(*names: str) -> Callable[[Json], Json]:
    return lambda body: {name: value for name, value in body.items() if name not in names}


def recipients(s: Signer, **changes: tuple[str, bytes] | None) -> Mapping[str, tuple[str, bytes]]:
    """Those of an honest share, some of them changed."""
    honest = {name: s.recipient(name) for name in s.members if name not in s.unconfirmed(s.members)}
    return {name: given for name, given in (honest | changes).items() if given is not None}


def older(s: Signer, name: str) -> tuple[str, bytes]:
    """Somebody's first bundle, as a recipient."""
    person = s.people[name]
    return person.hashes[1], p.un64u(person.bundles[1]["encryption"]["spki"])


def by_older_keys(s: Signer, make: Callable[[], Any]) -> Any:
    """What a device makes that does not know of its own newest bundle."""
    newest, person = s.user.keys, s.people[s.user.username]
    hashes = dict(person.hashes)
    s.user.keys = s.user.retired[0]
    person.hashes = {1: hashes[1]}
    try:
        return make()
    finally:
        s.user.keys, person.hashes = newest, hashes


def short_wrap(s: Signer) -> Json:
    """bob's wrap has a byte less, and the share names its hash."""
    share = s.share()
    wraps = share["wraps"] | {"bob": p.b64u(p.un64u(share["wraps"]["bob"])[1:])}
    fields = json.loads(p.un64u(share["protected"]))
    fields["recipients"]["bob"]["wrap"] = p.H(p.un64u(wraps["bob"]))
    return s.sign("share", fields) | {"wraps": wraps}


# ---- requests


def rename(**fields: Any) -> Body:
    """A new name; the entry, signed, has these fields."""
    return lambda s: (
        s.rename_body("x") | {"membership": s.entry("rename", s.members, **{"name": "x"} | fields)}
    )


def entry_changed(edit: Callable[[Json], Any], make: Body | None = None) -> Body:
    """A new name, or another request, whose entry was edited."""
    return lambda s: (body := (make or rename())(s)) | {"membership": edit(body["membership"])}


def rekey(**options: Any) -> Body:
    """A share made with these options of `Signer.share`."""
    return lambda s: {"kind": "rekey", "client_share": s.share(**options)}


def rekey_for(choose: Callable[[Signer], Mapping[str, tuple[str, bytes]]]) -> Body:
    return lambda s: {"kind": "rekey", "client_share": s.share(recipients=choose(s))}


def share_changed(edit: Callable[[Json], Any]) -> Body:
    return lambda s: {"kind": "rekey", "client_share": edit(s.share())}


def wraps_changed(edit: Callable[[Json], Json]) -> Body:
    return share_changed(lambda share: share | {"wraps": edit(share["wraps"])})


def op(kind: str, usernames: list[str], members: Callable[[Signer], Any], **fields: Any) -> Body:
    """An entry with these members, a share where the kind wants one."""
    return lambda s: s.body(kind, usernames, members(s), **fields)


def as_owner(s: Signer, *names: str) -> dict[str, tuple[str, str]]:
    return {name: ("owner", s.members[name][1]) for name in names}


def add(s: Signer) -> Json:
    return s.add_body("dave")


FORM: dict[str, tuple[str, Body]] = {
    # `invalid`: what is refused · by whom, the request
    "a new name without entry": ("alice", lambda s: without("membership")(s.rename_body("x"))),
    "an add without entry": ("alice", lambda s: without("membership")(add(s))),
    "an add without share": ("alice", lambda s: without("client_share")(add(s))),
    "a rekey without share": ("alice", lambda s: {"kind": "rekey"}),
    "a rekey with an entry": ("alice", lambda s: rekey()(s) | {"membership": s.entry("rename", s.members)}),
    "a new name with a share": ("alice", lambda s: s.rename_body("x") | {"client_share": s.share()}),
    "a leave with a share": ("bob", lambda s: s.leave_body() | {"client_share": s.share()}),
    "a leave without entry, with a share": ("bob", lambda s: {"kind": "leave", "client_share": s.share()}),
    "the server's kind": ("alice", lambda s: rekey()(s) | {"kind": "ended"}),
    "no kind": ("alice", lambda s: rekey()(s) | {"kind": "sing"}),
    "a chat made again": ("alice", lambda s: add(s) | {"kind": "create"}),
    "no b64u": ("alice", entry_changed(lambda entry: entry | {"protected": entry["protected"] + "="})),
    "no JSON": ("alice", entry_changed(lambda entry: entry | {"protected": p.b64u(b"{")})),
    "a signature that is a number": ("alice", entry_changed(lambda entry: entry | {"signature": 1})),
    "no signature": ("alice", entry_changed(without("signature"))),
    "another v": ("alice", rename(v=2)),
    "no at": ("alice", entry_changed(lambda entry: rewritten(entry, drop="at"))),
    "members a list": ("alice", rename(members=["alice"])),
    "n a text": ("alice", rename(n="2")),
    "n a truth": ("alice", rename(n=True)),
    "n a half": ("alice", rename(n=2.5)),
    "at no time": ("alice", rename(at="2026-02-30T00:00:00.000Z")),
    "a lone surrogate": ("alice", rename(name="\ud800")),
    "a BOM": ("alice", entry_changed(lambda entry: entry | {"protected": "77u_" + entry["protected"]})),
    "prev no hash": ("alice", rename(prev="x")),
    "an epoch that is a text": ("alice", share_changed(lambda share: rewritten(share, epoch="3"))),
    "recipients a list": ("alice", share_changed(lambda share: rewritten(share, recipients=[]))),
    "a share without wraps": ("alice", share_changed(without("wraps"))),
}

ENTRIES: dict[str, tuple[str, Body]] = {
    # `invalid_membership`
    "another chat": ("alice", rename(chat=str(uuid.uuid4()))),
    "another author": ("alice", rename(by="bob")),
    "DSA": ("alice", rename(alg=p.DSA)),
    "no such op": ("alice", rename(op="sing")),
    "the op of another kind": (
        "alice",
        lambda s: s.rename_body("x") | {"membership": s.entry("role", s.changed(**as_owner(s, "bob")))},
    ),
    "another prev": ("alice", rename(prev=ZERO)),
    "a broken signature": ("alice", entry_changed(unsigned)),
    "another kid than signed": ("alice", rename(kid=ZERO)),
    "keys that are nobody's": ("alice", rename(keys=ZERO)),
    "superseded keys": ("bob", lambda s: by_older_keys(s, s.leave_body)),
    "another name than asked for": ("alice", lambda s: s.rename_body("x") | {"name": "y"}),
    "others than asked for": ("alice", lambda s: add(s) | {"usernames": ["frank"]}),
    "another role than asked for": ("alice", lambda s: add(s) | {"role": "owner"}),
    "no such role": (
        "alice",
        op("role", ["bob"], lambda s: s.changed(bob=("king", s.members["bob"][1])), role="owner"),
    ),
    "a role that changes nobody": ("alice", op("role", [], lambda s: s.members, role="member")),
    "a role that leaves no owner": (
        "alice",
        op("role", ["alice"], lambda s: s.changed(alice=("member", s.members["alice"][1])), role="member"),
    ),
    "an add of nobody new": ("alice", op("add", [], lambda s: s.members)),
    "an add under nobody's bundle": (
        "alice",
        op("add", ["dave"], lambda s: s.meet("dave").changed(dave=("member", ZERO))),
    ),
    "an add that makes an owner besides": (
        "alice",
        op("add", ["bob", "dave"], lambda s: s.meet("dave").changed(**s.now("dave"), **as_owner(s, "bob"))),
    ),
    "a new name that changes keys": (
        "alice",
        op("rename", [], lambda s: s.changed(**s.now("bob")), name="x"),
    ),
    "a removal that changes the name": (
        "alice",
        lambda s: (
            (body := s.remove_body("bob"))
            | {"membership": (entry := s.entry("remove", s.changed(bob=None), name="y"))}
            | {"client_share": s.share(entry)}
            | {"kind": body["kind"]}
        ),
    ),
    "a removal of oneself": (
        "alice",
        op("remove", ["alice"], lambda s: s.changed(alice=None, **as_owner(s, "bob"))),
    ),
    "a removal of nobody": ("alice", op("remove", [], lambda s: s.members)),
    "a leave of somebody else": ("bob", op("leave", ["carol"], lambda s: s.changed(carol=None))),
    "a last owner without heir": ("alice", lambda s: s.leave_body()),
    "a last owner with two heirs": (
        "alice",
        op("leave", ["alice"], lambda s: s.changed(alice=None, **as_owner(s, "bob", "carol"))),
    ),
    "an heir beside an owner": ("bob", lambda s: s.leave_body("carol")),
    "somebody retired who is here": ("alice", op("retire", ["bob"], lambda s: s.changed(bob=None))),
    "nobody retired": ("alice", op("retire", [], lambda s: s.members)),
    "keys where there was no reset": ("alice", op("keys", ["bob"], lambda s: s.changed(**s.now("bob")))),
    "keys of two": ("alice", op("keys", ["bob", "erin"], lambda s: s.changed(**s.now("bob", "erin")))),
    "keys and a role": ("alice", op("keys", ["erin"], lambda s: s.changed(**s.now("erin", role="owner")))),
    "one who has reset their keys": ("erin", lambda s: s.leave_body()),
}

FORBIDDEN: dict[str, tuple[str, Body]] = {
    "a member adds": ("bob", add),
    "a member removes": ("bob", lambda s: s.remove_body("carol")),
    "a member makes an owner": ("bob", lambda s: s.role_body("owner", "carol")),
    "a member renames": ("bob", rename()),
    "a member confirms, where an owner can": ("bob", lambda s: s.keys_body("erin")),
}

SHARES: dict[str, tuple[str, Body]] = {
    # `invalid_share`
    "a broken signature": ("alice", share_changed(unsigned)),
    "another chat": ("alice", rekey(chat=str(uuid.uuid4()))),
    "another author": ("alice", rekey(by="bob")),
    "DSA": ("alice", rekey(alg=p.DSA)),
    "a recipient left out": ("alice", rekey_for(lambda s: recipients(s, bob=None))),
    "a recipient too many": (
        "alice",
        rekey_for(lambda s: recipients(s, dave=s.meet("dave").recipient("dave"))),
    ),
    "a recipient under nobody's bundle": (
        "alice",
        rekey_for(lambda s: recipients(s, carol=(ZERO, s.recipient("carol")[1]))),
    ),
    "a recipient after a reset": (
        "alice",
        lambda s: rekey(excluded=[], recipients=recipients(s, erin=s.recipient("erin")))(s),
    ),
    "somebody excluded without a reset": (
        "alice",
        lambda s: rekey(excluded=["bob", "erin"], recipients=recipients(s, bob=None))(s),
    ),
    "its author excluded": (
        "bob",
        lambda s: rekey(excluded=["bob", "erin"], recipients=recipients(s, bob=None))(s),
    ),
    "both recipient and excluded": ("alice", rekey(excluded=["bob", "erin"])),
    "a wrap left out": ("alice", wraps_changed(without("bob"))),
    "a wrap too many": ("alice", wraps_changed(lambda wraps: wraps | {"dave": wraps["bob"]})),
    "wraps exchanged": (
        "alice",
        wraps_changed(lambda wraps: wraps | {"bob": wraps["carol"], "carol": wraps["bob"]}),
    ),
    "a wrap of another length": ("alice", lambda s: {"kind": "rekey", "client_share": short_wrap(s)}),
    "another entry than comes with it": ("alice", lambda s: add(s) | {"client_share": s.share()}),
    "one who is excluded": (
        "erin",
        lambda s: rekey(excluded=[], recipients=recipients(s, erin=s.recipient("erin")))(s),
    ),
}

MOVED: dict[str, tuple[str, Body, list[str]]] = {
    # `epoch_conflict`, and who moved
    "an epoch that is over": ("alice", rekey(epoch=2), []),
    "an epoch too far": ("alice", rekey(epoch=4), []),
    "another head": ("alice", rekey(membership=ZERO), []),
    "a recipient under an older bundle": (
        "alice",
        rekey_for(lambda s: recipients(s, bob=older(s, "bob"))),
        ["bob"],
    ),
    "superseded keys": ("bob", lambda s: by_older_keys(s, lambda: rekey(excluded=["erin"])(s)), ["bob"]),
    "the epoch, before members": (
        "alice",
        lambda s: rekey(epoch=4, recipients=recipients(s, bob=None))(s),
        [],
    ),
}

TAKEN: dict[str, tuple[str, Body]] = {
    # `membership_conflict`, before all else
    "an n that is taken": ("alice", rename(n=1)),
    "an n too far": ("alice", rename(n=3)),
    "before signature, author and right": (
        "bob",
        entry_changed(unsigned, rename(n=7, by="carol", prev=ZERO)),
    ),
    "before its share": ("alice", lambda s: add(s) | {"membership": s.entry("add", s.members, n=5)}),
}
