"""Whether a client share may open the next epoch of a `combined` chat (protocol §4).

`invalid_share` is what could never be right; `epoch_conflict` with `epoch`, `membership` (the log's head) and `moved` is
what was right a moment ago: the epoch, the head or somebody's bundle moved, or the log holds people who are gone. Then
the client makes another one. What can be seen in the share alone was judged by `signed.read_share`.
"""

from __future__ import annotations

from chatsec import crypto
from chatsec.domain.combined import Change, log_head
from chatsec.domain.lines import Lines
from chatsec.domain.models import LogHead, Share, State
from chatsec.errors import ChatSecError


def judge_share(state: State, change: Change, share: Share, lines: Lines) -> ChatSecError | None:
    """`change.entry`, if there is one, was judged; the share serves it, or else the head of the log."""
    log = log_head(change.entry) if change.entry else state.log
    if change.entry and share.membership != log.hash:
        return ChatSecError("invalid_share", "it does not serve the entry that it comes with")
    gone = state.waiting - change.usernames if change.kind == "retire" else state.waiting
    moved = gone | _moved(log, share, lines)
    conflict = ChatSecError(
        "epoch_conflict", epoch=state.epoch, membership=state.log.hash, moved=sorted(moved)
    )
    if share.epoch != state.epoch + 1 or share.membership != log.hash or gone:
        return conflict
    wrong = _never_right(log, share, lines)
    if wrong:
        return ChatSecError("invalid_share", wrong)
    return conflict if moved else None


def _moved(log: LogHead, share: Share, lines: Lines) -> frozenset[str]:
    """Whose bundle was right for the share, and is current no more; the author's own key too."""
    moved = {
        name
        for name, keys in share.recipients.items()
        if name in lines and name in log.members and lines[name].current.hash != keys
        if lines[name].reaches(log.members[name].keys, keys)
    }
    author = lines.get(share.by)
    if author is not None and share.kid not in author.current.signing:
        moved.add(share.by)
    return frozenset(moved)


def _never_right(log: LogHead, share: Share, lines: Lines) -> str:
    """What is wrong with it whatever moved, or ""."""
    if share.recipients.keys() | share.excluded != log.members.keys():
        return "recipients and excluded are not the members of the entry"
    for name, keys in share.recipients.items():
        line = lines.get(name)
        link = line.find(keys) if line else None
        if line is None or link is None or not line.reaches(log.members[name].keys, keys):
            return f"the bundle of {name} is not reached from the log's"
        if len(share.wraps[name]) * 3 // 4 != crypto.wrap_size(link.encryption_spki):
            return f"the wrap for {name} is not as long as their key"
    for name in share.excluded:
        if name not in lines or lines[name].confirmed(log.members[name].keys):
            return f"{name} is left out, but their keys are confirmed"
    if share.by not in share.recipients:
        return "its author is no recipient"
    if not lines[share.by].reaches(log.members[share.by].keys, share.keys):
        return "its author's keys are not confirmed"
    return ""
