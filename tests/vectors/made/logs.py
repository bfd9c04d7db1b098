"""Membership entries and client shares, each rule kept and broken (protocol §4).

Beside its cases a file has `people`: username → bundles, oldest first. A case says how many `versions` of each are known
when it is judged. `failure` is the client's name for it, `code` the server's; `server_only` marks what clients cannot
judge. An entry follows `previous` (null: none); `waiting` are members of the log who are gone, `last_share` the recipients'
bundles in the share before. A share opens `epoch` and serves `entry`.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any

from tests.support.combined import CHAT, NAMES, Request, World
from tests.support.encoding import b64u
from tests.support.keys import DSA, ED25519, PSS, KeySet, pool
from tests.support.signed import entry_fields, signed_hash
from tests.vectors import fixed

Case = dict[str, Any]
ZERO = b64u(bytes(32))
OTHER_CHAT = "5a1d7f04-3c7e-4d0b-9b52-7d6f1c2e9a11"


class Fixed(KeySet):
    """Signs the same each time."""

    def sign(self, alg: str, data: bytes) -> bytes:
        return fixed.sign(self, alg, data) if alg == PSS else super().sign(alg, data)


class Log(World):
    """A world that comes out the same every time. Alice has an RSA-PSS key beside Ed25519."""

    always: Mapping[str, Any] = {"at": "2026-11-24T18:00:00.123Z"}
    secret = fixed.stream("C", 32)
    wrap = staticmethod(fixed.oaep)
    key_set = staticmethod(lambda index: Fixed(pool(index).without(DSA, *([PSS] if index else [])).pkcs8))

    def __init__(self, others: tuple[str, ...] = ("bob", "carol")) -> None:
        super().__init__()
        self.last: dict[str, str] | None = None
        members = self.roles("alice", role="owner") | self.roles(*others)
        self.do("create", "alice", members, members, name="Team")

    def take(self, request: Request) -> None:
        super().take(request)
        self.last = request.entry or self.last

    def renew(self, name: str, linked: bool = True) -> "Log":
        """New keys: Bob's second by continuity, Carol's second by a reset, Dave's second by continuity."""
        self.people[name].new_keys(5 + NAMES.index(name), linked)
        return self

    def gone(self, *names: str) -> "Log":
        for name in names:
            self.do("ended", "", [name])
        return self


@cache
def people() -> dict[str, list[Any]]:
    """Every bundle that a case may need."""
    world = Log()
    for name, linked in (("alice", False), ("bob", True), ("carol", False), ("dave", True)):
        world.renew(name, linked)
    return {name: human.bundles for name, human in world.people.items()}


def _case(name: str, world: Log, failure: str, code: str, server_only: bool) -> Case:
    wrong = {"failure": failure, "code": code} | ({"server_only": True} if server_only else {})
    return {
        "name": name,
        "valid": not code,
        **(wrong if code else {}),
        "chat": CHAT,
        "versions": {who: len(human.bundles) for who, human in world.people.items()},
        "last_share": dict(world.state.share.recipients),
    }


def _entry(name: str, world: Log, request: Request, code: str = "", server_only: bool = False) -> Case:
    assert request.entry is not None
    return _case(name, world, "invalid_membership", code, server_only) | {
        "previous": world.last,
        "waiting": sorted(world.state.waiting),
        "event": {"kind": request.kind, "by": request.by, "usernames": sorted(request.usernames)},
        "entry": request.entry,
        "hash": signed_hash(request.entry),
    }


class First(Log):
    """Before there is a chat."""

    def __init__(self) -> None:
        World.__init__(self)
        self.last = None


def entries() -> list[Case]:
    """Cases of membership.json."""
    return [*_good_entries(), *_changes(), *_authors(), *_forms()]


