"""Who may put what into a chat's sequence, and what it does: pure functions over a chat's head.

Every store judges by these inside its append, so that no message is ever numbered under an epoch that ended
(protocol §4, §7). They refuse by returning a `ChatSecError`; they never read a clock, a store or a key.

What `combined` chats add is judged by `membership` and folded by `combined`. One part of such a head does not follow from
the items alone: whose bundle moved since the epoch was opened. The store tells it by `see_bundles`, after it has followed
what lay there, and again when a bundle was stored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import orjson

from chatsec import crypto
from chatsec.domain import combined, membership
from chatsec.domain.lines import Line, Lines
from chatsec.domain.models import EPOCH_MESSAGES, MAX_MEMBERS, Head, Member, NewEvent, NewMessage, State, Wrap
from chatsec.errors import ChatSecError, invalid

OPENS_EPOCH = frozenset({"create", "add", "remove", "leave", "keys", "rekey", "ended"})  # in `server` chats
OWNERS_ONLY = frozenset({"add", "remove", "role", "rename"})


def judge_message(head: Head | None, message: NewMessage) -> ChatSecError | None:
    """§7's order after duplicate and form: membership, epoch not open yet, `stale_epoch`, `seen`, `share_due`,
    `unknown_key`."""
    member = head.members.get(message.sender) if head else None
    if head is None or member is None:
        return ChatSecError("not_found")
    if message.epoch > head.epoch:
        return invalid("epoch", "not open yet")
    if message.epoch < head.epoch:
        return ChatSecError("stale_epoch")
    if not head.opened_seq <= message.seen_seq <= head.last_seq:
        return invalid("seen", "seq must be between the epoch's opening and the last item")
    if head.combined is not None and is_share_due(head):
        return ChatSecError("share_due")
    if member.signing.get(message.kid) != message.alg:
        return ChatSecError("unknown_key")
    return None


def is_share_due(head: Head) -> bool:
    """Whether a member's client must post a share before anybody sends; in `combined` chats."""
    return head.share_due or head.last_seq - head.opened_seq >= EPOCH_MESSAGES


def no_lines() -> Lines:
    """Where nobody's line can be needed."""
    return {}


def judge_event(
    head: Head | None,
    event: NewEvent,
    current_keys: Callable[[], Mapping[str, str]],
    lines: Callable[[], Lines] = no_lines,
) -> ChatSecError | None:
    """Permission, sense, and that the epoch fits: its number, its members, each under the bundle that is current now.

    Asked last, and only one of them: `current_keys` answers username → bundle hash for the epoch's members, `lines` the
    bundles of those whom an event of a `combined` chat is `concerned` with.
    """
    if is_combined(head, event):
        return _judge_combined(head, event, lines)
    if event.kind == "create":
        refused = None if head is None else ChatSecError("id_conflict")
    elif head is None or (event.by and event.by not in head.members):
        refused = ChatSecError("not_found")
    elif event.kind in OWNERS_ONLY and head.members[event.by].role != "owner":
        refused = ChatSecError("forbidden")
    else:
        refused = _judge_change(head, event)
    return refused or _judge_epoch(head, event, current_keys)


# ---------------------------------------------------------------- `combined` chats


def is_combined(head: Head | None, event: NewEvent) -> bool:
    """Whether the event is one of a `combined` chat."""
    if head is not None:
        return head.combined is not None
    return event.chat_data is not None and event.chat_data.key_mode == "combined"


def concerned(head: Head | None, event: NewEvent) -> set[str]:
    """Whose lines an event of a `combined` chat is judged by."""
    state = _state(head)
    recipients = event.share.recipients if event.share else ()
    return {*state.log.members, *(event.entry.members if event.entry else ()), *recipients}


def change_of(event: NewEvent) -> combined.Change:
    """The event as `membership` judges it."""
    name = event.chat_data.name if event.chat_data else event.name
    return combined.Change(
        event.kind, event.by, frozenset(event.usernames), event.entry, event.share, event.role, name
    )


def same_again(event: NewEvent, entry_at_n: str | None, share_at_epoch: str | None) -> bool:
    """Whether this event was taken before: `combined.same_again`."""
    return combined.same_again(change_of(event), entry_at_n, share_at_epoch)


def _state(head: Head | None) -> State:
    return head.combined if head is not None and head.combined is not None else combined.START


def _judge_combined(head: Head | None, event: NewEvent, lines: Callable[[], Lines]) -> ChatSecError | None:
    if head is None and event.kind != "create":
        return ChatSecError("not_found")
    if head is not None and event.kind == "create":
        return ChatSecError("id_conflict")
    refused = membership.judge(_state(head), change_of(event), lines())
    if refused or event.epoch is None or (event.share and combined.wraps_fit(event.share, event.epoch)):
        return refused
    return ChatSecError("epoch_conflict", "S_e is wrapped for others than the share's recipients")


