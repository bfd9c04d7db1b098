"""What the server refuses in `combined` chats, by which code, and in which order (protocol §4, §6–§8)."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.realtime import refusals
from tests.realtime.forge import forge
from tests.realtime.refusals import ZERO, flipped, rewritten, without
from tests.support import protocol as p
from tests.support.client import Json, Signer, User
from tests.support.connections import LiveClient

Users = Callable[..., User]
Connect = Callable[[User], LiveClient]
STATUS = {
    "invalid": 400,
    "invalid_membership": 400,
    "invalid_share": 400,
    "forbidden": 403,
    "not_found": 404,
    "membership_conflict": 409,
    "epoch_conflict": 409,
    "member_without_keys": 409,
    "id_conflict": 409,
}
TABLES: dict[str, dict[str, Any]] = {
    "invalid": refusals.FORM,
    "invalid_membership": refusals.ENTRIES,
    "forbidden": refusals.FORBIDDEN,
    "invalid_share": refusals.SHARES,
    "epoch_conflict": refusals.MOVED,
    "membership_conflict": refusals.TAKEN,
}
CASES = [(code, name) for code, table in TABLES.items() for name in table]


@dataclass
class Stage:
    """The chat of `refusals`, and everybody."""

    chat: str
    people: dict[str, User]
    signers: dict[str, Signer] = field(default_factory=dict)

    def signer(self, who: str) -> Signer:
        """Who has looked once: the chat stays as it is."""
        if who not in self.signers:
            self.signers[who] = self.people[who].signer(self.chat)
        return self.signers[who]

    def head(self) -> tuple[Any, ...]:
        """What no refused request moves."""
        view = self.people["alice"].chat(self.chat)
        return view["membership"], view["epoch"]["number"], view["last_seq"], view["share_due"], view["name"]


@pytest.fixture(scope="module")
def stage(users: Users) -> Stage:
    people = {
        name: users(name, number) for number, name in enumerate(("alice", "bob", "carol", "dave", "erin"))
    }
    chat = people["alice"].create_combined("bob", "carol", "erin", name="Team")
    people["bob"].rotate(p.pool(6))
    people["bob"].signer(chat).rekey()
    people["erin"].rotate(p.pool(7), link=None)
    return Stage(chat, people)


def answered(user: User, path: str, body: Json) -> tuple[int, Json]:
    """(status, body)."""
    answer = user.rest.request("POST", path, body)
    return answer.status_code, answer.json() if answer.content else {}


@pytest.mark.parametrize(("code", "name"), CASES)
def test_a_change_that_is_refused(stage: Stage, code: str, name: str) -> None:
    who, make, *moved = TABLES[code][name]
    before = stage.head()
    body = make(stage.signer(who))
    status, problem = answered(stage.people[who], f"/chats/{stage.chat}/events", body)
    assert (status, problem["code"]) == (STATUS[code], code), problem
    assert stage.head() == before
    if code == "membership_conflict":
        assert problem["n"] == 1
    if code == "epoch_conflict":
        assert (problem["epoch"], problem["membership"]) == (2, before[0]["hash"])
        assert problem["moved"] == moved[0]


def test_a_stranger_finds_nothing(stage: Stage) -> None:
    """ASVS 8.2.2: a `combined` chat, too, is as if it were not there."""
    body = stage.signer("alice").rename_body("x")
    status, problem = answered(stage.people["dave"], f"/chats/{stage.chat}/events", body)
    assert (status, problem["code"]) == (404, "not_found")
    for path in ("", "/messages", "/epochs", "/keys", "/membership"):
        answer = stage.people["dave"].rest.request("GET", f"/chats/{stage.chat}{path}")
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), path
    answer = stage.people["dave"].rest.request("DELETE", f"/chats/{stage.chat}")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


CREATIONS: dict[str, tuple[str, Callable[[Signer], Json]]] = {
    "no id": ("invalid", lambda s: without("id")(s.create_body("bob"))),
    "no entry": ("invalid", lambda s: without("membership")(s.create_body("bob"))),
    "no share": ("invalid", lambda s: without("client_share")(s.create_body("bob"))),
    "both in a server chat": ("invalid", lambda s: s.create_body("bob") | {"key_mode": "server"}),
    "a mode that there is not": ("invalid", lambda s: s.create_body("bob") | {"key_mode": "none"}),
    "another n, before all else": (
        "membership_conflict",
        lambda s: s.create_body("bob", n=2, prev=ZERO, by="bob"),
    ),
    "another op": ("invalid_membership", lambda s: s.create_body("bob", op="add")),
    "a prev": ("invalid_membership", lambda s: s.create_body("bob", prev=ZERO)),
    "an id that is another's": ("invalid_membership", lambda s: elsewhere(s)),
    "others than asked for": ("invalid_membership", lambda s: s.create_body("bob") | {"members": ["carol"]}),
    "a name that was not asked for": (
        "invalid_membership",
        lambda s: s.create_body("bob", name="x") | {"name": "y"},
    ),
    "no owner": ("invalid_membership", lambda s: created(s, alice="member", bob="member")),
    "an author who is no owner": ("invalid_membership", lambda s: created(s, alice="member", bob="owner")),
    "a member under a reset bundle": ("invalid_membership", lambda s: old_member(s, "erin")),
    "a signature that is broken": (
        "invalid_membership",
        lambda s: (body := s.create_body("bob")) | {"membership": refusals.unsigned(body["membership"])},
    ),
    "the second epoch": ("epoch_conflict", lambda s: shared(s, epoch=2)),
    "a share for nobody else": (
        "invalid_share",
        lambda s: shared(s, others=False),
    ),
    "a share over another entry": ("invalid_share", lambda s: shared(s, membership=ZERO)),
    "a share's broken signature": (
        "invalid_share",
        lambda s: (body := s.create_body("bob")) | {"client_share": refusals.unsigned(body["client_share"])},
    ),
}


def created(s: Signer, **roles: str) -> Json:
    """Entry 1 with these roles, and all that follows from it."""
    s.meet(*roles)
    entry = s.entry("create", {name: (role, s.people[name].kh) for name, role in roles.items()})
    others = [name for name in roles if name != "alice"]
    body = {"id": s.chat, "members": others, "key_mode": "combined", "membership": entry}
    return body | {"client_share": s.share(entry)}


def old_member(s: Signer, name: str) -> Json:
    """Entry 1 that names somebody's first bundle; the share has them under the current one."""
    s.meet("alice", name)
    entry = s.entry("create", s.now("alice", role="owner") | {name: ("member", s.people[name].hashes[1])})
    body = {"id": s.chat, "members": [name], "key_mode": "combined", "membership": entry}
    return body | {"client_share": s.share(entry, excluded=[])}