def _good_entries() -> list[Case]:
    made = []

    def good(name: str, world: Log, /, *args: Any, **kwargs: Any) -> None:
        made.append(_entry(name, world, world.request(*args, **kwargs)))

    first = First()
    members = first.roles("alice", role="owner") | first.roles("bob", "carol")
    good("create", first, "create", "alice", members, members, name="Team")
    good("create without a name", first, "create", "alice", members, members)
    start = Log()
    kh = {name: human.kh for name, human in start.people.items()}
    good("add", start, "add", "alice", ["dave"], start.members(dave=("owner", kh["dave"])))
    late = Log().renew("dave")
    good(
        "add under an older bundle", late, "add", "alice", ["dave"], late.members(dave=("member", kh["dave"]))
    )
    good("remove", start, "remove", "alice", ["bob", "carol"], start.members(bob=None, carol=None))
    good("leave", start, "leave", "bob", ["bob"], start.members(bob=None))
    heir = start.members(alice=None, bob=("owner", kh["bob"]))
    good("leave, naming an owner", start, "leave", "alice", ["alice"], heir)
    alone = Log(())
    good("leave, the last one", alone, "leave", "alice", ["alice"], {})
    good("role", start, "role", "alice", ["bob"], start.members(bob=("owner", kh["bob"])))
    good("rename", start, "rename", "alice", [], start.members(), name="Zoë")
    good("rename to nothing", start, "rename", "alice", [], start.members())
    reset = Log().renew("carol", linked=False)
    confirmed = reset.members(carol=("member", reset.people["carol"].kh))
    good("keys, by an owner", reset, "keys", "alice", ["carol"], confirmed)
    lost = Log().renew("alice", linked=False)
    confirmed = lost.members(alice=("owner", lost.people["alice"].kh))
    good("keys, by a member when no owner can sign", lost, "keys", "bob", ["alice"], confirmed)
    gone = Log().gone("bob", "carol")
    good("retire", gone, "retire", "alice", ["bob", "carol"], gone.members(bob=None, carol=None))
    headless = Log().gone("alice")
    members = headless.members(alice=None, bob=("owner", kh["bob"]))
    good("retire, becoming owner", headless, "retire", "bob", ["alice"], members)
    newer = Log().renew("bob")
    good("by a newer bundle", newer, "leave", "bob", ["bob"], newer.members(bob=None))
    pss = start.request("rename", "alice", [], start.members(), name="Us")
    kid = start.people["alice"].sets[0].kid(PSS)
    pss.entry = _signed_by(start, "alice", PSS, {"kid": kid, "alg": PSS})
    made.append(_entry("by RSA-PSS", start, pss))
    for name, change in (("n as 2.0", {"n": 2.0}), ("a field that nobody knows", {"x": None})):
        request = start.request("rename", "alice", [], start.members(), name="Us")
        request.entry = start.entry("alice", "rename", start.members(), "Us", **change)
        made.append(_entry(name, start, request))
    return made


def _signed_by(world: Log, by: str, alg: str, fields: dict[str, Any]) -> dict[str, str]:
    """A rename by this key."""
    entry = world.entry(by, "rename", world.members(), "Us", **fields)
    signed = f"chatsec/membership/v1\n{entry['protected']}".encode()
    return entry | {"signature": b64u(world.people[by].sets[0].sign(alg, signed))}


def _changes() -> list[Case]:
    """Each op, changing what it must not."""
    made: list[Case] = []
    w = Log()
    kh = {name: human.kh for name, human in w.people.items()}

    def bad(
        name: str, world: Log, *args: Any, code: str = "invalid_membership", server_only: bool = False
    ) -> None:
        made.append(_entry(name, world, world.request(*args), code, server_only))

    dave, nobody, owner = {"dave": ("member", kh["dave"])}, w.members(), ("owner", kh["bob"])
    bad("add nobody", w, "add", "alice", [], nobody)
    bad("add by a member", w, "add", "bob", ["dave"], w.members(**dave), code="forbidden")
    bad("add under a stranger's bundle", w, "add", "alice", ["dave"], w.members(dave=("member", kh["erin"])))
    bad("add, and make somebody owner", w, "add", "alice", ["dave"], w.members(**dave, bob=owner))
    bad("add, and drop somebody", w, "add", "alice", ["dave"], w.members(**dave, bob=None))
    bad(
        "add one more than the event says",
        w,
        "add",
        "alice",
        ["dave"],
        w.members(**dave, erin=("member", kh["erin"])),
    )
    bad("remove nobody", w, "remove", "alice", [], nobody)
    bad("remove by a member", w, "remove", "bob", ["carol"], w.members(carol=None), code="forbidden")
    bad("remove oneself", w, "remove", "alice", ["alice"], w.members(alice=None, bob=owner))
    bad("remove another than the event says", w, "remove", "alice", ["bob"], w.members(carol=None))
    bad("leave of somebody else", w, "leave", "bob", ["carol"], w.members(carol=None))
    bad("leave, and nobody is owner", w, "leave", "alice", ["alice"], w.members(alice=None))
    two = w.members(alice=None, bob=owner, carol=("owner", kh["carol"]))
    bad("leave, naming two", w, "leave", "alice", ["alice"], two)
    bad(
        "leave of a member, naming an owner", w, "leave", "carol", ["carol"], w.members(carol=None, bob=owner)
    )
    bad("role of nobody", w, "role", "alice", [], nobody)
    bad("role by a member", w, "role", "bob", ["bob"], w.members(bob=owner), code="forbidden")
    bad("role, and nobody is owner", w, "role", "alice", ["alice"], w.members(alice=("member", kh["alice"])))
    bad("role, and other keys", w, "role", "alice", ["bob"], w.members(bob=("owner", kh["carol"])))
    bad("rename by a member", w, "rename", "bob", [], nobody, code="forbidden")
    bad("rename, and a role", w, "rename", "alice", [], w.members(bob=owner))
    bad("keys without a reset", w, "keys", "alice", ["bob"], w.members(bob=("member", kh["carol"])))
    newer = Log().renew("bob")
    moved = newer.members(bob=("member", newer.people["bob"].kh))
    bad("keys after a step with continuity", newer, "keys", "alice", ["bob"], moved)
    reset = Log().renew("carol", linked=False)
    confirmed = reset.members(carol=("member", reset.people["carol"].kh))
    bad("keys by a member", reset, "keys", "bob", ["carol"], confirmed, code="forbidden")
    bad("keys of oneself", reset, "keys", "carol", ["carol"], confirmed, code="forbidden")
    bad("retire who is here", w, "retire", "alice", ["bob"], w.members(bob=None))
    gone = Log().gone("carol")
    bad(
        "retire somebody else too", gone, "retire", "alice", ["bob", "carol"], w.members(bob=None, carol=None)
    )
    bad("retire, and a role", gone, "retire", "alice", ["carol"], w.members(carol=None, bob=owner))
    headless = Log().gone("alice")
    bad("retire, and nobody is owner", headless, "retire", "bob", ["alice"], w.members(alice=None))
    heir = w.members(alice=None, carol=("owner", kh["carol"]))
    bad("retire, making another owner", headless, "retire", "bob", ["alice"], heir)
    first = First()
    members = first.roles("alice") | first.roles("bob", role="owner")
    bad("create by who is no owner", first, "create", "alice", members, members)
    bad("create without oneself", first, "create", "alice", ["bob"], first.roles("bob", role="owner"))
    return made


