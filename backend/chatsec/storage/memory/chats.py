"""Reading chats in memory: each answer is drawn from the chat's items, in one step."""

from __future__ import annotations

from chatsec import crypto
from chatsec.domain import sequence
from chatsec.domain.models import Chat, ChatMember, ClientShare, Epoch, Head, Item, Mark, Member, NewEvent
from chatsec.errors import ChatSecError
from chatsec.storage.memory.data import ChatTable, Handle, MemoryData
from chatsec.storage.memory.heads import event_of, head_of


class MemoryChats:
    """`ChatStore`."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle

    def get(self, chat: str, username: str) -> Chat | None:
        with self._handle.step() as data:
            head = head_of(data, chat)
            return _view(data, head, username) if head and username in head.members else None

    def page(self, username: str, after: str, limit: int) -> list[Chat]:
        with self._handle.step() as data:
            heads = [head for head in _heads(data) if username in head.members and head.chat > after]
            return [_view(data, head, username) for head in heads[:limit]]

    def views(self, chat: str) -> dict[str, Chat]:
        with self._handle.step() as data:
            head = head_of(data, chat)
            return {name: _view(data, head, name) for name in head.members} if head else {}

    def head(self, chat: str) -> Head | None:
        with self._handle.step() as data:
            return head_of(data, chat)

    def epochs(self, chat: str, username: str, low: int, high: int) -> list[Epoch]:
        with self._handle.step() as data:
            epochs = _epochs(data.chats.get(chat), username)
        return [epoch for epoch in epochs if low <= epoch.number <= high]

    def items(self, chat: str, low: int, high: int) -> list[Item]:
        with self._handle.step() as data:
            table = data.chats.get(chat) or ChatTable()
            return [
                Item(item.seq, item.received_at, item.chain, item.body)
                for item in table.items.values()
                if low <= item.seq <= high
            ]

    def chain(self, chat: str, seq: int) -> bytes:
        if seq == 0:
            return crypto.CHAIN_START
        with self._handle.step() as data:
            item = data.chats.get(chat, ChatTable()).items.get(seq)
        if item is None:
            raise ChatSecError("not_found")
        return item.chain

    def epoch_at(self, chat: str, seq: int) -> int:
        with self._handle.step() as data:
            epochs = _epochs(data.chats.get(chat), "")
        return max((epoch.number for epoch in epochs if epoch.opened_seq <= seq), default=0)

    def people(self, chat: str) -> list[str]:
        with self._handle.step() as data:
            events = _events(data.chats.get(chat))
        return sorted(
            {name for event in events if event.kind in ("create", "add") for name in event.usernames}
        )

    def last_seqs(self, username: str) -> dict[str, int]:
        with self._handle.step() as data:
            return {head.chat: head.last_seq for head in _heads(data) if username in head.members}

    def peers(self, username: str) -> set[str]:
        with self._handle.step() as data:
            mine = [head.members for head in _heads(data) if username in head.members]
        return {username}.union(*mine)

    def overdue(self, username: str | None = None) -> list[tuple[str, str]]:
        with self._handle.step() as data:
            return [
                (head.chat, name)
                for head in _heads(data)
                for name, member in head.members.items()
                if username in (None, name) and _is_overdue(data, head, name, member)
            ]

    def membership(self, chat: str, after: int, limit: int) -> list[tuple[str, str]]:
        with self._handle.step() as data:
            entries = [event.entry for event in _events(data.chats.get(chat)) if event.entry]
        return [(entry.protected, entry.signature) for entry in entries if entry.n > after][:limit]

    def taken(self, chat: str, n: int | None, epoch: int | None) -> tuple[str | None, str | None]:
        with self._handle.step() as data:
            events = _events(data.chats.get(chat))
        entries = {event.entry.n: event.entry.hash for event in events if event.entry}
        shares = {event.share.epoch: event.share.hash for event in events if event.share}
        return entries.get(n or 0), shares.get(epoch or 0)

    def erase(self, chat: str) -> list[str]:
        with self._handle.step() as data:
            table = data.chats.pop(chat, ChatTable())
            for emptied in (table.items, table.ids, table.wraps, table.marks):
                emptied.clear()  # for writers that still keep the table
            table.snapshot = None
            files = [attachment.id for attachment in data.attachments.values() if attachment.chat == chat]
            for file in files:
                del data.attachments[file]
        return files


def _heads(data: MemoryData) -> list[Head]:
    """Of all chats, by id."""
    return [head for chat in sorted(data.chats) if (head := head_of(data, chat))]


def _view(data: MemoryData, head: Head, username: str) -> Chat:
    table = data.chats[head.chat]
    members = [
        ChatMember(name, data.accounts[name].display_name, member.role, member.joined_seq)
        for name, member in head.members.items()
    ]
    return Chat(
        head.chat,
        head.name,
        head.key_mode,
        head.created_by,
        head.created_at,
        tuple(sorted(members, key=lambda member: (member.joined_seq, member.username))),
        _epochs(table, username)[-1],
        first_seq=head.members[username].joined_seq,
        last_seq=head.last_seq,
        marks={name: table.marks.get(name, Mark(head.chat, name)) for name in head.members},
        membership=(head.combined.log.n, head.combined.log.hash) if head.combined else None,
        share_due=head.combined is not None and sequence.is_share_due(head),
    )


def _epochs(table: ChatTable | None, username: str) -> list[Epoch]:
    """All of a chat, ascending, with the wraps of `username`."""
    found = []
    for item in table.items.values() if table else ():
        event = event_of(table, item) if table else None
        if event and event.epoch:
            wraps = event.epoch.wraps
            wrap = wraps.get(username)
            kid, wrapped = (wrap.kid, wrap.wrapped) if wrap else (None, None)
            members, client = sorted(wraps), None
            if share := event.share:
                members = sorted(share.recipients.keys() | share.excluded)
                client = ClientShare(share.protected, share.signature, share.wraps.get(username))
            found.append(
                Epoch(event.epoch.number, item.seq, item.received_at, tuple(members), kid, wrapped, client)
            )
    return found


def _events(table: ChatTable | None) -> list[NewEvent]:
    return [item.event for item in table.items.values() if item.event] if table else []


def _is_overdue(data: MemoryData, head: Head, username: str, member: Member) -> bool:
    account = data.accounts[username]
    return account.ended_at is not None or (head.combined is None and account.keys_hash != member.keys)
