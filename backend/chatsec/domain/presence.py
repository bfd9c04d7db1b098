"""Who is told who is here: sockets come and go, statuses are set, changes reach those whom they concern.

Someone is here while any of their sockets is. Invisible is told to others as offline, and moves no `last_seen`; one's
own sockets are told the truth. Those who share a chat hear of a change at once (what happens within `COALESCE` is one
change), sockets that watch the directory hear of everybody's, once a second. Who comes back at once was never away,
and an invisible person who comes or goes makes no noise. Typing is passed on to members only.

    PresenceService(accounts=…, chats=…, publisher=…, offload=…, clock=…)

Tells this process's sockets only; they end with it. With several workers each does so, from the roster that they share
(`share`, `hear`, `learn`, `lose`, `refresh`); a socket that is gone then counts for `linger` seconds more, in which its
person can come back on another worker. `last_seen` is stored beside, so that no socket waits for the disk; by the
worker that someone leaves, whoever else has them.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping

from chatsec.domain.models import Account, Json, timestamp
from chatsec.domain.ports import AccountStore, ChatStore, Clock, Offload, PresencePublisher
from chatsec.domain.roster import Fact, Roster, Share, alone
from chatsec.errors import ChatSecError

VISIBLE = ("online", "away")
OFFLINE = "offline"
COALESCE = 0.05  # seconds in which changes gather
DIRECTORY_PAUSE = 1.0  # protocol §7: at most one a second to those who watch the directory
RETRY_PAUSE = 5.0  # while the store is down
CHUNK = 200  # accounts looked up at once

logger = logging.getLogger(__name__)


class PresenceService:
    def __init__(
        self,
        *,
        accounts: AccountStore,
        chats: ChatStore,
        publisher: PresencePublisher,
        offload: Offload,
        clock: Clock,
        share: Share = alone,
        linger: float = 0,
    ) -> None:
        self._accounts = accounts
        self._chats = chats
        self._publisher = publisher
        self._offload = offload
        self._clock = clock
        self._linger = linger
        self._roster = Roster(share)
        self._watching: set[str] = set()  # sids that watch the directory
        self._told: dict[str, str] = {}  # what others were told, of those who are not offline
        self._left: dict[str, int] = {}  # when someone was last seen, until it is stored
        self._changed: set[str] = set()
        self._for_directory: dict[str, Json] = {}
        self._doubtful = False  # whether the store may know a newer status
        self._running: set[str] = set()  # which of the loops below run
        self._closed = False

    # ------------------------------------------------------------ what clients do

    def connect(self, username: str, sid: str) -> list[Json]:
        """A socket is here; answers what its `presence:list` holds."""
        since, was = self._clock.now(), self._roster.status(username)
        try:
            if self._roster.enter(username, sid):
                account = self._accounts.get(username)
                self._roster.know(username, account.status if account else "online", since)
            people = self._list(username, directory=False)
        except ChatSecError:
            self._leave(sid, self._clock.now())
            raise
        if self._roster.status(username) != was:
            self._change(username)
        return people

    def disconnect(self, sid: str) -> None:
        """A socket is gone; one that is not known is fine."""
        self._watching.discard(sid)
        if self._linger:
            self._offload.start(self._leave_later, sid, self._clock.now())
        else:
            self._leave(sid, self._clock.now())

    def _leave_later(self, sid: str, at: int) -> None:
        self._offload.sleep(self._linger)
        self._leave(sid, at)

    def _leave(self, sid: str, at: int) -> None:
        self._watching.discard(sid)
        username = self._roster.name(sid)
        was = self._public(username) if username else OFFLINE
        if username is None or not self._roster.leave(sid):
            return
        if was != OFFLINE:
            self._left[username] = at
        if self._roster.status(username):  # another worker has them
            self._run("left", self._keep_storing)
        else:
            self._change(username)

    def set_status(self, username: str, status: str) -> None:
        """`online`, `away` or `invisible`, kept until it is changed."""
        self._accounts.set_presence(username, status, None)
        was, now = self._public(username), self._clock.now()
        if not self._roster.set(username, status, now):
            return
        if was != OFFLINE and self._public(username) == OFFLINE:
            self._left[username] = now
        self._change(username)

    def watch(self, username: str, sid: str, directory: bool) -> None:
        """From now on presence of everybody, or of those one shares a chat with; sends the list of either."""
        people = self._list(username, directory)
        if self._roster.name(sid) is None:
            return  # gone meanwhile
        if directory:
            self._watching.add(sid)
        else:
            self._watching.discard(sid)
        self._publisher.presence_list(people, sid)

    def typing(self, username: str, sid: str, chat: str, active: bool) -> None:
        """`not_found` for who is not a member."""
        head = self._chats.head(chat)
        if head is None or username not in head.members:
            raise ChatSecError("not_found")
        self._publisher.typing(chat, username, active, head.members, sid)

    def close(self) -> None:
        """At the end: stores what was not stored yet, those who are still here among it. Nothing is told any more."""
        self._closed = True
        for username in self._roster.own_names():
            if self._public(username) != OFFLINE:
                self._left[username] = self._clock.now()
        self._store_left()

    # ------------------------------------------------------------ what other workers tell

    def own(self) -> dict[str, Fact]:
        """Whom the others should know to be here."""
        return self._roster.own()

    def hear(self, worker: str, told: Mapping[str, tuple[Fact, bool]]) -> None:
        """Who is there with which status, or is there no longer."""
        self._heard(self._roster.hear(worker, told))

    def learn(self, worker: str, facts: Mapping[str, Fact]) -> None:
        """Everybody who is there."""
        self._heard(self._roster.learn(worker, facts))

    def lose(self, worker: str, store: bool) -> None:
        """It is no more; with `store`, when its people were last seen is left to this worker."""
        changes = self._roster.learn(worker, {})
        if store:
            now = self._clock.now()
            self._left |= {username: now for username, was in changes.items() if was in VISIBLE}
        self._heard(changes)

    def refresh(self) -> None:
        """Something may have been missed: statuses are read from the store again."""
        self._doubtful = True
        self._run("refresh", self._refresh)

    def _heard(self, changes: Mapping[str, str]) -> None:
        for username in changes:
            self._change(username)

    def _refresh(self) -> None:
        while self._doubtful and not self._closed:
            self._doubtful = False
            names = list(self._roster.own_names())
            try:
                for start in range(0, len(names), CHUNK):
                    since = self._clock.now()
                    for username, account in self._accounts.named(names[start : start + CHUNK]).items():
                        if self._roster.know(username, account.status, since):
                            self._change(username)
            except ChatSecError as error:
                logger.warning("statuses cannot be read: %s", error)
                self._doubtful = True
                self._offload.sleep(RETRY_PAUSE)

    # ------------------------------------------------------------ who sees what

    def of(self, account: Account, viewer: str | None) -> tuple[str, int | None]:
        """(status, last seen) of someone as `viewer` may see it; who is here is seen now."""
        username = account.username
        status = self._seen_by(username, viewer)
        if status == OFFLINE:
            return status, self._left.get(username, account.last_seen)
        return status, self._clock.now()

    def search(self, query: str, after: str, limit: int, online: bool) -> list[Account]:
        """Living accounts that `query` finds, by username above `after`; with `online` only who is not offline."""
        if not online:
            return self._accounts.search(query, after, limit)
        names = sorted(
            name for name in self._roster.names() if name > after and self._public(name) != OFFLINE
        )
        found: list[Account] = []
        for start in range(0, len(names), CHUNK):
            accounts = self._accounts.named(names[start : start + CHUNK])
            found += [accounts[name] for name in sorted(accounts) if _found_by(accounts[name], query)]
            if len(found) >= limit:
                break
        return found[:limit]

    def person(self, username: str) -> Account:
        """A living account, or `not_found`."""
        account = self._accounts.get(username)
        if account is None or account.ended_at is not None:
            raise ChatSecError("not_found")
        return account

    def _public(self, username: str) -> str:
        """What others are told."""
        status = self._roster.status(username)
        return status if status in VISIBLE else OFFLINE

    def _seen_by(self, username: str, viewer: str | None) -> str:
        return (self._roster.status(username) or OFFLINE) if viewer == username else self._public(username)

    def _list(self, viewer: str, directory: bool) -> list[Json]:
        """Everyone whom `viewer` sees as not offline, themself too."""
        peers = None if directory else self._chats.peers(viewer) | {viewer}
        now = timestamp(self._clock.now())
        people = []
        for name in self._roster.names() if peers is None else peers & self._roster.names():
            if (status := self._seen_by(name, viewer)) != OFFLINE:
                people.append({"username": name, "status": status, "last_seen": now})
            if (public := self._public(name)) != OFFLINE:
                self._told[name] = public  # so that leaving will be told, even before arriving was
        return people

    # ------------------------------------------------------------ telling

    def _change(self, username: str) -> None:
        self._changed.add(username)
        self._run("tell", self._tell)

    def _run(self, name: str, loop: object) -> None:
        """Starts one of the loops unless it runs; it ends when there is nothing left to do."""
        if name not in self._running and not self._closed:
            self._running.add(name)
            self._offload.start(self._until_done, name, loop)

    def _until_done(self, name: str, loop: object) -> None:
        try:
            loop()  # type: ignore[operator]
        finally:
            self._running.discard(name)

    def _tell(self) -> None:
        """One at a time, so that changes are told in the order in which they happened."""
        while self._changed:
            self._offload.sleep(COALESCE)
            if self._closed:
                return
            names, self._changed = self._changed, set()
            try:
                self._tell_peers(names)
            except ChatSecError as error:
                logger.warning("presence cannot be told: %s", error)
                self._changed |= names
                self._offload.sleep(RETRY_PAUSE)
        # Nothing waits between here and the end of the loop, so no change can be missed.

    def _tell_peers(self, names: Collection[str]) -> None:
        """To those who share a chat with who changed; the same change to the same people is one packet."""
        peers = {name: frozenset(self._chats.peers(name) | {name}) for name in names}
        packets: dict[frozenset[str], list[Json]] = {}
        for name in names:
            status = self._public(name)
            if status == OFFLINE and name not in self._told:
                continue  # nobody ever heard that they are here
            now = self._clock.now()
            at = self._left.get(name, now) if status == OFFLINE else now
            change = {"username": name, "status": status, "last_seen": timestamp(at)}
            if status == OFFLINE:
                del self._told[name]
            else:
                self._told[name] = status
            self._for_directory[name] = change
            others, own = peers[name], self._own(change)
            if own is not change:
                others -= {name}
                packets.setdefault(frozenset({name}), []).append(own)
            packets.setdefault(others, []).append(change)
        for people, changes in packets.items():
            if present := people & self._roster.own_names():
                self._publisher.presence(changes, present, self._watching)
        if self._for_directory:
            self._run("directory", self._tell_directory)
        if self._left:
            self._run("left", self._keep_storing)

    def _own(self, change: Json) -> Json:
        """The change as one's own sockets are told it: invisible is no secret there."""
        status = self._seen_by(change["username"], change["username"])
        return change if status == change["status"] else {**change, "status": status}

    def _tell_directory(self) -> None:
        while self._for_directory:
            changes, self._for_directory = self._for_directory, {}
            hidden = {
                sid: own
                for sid in self._watching
                if (change := changes.get(self._roster.name(sid) or ""))
                and (own := self._own(change)) is not change
            }
            if others := self._watching - hidden.keys():
                self._publisher.presence_to(list(changes.values()), others)
            for sid, own in hidden.items():
                mine = {**changes, own["username"]: own}
                self._publisher.presence_to(list(mine.values()), [sid])
            self._offload.sleep(DIRECTORY_PAUSE)

    # ------------------------------------------------------------ last seen

    def _keep_storing(self) -> None:
        while self._left and not self._closed:
            try:
                self._store_left()
            except ChatSecError as error:
                logger.warning("last seen cannot be stored: %s", error)
                self._offload.sleep(RETRY_PAUSE)

    def _store_left(self) -> None:
        for username, at in list(self._left.items()):
            self._accounts.set_presence(username, None, at)
            if self._left.get(username) == at:
                del self._left[username]


def _found_by(account: Account, query: str) -> bool:
    """As the store's search, of accounts that are at hand."""
    if account.ended_at is not None:
        return False
    query = query.casefold()
    return query in account.username or query in account.display_name.casefold()