def _authors() -> list[Case]:
    """Entries that are well made, by keys that may not sign them."""
    made = []

    def bad(name: str, world: Log, entry: Any, server_only: bool = False) -> None:
        made.append(
            _entry(name, world, Request("rename", "alice", entry=entry), "invalid_membership", server_only)
        )

    w = Log()
    old = _rename(w)
    reset = Log().renew("alice", linked=False)
    bad("by keys after a reset", reset, _rename(reset))
    bad("by keys from before a reset", reset, old, server_only=True)
    bad("by DSA", w, _rename(w, alg=DSA))
    bad("by another algorithm than the key's", w, _rename(w, alg=PSS))
    bad("by a key that the bundle has not", w, _rename(w, kid=w.people["bob"].sets[0].kid(ED25519)))
    bad("under somebody else's bundle", w, _rename(w, keys=w.people["bob"].kh))
    bad("by somebody else", w, _rename(w, by="bob"))
    bad("a signature of something else", w, old | {"signature": _rename(w, name="x")["signature"]})
    bad("a signature as a share", w, old | {"signature": w.sign("alice", "share", {})["signature"]})
    return made


def _rename(world: Log, name: str | None = "Us", **fields: Any) -> dict[str, str]:
    return world.entry("alice", "rename", world.members(), name, **fields)


def _forms() -> list[Case]:
    w = Log()
    changes: dict[str, tuple[str, dict[str, Any]]] = {
        "n after the next": ("membership_conflict", {"n": 3}),
        "n again": ("membership_conflict", {"n": 1}),
        "n a text": ("invalid", {"n": "2"}),
        "n a boolean": ("invalid", {"n": True}),
        "another prev": ("invalid_membership", {"prev": ZERO}),
        "no prev": ("invalid_membership", {"prev": ""}),
        "prev no hash": ("invalid", {"prev": "x"}),
        "for another chat": ("invalid_membership", {"chat": OTHER_CHAT}),
        "version 2": ("invalid", {"v": 2}),
        "another op than the event's kind": ("invalid_membership", {"op": "role"}),
        "an unknown op": ("invalid_membership", {"op": "grant"}),
        "a name that is a number": ("invalid", {"name": 1}),
        "a time without milliseconds": ("invalid", {"at": "2026-11-24T18:00:00Z"}),
        "members a list": ("invalid", {"members": []}),
        "no members": ("invalid_membership", {"members": {}}),
        "an unknown role": (
            "invalid_membership",
            {"members": {"alice": {"role": "admin", "keys": w.people["alice"].kh}}},
        ),
        "a member without keys": ("invalid", {"members": {"alice": {"role": "owner"}}}),
    }
    made = []
    for name, (code, change) in changes.items():
        entry = w.sign("alice", "membership", _fields(w) | change)
        made.append(_entry(name, w, Request("rename", "alice", entry=entry), code))
    good = _rename(w)
    for name, change in (
        ("protected with padding", {"protected": good["protected"] + "="}),
        ("signature with padding", {"signature": good["signature"] + "=="}),
        ("protected is a list", _raw(w, b"[]")),
        ("protected begins with a BOM", _raw(w, b"\xef\xbb\xbf{}")),
    ):
        made.append(_entry(name, w, Request("rename", "alice", entry=good | change), "invalid"))
    return made


