"""The judges of client shares: each rule kept and broken, and what could be right told from what moved (protocol §4)."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from chatsec.domain import combined
from chatsec.domain.models import EPOCH_MESSAGES, NewEpoch, Wrap
from tests.support import membership as client
from tests.support.combined import CHAT, Request, World, started
from tests.support.encoding import Failure, H, b64u, un64u
from tests.support.keys import DSA, ED25519, PSS, WRAPPING, KeySet, pool
from tests.support.signed import Signed, epoch_key, read_share, share_fields, share_label, signed_hash, wrap

OTHER_CHAT = CHAT[:-1] + "1"
ZERO = b64u(bytes(32))
Recipients = dict[str, tuple[str, bytes]]


def under(world: World, *names: str) -> Recipients:
    """Recipients under their current bundles."""
    return {name: (world.people[name].kh, world.people[name].spki) for name in names}


def rekey(world: World, **share: Any) -> Request:
    """Bob's rekey, whose share differs from the honest one by this."""
    made = world.share("bob", world.state.log.hash, world.members(), **share)
    return Request("rekey", "bob", share=made)


def name_of(work: Callable[[], object]) -> str:
    try:
        work()
    except Failure as failure:
        return failure.name
    return ""


SHARES: dict[str, tuple[str, str, Callable[[World], dict[str, Any]]]] = {
    "good": ("", "", lambda w: {}),
    "the epoch before": ("epoch_conflict", "bad_share", lambda w: {"epoch": 1}),
    "the epoch after": ("epoch_conflict", "bad_share", lambda w: {"epoch": 3}),
    "somebody left out": (
        "invalid_share",
        "bad_share",
        lambda w: {"recipients": under(w, "alice", "bob")},
    ),
    "a stranger too": (
        "invalid_share",
        "bad_share",
        lambda w: {"recipients": under(w, "alice", "bob", "carol", "dave")},
    ),
    "excluded without a reset": (
        "invalid_share",
        "",
        lambda w: {"recipients": under(w, "alice", "bob"), "excluded": ["carol"]},
    ),
    "the author excluded": (
        "invalid_share",
        "bad_share",
        lambda w: {"recipients": under(w, "alice", "carol"), "excluded": ["bob"]},
    ),
    "recipient and excluded": (
        "invalid_share",
        "bad_share",
        lambda w: {"excluded": ["carol"], "recipients": under(w, "alice", "bob", "carol")},
    ),
    "somebody else's bundle": (
        "invalid_share",
        "bad_share",
        lambda w: {"recipients": under(w, "alice", "bob") | {"carol": under(w, "dave")["dave"]}},
    ),
    "for another chat": ("invalid_share", "bad_share", lambda w: {"chat": OTHER_CHAT}),
    "signed by DSA": ("invalid_share", "bad_share", lambda w: {"alg": DSA}),
    "another algorithm than the key's": ("invalid_share", "bad_share", lambda w: {"alg": PSS}),
    "by somebody else": ("invalid_share", "bad_share", lambda w: {"by": "carol"}),
    "another bundle of the author": ("invalid_share", "bad_share", lambda w: {"keys": w.people["carol"].kh}),
    "no commit": ("invalid", "bad_share", lambda w: {"commit": ""}),
    "no such version": ("invalid", "bad_share", lambda w: {"v": 2}),
}


@pytest.mark.parametrize("name", SHARES)
def test_each_rule_of_shares(name: str) -> None:
    world = started("bob", "carol")
    code, failure, change = SHARES[name]
    request = rekey(world, **change(world))
    refused = world.refusal(request)
    assert (refused.code if refused else "") == code
    if refused is not None and code == "epoch_conflict":
        assert refused.extra == {"epoch": 1, "membership": world.state.log.hash, "moved": []}
    assert world.view.entry is not None and request.share is not None
    share, entry = request.share, world.view.entry
    assert (
        name_of(lambda: client.check_share(share, CHAT, 2, entry, world.persons(), world.view.share))
        == failure
    )


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"epoch": "2"}, "invalid"),
        ({"membership": 1}, "invalid"),
        ({"membership": ZERO}, "epoch_conflict"),
        ({"recipients": []}, "invalid"),
        ({"recipients": {"bob": {}}}, "invalid"),
        ({"excluded": {}}, "invalid"),
        ({"excluded": [1]}, "invalid"),
        ({"excluded": ["dave", "dave"]}, "invalid_share"),
        ({"excluded": ["dave"]}, "invalid_share"),
    ],
)
def test_fields_of_a_share(change: dict[str, Any], code: str) -> None:
    world = started("bob", "carol")
    fields, wraps, _ = share_fields(CHAT, 2, world.state.log.hash, under(world, "alice", "bob", "carol"))
    share = world.sign("bob", "share", fields | change) | {"wraps": wraps}
    assert world.code(Request("rekey", "bob", share=share)) == code
    entry = world.view.entry
    assert entry is not None
    assert name_of(lambda: client.check_share(share, CHAT, 2, entry, world.persons())) == "bad_share"


