"""Whether a change may be made to a `combined` chat: the server's judge of the membership log (protocol §4).

`judge` takes where the chat stands (`combined.State`), an event with its entry and share, and the facts that are outside
the chat. Both stores call it inside the append; it reads no store, clock or key. Refused by name: `not_found`,
`forbidden` (a member who is no owner), `membership_conflict` with the last `n`, `invalid_membership`; `epoch_conflict`
and `invalid_share` from `shares`; `invalid` for an entry or a share that is missing, or has no place there.

The caller hands in `lines`, read after the state: the bundles of everyone in the log's head, in the entry and in the
share, up to those that are current now. Before the append it has read entry and share (`signed`), answered
`combined.same_again`, and refused people who do not exist, have ended or have no keys.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from chatsec.domain.combined import Change, log_head
from chatsec.domain.lines import Lines
from chatsec.domain.models import Entry, LogHead, State
from chatsec.domain.shares import judge_share
from chatsec.errors import ChatSecError, invalid

WITH_ENTRY = frozenset({"create", "add", "remove", "role", "rename", "keys", "retire"})
WITH_SHARE = frozenset({"create", "add", "remove", "keys", "retire", "rekey"})
BY_OWNERS = frozenset({"add", "remove", "role", "rename"})
KINDS = WITH_ENTRY | {"leave", "rekey", "ended"}


@dataclass(frozen=True, slots=True)
class Difference:
    """What an entry changes: who came, who went, whose role and whose keys are others; and whether the name is."""

    came: frozenset[str]
    went: frozenset[str]
    roles: frozenset[str]
    keys: frozenset[str]
    renamed: bool

    def just(
        self, *, came: bool = False, went: bool = False, roles: bool = False, keys: bool = False
    ) -> bool:
        """Nothing changed but what is named, and that did."""
        found = (bool(self.came), bool(self.went), bool(self.roles), bool(self.keys), self.renamed)
        return found == (came, went, roles, keys, False)


def judge(state: State, change: Change, lines: Lines) -> ChatSecError | None:
    """None if the change may take the next place of the sequence."""
    if change.kind == "create" and state.log.n:
        return ChatSecError("id_conflict")
    if change.kind != "create" and change.by and change.by not in state.members:
        return ChatSecError("not_found")
    refused = _judge_parts(state, change)
    if refused is None and change.entry is not None:
        refused = judge_entry(state, change, change.entry, lines)
    if refused is None and change.share is not None:
        refused = judge_share(state, change, change.share, lines)
    return refused


def _judge_parts(state: State, change: Change) -> ChatSecError | None:
    """An entry and a share just where §4's table has them. A `leave` may lack its entry: who cannot sign may go too."""
    kind, entry, share = change.kind, change.entry, change.share
    if kind not in KINDS or (change.by == "") != (kind == "ended"):
        return invalid("kind", "not made like this in such a chat")
    if entry is None and kind in WITH_ENTRY:
        return invalid("membership", "missing")
    if entry is not None and kind not in WITH_ENTRY | {"leave"}:
        return invalid("membership", "has no place here")
    if (share is None) == (kind in WITH_SHARE):
        return invalid("client_share", "missing" if share is None else "has no place here")
    named = {"leave": frozenset({change.by}), "rekey": frozenset(), "ended": change.usernames & state.members}
    if entry is None and (change.usernames != named[kind] or (kind == "ended" and not change.usernames)):
        return invalid("usernames", "not those of such a change")
    return None


def judge_entry(state: State, change: Change, entry: Entry, lines: Lines) -> ChatSecError | None:
    """Whether this is the next entry of the log, and the one that the event names."""
    before = state.log
    if entry.n != before.n + 1:
        return ChatSecError("membership_conflict", n=before.n)
    if change.kind in BY_OWNERS and change.by not in before.owners:
        return ChatSecError("forbidden")
    if change.kind == "keys" and _is_left_to_owners(state, change, lines):
        return ChatSecError("forbidden", "an owner can do this")
    changed = difference(before, log_head(entry))
    wrong = (
        _wrong_place(before, change, entry)
        or _wrong_author(state, entry, lines)
        or _wrong_change(state, entry, changed)
        or _wrong_keys(before, entry, changed, lines)
        or _unlike_the_request(change, entry, changed)
    )
    return ChatSecError("invalid_membership", wrong) if wrong else None


