"""Chats: making them, changing them, and opening the epochs that a change needs. Every change is an event of the sequence.

An epoch's wraps are made before the event is appended, and the log refuses them if the chat or a bundle has moved
meanwhile; then they are made again in `server` chats. In `combined` chats a member's client brings what moves the chat,
an entry and a share: what moved meanwhile is theirs to see, so they are told. Refused here: people who do not exist or
have no keys, and what has no place in a chat of that key mode.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from weakref import WeakValueDictionary

from chatsec import crypto
from chatsec.domain import combined, sequence
from chatsec.domain.committer import Committer
from chatsec.domain.epochs import EpochService
from chatsec.domain.limits import Limits
from chatsec.domain.lines import lines_of
from chatsec.domain.models import (
    MAX_MEMBERS,
    Appended,
    Chat,
    Epoch,
    Head,
    Json,
    NewChat,
    NewEpoch,
    NewEvent,
)
from chatsec.domain.ports import Offload, Publisher, Storage
from chatsec.domain.requests import Requests
from chatsec.errors import ChatSecError, invalid

TRIES = 8  # of a change whose chat moves under it
SHUTS_OUT = frozenset({"leave", "remove", "retire"})  # is never too often
Due = tuple[int, Iterable[str]] | None
"""An epoch's number and whom it is wrapped for."""