def test_wraps_are_the_signed_ones() -> None:
    world = started("bob", "carol")
    good = rekey(world)
    assert good.share is not None and world.code(good) == ""
    wraps = good.share["wraps"]
    for wrong in (
        {name: wraps[name] for name in ("alice", "bob")},
        wraps | {"dave": wraps["bob"]},
        wraps | {"alice": wraps["bob"], "bob": wraps["alice"]},
        wraps | {"carol": b64u(un64u(wraps["carol"])[:-1] + b"?")},
    ):
        assert world.code(replace(good, share=good.share | {"wraps": wrong})) == "invalid_share"
    for broken in ([], None, wraps | {"carol": 1}, wraps | {"carol": wraps["carol"] + "="}):
        assert world.code(replace(good, share=good.share | {"wraps": broken})) == "invalid"
    fields, short, _ = share_fields(
        CHAT, 2, world.state.log.hash, under(world, "alice", "bob", "carol"), wrap=lambda *_: bytes(383)
    )
    share = world.sign("bob", "share", fields) | {"wraps": short}
    assert world.code(Request("rekey", "bob", share=share)) == "invalid_share"


# ---------------------------------------------------------------- what moved


def conflict(world: World, request: Request) -> list[str]:
    """Who moved, of an `epoch_conflict`."""
    refused = world.refusal(request)
    assert refused is not None and refused.code == "epoch_conflict", refused
    assert (refused.extra["epoch"], refused.extra["membership"]) == (world.state.epoch, world.state.log.hash)
    moved: list[str] = refused.extra["moved"]
    return moved


def test_a_bundle_moved_meanwhile() -> None:
    world = started("bob", "carol")
    early = rekey(world)
    world.people["carol"].new_keys(7)
    assert combined.share_due(world.state, world.lines(), 0)
    assert conflict(world, early) == ["carol"]
    world.people["alice"].new_keys(8, linked=False)
    assert conflict(world, early) == ["alice", "carol"]
    world.people["bob"].new_keys(9)
    assert conflict(world, early) == ["alice", "bob", "carol"]
    world.do("rekey", "bob")
    assert world.state.share.excluded == {"alice"}
    # Alice's reset bundle was never confirmed: to wrap to it could not be right.
    assert (
        world.code(rekey(world, recipients=under(world, "alice", "bob", "carol"), excluded=[]))
        == "invalid_share"
    )


def test_the_epoch_or_the_head_moved_meanwhile() -> None:
    world = started("bob", "carol")
    early = rekey(world)
    world.do("rename", "alice", members=world.members(), name="Us")
    assert conflict(world, early) == []
    late = rekey(world)
    world.do("rekey", "carol")
    assert conflict(world, late) == []
    add = world.request("add", "alice", ["dave"], world.members(**world.roles("dave")))
    world.do("rekey", "carol")
    assert conflict(world, add) == []  # the entry is still the next one: only the share is made again


def test_a_share_serves_the_entry_that_it_comes_with() -> None:
    world = started("bob", "carol")
    members = world.members(**world.roles("dave"))
    add = world.request("add", "alice", ["dave"], members)
    over_the_head = world.share("alice", world.state.log.hash, members)
    assert world.code(replace(add, share=over_the_head)) == "invalid_share"
    assert world.failure(replace(add, share=over_the_head)) == "bad_share"
    assert add.entry is not None
    without_dave = world.share("alice", signed_hash(add.entry), world.members())
    assert world.code(replace(add, share=without_dave)) == "invalid_share"