def _is_left_to_owners(state: State, change: Change, lines: Lines) -> bool:
    """New keys are confirmed by an owner, or by any member when no other owner can sign."""
    owners = state.log.owners & state.members
    return change.by not in owners and any(
        name in lines and lines[name].confirmed(state.log.members[name].keys)
        for name in owners - change.usernames
    )


def _wrong_place(before: LogHead, change: Change, entry: Entry) -> str:
    if entry.prev != before.hash:
        return "`prev` is not the hash of the entry before"
    if entry.op != change.kind:
        return "`op` is not the kind of the event"
    if entry.by != change.by:
        return "the event is by somebody else"
    return ""


def _wrong_author(state: State, entry: Entry, lines: Lines) -> str:
    """Who signs has a key that is current, and was confirmed: reached from what the log stands by."""
    known = (state.log if entry.n > 1 else log_head(entry)).members.get(entry.by)
    line = lines.get(entry.by)
    if known is None or line is None:
        return "its author was no member"
    if not line.confirmed(known.keys) or not line.reaches(known.keys, entry.keys):
        return "its author's keys are not confirmed"
    if entry.kid not in line.current.signing:
        return "its author's key is not current"
    named = state.share.recipients.get(entry.by)
    if named is not None and not line.reaches(named, entry.keys):
        return "its author's keys are older than those of the last share"
    return ""


def difference(before: LogHead, after: LogHead) -> Difference:
    """What lies between two heads of a log."""
    old, new = before.members, after.members
    both = old.keys() & new.keys()
    return Difference(
        came=frozenset(new.keys() - old.keys()),
        went=frozenset(old.keys() - new.keys()),
        roles=frozenset(name for name in both if old[name].role != new[name].role),
        keys=frozenset(name for name in both if old[name].keys != new[name].keys),
        renamed=before.name != after.name,
    )


def _wrong_change(state: State, entry: Entry, changed: Difference) -> str:
    """Whether the whole result is what the entry's op may make of the one before."""
    before, after = state.log, log_head(entry)
    if after.members and not after.owners:
        return "no owner is left"
    orphaned = bool(after.members) and not before.owners - changed.went
    gone = changed.just(went=True, roles=orphaned)
    fits = {
        "create": before.n == 0 and entry.by in after.owners,
        "add": changed.just(came=True),
        "remove": changed.just(went=True) and entry.by not in changed.went,
        "leave": gone and changed.went == {entry.by} and len(changed.roles) <= 1,
        "retire": gone and changed.went <= state.waiting and changed.roles <= {entry.by},
        "role": changed.just(roles=True),
        "rename": replace(changed, renamed=False).just(),
        "keys": changed.just(keys=True) and len(changed.keys) == 1 and entry.by not in changed.keys,
    }
    return "" if fits[entry.op] else f"not what `{entry.op}` may change"


def _wrong_keys(before: LogHead, entry: Entry, changed: Difference, lines: Lines) -> str:
    """New in the log is only a bundle from which the current one is reached; in place of another, after a reset."""
    for name in changed.came | changed.keys:
        line = lines.get(name)
        if line is None or not line.confirmed(entry.members[name].keys):
            return f"the current bundle of {name} is not reached from the one named"
        if name in changed.keys and line.confirmed(before.members[name].keys):
            return f"there was no reset of {name}"
    return ""


def _unlike_the_request(change: Change, entry: Entry, changed: Difference) -> str:
    """Usernames, role and name of the event are the entry's. Of `leave` and `retire`, heirs are not named."""
    who = changed.came | changed.went | changed.keys | (changed.roles if entry.op == "role" else frozenset())
    if who != change.usernames:
        return "the event names other people"
    if change.role is not None and any(
        entry.members[name].role != change.role for name in who & entry.members.keys()
    ):
        return "the request names another role"
    if entry.op in ("create", "rename") and change.name != entry.name:
        return "the request names another name"
    return ""
