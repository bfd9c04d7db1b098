"""What the rules need from outside, said by the inside.

Every method of a store is one atomic step: it happens wholly or not at all, and is durable when it returns. Stores
raise `ChatSecError` with the code named here, and `unavailable` when the store itself fails. Adapters are judged by
one contract suite (tests/contract).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from chatsec.domain.models import (
    Account,
    Appended,
    Attachment,
    Bundle,
    Chat,
    Epoch,
    Head,
    Item,
    Json,
    Mark,
    NewEvent,
    NewMessage,
    Session,
)
from chatsec.errors import ChatSecError

T = TypeVar("T")


class AccountStore(Protocol):
    """People, their backups and client states."""

    def create(self, account: Account, bundle: Bundle | None) -> None:
        """`username_taken` if the name was ever given, to an account that ended too."""

    def get(self, username: str) -> Account | None:
        """Ended accounts too: look at `ended_at`."""

    def search(self, query: str, after: str, limit: int) -> list[Account]:
        """Living accounts whose username or display name holds `query` (no wildcards), by username above `after`."""

    def named(self, usernames: Iterable[str]) -> dict[str, Account]:
        """Those of the names that exist."""

    def set_display_name(self, username: str, display_name: str) -> None: ...

    def set_presence(self, username: str, status: str | None, last_seen: int | None) -> None:
        """None leaves a field as it is."""

    def put_backup(self, username: str, backup: Json, recovery_hash: bytes | None) -> None:
        """Only as version n+1 (1 where none is), else `backup_conflict` with `version`. None keeps the recovery hash."""

    def put_state(self, username: str, state: Json) -> None:
        """Only as n+1 (1 where none is), else `state_conflict` with `n`."""

    def add_bundle(self, bundle: Bundle, backup: Json | None, state: Json | None) -> None:
        """The next bundle with its backup and state, all or nothing: `keys_conflict` with `version`, `hash` of the
        current bundle, `backup_conflict`, `state_conflict`."""

    def set_password(
        self,
        username: str,
        password_hash: bytes,
        kdf: Json | None,
        backup: Json | None,
        recovery_hash: bytes | None,
        bundle: Bundle | None,
        state: Json | None,
        keep_session: str,
        replaces: bytes | None = None,
    ) -> list[str]:
        """A new password with all that goes with it, as `add_bundle`; all sessions but `keep_session` end: their ids.
        None keeps backup, bundle, state and recovery hash as they are. `wrong_password` if `replaces` is given and is
        not the stored hash any more."""

    def end(self, username: str, at: int) -> list[str]:
        """The account ends with its sessions, whose ids it answers; password, kdf, recovery hash, backup and state are
        forgotten."""


class KeyStore(Protocol):
    def current(self, usernames: Iterable[str]) -> dict[str, Bundle]:
        """The newest bundle of each who has one."""

    def history(self, username: str, after: int) -> list[Bundle]:
        """All bundles above version `after`, newest first."""

    def bundles(self, usernames: Iterable[str]) -> list[Bundle]:
        """All bundles of these people."""


class SessionStore(Protocol):
    def create(self, session: Session) -> None: ...

    def get(self, session_id: str) -> Session | None: ...

    def living(self, session_ids: Collection[str]) -> set[str]:
        """Which of these there are."""

    def list(self, username: str) -> list[Session]:
        """Newest first."""

    def rotate(self, session_id: str, counter: int, at: int) -> bool:
        """counter → counter + 1, `rotated_at` and `used_at` = at; False if `counter` is not the stored one."""

    def end(self, session_id: str) -> None: ...

    def end_idle(self, used_before: int, created_before: int) -> Sequence[str]:
        """Ends sessions unused since, or older than; answers their ids."""


class ChatStore(Protocol):
    """Reading chats. Where a `username` is given, what they may not see is as if it were not there."""

    def get(self, chat: str, username: str) -> Chat | None:
        """None unless `username` is a member now."""

    def page(self, username: str, after: str, limit: int) -> list[Chat]:
        """The chats `username` is in, by id above `after`; without members' wraps (`epoch` has number and place)."""

    def views(self, chat: str) -> dict[str, Chat]:
        """The chat as each of its members sees it."""

    def head(self, chat: str) -> Head | None:
        """Where its sequence stands; None where there is no such chat."""

    def epochs(self, chat: str, username: str, low: int, high: int) -> list[Epoch]:
        """Epochs numbered low … high with the caller's wraps, ascending."""

    def items(self, chat: str, low: int, high: int) -> list[Item]:
        """Items low ≤ seq ≤ high, ascending."""

    def chain(self, chat: str, seq: int) -> bytes:
        """c_seq; 32 zero bytes for 0. `not_found` if there is no such item (any more)."""

    def epoch_at(self, chat: str, seq: int) -> int:
        """The number of the epoch that holds at `seq`."""

    def people(self, chat: str) -> list[str]:
        """Everyone the chat ever had, by username."""

    def last_seqs(self, username: str) -> dict[str, int]:
        """chat → last seq, of every chat that `username` is in."""

    def peers(self, username: str) -> set[str]:
        """Everybody who shares a chat with `username`, themself too."""

    def overdue(self, username: str | None = None) -> list[tuple[str, str]]:
        """(chat, member) where the member's account ended, or, in `server` chats, where the epoch is wrapped to a bundle
        that is not current."""

    def membership(self, chat: str, after: int, limit: int) -> list[tuple[str, str]]:
        """(protected, signature) of the log's entries above n `after`, ascending."""

    def taken(self, chat: str, n: int | None, epoch: int | None) -> tuple[str | None, str | None]:
        """The hashes of the log's entry n and of the share that opened the epoch, None where there is none (or none is
        asked for)."""

    def erase(self, chat: str) -> list[str]:
        """The chat and all in it are gone; answers the ids of its attachments."""