def _fields(world: Log) -> dict[str, Any]:
    return entry_fields(world.view.entry, "rename", world.members(), "Us")


def _raw(world: Log, content: bytes) -> dict[str, str]:
    protected = b64u(content)
    signed = f"chatsec/membership/v1\n{protected}".encode()
    return {"protected": protected, "signature": b64u(world.people["alice"].sets[0].sign(ED25519, signed))}


# ---- shares


def shares() -> list[Case]:
    """Cases of share.json."""
    made = []

    def add(name: str, world: Log, share: Any, code: str = "", server_only: bool = False) -> None:
        case = _case(name, world, "bad_share", code, server_only)
        hashed = {"hash": signed_hash(share)}
        made.append(case | {"epoch": 2, "entry": world.last, "by": "bob", "share": share} | hashed)

    w, newer, reset = Log(), Log().renew("bob"), Log().renew("carol", linked=False)
    under = {name: (human.kh, human.spki) for name, human in w.people.items()}
    all_three = {name: under[name] for name in ("alice", "bob", "carol")}
    two = {name: under[name] for name in ("alice", "bob")}
    good = _share(w)
    add("all members", w, good)
    add("under a newer bundle", newer, _share(newer))
    add("one excluded after a reset", reset, _share(reset))
    add("the epoch before", w, _share(w, epoch=1), "epoch_conflict")
    add("the epoch after", w, _share(w, epoch=3), "epoch_conflict")
    add("serves another entry", w, w.share("bob", ZERO, w.members()), "epoch_conflict")
    add("somebody left out", w, _share(w, recipients=two), "invalid_share")
    add("a stranger too", w, _share(w, recipients=all_three | {"dave": under["dave"]}), "invalid_share")
    add("excluded without a reset", w, _share(w, recipients=two, excluded=["carol"]), "invalid_share", True)
    add("recipient and excluded", w, _share(w, recipients=all_three, excluded=["carol"]), "invalid_share")
    author = {name: under[name] for name in ("alice", "carol")}
    add("the author excluded", w, _share(w, recipients=author, excluded=["bob"]), "invalid_share")
    foreign = two | {"carol": under["erin"]}
    add("somebody else's bundle", w, _share(w, recipients=foreign), "invalid_share")
    add("a superseded bundle", newer, _share(newer, recipients=all_three), "epoch_conflict", True)
    current = {name: (human.kh, human.spki) for name, human in reset.people.items() if name in all_three}
    add("a bundle after a reset", reset, _share(reset, recipients=current, excluded=[]), "invalid_share")
    late = Log(("bob", "dave"))
    late.renew("dave").do("rekey", "bob")
    stale = {name: under[name] for name in ("alice", "bob", "dave")}
    case_share = late.share("bob", late.state.log.hash, late.members(), recipients=stale)
    add("a bundle older than in the last share", late, case_share, "epoch_conflict")
    made[-1]["epoch"] = 3
    for name, code, change in (
        ("for another chat", "invalid_share", {"chat": OTHER_CHAT}),
        ("by DSA", "invalid_share", {"alg": DSA}),
        ("by somebody else", "invalid_share", {"by": "carol"}),
        ("under another bundle", "invalid_share", {"keys": w.people["carol"].kh}),
        ("no commit", "invalid", {"commit": ""}),
        ("version 2", "invalid", {"v": 2}),
    ):
        add(name, w, _share(w, **change), code)
    wraps, other = good["wraps"], _share(w, epoch=3)["wraps"]
    add("wraps of another share", w, good | {"wraps": other}, "invalid_share", True)
    add("a wrap exchanged", w, good | {"wraps": wraps | {"carol": wraps["bob"]}}, "invalid_share", True)
    less = {name: wraps[name] for name in two}
    add("a wrap missing", w, good | {"wraps": less}, "invalid_share", True)
    add(
        "a signature of something else",
        w,
        good | {"signature": _share(w, epoch=3)["signature"]},
        "invalid_share",
    )
    return made


def _share(world: Log, **changes: Any) -> Any:
    return world.share("bob", world.state.log.hash, world.members(), **changes)
