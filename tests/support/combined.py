"""A `combined` chat and its people without a server: honest members make requests, the judges follow them.

The server's judge (`chatsec.domain`) and the reference client's each keep where the chat stands; neither knows the other.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from chatsec import crypto
from chatsec.domain import combined, membership, signed
from chatsec.domain.combined import Change, State
from chatsec.domain.lines import Line, line_of
from chatsec.domain.models import Bundle
from chatsec.errors import ChatSecError
from tests.support.encoding import Failure, un64u
from tests.support.keys import DSA, ED25519, PSS, WRAPPING, KeySet, bundle_hash, fresh, make_bundle
from tests.support.membership import View, follow
from tests.support.reader import Person
from tests.support.signed import Signed, author, entry_fields, share_fields, sign_object, signed_hash, wrap

CHAT = "5a1d7f04-3c7e-4d0b-9b52-7d6f1c2e9a10"
NAMES = ("alice", "bob", "carol", "dave", "erin")
Roles = Mapping[str, tuple[str, str]]  # username → (role, bundle hash)


class Human:
    """Somebody with their keys: bundles, their hashes and key sets, oldest first; and as client and server know them."""

    person: Person
    line: Line

    def __init__(self, username: str, key_set: Callable[[int], KeySet]) -> None:
        self.username, self._key_set = username, key_set
        self.bundles: list[dict[str, Any]] = []
        self.hashes: list[str] = []
        self.sets: list[KeySet] = []

    def new_keys(self, index: int, linked: bool = True) -> None:
        """The next bundle, by continuity or as a reset."""
        keys = self._key_set(index)
        after = (self.bundles[-1], self.sets[-1]) if self.bundles and linked else None
        self.sets.append(keys)
        self.bundles.append(make_bundle(self.username, keys, len(self.bundles) + 1, after))
        self.hashes.append(bundle_hash(self.username, self.bundles[-1]))
        self.person = Person(self.username, self.bundles[-1] | {"history": self.bundles[:-1]})
        self.line = line_of(stored(self.username, bundle) for bundle in self.bundles)

    @property
    def kh(self) -> str:
        return self.hashes[-1]

    @property
    def spki(self) -> bytes:
        return self.sets[-1].spki(WRAPPING)


def stored(username: str, bundle: Mapping[str, Any]) -> Bundle:
    """A bundle as the store gives it."""
    spki = un64u(bundle["encryption"]["spki"])
    kid, version = crypto.kid(spki), bundle["version"]
    return Bundle(username, version, crypto.bundle_hash(username, bundle), 0, kid, spki, {}, dict(bundle))


@dataclass
class Request:
    """A change as it travels: what the event says, and the two signed objects with it."""

    kind: str
    by: str
    usernames: frozenset[str] = frozenset()
    entry: Signed | None = None
    share: Signed | None = None
    role: str | None = None
    name: str | None = None


class World:
    """One chat, and people who are in it or may be. What is random can be chosen, for vectors."""

    always: Mapping[str, Any] = {}  # fields of every signed object
    secret: bytes | None = None  # C of every share
    wrap = staticmethod(wrap)
    key_set = staticmethod(lambda index: fresh(index).without(PSS, DSA))

    def __init__(self, names: Iterable[str] = NAMES) -> None:
        self.people = {name: Human(name, self.key_set) for name in names}
        for index, human in enumerate(self.people.values()):
            human.new_keys(index)
        self.state: State = combined.START
        self.view = View()

    # ---- what members do

    def members(self, **changed: tuple[str, str] | None) -> dict[str, tuple[str, str]]:
        """The log's members with these changes; None takes somebody out."""
        now: dict[str, tuple[str, str] | None] = {
            name: (member.role, member.keys) for name, member in self.state.log.members.items()
        }
        return {name: member for name, member in (now | changed).items() if member is not None}

    def roles(self, *names: str, role: str = "member") -> dict[str, tuple[str, str]]:
        return {name: (role, self.people[name].kh) for name in names}

    def sign(self, by: str, kind: str, fields: Mapping[str, Any], /, **overrides: Any) -> Signed:
        """By their current key; `overrides` replace fields of the signed object, for hostile ones."""
        human = self.people[by]
        head = author(human.sets[-1], CHAT, by, human.kh)
        return sign_object(human.sets[-1], kind, ED25519, head | self.always | dict(fields) | overrides)

    def entry(self, by: str, op: str, members: Roles, name: str | None = None, /, **overrides: Any) -> Signed:
        return self.sign(by, "membership", entry_fields(self.view.entry, op, members, name), **overrides)

    def share(
        self,
        by: str,
        serves: str,
        members: Roles,
        /,
        epoch: int | None = None,
        recipients: Mapping[str, tuple[str, bytes]] | None = None,
        excluded: Iterable[str] | None = None,
        **overrides: Any,
    ) -> Signed:
        """A share for these members under their current bundles, unconfirmed ones excluded."""
        out = self.unconfirmed(members) if excluded is None else frozenset(excluded)
        if recipients is None:
            recipients = {
                name: (self.people[name].kh, self.people[name].spki) for name in members if name not in out
            }
        fields, wraps, _ = share_fields(
            CHAT, epoch or self.state.epoch + 1, serves, recipients, out, self.secret, self.wrap
        )
        return self.sign(by, "share", fields, **overrides) | {"wraps": wraps}

    def unconfirmed(self, members: Roles) -> frozenset[str]:
        """Who has reset their keys since the log named them."""
        return frozenset(
            name for name, (_, kh) in members.items() if not self.people[name].line.confirmed(kh)
        )

    def request(
        self,
        kind: str,
        by: str,
        usernames: Iterable[str] = (),
        members: Roles | None = None,
        name: str | None = None,
        role: str | None = None,
    ) -> Request:
        """An honest request; `members` is the whole result, None for no entry."""
        entry = None
        if members is not None:
            named = name if kind in ("create", "rename") else self.state.log.name
            entry = self.entry(by, kind, members, named)
        share = None
        if kind in membership.WITH_SHARE:
            serves = signed_hash(entry) if entry else None
            share = self.share(by, serves or self.state.log.hash, members or self.members())
        return Request(kind, by, frozenset(usernames), entry, share, role, name)

    # ---- what the judges say

    def lines(self) -> dict[str, Line]:
        return {name: human.line for name, human in self.people.items()}

    def persons(self) -> dict[str, Person]:
        return {name: human.person for name, human in self.people.items()}

    def read(self, request: Request) -> Change:
        """What the server reads of a request."""
        line = self.people[request.by].line if request.by else Line(())
        return Change(
            request.kind,
            request.by,
            request.usernames,
            signed.read_entry(request.entry, CHAT, request.by, line) if request.entry is not None else None,
            signed.read_share(request.share, CHAT, request.by, line) if request.share is not None else None,
            request.role,
            request.name,
        )

    def refusal(self, request: Request) -> ChatSecError | None:
        """The server's, None for none."""
        try:
            return membership.judge(self.state, self.read(request), self.lines())
        except ChatSecError as error:
            return error

    def code(self, request: Request) -> str:
        """The code of the server's refusal, "" for none."""
        refused = self.refusal(request)
        return refused.code if refused else ""

    def event(self, request: Request, **overrides: Any) -> dict[str, Any]:
        """The event item's event that a server makes of a request, whether it should take it or not."""
        entry, share = (signed_hash(signed) if signed else "" for signed in (request.entry, request.share))
        return {
            "kind": request.kind,
            "by": request.by,
            "usernames": sorted(request.usernames),
            "epoch": self.state.epoch + (request.share is not None),
            "log": entry,
            "share": share,
            "keys": "",
        } | overrides

    def seen(self, request: Request, **overrides: Any) -> View:
        """What a client that held everything makes of the item; it raises what it refuses."""
        event = self.event(request, **overrides)
        return follow(self.view, CHAT, event, self.persons(), request.entry, request.share)

    def failure(self, request: Request, **overrides: Any) -> str:
        """The name of a client's refusal, "" for none."""
        try:
            self.seen(request, **overrides)
        except Failure as failure:
            return failure.name
        return ""

    def take(self, request: Request) -> None:
        """Both judges take it."""
        refused = self.refusal(request)
        assert refused is None, refused
        self.view = self.seen(request)
        self.state = combined.after(self.state, self.read(request))

    def do(self, *args: Any, **kwargs: Any) -> Request:
        """An honest request, made and taken."""
        request = self.request(*args, **kwargs)
        self.take(request)
        return request


def started(*others: str) -> World:
    """Alice's chat with these members; everybody of NAMES is there."""
    world = World(NAMES)
    members = world.roles("alice", role="owner") | world.roles(*others)
    world.do("create", "alice", members, members, name="Team")
    return world