def elsewhere(s: Signer) -> Json:
    """An entry of another chat than asked for."""
    return Signer(s.user).create_body("bob") | {"id": s.chat}


def shared(s: Signer, others: bool = True, **options: Any) -> Json:
    """The first share made with these options of `Signer.share`, or for alice alone."""
    body = s.create_body("bob")
    if not others:
        options["recipients"] = {"alice": s.recipient("alice")}
    return body | {"client_share": s.share(body["membership"], **options)}


@pytest.mark.parametrize("name", CREATIONS)
def test_a_chat_that_is_refused(stage: Stage, name: str) -> None:
    code, make = CREATIONS[name]
    signer = Signer(stage.people["alice"])
    status, problem = answered(stage.people["alice"], "/chats", make(signer))
    assert (status, problem["code"]) == (STATUS[code], code), problem
    if code == "membership_conflict":
        assert problem["n"] == 0
    assert stage.people["alice"].rest.request("GET", f"/chats/{signer.chat}").status_code == 404


def test_an_older_bundle_that_leads_to_the_current_one_is_taken(stage: Stage) -> None:
    """Where continuity joins them: the share has the current one."""
    alice, bob = stage.people["alice"], stage.people["bob"]
    body = old_member(Signer(alice), "bob")
    assert answered(alice, "/chats", body)[0] == 201
    alice.send(body["id"], "hello")
    reader = bob.reader(body["id"])
    assert (reader.texts(), reader.warnings) == (["hello"], set())


def test_numbers_may_be_written_in_any_way_and_unknown_fields_ignored(stage: Stage) -> None:
    alice, bob = stage.people["alice"], stage.people["bob"]
    chat = alice.create_combined("bob")
    signer = alice.signer(chat)
    entry = signer.entry("rename", signer.members, name="x", n=2.0, v=1.0, more={"of": "it"})
    assert answered(alice, f"/chats/{chat}/events", signer.rename_body("x") | {"membership": entry})[0] == 200
    signer.look()
    share = signer.sign("share", json.loads(p.un64u((made := signer.share())["protected"])), epoch=2.0)
    body = {"kind": "rekey", "client_share": share | {"wraps": made["wraps"]}}
    assert answered(alice, f"/chats/{chat}/events", body)[0] == 200
    alice.send(chat, "hello")
    reader = bob.reader(chat)
    assert (reader.texts(), reader.warnings) == (["hello"], set())


def test_who_has_no_keys_is_named(stage: Stage) -> None:
    alice = stage.people["alice"]
    plain = {"username": "frank", "password": "a long and plain passphrase"}
    assert alice.rest.request("POST", "/auth/register", plain).status_code == 201
    body = Signer(alice).create_body("bob")
    status, problem = answered(alice, "/chats", body | {"members": ["bob", "frank"]})
    assert (status, problem["code"], problem["usernames"]) == (409, "member_without_keys", ["frank"])
    status, problem = answered(alice, "/chats", body | {"members": ["bob", "nobody"]})
    assert (status, problem["code"]) == (400, "invalid")
    signer = alice.signer(stage.chat)
    members = signer.changed(frank=("member", ZERO))
    body = {"kind": "add", "usernames": ["frank"], "membership": signer.entry("add", members)}
    status, problem = answered(
        alice, f"/chats/{stage.chat}/events", body | {"client_share": signer.share(epoch=3)}
    )
    assert (status, problem["code"], problem["usernames"]) == (409, "member_without_keys", ["frank"])


