"""Keys in the membership log: who confirms new ones after a reset, and under which bundles an author signs (protocol §4)."""

from __future__ import annotations

from dataclasses import replace

from chatsec.domain import combined
from tests.support.combined import NAMES, Request, World, started
from tests.support.encoding import b64u


def test_keys_are_confirmed_by_an_owner() -> None:
    world = started("bob", "carol")
    bob = world.people["bob"]
    bob.new_keys(7, linked=False)
    bob.new_keys(8)
    hashes = bob.hashes
    assert not combined.share_due(world.state, world.lines(), 0)  # a reset makes none due
    world.do("rekey", "alice")
    assert world.state.share.excluded == {"bob"}
    for kh in (hashes[0], world.people["carol"].kh, b64u(bytes(32))):
        wrong = world.request("keys", "alice", ["bob"], world.members(bob=("member", kh)))
        assert world.code(wrong) == "invalid_membership", kh
    by_carol = world.request("keys", "carol", ["bob"], world.members(bob=("member", hashes[1])))
    assert world.code(by_carol) == "forbidden"
    by_himself = world.request("keys", "bob", ["bob"], world.members(bob=("member", hashes[1])))
    assert world.code(by_himself) == "forbidden"
    assert world.code(world.request("leave", "bob", ["bob"], world.members(bob=None))) == "invalid_membership"
    world.do(
        "keys", "alice", ["bob"], world.members(bob=("member", hashes[1]))
    )  # the current one is reached from it
    assert world.state.share.recipients["bob"] == hashes[2]
    again = world.request("keys", "alice", ["bob"], world.members(bob=("member", hashes[2])))
    assert (world.code(again), world.failure(again)) == ("invalid_membership",) * 2


def test_any_member_confirms_when_no_owner_can_sign() -> None:
    world = started("bob", "carol")
    alice = world.people["alice"]
    alice.new_keys(7, linked=False)
    by_herself = world.request("keys", "alice", ["alice"], world.members(alice=("owner", alice.kh)))
    assert world.code(by_herself) == "invalid_membership"
    carol = world.people["carol"]
    carol.new_keys(8, linked=False)
    two = world.members(alice=("owner", alice.kh), carol=("member", carol.kh))
    both = world.request("keys", "bob", ["alice", "carol"], two)
    assert (world.code(both), world.failure(both)) == ("invalid_membership",) * 2
    world.do("keys", "bob", ["alice"], world.members(alice=("owner", alice.kh)))
    assert world.state.share.excluded == {"carol"}
    world.do("keys", "alice", ["carol"], world.members(carol=("member", carol.kh)))
    assert world.state.share.excluded == frozenset()


def test_the_author_s_keys() -> None:
    world = started("bob", "carol")
    alice = world.people["alice"]
    old = world.request("rename", "alice", [], world.members(), name="Us")
    alice.new_keys(6)
    assert world.code(old) == "invalid_membership"  # no key of the current bundle
    assert world.failure(old) == ""  # which a client cannot judge
    world.do("rename", "alice", members=world.members(), name="Us")
    world.do("rekey", "alice")
    # The bundle that it names is older than the one that the last share names.
    alice.sets.append(alice.sets[0])
    head = {"keys": alice.hashes[0]}
    stale = replace(old, entry=world.entry("alice", "rename", world.members(), "Us", **head))
    alice.sets.pop()
    assert (world.code(stale), world.failure(stale)) == ("invalid_membership", "invalid_membership")
    alice.new_keys(8, linked=False)
    reset = world.request("rename", "alice", [], world.members(), name="Us")
    assert (world.code(reset), world.failure(reset)) == ("invalid_membership", "invalid_membership")


def test_an_author_who_keeps_a_key_from_bundle_to_bundle() -> None:
    """It is the bundles that are judged: not older than the log's and the last share's, and no reset since."""
    world = World(NAMES)
    alice = world.people["alice"]
    alice._key_set = lambda index: alice.sets[0]
    alice.new_keys(0)
    members = world.roles("alice", role="owner")
    world.do("create", "alice", members, members)
    alice.new_keys(0)

    def judged(version: int) -> tuple[str, str]:
        keys = alice.hashes[version - 1]
        entry = world.entry("alice", "rename", world.members(), "Us", keys=keys)
        request = Request("rename", "alice", entry=entry, name="Us")
        return world.code(request), world.failure(request)

    assert [judged(version) for version in (1, 2, 3)] == [("invalid_membership",) * 2, ("", ""), ("", "")]
    world.do("rekey", "alice")
    assert [judged(version) for version in (2, 3)] == [("invalid_membership",) * 2, ("", "")]
    alice.new_keys(0, linked=False)
    assert judged(3)[0] == "invalid_membership"
