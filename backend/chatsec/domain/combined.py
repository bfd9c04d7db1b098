"""Where a `combined` chat stands, and how a judged change moves it: the part of a chat's fold that §4 adds for this mode.

**What the fold over the sequence carries** (`sequence.after`, `sequence.follow`) beside chain and places is one `State`:
the head of the membership log, the current share, who is in the chat now, the epoch. It moves by `after` alone; a store
that follows stored items hands it the entry and the share that the item's event names by hash. Nothing else is kept: who
waits to be retired and whether the members make a share due follow from it. A member's role and the chat's name are those
of the log's head, and nobody becomes owner by the server's rule.

Three sets are kept apart. *Members of the log* are signed for. *Members of the chat* read and send. *Waiting* are those of
the log who are in the chat no more, as their account ended or they left without an entry; a `retire` takes them out of
the log, and who is added again after that is a member and waits for nothing.

Nothing here refuses: `membership.judge` does.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from chatsec.domain.lines import Lines
from chatsec.domain.models import EPOCH_MESSAGES, Entry, LogHead, NewEpoch, Share, ShareHead, State

START = State(0, frozenset(), LogHead(0, "", None, {}), ShareHead("", {}, frozenset()))
"""Before the first item."""


@dataclass(frozen=True, slots=True)
class Change:
    """An event with what its request brought.

    For `create`, `usernames` are all members. `role` goes with `add` and `role`, `name` with `create` and `rename`.
    """

    kind: str
    by: str
    usernames: frozenset[str] = frozenset()
    entry: Entry | None = None
    share: Share | None = None
    role: str | None = None
    name: str | None = None


def log_head(entry: Entry) -> LogHead:
    return LogHead(entry.n, entry.hash, entry.name, entry.members)


def after(state: State, change: Change) -> State:
    """The state after a judged change."""
    members, entry, share = state.members, change.entry, change.share
    if change.kind in ("create", "add"):
        members = members | change.usernames
    elif change.kind in ("remove", "leave", "ended"):
        members = members - change.usernames
    moved = replace(state, members=members, log=log_head(entry) if entry else state.log)
    if share is None:
        return moved
    return replace(moved, epoch=share.epoch, share=ShareHead(share.hash, share.recipients, share.excluded))


def share_due(state: State, lines: Lines, since_opening: int) -> bool:
    """Whether nobody may send before a member has posted a share.

    Someone left or ended, so many messages came since the epoch was opened, or continuity reaches a newer bundle of a
    recipient. `lines` may be left empty where no bundle can have moved.
    """
    share = state.share
    return (
        share.recipients.keys() | share.excluded != state.members
        or since_opening >= EPOCH_MESSAGES
        or any(
            name in lines and lines[name].current.hash != keys and lines[name].confirmed(keys)
            for name, keys in share.recipients.items()
        )
    )


def may_sign_messages(state: State, lines: Lines, sender: str, alg: str, kid: str) -> bool:
    """Whether the key is in the sender's current bundle and in the one that the current share names (§5; `unknown_key`)."""
    line, keys = lines.get(sender), state.share.recipients.get(sender, "")
    named = line.find(keys) if line else None
    if line is None or named is None:
        return False
    return all(link.signing.get(kid, ("",))[0] == alg for link in (named, line.current))


def wraps_fit(share: Share, epoch: NewEpoch) -> bool:
    """Whether S_e was wrapped for just the share's recipients under just their bundles; if not, wrap again."""
    wrapped = {name: wrap.keys for name, wrap in epoch.wraps.items()}
    return epoch.number == share.epoch and wrapped == share.recipients


def same_again(change: Change, entry_at_n: str | None, share_at_epoch: str | None) -> bool:
    """Whether the request was taken before, so that it gets its first answer.

    `entry_at_n` and `share_at_epoch` are the hashes of what the chat holds at the entry's n and at the share's epoch.
    Where there is an entry, its bytes decide. Asked before anything else, of former members too.
    """
    if change.entry is not None:
        return change.entry.hash == entry_at_n
    return change.share is not None and change.share.hash == share_at_epoch