# ---- messages


def test_the_order_in_which_messages_are_refused(stage: Stage, connect: Connect) -> None:
    """Duplicate, form, membership, epoch not yet open, `stale_epoch`, `seen`, `share_due`, `unknown_key`."""
    alice, bob, carol, dave = (stage.people[name] for name in ("alice", "bob", "carol", "dave"))
    chat = alice.create_combined("bob", "carol", "dave")
    live, opened = connect(bob), {"seq": 1, "hash": p.H(b"?")}
    known = bob.seal(chat, "known")
    assert live.call("message:send", known)["ok"]
    alice.signer(chat).rekey()  # epoch 2, opened by item 3
    carol.change(chat, "leave")  # a share is due from item 4 on
    old_kid = {"kid": bob.retired[0].kid(p.ED25519)}
    here = {"epoch": 2, "seen": {"seq": 3, "hash": p.H(b"?")}}

    def code(**fields: Any) -> str:
        return str(live.call("message:send", forge(bob, chat, **fields)).get("code"))

    assert live.call("message:send", known)["duplicate"] is True
    assert live.call("message:send", known | {"iv": flipped(known["iv"])})["code"] == "id_conflict"
    assert code(**here, n=0, **old_kid) == "invalid"
    assert code(epoch=3, seen=opened, **old_kid) == "invalid"
    assert code(epoch=1, seen=opened, **old_kid) == "stale_epoch"
    assert code(epoch=2, seen=opened, **old_kid) == "invalid"  # before the epoch's opening
    assert code(epoch=2, seen={"seq": 5, "hash": p.H(b"?")}, **old_kid) == "invalid"  # not there yet
    assert code(**here, **old_kid) == "share_due"
    gone = connect(carol)
    assert gone.call("message:send", forge(carol, chat, n=0))["code"] == "invalid"
    assert gone.call("message:send", forge(carol, chat, epoch=1, seen=opened))["code"] == "not_found"
    stale = live.call("message:send", forge(bob, chat, epoch=1, seen=opened))
    assert stale["epoch"] == bob.chat(chat)["epoch"]
    dave.signer(chat).retire()
    here = {"epoch": 3, "seen": {"seq": 5, "hash": p.H(b"?")}}
    assert code(**here, **old_kid) == "unknown_key"
    assert code(**here) == "None"


def test_a_sender_whose_keys_the_share_does_not_name(stage: Stage) -> None:
    """Current, but excluded: neither the old nor the new key will do."""
    erin = stage.people["erin"]
    view = erin.chat(stage.chat)
    here = {"epoch": 2, "seen": {"seq": view["last_seq"], "hash": p.H(b"?")}}
    path = f"/chats/{stage.chat}/messages"
    for kid in (erin.keys.kid(p.ED25519), erin.retired[0].kid(p.ED25519), ZERO):
        status, problem = answered(erin, path, forge(erin, stage.chat, **here, kid=kid))
        assert (status, problem["code"]) == (409, "unknown_key"), problem


# ---- the same again


def test_the_same_again_gets_the_first_answer(stage: Stage) -> None:
    """By the entry's bytes alone, or the share's where there is none; also when the chat has moved on, and for who left."""
    alice, bob, carol = (stage.people[name] for name in ("alice", "bob", "carol"))
    signer = Signer(alice)
    create = signer.create_body("bob", "carol")
    assert answered(alice, "/chats", create)[0] == 201
    chat = signer.chat
    assert answered(alice, "/chats", create)[0] == 200
    other = create | {"client_share": signer.share(create["membership"])}
    assert answered(alice, "/chats", other)[0] == 200
    assert answered(bob, "/chats", create)[1]["code"] == "id_conflict"
    rekey, path = bob.signer(chat).body("rekey"), f"/chats/{chat}/events"
    assert answered(bob, path, rekey)[0] == 200
    rename = alice.signer(chat).rename_body("x")
    assert answered(alice, path, rename)[0] == 200
    remove = alice.signer(chat).remove_body("bob")
    with_other_share = remove | {"client_share": alice.signer(chat).share(remove["membership"])}
    assert answered(alice, path, remove)[0] == 200
    leave = carol.signer(chat).leave_body()
    assert answered(carol, path, leave)[0] == 204
    last = alice.chat(chat)["last_seq"]
    for user, body, status in (
        (alice, rename, 200),
        (alice, remove, 200),
        (alice, with_other_share, 200),
        (carol, leave, 204),
    ):
        again = answered(user, path, body)
        assert again == (status, alice.chat(chat) if status == 200 else {})
    assert answered(bob, path, rekey)[0] == 204  # who was removed since sees no Chat
    assert alice.chat(chat)["last_seq"] == last
    # Other bytes are not the same: the signature counts too.
    signed = json.loads(p.un64u(rename["membership"]["protected"]))
    assert (
        answered(alice, path, rename | {"membership": rewritten(rename["membership"])})[1]["n"]
        == signed["n"] + 2
    )