class ChatService:
    """`erased` gets the ids of the attachments that went with a chat."""

    def __init__(
        self,
        *,
        storage: Storage,
        committer: Committer,
        epochs: EpochService,
        publisher: Publisher,
        limits: Limits,
        offload: Offload,
        erased: Callable[[list[str]], None],
    ) -> None:
        self._storage = storage
        self._committer = committer
        self._epochs = epochs
        self._publisher = publisher
        self._limits = limits
        self._offload = offload
        self._requests = Requests(storage, offload)
        self._erased = erased
        # Who opens an epoch of a chat waits for who is at it: many at once would only spoil each other's wraps.
        self._turns: WeakValueDictionary[str, threading.Lock] = WeakValueDictionary()
        # Telling a large chat takes turns of the loop: that it is erased must not be told in between.
        self._telling = threading.Lock()

    # -------------------------------------------------------- reading

    def get(self, username: str, chat: str) -> Chat:
        """`not_found` for who is not in it, as if it were not there."""
        found = self._storage.chats.get(chat, username)
        if found is None:
            raise ChatSecError("not_found")
        return found

    def page(self, username: str, after: str, limit: int) -> list[Chat]:
        return self._storage.chats.page(username, after, limit)

    def epochs(self, username: str, chat: str, after: int, limit: int) -> list[Epoch]:
        """The caller's epochs numbered above `after`, from the one that held when they joined."""
        view = self.get(username, chat)
        first = self._storage.chats.epoch_at(chat, view.first_seq)
        low = max(first, after + 1)
        return self._storage.chats.epochs(chat, username, low, low + limit - 1)

    def people(self, username: str, chat: str) -> list[str]:
        """Everyone the chat ever had."""
        self.get(username, chat)
        return self._storage.chats.people(chat)

    def membership(self, username: str, chat: str, after: int, limit: int) -> list[tuple[str, str]]:
        """(protected, signature) of the log's entries above n `after`, ascending; a `server` chat has none."""
        self.get(username, chat)
        return self._storage.chats.membership(chat, after, limit)

    # -------------------------------------------------------- changing

    def create(self, by: str, chat: str, members: Iterable[str], name: str | None) -> tuple[Chat, bool]:
        """A `server` chat, and whether it is new: the same id, creator and request again give the same chat."""
        usernames = tuple(sorted({by, *members}))
        if len(usernames) > MAX_MEMBERS:
            raise invalid("members", f"a chat has at most {MAX_MEMBERS} members")
        request = hashlib.sha256("\n".join([*usernames, "", name or "", str(name is None)]).encode()).digest()
        event = NewEvent(chat, "create", by, usernames, chat_data=NewChat(name, "server", request))
        if self._storage.chats.head(chat) is None:
            self._require_people("members", usernames)
            self._limits.take("epoch", by)
        placed = self._append(event, lambda: None if self._storage.chats.head(chat) else (1, usernames))
        if not placed.duplicate:
            self._take_out_ended(usernames)
        return self.get(by, chat), not placed.duplicate

    def create_combined(
        self,
        by: str,
        chat: str,
        members: Iterable[str],
        name: str | None,
        membership: Json | None,
        client_share: Json | None,
    ) -> tuple[Chat, bool]:
        """As `create`; the same entry again gives the same chat. Refuses as `membership.judge` does."""
        usernames = tuple(sorted({by, *members}))
        asked = self._requests.claim(
            NewEvent(chat, "create", by, usernames, name=name), membership, client_share
        )
        if asked.event.entry is None:
            raise invalid("membership", "missing")
        head = self._storage.chats.head(chat)
        made = NewChat(name, "combined", crypto.b64u_decode(asked.event.entry.hash))
        if self._requests.is_taken(asked.event):
            self._answer_taken(replace(asked.event, chat_data=made))
            return self.get(by, chat), False
        self._require_next(None, asked.event)
        if head is not None:
            raise ChatSecError("id_conflict")
        event = self._requests.judge(asked)
        placed = self._append_combined(replace(event, chat_data=made))
        new = not placed.duplicate
        if new:
            self._take_out_ended(usernames)
        return self.get(by, chat), new

    def change(
        self, event: NewEvent, membership: Json | None = None, client_share: Json | None = None
    ) -> Chat | None:
        """One change by a member: the chat after it as they see it, None if it took them out.

        `membership` and `client_share` are the entry and the share as they came. `not_found`, `forbidden`, `last_owner`,
        `invalid`, `member_without_keys`, `rate_limited`; in `combined` chats as `membership.judge` refuses.
        """
        head = self._storage.chats.head(event.chat)
        if head is None:
            raise ChatSecError("not_found")
        if head.combined is not None:
            self._change_combined(head, event, membership, client_share)
        else:
            self._change_server(head, event, membership is not None or client_share is not None)
        return self._storage.chats.get(event.chat, event.by)

    def _change_server(self, head: Head, event: NewEvent, signs: bool) -> None:
        if event.by in head.members and (signs or event.kind in ("keys", "retire")):
            raise invalid("kind" if not signs else "membership", "has no place in a `server` chat")
        self._judge(event)  # first of all: to a stranger the chat is not there
        if event.kind == "add":
            self._require_people("usernames", event.usernames)
        if event.kind not in SHUTS_OUT:
            self._limits.take("epoch" if event.kind in sequence.OPENS_EPOCH else "change", event.by)
        self._append(event)
        if event.kind == "add":
            self._take_out_ended(event.usernames)

    def _change_combined(
        self, head: Head, event: NewEvent, membership: Json | None, client_share: Json | None
    ) -> None:
        try:
            asked = self._requests.claim(event, membership, client_share)
            if self._requests.is_taken(asked.event):
                self._answer_taken(asked.event)
                return
            self._require_next(head, asked.event)
            event = self._requests.judge(asked)
        except ChatSecError as error:
            if event.by in head.members or error.code == "unavailable":
                raise
            raise ChatSecError("not_found") from error
        self._append_combined(event)
        if event.kind == "add":
            self._take_out_ended(event.usernames)

    def erase(self, by: str, chat: str) -> None:
        """By an owner: the chat is gone for everyone."""
        view = self.get(by, chat)
        if not any(member.username == by and member.role == "owner" for member in view.members):
            raise ChatSecError("forbidden")
        self._erase(chat, [member.username for member in view.members])

    # -------------------------------------------------------- what accounts and the server's rules do to chats

    def catch_up(self, username: str | None = None) -> None:
        """Opens the epochs that new bundles and ended accounts are due; of one person, or at the start of all."""
        ended: dict[str, bool] = {}
        for chat, member in self._storage.chats.overdue(username):
            if member not in ended:
                account = self._storage.accounts.get(member)
                ended[member] = account is None or account.ended_at is not None
            event = NewEvent(
                chat, "ended" if ended[member] else "keys", "" if ended[member] else member, (member,)
            )
            try:
                self._append(event, partial(self._still_due, event))
            except ChatSecError as error:
                if error.code not in ("not_found", "invalid"):  # they left meanwhile, or the chat is gone
                    raise

    def _still_due(self, event: NewEvent) -> Due:
        """As `_next_epoch`, unless another worker was faster: all of them look for what is due."""
        head = self._storage.chats.head(event.chat)
        current = self._storage.keys.current([event.by]).get(event.by) if event.kind == "keys" else None
        if head and current and event.by in head.members and head.members[event.by].keys == current.hash:
            raise ChatSecError("not_found", "the epoch was opened meanwhile")
        return self._next_epoch(event)

    def require_successors(self, username: str) -> None:
        """`last_owner` if someone whose account is to end is the last owner of a chat that others are in."""
        after = ""
        while page := self._storage.chats.page(username, after, 200):
            for chat in page:
                others = [member for member in chat.members if member.username != username]
                if chat.key_mode == "combined":  # whoever retires them becomes an owner
                    continue
                if others and not any(member.role == "owner" for member in others):
                    raise ChatSecError("last_owner", f"name another owner of chat {chat.id} first")
            after = page[-1].id

    def rekey_full(self, chat: str, epoch: int) -> None:
        """The server's rule: so many messages open an epoch; nothing to do if one was opened meanwhile."""

        def due() -> Due:
            head = self._storage.chats.head(chat)
            if head is None or head.epoch != epoch or head.combined is not None:
                raise ChatSecError("not_found", "an epoch was opened meanwhile, or is a client's to open")
            return epoch + 1, head.members

        try:
            self._append(NewEvent(chat, "rekey", ""), due)
        except ChatSecError as error:
            # With the store away, the next message asks again.
            if error.code not in ("not_found", "unavailable"):
                raise

    # -------------------------------------------------------- how: `combined` chats

    def _require_next(self, head: Head | None, event: NewEvent) -> None:
        """The next entry of the log, about people who can be members."""
        last = head.combined.log.n if head and head.combined else 0
        if event.entry is not None and event.entry.n != last + 1:
            raise ChatSecError("membership_conflict", n=last)
        named = event.usernames if event.kind == "create" else ()
        if event.kind == "add" and event.entry is not None:
            named = tuple(name for name in event.usernames if name in event.entry.members)
        if named:
            self._require_people("members" if event.kind == "create" else "usernames", named)
            with_keys = self._storage.keys.current(named)
            if without := [name for name in named if name not in with_keys]:
                raise ChatSecError("member_without_keys", usernames=without)

    def _append_combined(self, event: NewEvent) -> Appended:
        """Judged before any key is made for it, then in the log. S_e is wrapped for the share's recipients, again if a
        bundle moved while it was: then the judge says so, if the share is wrong by it."""
        with self._turns.setdefault(event.chat, threading.Lock()):
            try:
                self._take(event, self._judge(event))
            except ChatSecError:
                if self._requests.is_taken(event):
                    return self._answer_taken(event)
                raise
            if event.share is None:
                return self._commit(event)
            for _ in range(TRIES):
                opened = self._epochs.open(event.chat, event.share.epoch, event.share.recipients)
                if combined.wraps_fit(event.share, opened):
                    return self._commit(replace(event, epoch=opened))
                self._judge(event)
        raise ChatSecError("unavailable", "the chat changes too fast")

    def _answer_taken(self, event: NewEvent) -> Appended:
        """By the log, which knows whether others were told. With no wraps it could not be placed, were it there no more."""
        return self._commit(replace(event, epoch=NewEpoch(event.share.epoch, {}) if event.share else None))

    def _take(self, event: NewEvent, head: Head | None) -> None:
        """What is due, or shuts somebody out, is never too often."""
        if event.kind in SHUTS_OUT or (event.share and head and sequence.is_share_due(head)):
            return
        self._limits.take("epoch" if event.share else "change", event.by)

    # -------------------------------------------------------- how

    def _require_people(self, field: str, usernames: Iterable[str]) -> None:
        found = self._storage.accounts.named(usernames)
        unknown = [name for name in usernames if name not in found or found[name].ended_at is not None]
        if unknown:
            raise invalid(field, f"unknown: {', '.join(unknown)}")

    def _take_out_ended(self, usernames: Iterable[str]) -> None:
        """Who ended their account while they were put into a chat: its end could not see that chat."""
        for name, account in self._storage.accounts.named(usernames).items():
            if account.ended_at is not None:
                self.catch_up(name)

    def _judge(self, event: NewEvent) -> Head | None:
        """Refuses what the log would refuse before any key is made for it; answers the head by which it did not."""
        head = self._storage.chats.head(event.chat)
        signs = event.entry is not None or (head is not None and head.combined is not None)
        bundles = self._storage.keys.bundles(sequence.concerned(head, event)) if signs else []
        judge = partial(sequence.judge_event, head, event, dict, lambda: lines_of(bundles))
        # The bundles of two hundred people take longer than the loop may be held.
        if refused := self._offload.run(judge) if signs else judge():
            raise refused
        return head

    def _append(self, event: NewEvent, epoch: Callable[[], Due] | None = None) -> Appended:
        """Appends the event, with a fresh epoch where its kind opens one, again while the chat moves under it.

        `epoch` says number and members where they do not follow from the chat as it is; None for no epoch.
        """
        if event.kind not in sequence.OPENS_EPOCH:
            return self._commit(event)
        with self._turns.setdefault(event.chat, threading.Lock()):
            for _ in range(TRIES):
                try:
                    return self._commit(self._with_epoch(event, epoch))
                except ChatSecError as error:
                    if error.code != "epoch_conflict":
                        raise
        raise ChatSecError("unavailable", "the chat changes too fast")

    def _commit(self, event: NewEvent) -> Appended:
        return self._committer.append(event, lambda placed: self._publish(event, placed))

    def _with_epoch(self, event: NewEvent, epoch: Callable[[], Due] | None) -> NewEvent:
        due = epoch() if epoch is not None else self._next_epoch(event)
        if due is None:
            return event
        opened = self._epochs.open(event.chat, *due)
        keys = opened.wraps[event.by].keys if event.kind == "keys" else ""
        return replace(event, epoch=opened, keys=keys)

    def _next_epoch(self, event: NewEvent) -> Due:
        head = self._storage.chats.head(event.chat)
        if head is None or (event.by and event.by not in head.members):
            raise ChatSecError("not_found")
        if head.combined is not None:  # a member's client opens it
            return None
        return head.epoch + 1, sequence.members_after(head, event)

    def _publish(self, event: NewEvent, placed: Appended) -> None:
        with self._telling:
            views = self._storage.chats.views(event.chat)
            # What another worker has appended since may show in them, but whom it let in was not there yet.
            self._publisher.event(
                placed, {name: view for name, view in views.items() if name in placed.members}
            )
        gone = [name for name in event.usernames if name not in placed.members]
        if event.kind in ("remove", "leave", "ended") and gone:
            self._publisher.chat_removed(event.chat, gone)
        if not placed.members:  # nobody can ever read it again
            self._erase(event.chat, [])

    def _erase(self, chat: str, members: list[str]) -> None:
        files = self._storage.chats.erase(chat)
        with self._telling:
            self._publisher.chat_removed(chat, members)
        self._erased(files)
