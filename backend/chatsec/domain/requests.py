"""What a request into a `combined` chat brings, an entry and a share, before it goes to the log (protocol §4).

In this order: their form (`claim`), whether the same was taken before (`is_taken`), and what can be seen in them alone
(`judge`), signatures last. Where the chat stands is for `membership` to judge. All of it is done off the loop, since 200
members make an entry of 25 KB and a share of 150.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from chatsec.domain import sequence, signed
from chatsec.domain.lines import Line, line_of
from chatsec.domain.models import Entry, Json, NewEvent, Share
from chatsec.domain.ports import Offload, Storage


@dataclass(frozen=True, slots=True)
class Asked:
    """A request: the event with what its entry and share say, whether it is true or not, and both to be judged."""

    event: NewEvent
    entry: signed.Claimed[Entry] | None = None
    share: signed.Claimed[Share] | None = None


class Requests:
    def __init__(self, storage: Storage, offload: Offload) -> None:
        self._storage = storage
        self._offload = offload

    def claim(self, event: NewEvent, membership: Json | None, client_share: Json | None) -> Asked:
        """`invalid` where entry or share is not of its form."""
        if membership is None and client_share is None:
            return Asked(event)
        return self._offload.run(_claim, event, membership, client_share)

    def is_taken(self, event: NewEvent) -> bool:
        """Whether the same request of theirs was taken before; former members are told too."""
        entry, share = event.entry, event.share
        if (entry is None and share is None) or any(said and said.by != event.by for said in (entry, share)):
            return False
        n, epoch = entry.n if entry else None, share.epoch if share else None
        return sequence.same_again(event, *self._storage.chats.taken(event.chat, n, epoch))

    def judge(self, asked: Asked) -> NewEvent:
        """The event, whose entry and share are true; `invalid_membership`, `invalid_share`."""
        event = asked.event
        if asked.entry is not None or asked.share is not None:
            line = line_of(self._storage.keys.history(event.by, 0))
            self._offload.run(_judge, asked, line)
        return event


def _claim(event: NewEvent, membership: Json | None, client_share: Json | None) -> Asked:
    entry = None if membership is None else signed.claim_entry(membership)
    share = None if client_share is None else signed.claim_share(client_share)
    said = replace(event, entry=entry.value if entry else None, share=share.value if share else None)
    return Asked(said, entry, share)


def _judge(asked: Asked, line: Line) -> None:
    for claimed in (asked.entry, asked.share):
        if claimed is not None:
            claimed.judge(asked.event.chat, asked.event.by, line)
