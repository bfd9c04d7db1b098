"""Who may put what into a chat's sequence, and what it does: each rule with a case that keeps it and one that breaks it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace

import orjson
import pytest

from chatsec.domain import sequence
from chatsec.domain.models import MAX_MEMBERS, Head, Member, NewChat, NewEpoch, NewEvent, NewMessage, Wrap
from chatsec.errors import ChatSecError

PSS = "RSA-PSS-SHA256"
CHAIN = bytes(range(32))
KEYS = {name: f"kh-{name}" for name in ("alice", "bob", "carol", "dave")}


def head(**fields: object) -> Head:
    """Alice owns, Bob is a member; epoch 2 was opened at 5, the last item is 9."""
    members = {
        "alice": Member("owner", 1, "kh-alice", {"sig-alice": PSS}),
        "bob": Member("member", 3, "kh-bob", {"sig-bob": PSS, "sig-bob-dsa": "DSA-SHA256"}),
    }
    return replace(Head("chat", "Team", "server", "alice", 1000, 9, CHAIN, 2, 5, 2000, members), **fields)  # type: ignore[arg-type]


def message(**fields: object) -> NewMessage:
    good = NewMessage("chat", "bob", "id", 2, 7, PSS, "sig-bob", b"h" * 32, b"body")
    return replace(good, **fields)  # type: ignore[arg-type]


def epoch(number: int, *names: str) -> NewEpoch:
    return NewEpoch(
        number, {name: Wrap("kid", "wrapped", f"kh-{name}", {f"new-{name}": PSS}) for name in names}
    )


def event(kind: str, by: str = "alice", *usernames: str, **fields: object) -> NewEvent:
    return replace(NewEvent("chat", kind, by, usernames), **fields)  # type: ignore[arg-type]


def judge(at: Head | None, change: NewEvent, keys: Mapping[str, str] = KEYS) -> str | None:
    refused = sequence.judge_event(at, change, lambda: keys)
    return refused.code if refused else None


def code(refused: ChatSecError | None) -> str | None:
    return refused.code if refused else None


# ---------------------------------------------------------------- messages


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"seen_seq": 5},
        {"seen_seq": 9},
        {"kid": "sig-bob-dsa", "alg": "DSA-SHA256"},
        {"sender": "alice", "kid": "sig-alice"},
    ],
)
def test_good_messages(fields: dict[str, object]) -> None:
    assert sequence.judge_message(head(), message(**fields)) is None


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"sender": "carol", "epoch": 3, "seen_seq": 99, "kid": "none"}, "not_found"),
        ({"epoch": 3, "seen_seq": 99, "kid": "none"}, "invalid"),
        ({"epoch": 1, "seen_seq": 99, "kid": "none"}, "stale_epoch"),
        ({"epoch": 0}, "stale_epoch"),
        ({"seen_seq": 4, "kid": "none"}, "invalid"),
        ({"seen_seq": 10, "kid": "none"}, "invalid"),
        ({"kid": "none"}, "unknown_key"),
        ({"kid": "sig-alice"}, "unknown_key"),
        ({"kid": "sig-bob-dsa"}, "unknown_key"),
        ({"alg": "Ed25519"}, "unknown_key"),
    ],
)
def test_bad_messages_in_the_page_s_order(fields: dict[str, object], expected: str) -> None:
    assert code(sequence.judge_message(head(), message(**fields))) == expected


def test_a_message_into_no_chat() -> None:
    assert code(sequence.judge_message(None, message())) == "not_found"


# ---------------------------------------------------------------- events


@pytest.mark.parametrize(
    "change",
    [
        event("add", "alice", "carol", epoch=epoch(3, "alice", "bob", "carol")),
        event("remove", "alice", "bob", epoch=epoch(3, "alice")),
        event("leave", "bob", "bob", epoch=epoch(3, "alice")),
        event("role", "alice", "bob", role="owner"),
        event("rename", "alice", name=None),
        event("rekey", "bob", epoch=epoch(3, "alice", "bob")),
        event("rekey", "", epoch=epoch(3, "alice", "bob")),
        event("keys", "bob", "bob", keys="kh-bob", epoch=epoch(3, "alice", "bob")),
        event("ended", "", "bob", epoch=epoch(3, "alice")),
        event("ended", "", "alice", epoch=epoch(3, "bob")),
    ],
)
def test_good_changes(change: NewEvent) -> None:
    assert judge(head(), change) is None


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (event("add", "carol", "carol"), "not_found"),
        (event("rekey", "carol"), "not_found"),
        (event("add", "bob", "carol"), "forbidden"),
        (event("remove", "bob", "alice"), "forbidden"),
        (event("role", "bob", "bob", role="owner"), "forbidden"),
        (event("rename", "bob", name="x"), "forbidden"),
        (event("add", "alice", "bob"), "invalid"),
        (event("remove", "alice", "carol"), "invalid"),
        (event("remove", "alice", "alice"), "invalid"),
        (event("role", "alice", "carol", role="owner"), "invalid"),
        (event("ended", "", "carol"), "invalid"),
        (event("keys", "bob", "carol"), "invalid"),
        (event("leave", "alice", "alice"), "last_owner"),
        (event("role", "alice", "alice", role="member"), "last_owner"),
        (event("create", "alice", "alice"), "id_conflict"),
        (event("rekey", "bob", epoch=epoch(2, "alice", "bob")), "epoch_conflict"),
        (event("rekey", "bob", epoch=epoch(4, "alice", "bob")), "epoch_conflict"),
        (event("rekey", "bob", epoch=epoch(3, "alice")), "epoch_conflict"),
        (event("rekey", "bob", epoch=epoch(3, "alice", "bob", "carol")), "epoch_conflict"),
        (event("remove", "alice", "bob", epoch=epoch(3, "alice", "bob")), "epoch_conflict"),
    ],
)
def test_bad_changes(change: NewEvent, expected: str) -> None:
    assert judge(head(), change) == expected


def test_an_epoch_wrapped_to_an_old_bundle() -> None:
    change = event("rekey", "bob", epoch=epoch(3, "alice", "bob"))
    assert judge(head(), change, KEYS | {"bob": "kh-bob-2"}) == "epoch_conflict"
    assert judge(head(), change, {"alice": "kh-alice"}) == "epoch_conflict"


def test_keys_are_asked_for_last() -> None:
    """They cost a look into the store, and only an epoch needs them."""

    def never() -> Mapping[str, str]:
        raise AssertionError("asked")

    assert code(sequence.judge_event(head(), event("rename", "alice", name="x"), never)) is None
    assert code(sequence.judge_event(head(), event("add", "bob", "carol"), never)) == "forbidden"


def test_no_more_than_two_hundred() -> None:
    many = {f"user{n}": Member("member", 1, "", {}) for n in range(MAX_MEMBERS - 2)}
    at = head(members=head().members | many)
    assert judge(at, event("add", "alice", "carol")) == "invalid"
    del many["user0"]
    at = head(members=head().members | many)
    assert judge(at, event("add", "alice", "carol")) is None
    assert judge(at, event("add", "alice", "carol", "dave")) == "invalid"


def test_the_last_one_may_leave() -> None:
    at = head(members={"alice": head().members["alice"]})
    assert judge(at, event("leave", "alice", "alice", epoch=epoch(3))) is None


def test_creation() -> None:
    create = event(
        "create",
        "alice",
        "alice",
        "bob",
        epoch=epoch(1, "alice", "bob"),
        chat_data=NewChat("Team", "server", b""),
    )
    assert judge(None, create) is None
    assert judge(None, replace(create, epoch=epoch(2, "alice", "bob"))) == "epoch_conflict"
    assert judge(None, create, {}) == "epoch_conflict"
    assert judge(None, event("rename", "alice", name="x")) == "not_found"
    made = sequence.new_head(create, 77)
    assert (made.last_seq, made.chain, made.epoch, made.created_at) == (0, bytes(32), 0, 77)
    sequence.apply_event(made, create, 77)
    sequence.advance(made, sequence.event_hash(create, made.epoch))
    assert (made.name, made.key_mode, made.created_by) == ("Team", "server", "alice")
    assert (made.epoch, made.opened_seq, made.opened_at, made.last_seq) == (1, 1, 77, 1)
    assert {name: (m.role, m.joined_seq, m.keys) for name, m in made.members.items()} == {
        "alice": ("owner", 1, "kh-alice"),
        "bob": ("member", 1, "kh-bob"),
    }


# ---------------------------------------------------------------- what they do


def applied(change: NewEvent, at: Head | None = None) -> Head:
    at = at or head()
    were = at.members
    before = dict(were)
    sequence.apply_event(at, change, 3000)
    assert dict(were) == before, "who held the members keeps them as they were"
    return at


def test_an_epoch_moves_the_keys_of_all() -> None:
    after = applied(event("add", "alice", "carol", role="owner", epoch=epoch(3, "alice", "bob", "carol")))
    assert (after.epoch, after.opened_seq, after.opened_at) == (3, 10, 3000)
    assert after.members["carol"] == Member("owner", 10, "kh-carol", {"new-carol": PSS})
    assert after.members["bob"] == Member("member", 3, "kh-bob", {"new-bob": PSS})


def test_a_change_without_an_epoch_leaves_epoch_and_keys() -> None:
    after = applied(event("role", "alice", "bob", role="owner"))
    assert (after.epoch, after.opened_seq, after.opened_at) == (2, 5, 2000)
    assert after.members["bob"] == replace(head().members["bob"], role="owner")
    assert after.members["alice"] == head().members["alice"]
    renamed = applied(event("rename", "alice", name=None))
    assert renamed.name is None and renamed.members == head().members


@pytest.mark.parametrize("kind", ["remove", "leave", "ended"])
def test_who_goes_is_gone(kind: str) -> None:
    assert set(applied(event(kind, "", "bob", epoch=epoch(3, "alice"))).members) == {"alice"}


def test_an_ended_owner_is_followed_by_the_eldest() -> None:
    younger = Member("member", 4, "", {})
    at = head(members=head().members | {"aaron": younger, "carol": Member("member", 3, "", {})})
    after = applied(event("ended", "", "alice", epoch=epoch(3, "aaron", "bob", "carol")), at)
    assert {name: m.role for name, m in after.members.items()} == {
        "aaron": "member",
        "bob": "owner",
        "carol": "member",
    }
    alone = applied(event("ended", "", "alice", epoch=epoch(3)), head(members={"alice": younger}))
    assert alone.members == {}


def test_an_owner_is_left_alone_when_another_ends() -> None:
    at = head(members={name: replace(m, role="owner") for name, m in head().members.items()})
    assert applied(event("ended", "", "alice", epoch=epoch(3, "bob")), at).members["bob"].role == "owner"


def test_advancing_is_the_page_s_chain() -> None:
    at = head()
    sequence.advance(at, b"x" * 32)
    assert at.last_seq == 10
    assert at.chain == hashlib.sha256(b"chatsec/chain/v1\n" + CHAIN + b"x" * 32).digest()


def test_event_hash_and_body() -> None:
    """Protocol §4: names sorted, joined by commas, and the epoch that holds from the item on."""
    change = event("add", "alice", "dave", "carol", keys="kh")
    text = "chatsec/event/v1\nchat\nadd\nalice\ncarol,dave\n3\n\n\nkh"
    assert sequence.event_hash(change, 3) == hashlib.sha256(text.encode()).digest()
    assert sequence.event_hash(change, 4) != sequence.event_hash(change, 3)
    assert orjson.loads(b"{" + sequence.event_body(change, 3) + b"}") == {
        "event": {
            "kind": "add",
            "by": "alice",
            "usernames": ["carol", "dave"],
            "epoch": 3,
            "log": "",
            "share": "",
            "keys": "kh",
        }
    }
