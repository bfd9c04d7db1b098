"""The judges of the membership log: each rule kept and broken, as server and client see it (protocol §4)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from chatsec.domain import combined, membership
from tests.support.combined import CHAT, NAMES, Request, World, started
from tests.support.encoding import b64u
from tests.support.keys import DSA, PSS
from tests.support.signed import signed_hash

# ---------------------------------------------------------------- each op


def test_a_whole_life() -> None:
    world = started("bob")
    assert (world.state.epoch, world.state.log.n, world.state.log.name) == (1, 1, "Team")
    world.do("add", "alice", ["carol", "dave"], world.members(**world.roles("carol", "dave")))
    world.do("role", "alice", ["bob"], world.members(bob=("owner", world.people["bob"].kh)), role="owner")
    world.do("rename", "bob", members=world.members(), name=None)
    world.do("remove", "bob", ["dave"], world.members(dave=None))
    world.do("rekey", "carol")
    world.do("leave", "carol", ["carol"], world.members(carol=None))
    assert combined.share_due(world.state, {}, 0)
    world.do("rekey", "bob")
    assert not combined.share_due(world.state, {}, 0)
    world.do("leave", "bob", ["bob"])
    assert world.state.waiting == {"bob"}
    world.do("retire", "alice", ["bob"], world.members(bob=None))
    world.do("add", "alice", ["bob"], world.members(**world.roles("bob")))
    assert (world.state.waiting, world.state.members) == (frozenset(), {"alice", "bob"})
    world.do("leave", "alice", ["alice"], world.members(alice=None, bob=("owner", world.people["bob"].kh)))
    world.do("rekey", "bob")
    world.do("leave", "bob", ["bob"], {})
    assert (world.state.members, world.state.log.members) == (frozenset(), {})


def test_the_last_owner_ends_and_who_retires_them_becomes_owner() -> None:
    world = started("bob", "carol")
    world.do("ended", "", ["alice"])
    kept = world.members(alice=None)
    assert world.code(world.request("retire", "bob", ["alice"], kept)) == "invalid_membership"
    other = kept | {"carol": ("owner", kept["carol"][1])}
    assert world.code(world.request("retire", "bob", ["alice"], other)) == "invalid_membership"
    world.do("retire", "bob", ["alice"], kept | {"bob": ("owner", kept["bob"][1])})
    assert world.state.log.owners == {"bob"}


def test_a_leave_without_an_entry_only_of_oneself() -> None:
    world = started("bob", "carol")
    assert world.code(Request("leave", "bob", frozenset({"carol"}))) == "invalid"
    assert world.code(Request("leave", "dave", frozenset({"dave"}))) == "not_found"
    world.do("leave", "bob", ["bob"])
    assert combined.share_due(world.state, {}, 0)
    assert world.code(Request("leave", "bob", frozenset({"bob"}))) == "not_found"


def test_while_somebody_waits_only_a_retire_of_all_opens_an_epoch() -> None:
    world = started("bob", "carol", "dave")
    world.do("ended", "", ["bob"])
    world.do("leave", "carol", ["carol"])
    for request in (
        world.request("rekey", "alice"),
        world.request("add", "alice", ["erin"], world.members(**world.roles("erin"))),
        world.request("remove", "alice", ["dave"], world.members(dave=None)),
    ):
        refused = world.refusal(request)
        assert refused is not None and refused.code == "epoch_conflict"
        assert refused.extra == {"epoch": 1, "membership": world.state.log.hash, "moved": ["bob", "carol"]}
    some = world.refusal(world.request("retire", "alice", ["bob"], world.members(bob=None)))
    assert some is not None and (some.code, some.extra["moved"]) == ("epoch_conflict", ["carol"])
    living = world.request("retire", "alice", ["dave"], world.members(dave=None))
    assert (world.code(living), world.failure(living)) == ("invalid_membership", "invalid_membership")
    world.do("rename", "alice", members=world.members(), name="Us")  # needs no share
    world.do("retire", "dave", ["bob", "carol"], world.members(bob=None, carol=None))


# ---------------------------------------------------------------- entries that break a rule


def kh(world: World, name: str) -> str:
    return world.people[name].kh


def disguised(world: World) -> Request:
    """A removal, which is for owners, in an event that any member may make."""
    members = world.members(carol=None)
    entry = world.entry("bob", "remove", members, "Team")
    share = world.share("bob", signed_hash(entry), members)
    return Request("retire", "bob", frozenset({"carol"}), entry, share)


def oneself(world: World) -> Request:
    """With another owner there, so that all else is right."""
    world.do("role", "alice", ["bob"], world.members(bob=("owner", kh(world, "bob"))), role="owner")
    return world.request("remove", "alice", ["alice"], world.members(alice=None))


Broken = Callable[[World], Request]
ENTRIES: dict[str, tuple[str, Broken]] = {
    "add: nobody": ("invalid_membership", lambda w: w.request("add", "alice", [], w.members())),
    "add: who is in it": ("invalid_membership", lambda w: w.request("add", "alice", ["bob"], w.members())),
    "add: a stranger's keys": (
        "invalid_membership",
        lambda w: w.request("add", "alice", ["dave"], w.members(dave=("member", kh(w, "erin")))),
    ),
    "add: by a member": (
        "forbidden",
        lambda w: w.request("add", "bob", ["dave"], w.members(**w.roles("dave"))),
    ),
    "add: somebody else changed too": (
        "invalid_membership",
        lambda w: w.request(
            "add", "alice", ["dave"], w.members(**w.roles("dave"), bob=("owner", kh(w, "bob")))
        ),
    ),
    "add: somebody else dropped": (
        "invalid_membership",
        lambda w: w.request("add", "alice", ["dave"], w.members(**w.roles("dave"), bob=None)),
    ),
    "add: one more than the event says": (
        "invalid_membership",
        lambda w: w.request("add", "alice", ["dave"], w.members(**w.roles("dave", "erin"))),
    ),
    "add: another role than the request": (
        "invalid_membership",
        lambda w: w.request("add", "alice", ["dave"], w.members(**w.roles("dave")), role="owner"),
    ),
    "remove: oneself": ("invalid_membership", oneself),
    "remove: nobody": ("invalid_membership", lambda w: w.request("remove", "alice", [], w.members())),
    "remove: another than the event says": (
        "invalid_membership",
        lambda w: w.request("remove", "alice", ["bob"], w.members(carol=None)),
    ),
    "remove: by a member": (
        "forbidden",
        lambda w: w.request("remove", "bob", ["carol"], w.members(carol=None)),
    ),
    "leave: of somebody else": (
        "invalid_membership",
        lambda w: w.request("leave", "bob", ["carol"], w.members(carol=None)),
    ),
    "leave: the last owner names nobody": (
        "invalid_membership",
        lambda w: w.request("leave", "alice", ["alice"], w.members(alice=None)),
    ),
    "leave: the last owner names two": (
        "invalid_membership",
        lambda w: w.request(
            "leave",
            "alice",
            ["alice"],
            w.members(alice=None, bob=("owner", kh(w, "bob")), carol=("owner", kh(w, "carol"))),
        ),
    ),
    "leave: a member names an owner": (
        "invalid_membership",
        lambda w: w.request("leave", "bob", ["bob"], w.members(bob=None, carol=("owner", kh(w, "carol")))),
    ),
    "role: nobody's": ("invalid_membership", lambda w: w.request("role", "alice", [], w.members())),
    "role: by a member": (
        "forbidden",
        lambda w: w.request("role", "bob", ["bob"], w.members(bob=("owner", kh(w, "bob")))),
    ),
    "role: no owner is left": (
        "invalid_membership",
        lambda w: w.request("role", "alice", ["alice"], w.members(alice=("member", kh(w, "alice")))),
    ),
    "role: unlike the request": (
        "invalid_membership",
        lambda w: w.request("role", "alice", ["bob"], w.members(bob=("owner", kh(w, "bob"))), role="member"),
    ),
    "role: keys too": (
        "invalid_membership",
        lambda w: w.request("role", "alice", ["bob"], w.members(bob=("owner", kh(w, "carol")))),
    ),
    "rename: by a member": ("forbidden", lambda w: w.request("rename", "bob", [], w.members(), name="x")),
    "rename: a role too": (
        "invalid_membership",
        lambda w: w.request("rename", "alice", [], w.members(bob=("owner", kh(w, "bob"))), name="x"),
    ),
    "rename: another name than the request": (
        "invalid_membership",
        lambda w: replace(w.request("rename", "alice", [], w.members(), name="x"), name="y"),
    ),
    "keys: without a reset": (
        "invalid_membership",
        lambda w: w.request("keys", "alice", ["bob"], w.members(bob=("member", kh(w, "carol")))),
    ),
    "keys: nobody's": ("invalid_membership", lambda w: w.request("keys", "alice", [], w.members())),
    "retire: who is here": (
        "invalid_membership",
        lambda w: w.request("retire", "alice", ["bob"], w.members(bob=None)),
    ),
    "retire: signed as a removal": ("invalid_membership", disguised),
    "create: once more": (
        "id_conflict",
        lambda w: w.request("create", "alice", NAMES[:3], w.members(), name="Team"),
    ),
}


@pytest.mark.parametrize("name", ENTRIES)
def test_each_rule_of_the_log_broken(name: str) -> None:
    world = started("bob", "carol")
    code, broken = ENTRIES[name]
    request = broken(world)
    assert world.code(request) == code
    if (
        not name.endswith("than the request") and name != "role: unlike the request"
    ):  # no client sees the request
        assert world.failure(request) == "invalid_membership"


@pytest.mark.parametrize(
    ("overrides", "code"),
    [
        ({"n": 3}, "membership_conflict"),
        ({"n": 1}, "membership_conflict"),
        ({"n": 2.0}, ""),
        ({"n": 2.5}, "invalid"),
        ({"n": True}, "invalid"),
        ({"n": 0}, "invalid"),
        ({"prev": b64u(bytes(32))}, "invalid_membership"),
        ({"prev": ""}, "invalid_membership"),
        ({"prev": "x"}, "invalid"),
        ({"op": "role"}, "invalid_membership"),
        ({"op": "grant"}, "invalid_membership"),
        ({"op": 1}, "invalid"),
        ({"name": 1}, "invalid"),
        ({"chat": CHAT[:-1] + "1"}, "invalid_membership"),
        ({"by": "bob"}, "invalid_membership"),
        ({"alg": DSA}, "invalid_membership"),
        ({"alg": PSS}, "invalid_membership"),
        ({"kid": b64u(bytes(32))}, "invalid_membership"),
        ({"keys": b64u(bytes(32))}, "invalid_membership"),
        ({"keys": None}, "invalid"),
        ({"v": 2}, "invalid"),
        ({"at": "2026-11-24T18:00:00Z"}, "invalid"),
        ({"members": []}, "invalid"),
        ({"members": {"alice": {"role": "owner"}}}, "invalid"),
        ({"members": {}}, "invalid_membership"),
        ({"extra": {"unknown": "keys are ignored"}}, ""),
    ],
)
def test_fields_of_an_entry(overrides: dict[str, Any], code: str) -> None:
    world = started("bob", "carol")
    good = world.request("rename", "alice", [], world.members(), name="Us")
    entry = world.entry("alice", "rename", world.members(), "Us", **overrides)
    refused = world.refusal(replace(good, entry=entry))
    assert (refused.code if refused else "") == code
    if code == "membership_conflict":
        assert refused is not None and refused.extra == {"n": 1}


def test_an_entry_in_somebody_elses_event() -> None:
    """Both could make it; who signed it is who must ask."""
    world = started("bob")
    world.do("role", "alice", ["bob"], world.members(bob=("owner", kh(world, "bob"))), role="owner")
    change = world.read(world.request("rename", "alice", members=world.members(), name="Us"))
    assert membership.judge(world.state, change, world.lines()) is None
    refused = membership.judge(world.state, replace(change, by="bob"), world.lines())
    assert refused is not None and refused.code == "invalid_membership"


def test_the_first_entry() -> None:
    world = World(NAMES)
    good = world.roles("alice", role="owner") | world.roles("bob")
    assert world.code(world.request("create", "alice", good, good, name="x")) == ""
    for wrong in (
        world.roles("alice", "bob"),
        world.roles("alice") | world.roles("bob", role="owner"),
        world.roles("bob", role="owner"),
        world.roles("alice", role="owner") | {"bob": ("member", kh(world, "carol"))},
    ):
        request = world.request("create", "alice", wrong, wrong, name="x")
        assert world.code(request) == "invalid_membership"
        assert world.failure(request) == "invalid_membership"
    later = world.request("create", "alice", good, good)
    entry = world.entry("alice", "create", good, n=2, prev=b64u(bytes(32)))
    refused = world.refusal(replace(later, entry=entry))
    assert refused is not None and (refused.code, refused.extra) == ("membership_conflict", {"n": 0})
    old = world.request("create", "alice", good, good)
    world.people["bob"].new_keys(7)  # reached from the one named: the share has to be another
    refused = world.refusal(old)
    assert refused is not None and refused.extra == {"epoch": 0, "membership": "", "moved": ["bob"]}
    world.people["bob"].new_keys(8, linked=False)
    assert world.code(old) == "invalid_membership"


# ---------------------------------------------------------------- what stands with what


def test_entry_and_share_stand_just_where_they_belong() -> None:
    world = started("bob", "carol")
    requests = {
        "add": world.request("add", "alice", ["dave"], world.members(**world.roles("dave"))),
        "role": world.request("role", "alice", ["bob"], world.members(bob=("owner", kh(world, "bob")))),
        "leave": world.request("leave", "bob", ["bob"], world.members(bob=None)),
        "rekey": world.request("rekey", "bob"),
        "ended": Request("ended", "", frozenset({"bob"})),
    }
    for name, request in requests.items():
        assert world.code(request) == "", name
        needs_entry = name in membership.WITH_ENTRY
        assert (world.code(replace(request, entry=None)) == "invalid") == needs_entry, name
        if name != "leave" and not needs_entry and request.by:
            assert world.code(replace(request, entry=requests["leave"].entry)) == "invalid"
        share = None if request.share else requests["rekey"].share
        if request.by == "bob" or share is None:
            assert world.code(replace(request, share=share)) == ("" if name == "ended" else "invalid"), name
    assert world.code(Request("ended", "", frozenset({"dave"}))) == "invalid"
    assert world.code(Request("ended", "", frozenset())) == "invalid"
    assert world.code(Request("ended", "bob", frozenset({"bob"}))) == "invalid"
    assert world.code(Request("vanish", "bob", frozenset({"bob"}))) == "invalid"
    assert world.code(replace(requests["rekey"], usernames=frozenset({"bob"}))) == "invalid"
    assert world.code(world.request("rekey", "dave")) == "not_found"