def see_bundles(head: Head, lines: Lines) -> None:
    """Tells a head of a `combined` chat which bundles are current: whether one makes a share due, and that only keys which
    are in both the share's and the current bundle sign messages (§5).

    `lines`: of the members that `moved` names; of others they change nothing. Again does no harm.
    """
    state = head.combined
    if state is None:
        return
    head.share_due = combined.share_due(state, lines, 0)
    if lines:
        head.members = {
            name: replace(member, signing=_in_both(lines[name], member.keys)) if name in lines else member
            for name, member in head.members.items()
        }


def _in_both(line: Line, keys: str) -> dict[str, str]:
    """kid → alg of the signing keys that are in this bundle and in the current one."""
    named, now = line.find(keys), line.current.signing
    if named is None:
        return {}
    return {kid: alg for kid, (alg, _) in named.signing.items() if now.get(kid, ("",))[0] == alg}


def moved(head: Head, current_keys: Mapping[str, str]) -> list[str]:
    """Whose lines `see_bundles` wants, by the hashes of the bundles that are current."""
    return [
        name
        for name, member in head.members.items()
        if member.keys and member.keys != current_keys.get(name, member.keys)
    ]


# ---------------------------------------------------------------- `server` chats


def _judge_change(head: Head, event: NewEvent) -> ChatSecError | None:
    """Whether this change makes sense among these members."""
    members, who = head.members, event.usernames
    if event.kind == "retire" or event.entry or event.share:
        return invalid("membership", "a `server` chat has no log and no shares")
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
    state = combined.START if made.key_mode == "combined" else None
    return Head(
        event.chat, made.name, made.key_mode, event.by, at, 0, crypto.CHAIN_START, 0, 0, at, combined=state
    )


def advance(head: Head, item_hash: bytes) -> None:
    """The next place is taken, by the item with this raw hash; after `apply_event` if it is an event."""
    head.chain = crypto.chain_step(head.chain, item_hash)
    head.last_seq += 1


def apply_event(head: Head, event: NewEvent, at: int) -> None:
    """Moves the head over a judged event (also `create`, whose head is new and empty), its place aside."""
    if is_combined(head, event):
        _apply_combined(head, event, at)
        return
    members = members_after(head, event)
    if event.kind == "create":
        members = {
            name: Member("owner" if name == event.by else "member", 1, "", {}) for name in event.usernames
        }
    if event.kind == "rename":
        head.name = event.name
    if event.epoch is not None:
        _open(head, event.epoch.number, at)
        members = {name: _under(member, event.epoch.wraps.get(name)) for name, member in members.items()}
    head.members = members


def _apply_combined(head: Head, event: NewEvent, at: int) -> None:
    """Who is in the chat, and as what, is in the log; by which keys, in the share."""
    state = head.combined = combined.after(_state(head), change_of(event))
    seq, were = head.last_seq + 1, head.members
    members = {}
    for name in state.members:
        old, role = were.get(name), state.log.members[name].role
        members[name] = replace(old, role=role) if old else Member(role, seq, "", {})
    if event.share is not None:
        assert event.epoch is not None  # it was judged to fit the share
        _open(head, event.epoch.number, at)
        wraps = event.epoch.wraps
        members = {name: _under(member, wraps.get(name)) for name, member in members.items()}
    head.name, head.members = state.log.name, members
    due = combined.share_due(state, {}, 0)
    head.share_due = due if event.share else due or head.share_due


def _open(head: Head, number: int, at: int) -> None:
    head.epoch, head.opened_seq, head.opened_at = number, head.last_seq + 1, at


def _under(member: Member, wrap: Wrap | None) -> Member:
    """The member in an epoch whose key was wrapped like this for them."""
    return replace(member, keys=wrap.keys if wrap else "", signing=wrap.signing if wrap else {})


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
    """Moves the head over a stored item, `event` if it is one, with the c after it; None comes before the first.

    Of an event of a `combined` chat, entry and share are those that the item names, and the epoch has at least whose
    bundles S_e was wrapped to.
    """
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
            "log": event.entry.hash if event.entry else "",
            "share": event.share.hash if event.share else "",
            "keys": event.keys,
        }
    )


def event_hash(event: NewEvent, epoch: int) -> bytes:
    """The raw hash of an event item (protocol §4), 32 bytes."""
    log, share = event.entry.hash if event.entry else "", event.share.hash if event.share else ""
    return crypto.event_hash(event.chat, event.kind, event.by, event.usernames, epoch, log, share, event.keys)