class Log(Protocol):
    def append(
        self, batch: Sequence[NewMessage | NewEvent | Mark], at: int
    ) -> list[Appended | Mark | ChatSecError]:
        """Judges, numbers and stores a batch, in order, atomically and durably; one result each, refusals as values.

        Known ids come before all judging: same bytes → `duplicate`, other bytes → `id_conflict` (`create` likewise, by
        its creator and `request`; an event by its entry or share, see `sequence.same_again`). The rest is
        `sequence.judge_*`, by the bundles that are current now. `received_at` is `at`. A mark moves forward only
        and at most to the last seq, `delivered` is never behind `read`; its result is the mark as it stands then, or
        `not_found` for who is no member. Raises `unavailable` if nothing was stored.
        """

    def known(self, chat: str, sender: str, message_id: str) -> bool:
        """Whether this id of this sender has a place in the chat."""

    def keys_changed(self, username: str) -> None:
        """They have a new bundle: from now on every writer judges their `combined` chats by it. Again does no harm."""


class AttachmentStore(Protocol):
    def create(self, attachment: Attachment) -> None:
        """`not_found` if the chat is gone or `username` is not a member any more."""

    def get(self, chat: str, attachment: str) -> Attachment | None: ...

    def known(self, attachments: Iterable[str]) -> set[str]:
        """Which of these ids there are."""


class Storage(Protocol):
    """One store: all the stores, and its life."""

    @property
    def accounts(self) -> AccountStore: ...

    @property
    def keys(self) -> KeyStore: ...

    @property
    def sessions(self) -> SessionStore: ...

    @property
    def chats(self) -> ChatStore: ...

    @property
    def log(self) -> Log: ...

    @property
    def attachments(self) -> AttachmentStore: ...

    @property
    def files(self) -> CiphertextFiles: ...

    def ping(self) -> None:
        """Raises `unavailable` unless the store can be read and written now."""

    def close(self) -> None: ...


class Publisher(Protocol):
    """Tells connected clients what has become true. Called after the commit only."""

    def message(self, message: NewMessage, placed: Appended, skip_sid: str | None) -> None: ...

    def event(self, placed: Appended, views: Mapping[str, Chat]) -> None:
        """`views`: the chat as each member sees it after the event."""

    def receipt(self, mark: Mark, members: Iterable[str], skip_sid: str | None) -> None: ...

    def chat_removed(self, chat: str, usernames: Iterable[str], skip_sid: str | None = None) -> None: ...

    def keys(self, username: str, version: int, peers: Iterable[str]) -> None: ...

    def session_ended(self, session_id: str) -> None:
        """`session:revoked`, and the session's sockets are cut."""


