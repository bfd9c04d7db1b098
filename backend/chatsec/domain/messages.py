"""Messages: accepting them into a chat's sequence, and reading the sequence back in pages.

A message is judged here only by what its form cannot show and the log does not decide: how many its sender sends.
The server verifies no signature (protocol §5): readers must not trust it to.
"""

from __future__ import annotations

from dataclasses import dataclass

from chatsec.domain.chats import ChatService
from chatsec.domain.committer import Committer
from chatsec.domain.limits import Limits
from chatsec.domain.models import EPOCH_MESSAGES, Appended, Epoch, Item, Mark, NewMessage
from chatsec.domain.ports import Offload, Publisher, Storage
from chatsec.errors import ChatSecError

PAGE_BYTES = 1 << 20
PAGE_ITEMS = 200
ITEM_OVERHEAD = 160  # bytes of an item's JSON around its body
EPOCH_BYTES = 900  # of an epoch's JSON, members apart


@dataclass(frozen=True, slots=True)
class Page:
    """Ascending items of `chat`, the c before the first, the epochs that all of them need, and where the chat stands."""

    chat: str
    items: list[Item]
    before: bytes
    epochs: list[Epoch]
    last_seq: int


class MessageService:
    def __init__(
        self,
        *,
        storage: Storage,
        committer: Committer,
        chats: ChatService,
        publisher: Publisher,
        limits: Limits,
        offload: Offload,
    ) -> None:
        self._storage = storage
        self._committer = committer
        self._chats = chats
        self._publisher = publisher
        self._limits = limits
        self._offload = offload

    def allow(self, username: str) -> None:
        """Takes one from the sender's budget, before anything is looked at; `rate_limited`."""
        self._limits.take("message", username)

    def send(self, message: NewMessage, skip_sid: str | None = None) -> Appended:
        """Durable and published when it returns. `stale_epoch` carries the sender's `epoch` as it is now."""
        try:
            placed = self._committer.append(
                message, lambda placed: self._publisher.message(message, placed, skip_sid)
            )
        except ChatSecError as error:
            if error.code == "stale_epoch":
                raise self._stale(message) from error
            raise
        if not placed.duplicate and placed.seq - placed.opened_seq >= EPOCH_MESSAGES:
            self._offload.start(self._chats.rekey_full, message.chat, placed.epoch)
        return placed

    def refuse(self, chat: object, message_id: object, sender: str, error: ChatSecError) -> ChatSecError:
        """What a message of bad form is refused with: an id that is known comes before any other check (§7)."""
        known = (
            isinstance(chat, str) and isinstance(message_id, str) and self._known(chat, sender, message_id)
        )
        return ChatSecError("id_conflict") if known else error

    def _known(self, chat: str, sender: str, message_id: str) -> bool:
        try:
            return self._storage.log.known(chat, sender, message_id)
        except ValueError:  # no id at all
            return False

    def _stale(self, message: NewMessage) -> ChatSecError:
        chat = self._storage.chats.get(message.chat, message.sender)
        if chat is None:
            return ChatSecError("not_found")
        return ChatSecError("stale_epoch", epoch=chat.epoch)

    def mark(self, mark: Mark, skip_sid: str | None = None) -> Mark:
        """Moves delivered and read marks forward; durable and told to the others when it returns."""

        def tell(placed: Mark) -> None:
            try:
                head = self._storage.chats.head(mark.chat)
            except ChatSecError:  # the store is away; the mark is in it, and the others see it with the chat
                return
            self._publisher.receipt(placed, head.members if head else (), skip_sid)

        # Beside the committer: a receipt has no place in the sequence and must not hold it up.
        return self._committer.mark(mark, lambda placed: self._offload.start(tell, placed), skip_sid or "")

    def page(self, username: str, chat: str, after: int | None, before: int | None, limit: int) -> Page:
        """With `after` the first items above it, else the last below `before`; fewer where 1 MiB would be passed."""
        view = self._chats.get(username, chat)
        limit = max(1, min(limit, PAGE_ITEMS))
        if after is not None:
            low = max(after + 1, view.first_seq)
            high = min(low + limit - 1, view.last_seq)
            place = min(low, view.last_seq + 1)
        else:
            high = min((view.last_seq + 1 if before is None else before) - 1, view.last_seq)
            low = max(view.first_seq, high - limit + 1)
            place = max(1, min(low, high + 1))
        chats = self._storage.chats
        items = chats.items(chat, low, high) if low <= high else []
        if not items:
            return Page(chat, [], chats.chain(chat, place - 1), [], view.last_seq)
        epochs = chats.epochs(
            chat, username, chats.epoch_at(chat, items[0].seq), chats.epoch_at(chat, items[-1].seq)
        )
        if not epochs:  # the chat was erased meanwhile
            raise ChatSecError("not_found")
        items, epochs = _fit(items, epochs, from_start=after is not None)
        return Page(chat, items, chats.chain(chat, items[0].seq - 1), epochs, view.last_seq)

    def sync(self, username: str, have: dict[str, int]) -> dict[str, int]:
        """chat → last seq, of the chats of `username` that reach further than `have` says or that it does not name."""
        return {
            chat: last
            for chat, last in self._storage.chats.last_seqs(username).items()
            if last > have.get(chat, 0)
        }


def _size(epoch: Epoch) -> int:
    """Bytes of its JSON, about."""
    share = epoch.client_share
    signed = EPOCH_BYTES + len(share.protected) + len(share.signature) if share else 0
    return EPOCH_BYTES + 40 * len(epoch.members) + signed


def _fit(items: list[Item], epochs: list[Epoch], from_start: bool) -> tuple[list[Item], list[Epoch]]:
    """As many of the items as fit a page, with their epochs; one at least."""
    room, kept = PAGE_BYTES, 0
    opened = {epoch.opened_seq: _size(epoch) for epoch in epochs}
    room -= max(opened.values())  # the epoch that holds at the far end of the page
    for item in items if from_start else reversed(items):
        room -= len(item.body) + ITEM_OVERHEAD + opened.get(item.seq, 0)
        if room < 0 and kept:
            break
        kept += 1
    items = items[:kept] if from_start else items[-kept:]
    first, last = items[0].seq, items[-1].seq
    holds = max(epoch.opened_seq for epoch in epochs if epoch.opened_seq <= first)
    return items, [epoch for epoch in epochs if holds <= epoch.opened_seq <= last]