def test_clients_refuse_a_bundle_older_than_in_the_last_share() -> None:
    world = started("bob", "carol")
    old = under(world, "carol")
    world.people["carol"].new_keys(7)
    world.do("rekey", "carol")
    stale = rekey(world, recipients=under(world, "alice", "bob") | old)
    assert conflict(world, stale) == ["carol"]
    assert world.failure(stale) == "bad_share"


def test_clients_refuse_events_that_say_something_else() -> None:
    world = started("bob", "carol")
    add = world.request("add", "alice", ["dave"], world.members(**world.roles("dave")))
    leave = world.request("leave", "bob", ["bob"], world.members(bob=None))
    for request, overrides, failure in (
        (add, {"by": "bob"}, "invalid_membership"),
        (add, {"usernames": ["dave", "erin"]}, "invalid_membership"),
        (add, {"usernames": []}, "invalid_membership"),
        (add, {"kind": "remove"}, "invalid_membership"),
        (add, {"keys": ZERO}, "invalid_membership"),
        (add, {"log": ZERO}, "invalid_membership"),
        (add, {"log": ""}, "invalid_membership"),
        (add, {"share": ZERO}, "bad_share"),
        (add, {"share": ""}, "bad_share"),
        (add, {"epoch": 3}, "bad_share"),
        (replace(add, share=None), {}, "bad_share"),
        (replace(add, entry=None), {}, "invalid_membership"),
        (leave, {"usernames": ["carol"]}, "invalid_membership"),
        (rekey(world), {"by": "carol"}, "bad_share"),
        (rekey(world), {"share": "", "epoch": 2}, "bad_share"),
    ):
        assert world.failure(request, **overrides) == failure, (request.kind, overrides)


# ---------------------------------------------------------------- what a share is due for, and good for


def test_when_a_share_is_due() -> None:
    world = started("bob", "carol")
    assert not combined.share_due(world.state, world.lines(), EPOCH_MESSAGES - 1)
    assert combined.share_due(world.state, world.lines(), EPOCH_MESSAGES)
    world.do("role", "alice", ["bob"], world.members(bob=("owner", world.people["bob"].kh)))
    assert not combined.share_due(world.state, world.lines(), 0)
    world.people["carol"].new_keys(7, linked=False)
    assert not combined.share_due(world.state, world.lines(), 0)
    world.people["carol"].new_keys(8)
    assert not combined.share_due(world.state, world.lines(), 0)
    world.people["bob"].new_keys(9)
    assert combined.share_due(world.state, world.lines(), 0)
    world.do("rekey", "bob")
    assert not combined.share_due(world.state, world.lines(), 0)
    world.do("ended", "", ["bob"])
    assert combined.share_due(world.state, {}, 0)
    world.do("retire", "alice", ["bob"], world.members(bob=None))
    assert not combined.share_due(world.state, {}, 0)


def test_which_keys_sign_messages() -> None:
    world = started("bob")

    def may(keys: KeySet, sender: str = "bob", alg: str = ED25519) -> bool:
        return combined.may_sign_messages(world.state, world.lines(), sender, alg, keys.kid(ED25519))

    bob = world.people["bob"]
    assert may(bob.sets[0])
    assert not may(bob.sets[0], alg=PSS)
    assert not may(bob.sets[0], sender="alice")
    assert not may(bob.sets[0], sender="dave")
    bob.new_keys(7)
    assert not may(bob.sets[0]) and not may(bob.sets[1])
    world.do("rekey", "bob")
    assert may(bob.sets[1]) and not may(bob.sets[0])


def test_the_server_share_goes_to_the_same_people_under_the_same_keys() -> None:
    world = started("bob", "carol")
    world.people["carol"].new_keys(7, linked=False)
    share = world.read(rekey(world)).share
    assert share is not None and share.excluded == {"carol"}

    def epoch(number: int, **keys: str) -> NewEpoch:
        return NewEpoch(number, {name: Wrap("kid", "wrapped", kh, {}) for name, kh in keys.items()})

    good = {name: world.people[name].kh for name in ("alice", "bob")}
    assert combined.wraps_fit(share, epoch(2, **good))
    assert not combined.wraps_fit(share, epoch(3, **good))
    assert not combined.wraps_fit(share, epoch(2, **good, carol=world.people["carol"].kh))
    assert not combined.wraps_fit(share, epoch(2, alice=good["alice"]))
    assert not combined.wraps_fit(share, epoch(2, **(good | {"bob": ZERO})))


