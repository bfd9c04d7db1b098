"""Who may put what into a chat's sequence, and what it does: pure functions over a chat's head.

Every store judges by these inside its append, so that no message is ever numbered under an epoch that ended
(protocol §4, §7). They refuse by returning a `ChatSecError`; they never read a clock, a store or a key.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import orjson

from chatsec import crypto
from chatsec.domain.models import MAX_MEMBERS, Head, Member, NewEvent, NewMessage
from chatsec.errors import ChatSecError, invalid

OPENS_EPOCH = frozenset({"create", "add", "remove", "leave", "keys", "rekey", "ended"})
OWNERS_ONLY = frozenset({"add", "remove", "role", "rename"})


def judge_message(head: Head | None, message: NewMessage) -> ChatSecError | None:
    """§7's order after duplicate and form: membership, epoch not open yet, `stale_epoch`, `seen`, `unknown_key`."""
    member = head.members.get(message.sender) if head else None
    if head is None or member is None:
        return ChatSecError("not_found")
    if message.epoch > head.epoch:
        return invalid("epoch", "not open yet")
    if message.epoch < head.epoch:
        return ChatSecError("stale_epoch")
    if not head.opened_seq <= message.seen_seq <= head.last_seq:
        return invalid("seen", "seq must be between the epoch's opening and the last item")
    if member.signing.get(message.kid) != message.alg:
        return ChatSecError("unknown_key")
    return None


def judge_event(
    head: Head | None, event: NewEvent, current_keys: Callable[[], Mapping[str, str]]
) -> ChatSecError | None:
    """Permission, sense, and that the epoch fits: its number, its members, each under the bundle that is current now.

    `current_keys` answers username → bundle hash for the epoch's members; it is asked last.
    """
    if event.kind == "create":
        refused = None if head is None else ChatSecError("id_conflict")
    elif head is None or (event.by and event.by not in head.members):
        refused = ChatSecError("not_found")
    elif event.kind in OWNERS_ONLY and head.members[event.by].role != "owner":
        refused = ChatSecError("forbidden")
    else:
        refused = _judge_change(head, event)
    return refused or _judge_epoch(head, event, current_keys)


def _judge_change(head: Head, event: NewEvent) -> ChatSecError | None:
    """Whether this change makes sense among these members."""
    members, who = head.members, event.usernames
    if event.kind == "add":
        if already := [name for name in who if name in members]:
            return invalid("usernames", f"already in the chat: {', '.join(already)}")
        if len(members) + len(who) > MAX_MEMBERS:
            return invalid("usernames", f"a chat has at most {MAX_MEMBERS} members")
    if event.kind in ("remove", "role", "keys", "ended") and (
        missing := [name for name in who if name not in members]
    ):
        return invalid("usernames", f"not in the chat: {', '.join(missing)}")
    if event.kind == "remove" and event.by in who:
        return invalid("usernames", "leave the chat instead of removing yourself")
    left = members_after(head, event)
    if left and not any(member.role == "owner" for member in left.values()):
        return ChatSecError("last_owner")
    return None


def _judge_epoch(
    head: Head | None, event: NewEvent, current_keys: Callable[[], Mapping[str, str]]
) -> ChatSecError | None:
    if event.epoch is None:
        # Whoever found the chat there and made no epoch may find it erased.
        return ChatSecError("epoch_conflict") if head is None else None
    if event.epoch.number != (head.epoch if head else 0) + 1:
        return ChatSecError("epoch_conflict")
    if head is not None and event.epoch.wraps.keys() != members_after(head, event).keys():
        return ChatSecError("epoch_conflict")
    now = current_keys()
    if any(wrap.keys != now.get(name) for name, wrap in event.epoch.wraps.items()):
        return ChatSecError("epoch_conflict")
    return None


def members_after(head: Head, event: NewEvent) -> dict[str, Member]:
    """Who is in the chat after the event, roles applied; keys as they are before its epoch."""
    members = dict(head.members)
    if event.kind == "add":
        for name in event.usernames:
            members[name] = Member(event.role or "member", head.last_seq + 1, "", {})
    elif event.kind in ("remove", "leave", "ended"):
        for name in event.usernames:
            members.pop(name, None)
    elif event.kind == "role":
        for name in event.usernames:
            members[name] = replace(members[name], role=event.role or "member")
    if event.kind == "ended" and members and not any(m.role == "owner" for m in members.values()):
        # An owner is always left while members are (§4): an account can end while its fellow owner leaves.
        eldest = min(members, key=lambda name: (members[name].joined_seq, name))
        members[eldest] = replace(members[eldest], role="owner")
    return members


def new_head(event: NewEvent, at: int) -> Head:
    """Before the first item of the chat that `event`, a `create`, makes."""
    assert event.chat_data is not None  # `create` brings it
    made = event.chat_data
    return Head(event.chat, made.name, made.key_mode, event.by, at, 0, crypto.CHAIN_START, 0, 0, at)


def advance(head: Head, item_hash: bytes) -> None:
    """The next place is taken, by the item with this raw hash; after `apply_event` if it is an event."""
    head.chain = crypto.chain_step(head.chain, item_hash)
    head.last_seq += 1


def apply_event(head: Head, event: NewEvent, at: int) -> None:
    """Moves the head over a judged event (also `create`, whose head is new and empty), its place aside."""
    members = members_after(head, event)
    if event.kind == "create":
        members = {
            name: Member("owner" if name == event.by else "member", 1, "", {}) for name in event.usernames
        }
    if event.kind == "rename":
        head.name = event.name
    seq = head.last_seq + 1
    if event.epoch is not None:
        head.epoch, head.opened_seq, head.opened_at = event.epoch.number, seq, at
        members = {
            name: replace(member, keys=event.epoch.wraps[name].keys, signing=event.epoch.wraps[name].signing)
            for name, member in members.items()
        }
    head.members = members


def after(head: Head | None, item: NewMessage | NewEvent, at: int) -> Head:
    """The head after a judged item in the next place; another one, so that who loses the place still has the old."""
    if isinstance(item, NewMessage):
        assert head is not None  # it was judged
        moved = head.copy()
        advance(moved, item.hash)
        return moved
    moved = head.copy() if head else new_head(item, at)
    apply_event(moved, item, at)
    advance(moved, event_hash(item, moved.epoch))
    return moved


def follow(head: Head | None, event: NewEvent | None, at: int, seq: int, chain: bytes) -> Head:
    """Moves the head over a stored item, `event` if it is one, with the c after it; None comes before the first."""
    if event is not None:
        head = head or new_head(event, at)
        apply_event(head, event, at)
    assert head is not None  # the first item is an event
    head.chain, head.last_seq = chain, seq
    return head


def event_body(event: NewEvent, epoch: int) -> bytes:
    """The stored JSON of an event item without braces: `"event":{…}` (protocol §4)."""
    return b'"event":' + orjson.dumps(
        {
            "kind": event.kind,
            "by": event.by,
            "usernames": sorted(event.usernames),
            "epoch": epoch,
            "log": "",
            "share": "",
            "keys": event.keys,
        }
    )


def event_hash(event: NewEvent, epoch: int) -> bytes:
    """The raw hash of an event item (protocol §4), 32 bytes."""
    return crypto.event_hash(event.chat, event.kind, event.by, event.usernames, epoch, "", "", event.keys)
