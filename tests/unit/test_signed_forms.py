"""Entries and shares that are signed and yet say anything at all: each is refused by name, none is a fault of the server."""

from __future__ import annotations

import copy
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from chatsec import crypto
from chatsec.errors import ChatSecError
from tests.support.combined import Request, World, started
from tests.support.encoding import b64u
from tests.support.keys import ED25519, pool
from tests.support.signed import Signed, sign_object

VALUES: list[Any] = [
    None,
    True,
    0,
    -1,
    1.5,
    2.0,
    2**53,
    10**30,
    "",
    "x",
    "\0",
    "\ud800",
    "A" * 43,
    [],
    [[]],
    {},
    {"": {}},
]
CODES = {
    "invalid",
    "invalid_membership",
    "invalid_share",
    "membership_conflict",
    "epoch_conflict",
    "forbidden",
}


def places(value: Any) -> Iterator[tuple[Any, ...]]:
    """The way to every field."""
    for name, inner in value.items() if isinstance(value, dict) else ():
        yield (name,)
        yield from ((name, *rest) for rest in places(inner))


def changes(fields: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The same but for one field, which is another or is missing."""
    for place in places(fields):
        for value in [*VALUES, ...]:
            made = copy.deepcopy(fields)
            at: Any = made
            for step in place[:-1]:
                at = at[step]
            if value is ...:
                del at[place[-1]]
            else:
                at[place[-1]] = value
            yield made


def signed_by(world: World, by: str, kind: str, fields: dict[str, Any]) -> Signed:
    return sign_object(world.people[by].sets[-1], kind, ED25519, fields)


def requests(world: World) -> Iterator[Request]:
    """One with an entry and a share, and one of each alone."""
    members = world.members(**world.roles("carol"))
    yield world.request("add", "alice", ["carol"], members)
    yield world.request("rename", "alice", members=world.members(), name="x")
    yield world.request("rekey", "bob")


@pytest.mark.parametrize("number", range(3), ids=["add", "rename", "rekey"])
def test_whatever_is_signed_is_answered(number: int) -> None:
    world = started("bob", "dave")
    world.people["dave"].new_keys(9, linked=False)  # so that somebody is excluded
    good = list(requests(world))[number]
    assert world.code(good) == ""
    codes: Counter[str] = Counter()
    for part in ("entry", "share"):
        object_ = getattr(good, part)
        if object_ is None:
            continue
        kind = "membership" if part == "entry" else part
        said = json.loads(crypto.b64u_decode(object_["protected"]))
        for fields in changes(said):
            try:
                made = signed_by(world, good.by, kind, fields)
            except UnicodeEncodeError:
                continue
            codes[ask(world, good, part, object_ | made)] += 1
        for changed in changes(object_):
            codes[ask(world, good, part, changed)] += 1
    assert codes.keys() - {""} <= CODES, codes
    assert {"invalid", "invalid_share" if good.share else "invalid_membership"} <= codes.keys()
    assert codes["invalid"] > 100 and codes[""] < 20, codes


def ask(world: World, good: Request, part: str, made: Any) -> str:
    request = copy.copy(good)
    setattr(request, part, made)
    return world.code(request)


def test_what_is_no_object_at_all() -> None:
    world = started("bob")
    good = world.request("rename", "alice", members=world.members(), name="x")
    for value in [*VALUES[1:], [good.entry], good.entry and good.entry["protected"]]:
        assert ask(world, good, "entry", value) == "invalid"


def test_more_than_two_hundred_members_could_make() -> None:
    """Every reader of a history would get it."""
    world = started("bob")
    good = world.request("rename", "alice", members=world.members(), name="x")
    assert good.entry is not None
    for more in ({"protected": "A" * (2**16 + 4)}, {"signature": "A" * 1028}):
        with pytest.raises(ChatSecError) as caught:
            raise world.refusal(Request("rename", "alice", entry=good.entry | more, name="x"))  # type: ignore[misc]
        assert caught.value.code == "too_large"


@pytest.mark.parametrize(
    "content", [b"[]", b"\xff{}", b"\xef\xbb\xbf{}", b'{"v":NaN}', b'{"v":1', b'{"by":"\\ud800"}']
)
def test_what_is_no_signed_object(content: bytes) -> None:
    world = started("bob")
    keys = world.people["alice"].sets[-1]
    protected = b64u(content)
    signature = b64u(keys.sign("Ed25519", f"chatsec/membership/v1\n{protected}".encode()))
    request = Request("rename", "alice", entry={"protected": protected, "signature": signature})
    assert world.code(request) == "invalid"


def test_encodings_of_a_signed_object() -> None:
    world = started("bob")
    good = world.request("rename", "alice", [], world.members(), name="Us")
    assert good.entry is not None
    for change in (
        {"protected": good.entry["protected"] + "="},
        {"signature": good.entry["signature"] + "="},
        {"signature": 1},
    ):
        assert world.code(replace(good, entry=good.entry | change)) == "invalid"
    foreign = sign_object(pool(5), "membership", "Ed25519", {})["signature"]
    assert world.code(replace(good, entry=good.entry | {"signature": foreign})) == "invalid_membership"
    no_object: Any = "text"
    assert world.code(replace(good, entry=no_object)) == "invalid"