class PresencePublisher(Protocol):
    """Tells connected clients what is gone when it is said: presence and typing. Nothing of it is stored."""

    def presence_list(self, people: Sequence[Json], sid: str) -> None:
        """`presence:list` to one socket."""

    def presence(self, changes: Sequence[Json], usernames: Iterable[str], skip_sids: Collection[str]) -> None:
        """`presence` to all sockets of these people but the ones named."""

    def presence_to(self, changes: Sequence[Json], sids: Iterable[str]) -> None:
        """`presence` to these sockets."""

    def typing(
        self, chat: str, username: str, active: bool, members: Iterable[str], skip_sid: str | None
    ) -> None:
        """`typing` to the members' sockets but the sending one."""


class UploadFile(Protocol):
    """Ciphertext on its way in; nobody sees it before `keep`."""

    def write(self, part: bytes) -> None: ...

    def keep(self) -> None:
        """Durable and in place when it returns; `unavailable` if any of it was lost, or swept, on the way."""

    def drop(self) -> None:
        """Leaves nothing behind, but for a sweep to find if the store has failed; does nothing after `keep`."""


class StoredFile(Protocol):
    """Ciphertext that is open for reading; whoever gets one closes it."""

    def read(self, start: int, size: int) -> bytes:
        """Some of what begins at `start`, at most `size` bytes; none when it has ended."""

    def close(self) -> None: ...


class CiphertextFiles(Protocol):
    """Where attachments' ciphertext lies, by ids that the server made.

    All of it waits without holding the loop, and is `unavailable` when what it lies on fails.
    """

    def begin(self, attachment: str) -> UploadFile: ...

    def open(self, attachment: str) -> StoredFile:
        """`not_found` if it is not there."""

    def remove(self, attachment: str) -> None:
        """Whether it is there or not."""

    def older_than(self, seconds: float) -> Iterator[str]:
        """Ids of the files that were kept so long ago."""

    def drop_unfinished(self, seconds: float) -> int:
        """Removes uploads that nobody has written to for so long; answers how many."""


class SharedBuckets(Protocol):
    """Token buckets that several workers share."""

    def take(self, kind: str, key: str, burst: float, rate: float) -> float | None:
        """Takes one token; answers the seconds until there is one, 0 if it was taken, None if nobody can say now.
        `rate` is tokens per second."""


class Clock(Protocol):
    def now(self) -> int:
        """Milliseconds since 1970 UTC."""


class Offload(Protocol):
    """Where slow work goes, so that nothing holds the loop for over 5 ms."""

    def run(self, function: Callable[..., T], *args: Any) -> T:
        """Runs `function` on another thread; the loop turns meanwhile."""

    def serial(self, function: Callable[..., T], *args: Any) -> T:
        """As `run`, one at a time and in order of asking: for the embedded store's single writer."""

    def hash(self, function: Callable[..., T], *args: Any) -> T:
        """As `run`, for password hashing: at most cores − 1 at a time."""

    def turn(self) -> None:
        """Lets the loop turn once."""

    def start(self, function: Callable[..., object], *args: Any) -> None:
        """Runs `function` beside, cooperatively."""

    def sleep(self, seconds: float) -> None: ...

    def event(self) -> Signal:
        """A one-shot signal."""


class Signal(Protocol):
    def send(self, result: Any = None) -> None: ...

    def wait(self, timeout: float | None = None) -> Any: ...


class PasswordHasher(Protocol):
    def hash(self, password: str) -> bytes: ...

    def verify(self, password: str, hashed: bytes | None) -> bool:
        """Takes as long for None (nobody) as for somebody."""


class Tokens(Protocol):
    def access(self, username: str, session_id: str) -> str: ...

    def read_access(self, token: str) -> tuple[str, str]:
        """(username, session id); `unauthorized` or `token_expired`."""

    def refresh(self, session_id: str, counter: int) -> str:
        """Derived, so that the same successor can be given again; never stored."""

    def read_refresh(self, token: str) -> tuple[str, int]:
        """(session id, counter); `unauthorized`."""

    def csrf(self, session_id: str) -> str: ...

    def recovery(self, username: str, password_hash: bytes) -> str:
        """Good for 10 minutes, and for one password: it dies with `password_hash`."""

    def read_recovery(self, token: str) -> tuple[str, str]:
        """(username, `fingerprint` of the password hash it was made for); `unauthorized` or `token_expired`."""

    def fingerprint(self, password_hash: bytes) -> str: ...

    def decoy_salt(self, username: str) -> bytes:
        """16 bytes, stable for a name: the salt of people who do not exist."""