# ---------------------------------------------------------------- a recipient


def opened(world: World, share: Signed, wrapped: str, **mine: Any) -> bytes:
    bob = world.people["bob"]
    own: dict[str, KeySet | None] = dict(zip(bob.hashes, bob.sets, strict=True))
    return client.open_share(read_share(share, CHAT), wrapped, CHAT, "bob", mine.get("mine", own))


def test_a_recipient_opens_their_own() -> None:
    world = started("bob", "carol")
    secret, bob = os.urandom(32), world.people["bob"]
    fields, wraps, _ = share_fields(
        CHAT, 2, world.state.log.hash, under(world, "alice", "bob", "carol"), (), secret
    )
    share = world.sign("alice", "share", fields) | {"wraps": wraps}
    assert opened(world, share, wraps["bob"]) == secret
    assert name_of(lambda: opened(world, share, wraps["carol"])) == "bad_share"
    assert name_of(lambda: opened(world, share, wraps["bob"], mine={})) == "wrong_recipient_key"
    assert name_of(lambda: opened(world, share, wraps["bob"], mine={bob.kh: None})) == "key_lost"

    def wrapped_as(made: bytes) -> str:
        recipients = fields["recipients"] | {"bob": {"keys": bob.kh, "wrap": H(made)}}
        again = world.sign("alice", "share", fields | {"recipients": recipients})
        return name_of(lambda: opened(world, again, b64u(made)))

    label, spki = share_label(CHAT, 2), bob.spki
    assert wrapped_as(wrap(spki, secret, label)) == ""
    assert wrapped_as(wrap(spki, os.urandom(32), label)) == "wrong_recipient_key"
    assert wrapped_as(wrap(spki, secret[:31], label)) == "wrong_recipient_key"
    assert wrapped_as(wrap(spki, secret, share_label(CHAT, 3))) == "wrong_recipient_key"
    assert wrapped_as(wrap(pool(9).spki(WRAPPING), secret, label)) == "wrong_recipient_key"


def test_the_epoch_key_needs_both_and_is_bound_to_the_share() -> None:
    server, secret = os.urandom(32), os.urandom(32)
    key = epoch_key(server, secret, CHAT, 2, ZERO)
    assert len(key) == 32
    others = [
        epoch_key(secret, server, CHAT, 2, ZERO),
        epoch_key(server, secret, OTHER_CHAT, 2, ZERO),
        epoch_key(server, secret, CHAT, 3, ZERO),
        epoch_key(server, secret, CHAT, 2, H(b"")),
    ]
    assert len({key, *others}) == 5
    assert name_of(lambda: epoch_key(server[:31], secret, CHAT, 2, ZERO)) == "undecryptable"
    assert name_of(lambda: epoch_key(server, secret + b"?", CHAT, 2, ZERO)) == "undecryptable"


# ---------------------------------------------------------------- a history shown differently


def test_forks_of_the_log_are_named() -> None:
    held = [H(b"1"), H(b"2"), H(b"3")]
    client.check_history(held, [*held, H(b"4")])
    assert name_of(lambda: client.check_history(held, held[:2])) == "server_rollback"
    assert name_of(lambda: client.check_history(held, [*held[:2], H(b"other")])) == "history_fork"
    named = {1: held[0], 4: held[1], 9: held[2]}
    for seen, log in ((0, ""), (1, held[0]), (3, held[0]), (4, held[1]), (8, held[1]), (9, held[2])):
        client.check_claim(log, named, seen)
        assert name_of(lambda seen=seen: client.check_claim(H(b"other"), named, seen)) == "history_fork"
    assert name_of(lambda: client.check_claim(held[2], named, 8)) == "history_fork"
    assert name_of(lambda: client.check_claim("", named, 1)) == "history_fork"
