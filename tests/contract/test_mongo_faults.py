"""MongoDB alone: a database that is slow, away, not the primary or without its majority, at every method of the port.

Never a false ack, `unavailable` in time, recovery without a restart; and what was done although its answer was lost is
found again, so that who asks again is not refused by what they did themselves.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from chatsec.domain.models import Appended, Attachment, Mark
from chatsec.errors import ChatSecError
from chatsec.storage.mongo import database, log
from tests.contract.adapters import MongoAdapter
from tests.contract.world import T0, World, account, bundle, message, new_id, session
from tests.support.mongo import Address, breakable, failing

READS = ("find", "getMore", "aggregate")
WRITES = ("insert", "update", "delete", "findAndModify")
CALL = 0.3  # seconds that a step may take here
NOT_PRIMARY, STEPPED_DOWN = 10107, 189
NO_MAJORITY = {"writeConcernError": {"code": 64, "errmsg": "waiting for replication timed out"}}
NO_SUCH = {"writeConcernError": {"code": 100, "errmsg": "not enough data-bearing nodes"}}
CHAT, OTHER = new_id(1), new_id(2)

Call = Callable[[World], Any]


@pytest.fixture(scope="module")
def server() -> Address:
    return breakable()


@pytest.fixture
def mongo(tmp_path: Path, server: Address) -> Iterator[MongoAdapter]:
    made = MongoAdapter(tmp_path, server)
    yield made
    made.close()


@pytest.fixture
def at(mongo: MongoAdapter) -> World:
    """Alice, Bob and Carol with a chat of the first two, and a session of Alice."""
    made = World(mongo.storage).join("alice", "bob", "carol")
    made.chat("alice", "bob", number=1)
    made.say(CHAT, "bob", "first")
    made.storage.sessions.create(session(1, "alice"))
    made.storage.sessions.create(session(2, "alice"))
    return made


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (database, log):
        monkeypatch.setattr(module, "CALL", CALL)


def new_password(at: World) -> list[str]:
    given = (b"new", {"name": "k"}, {"version": 1}, b"code", bundle("alice", 2), {"n": 1})
    return at.storage.accounts.set_password("alice", *given, new_id(2), replaces=b"hash")


def append(at: World, *batch: Any) -> list[Any]:
    results = at.storage.log.append(batch, T0 + 9)
    if failed := [result for result in results if isinstance(result, ChatSecError)]:
        raise failed[0]
    return results


SENT = message(CHAT, "bob", "sent", id=new_id(50))
FILE = Attachment(new_id(60), CHAT, "bob", 3, T0)

# What each changes is there after it, once: the last element says so.
CHANGES: dict[str, tuple[Call, Call]] = {
    "accounts.create": (
        lambda at: at.storage.accounts.create(account("erin"), bundle("erin")),
        lambda at: [b.version for b in at.storage.keys.history("erin", 0)] == [1],
    ),
    "accounts.set_display_name": (
        lambda at: at.storage.accounts.set_display_name("alice", "A"),
        lambda at: at.storage.accounts.get("alice").display_name == "A",
    ),
    "accounts.set_presence": (
        lambda at: at.storage.accounts.set_presence("alice", "away", 7),
        lambda at: at.storage.accounts.get("alice").last_seen == 7,
    ),
    "accounts.put_backup": (
        lambda at: at.storage.accounts.put_backup("alice", {"version": 1}, b"code"),
        lambda at: at.storage.accounts.get("alice").backup == {"version": 1},
    ),
    "accounts.put_state": (
        lambda at: at.storage.accounts.put_state("alice", {"n": 1}),
        lambda at: at.storage.accounts.get("alice").state == {"n": 1},
    ),
    "accounts.add_bundle": (
        lambda at: at.storage.accounts.add_bundle(bundle("alice", 2), {"version": 1}, {"n": 1}),
        lambda at: [b.version for b in at.storage.keys.history("alice", 0)] == [2, 1],
    ),
    "accounts.set_password": (
        lambda at: new_password(at) == [new_id(1)],
        lambda at: [one.id for one in at.storage.sessions.list("alice")] == [new_id(2)],
    ),
    "accounts.end": (
        lambda at: sorted(at.storage.accounts.end("alice", 5)) == [new_id(1), new_id(2)],
        lambda at: at.storage.accounts.get("alice").ended_at == 5,
    ),
    "sessions.create": (
        lambda at: at.storage.sessions.create(session(3, "alice")),
        lambda at: len(at.storage.sessions.list("alice")) == 3,
    ),
    "sessions.end": (
        lambda at: at.storage.sessions.end(new_id(1)),
        lambda at: [one.id for one in at.storage.sessions.list("alice")] == [new_id(2)],
    ),
    "log.append a message": (
        lambda at: append(at, SENT)[0].seq == 3,
        lambda at: [item.seq for item in at.items(CHAT)] == [1, 2, 3],
    ),
    "log.append a creation": (
        lambda at: append(at, at.creation(OTHER, "alice", ["bob"], request=b"r"))[0].seq == 1,
        lambda at: at.storage.chats.last_seqs("bob") == {CHAT: 2, OTHER: 1},
    ),
    "log.append a removal": (
        lambda at: append(at, at.change(CHAT, "remove", "alice", "bob"))[0].seq == 3,
        lambda at: at.members(CHAT) == {"alice"},
    ),
    "log.append a mark": (
        lambda at: append(at, Mark(CHAT, "bob", 2, 1)) == [Mark(CHAT, "bob", 2, 1)],
        lambda at: at.storage.chats.get(CHAT, "bob").marks["bob"].read == 1,
    ),
    "attachments.create": (
        lambda at: at.storage.attachments.create(FILE),
        lambda at: at.storage.attachments.get(CHAT, FILE.id) == FILE,
    ),
    "chats.erase": (
        lambda at: at.storage.chats.erase(CHAT),
        lambda at: at.storage.chats.head(CHAT) is None and at.items(CHAT) == [],
    ),
}
QUESTIONS: dict[str, Call] = {
    "accounts.get": lambda at: at.storage.accounts.get("alice"),
    "accounts.search": lambda at: at.storage.accounts.search("al", "", 9),
    "accounts.named": lambda at: at.storage.accounts.named(["alice"]),
    "keys.current": lambda at: at.storage.keys.current(["alice"]),
    "keys.history": lambda at: at.storage.keys.history("alice", 0),
    "sessions.get": lambda at: at.storage.sessions.get(new_id(1)),
    "sessions.living": lambda at: at.storage.sessions.living([new_id(1)]),
    "sessions.list": lambda at: at.storage.sessions.list("alice"),
    "chats.get": lambda at: at.storage.chats.get(CHAT, "alice"),
    "chats.page": lambda at: at.storage.chats.page("alice", "", 9),
    "chats.views": lambda at: at.storage.chats.views(CHAT),
    "chats.head": lambda at: at.storage.chats.head(CHAT),
    "chats.epochs": lambda at: at.storage.chats.epochs(CHAT, "alice", 1, 9),
    "chats.items": lambda at: at.storage.chats.items(CHAT, 1, 9),
    "chats.chain": lambda at: at.storage.chats.chain(CHAT, 2),
    "chats.epoch_at": lambda at: at.storage.chats.epoch_at(CHAT, 2),
    "chats.people": lambda at: at.storage.chats.people(CHAT),
    "chats.last_seqs": lambda at: at.storage.chats.last_seqs("alice"),
    "chats.peers": lambda at: at.storage.chats.peers("alice"),
    "chats.overdue": lambda at: at.storage.chats.overdue(),
    "log.known": lambda at: at.storage.log.known(CHAT, "bob", new_id(3)),
    "attachments.get": lambda at: at.storage.attachments.get(CHAT, FILE.id),
    "attachments.known": lambda at: at.storage.attachments.known([FILE.id]),
}


def refusal(call: Callable[..., Any], *args: Any) -> str | None:
    try:
        call(*args)
    except ChatSecError as error:
        return error.code
    return None


def once(call: Call, holds: Call, at: World) -> None:
    assert call(at) in (None, True, [])
    assert holds(at)


# ---------------------------------------------------------------- one failure


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("command", ["insert", "update", "findAndModify"])
def test_a_change_whose_answer_is_lost(mongo: MongoAdapter, at: World, name: str, command: str) -> None:
    """It is found, and answered as if nothing had been."""
    mongo.wire.lost, mongo.wire.lose = command, 1
    once(*CHANGES[name], at)
    mongo.wire.lose = 0


@pytest.mark.parametrize(
    "how", [{"errorCode": STEPPED_DOWN}, {"closeConnection": True}, NO_MAJORITY], ids=str
)
@pytest.mark.parametrize("name", CHANGES)
def test_one_failure_is_not_noticed(at: World, server: Address, name: str, how: dict[str, Any]) -> None:
    with failing(server, *WRITES, times=1, **how):
        once(*CHANGES[name], at)


@pytest.mark.parametrize("how", [{"errorCode": STEPPED_DOWN}, {"closeConnection": True}], ids=str)
def test_one_failure_of_a_question_is_not_noticed(at: World, server: Address, how: dict[str, Any]) -> None:
    for name, ask in QUESTIONS.items():
        answer = ask(at)
        with failing(server, *READS, times=1, **how):
            assert (name, ask(at)) == (name, answer)


def test_one_failure_of_a_rotation(mongo: MongoAdapter, at: World) -> None:
    """The token that was shown is the last one then, which gives its successor again: nobody is logged out."""
    sessions = at.storage.sessions
    mongo.wire.lost, mongo.wire.lose = "update", 1
    assert sessions.rotate(new_id(1), 0, T0 + 5) is False
    found = sessions.get(new_id(1))
    assert found is not None and (found.counter, found.rotated_at) == (1, T0 + 5)
    assert sessions.rotate(new_id(1), 1, T0 + 6) is True


# ---------------------------------------------------------------- a failure that lasts


def check_recovery(at: World) -> None:
    """The same store does everything again."""
    at.storage.ping()
    at.storage.accounts.set_display_name("carol", "C")
    again = new_id(70)
    at.place(at.creation(again, "carol", ["bob"]))
    assert at.say(again, "bob", "it goes on").seq == 2
    assert at.storage.chats.last_seqs("carol") == {again: 2}


@pytest.mark.usefixtures("impatient")
def test_a_database_that_closes_every_connection(at: World, server: Address) -> None:
    calls = QUESTIONS | {name: call for name, (call, _) in CHANGES.items()}
    with failing(server, *READS, *WRITES, closeConnection=True):
        for name, call in calls.items():
            begun = time.monotonic()
            assert (name, refusal(call, at)) == (name, "unavailable")
            assert time.monotonic() - begun < 2 * CALL + 5, name
        assert refusal(at.storage.ping) == "unavailable"
    check_recovery(at)
    assert [item.seq for item in at.items(CHAT)] == [1, 2]
    assert at.storage.accounts.get("alice") == account("alice", keys_version=1, keys_hash="kh-alice-1")


SOME = ["log.append a message", "log.append a mark", "accounts.set_password", "sessions.end", "chats.erase"]


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    "how",
    [{"errorCode": NOT_PRIMARY}, {"errorCode": STEPPED_DOWN}, {"blockConnection": True, "blockTimeMS": 2000}],
    ids=str,
)
def test_a_database_that_is_no_primary_or_slow(at: World, server: Address, how: dict[str, Any]) -> None:
    with failing(server, *READS, *WRITES, **how):
        for name in SOME:
            assert (name, refusal(CHANGES[name][0], at)) == (name, "unavailable")
        for name in ("chats.head", "chats.page", "accounts.get", "sessions.get"):
            assert (name, refusal(QUESTIONS[name], at)) == (name, "unavailable")
        assert refusal(at.storage.sessions.rotate, new_id(1), 0, 1) == "unavailable"
        assert refusal(at.storage.ping) == "unavailable"
    check_recovery(at)
    results = at.append(SENT)
    assert isinstance(results[0], Appended) and [item.seq for item in at.items(CHAT)] == [1, 2, 3]


@pytest.mark.parametrize("how", [NO_MAJORITY, NO_SUCH], ids=["64", "100"])
@pytest.mark.parametrize("name", CHANGES)
def test_a_write_without_its_majority_is_not_acked(
    at: World, server: Address, name: str, how: dict[str, Any]
) -> None:
    """Though it is there; and what can be told apart is found by who asks again."""
    with failing(server, *WRITES, **how):
        assert refusal(CHANGES[name][0], at) == "unavailable"
        assert refusal(at.storage.ping) == "unavailable"
    if name == "log.append a message":
        assert at.place(SENT).seq == 3 and [item.seq for item in at.items(CHAT)] == [1, 2, 3]
    check_recovery(at)


def test_a_slow_database_is_waited_for(at: World, server: Address) -> None:
    with failing(server, *READS, *WRITES, blockConnection=True, blockTimeMS=300):
        once(*CHANGES["log.append a message"], at)
