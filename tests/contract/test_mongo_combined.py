"""MongoDB alone, `combined` chats: answers that get lost, workers that see one another's changes, bundles."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chatsec.bootstrap import Services, build
from chatsec.config import from_env
from chatsec.domain.models import NewEvent
from chatsec.domain.ports import Storage
from chatsec.errors import ChatSecError
from tests.contract.adapters import MongoAdapter
from tests.contract.signers import Signers
from tests.contract.test_interleaving import CHAT, codes
from tests.contract.test_mongo_faults import NO_MAJORITY, READS, STEPPED_DOWN, WRITES
from tests.contract.test_mongo_reads import LISTS, Counting
from tests.contract.world import new_id
from tests.support.direct import DirectOffload
from tests.support.mongo import Address, breakable, failing

PEOPLE = ("alice", "bob", "carol", "dave")
READERS = ("bob", "dave")


# ---------------------------------------------------------------- one failure


@pytest.fixture(scope="module")
def server() -> Address:
    return breakable()


@pytest.fixture
def mongo(tmp_path: Path, server: Address) -> Iterator[MongoAdapter]:
    made = MongoAdapter(tmp_path, server)
    yield made
    made.close()


@pytest.fixture
def at(mongo: MongoAdapter) -> Signers:
    """A chat of Alice, Bob and Carol."""
    made = Signers(mongo.storage).join(*PEOPLE)
    made.chat("alice", "bob", "carol", number=1)
    return made


def codes_of(at: Signers, event: NewEvent) -> list[str | None]:
    """As `codes`, where the whole batch may be refused."""
    try:
        return codes(at.append(event))
    except ChatSecError as error:
        return [error.code]


def services(storage: Storage, folder: Path) -> Services:
    """As bootstrap builds them, but each append is made by whoever asks for it."""
    settings = from_env({"DATA_DIR": str(folder), "BCRYPT_ROUNDS": "4", "RATE_LIMITS": "off"})
    built = build(settings, DirectOffload(), async_mode="threading", storage=storage)
    committer = built.committer
    committer._rouse = lambda: committer._commit(committer._take())  # type: ignore[method-assign]
    return built.services


Do = Callable[[Signers], NewEvent]
EVENTS: dict[str, Do] = {
    "a creation": lambda at: at.creation(new_id(2), "alice", ["bob"], name="ü"),
    "an entry and a share": lambda at: at.change(CHAT, "remove", "alice", "bob"),
    "an entry": lambda at: at.change(CHAT, "rename", "alice", name="ü"),
}


@pytest.mark.parametrize("command", ["insert", "update", "findAndModify"])
@pytest.mark.parametrize("name", EVENTS)
def test_a_change_whose_answer_is_lost(mongo: MongoAdapter, at: Signers, name: str, command: str) -> None:
    event = EVENTS[name](at)
    mongo.wire.lost, mongo.wire.lose = command, 1
    placed = at.place(event)
    mongo.wire.lose = 0
    assert not placed.duplicate and placed.body == at.items(event.chat)[-1].body
    assert at.place(event).duplicate and at.items(event.chat)[-1].seq == placed.seq


@pytest.mark.parametrize("how", [{"errorCode": STEPPED_DOWN}, {"closeConnection": True}], ids=str)
def test_one_failure_is_not_noticed(at: Signers, server: Address, how: dict[str, Any]) -> None:
    for number, make in enumerate(EVENTS.values()):
        event = make(at)
        with failing(server, *WRITES, times=1, **how):
            assert not at.place(event).duplicate, number
    with failing(server, *WRITES, times=1, **how):
        at.renew("carol")
    assert at.storage.chats.get(CHAT, "alice").share_due
    ask: dict[str, Callable[[], Any]] = {
        "membership": lambda: at.storage.chats.membership(CHAT, 0, 9),
        "taken": lambda: at.storage.chats.taken(CHAT, 2, 2),
        "bundles": lambda: sorted(one.hash for one in at.storage.keys.bundles(PEOPLE)),
    }
    for name, question in ask.items():
        answer = question()
        with failing(server, *READS, times=1, **how):
            assert (name, question()) == (name, answer)


@pytest.mark.parametrize("name", EVENTS)
def test_a_change_that_was_refused_and_is_there_is_told_when_it_comes_again(
    mongo: MongoAdapter, at: Signers, name: str
) -> None:
    """The insert was done, its answer lost, then the database refuses writes. Who asks again has the key wrapped anew."""
    event = EVENTS[name](at)
    for commands in range(1, 12):  # until the insert is among those that are done
        mongo.wire.lost, mongo.wire.lose = "insert", 1
        with mongo.wire.failing(commands):
            assert codes_of(at, event) == ["unavailable"]
        mongo.wire.lose = 0
        if len(at.items(event.chat)) == event.entry.n:
            break
    again = replace(event, epoch=at.opened(event.share) if event.share else None)
    kept = at.everything(event.chat)
    placed = at.place(again)
    last = at.items(event.chat)[-1]
    assert (placed.seq, placed.duplicate, placed.body) == (last.seq, False, last.body)
    assert set(placed.members) == at.members(event.chat)
    assert at.place(again).duplicate
    assert at.everything(event.chat) == kept


def test_others_are_told_when_the_same_request_comes_again(
    mongo: MongoAdapter, at: Signers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the service, which knows what was taken before it asks the log."""
    chats = services(at.storage, tmp_path).chats
    told: list[int] = []
    monkeypatch.setattr(chats._publisher, "event", lambda placed, views: told.append(placed.seq))
    share = at.change(CHAT, "rekey", "alice").share
    request = {"protected": share.protected, "signature": share.signature, "wraps": dict(share.wraps)}

    def ask() -> str | None:
        try:
            chats.change(NewEvent(CHAT, "rekey", "alice"), None, request)
        except ChatSecError as error:
            return error.code
        return None

    for commands in range(1, 40):  # until the insert is among those that are done
        mongo.wire.lost, mongo.wire.lose = "insert", 1
        with mongo.wire.failing(commands):
            assert ask() == "unavailable"
        mongo.wire.lose = 0
        if at.storage.chats.taken(CHAT, None, 2)[1]:
            break
    assert told == [] and len(at.items(CHAT)) == 2
    assert [ask(), ask()] == [None, None]
    assert told == [2] and len(at.items(CHAT)) == 2


@pytest.mark.parametrize("name", EVENTS)
def test_a_change_without_its_majority_is_not_acked(at: Signers, server: Address, name: str) -> None:
    event = EVENTS[name](at)
    with failing(server, *WRITES, **NO_MAJORITY):
        assert codes_of(at, event) == ["unavailable"]
    assert at.place(event).seq == at.items(event.chat)[-1].seq


# ---------------------------------------------------------------- several workers


def test_what_one_committed_the_other_sees_at_once(mongo: MongoAdapter, at: Signers) -> None:
    """Both writers keep the chat's head; the reader of each step is the one that did not do it."""
    other = at.through(mongo.open())
    steps: list[Callable[[Signers], object]] = [
        lambda w: w.say(CHAT, "bob"),
        lambda w: w.say(CHAT, "alice"),
        lambda w: w.do(CHAT, "add", "alice", "dave"),
        lambda w: w.do(CHAT, "role", "alice", "bob", role="owner"),
        lambda w: w.do(CHAT, "leave", "dave", "dave", unsigned=True),
        lambda w: w.do(CHAT, "retire", "bob", "dave"),
        lambda w: w.renew("carol"),
        lambda w: w.do(CHAT, "rekey", "carol"),
        lambda w: w.renew("carol", linked=False),
        lambda w: w.do(CHAT, "rekey", "bob"),
        lambda w: w.do(CHAT, "keys", "alice", "carol"),
        lambda w: w.say(CHAT, "carol"),
    ]
    before = at.everything(CHAT, READERS)
    for number, step in enumerate(steps):
        actor, reader = (at, other) if number % 2 else (other, at)
        step(actor)
        now = reader.everything(CHAT, READERS)
        assert now == actor.everything(CHAT, READERS), number
        assert now != before, number
        before = now
    with mongo.database() as database:  # as after a crash right behind the insert
        database["chats"].update_many({}, {"$set": {"last": 0}, "$unset": {"state": ""}})
    assert at.through(mongo.open()).everything(CHAT, READERS) == before


def test_lists_cost_as_few_commands_for_many_chats(mongo: MongoAdapter, at: Signers) -> None:
    """Also where bundles moved, and lines are to be looked at."""
    counting = Counting()
    reader = mongo.open(event_listeners=[counting])

    def cost() -> dict[str, int]:
        found = {}
        for name, ask in LISTS.items():
            reader._database.links.clear()
            counting.commands.clear()
            ask(reader)
            found[name] = len(counting.commands)
        return found

    at.renew("bob")
    few = cost()
    for number in range(2, 20):
        at.place(at.creation(new_id(number), "alice", ["bob"]))
    at.renew("bob")
    assert cost() == few
    assert few["page"] <= 7
    assert all(view.share_due for view in reader.chats.page("alice", "", 50))


def test_a_message_costs_no_more_than_in_a_server_chat(mongo: MongoAdapter, at: Signers) -> None:
    """But for a look at the chat after a pause."""
    counting = Counting()
    writer = at.through(mongo.open(event_listeners=[counting]))
    writer.say(CHAT, "bob")
    one, two = writer.message(CHAT, "bob", "1"), writer.message(CHAT, "bob", "2")
    counting.commands.clear()
    writer.append(one)
    assert counting.commands == ["find", "insert", "find"]
    counting.commands.clear()
    writer.storage.log.append([two], writer.now + 400)
    assert counting.commands == ["insert", "find"]


def test_a_bundle_counts_by_the_next_pause_everywhere(mongo: MongoAdapter, at: Signers) -> None:
    other = at.through(mongo.open())
    sent = [other.message(CHAT, "alice", f"{number}") for number in range(4)]
    assert codes(other.storage.log.append(sent[:1], 10_000)) == [None]
    at.renew("bob")
    assert at.refusal(at.message(CHAT, "alice")) == "share_due"
    assert codes(other.storage.log.append(sent[1:2], 10_499)) == [
        None
    ]  # by the bundle before, and now it knows
    assert codes(other.storage.log.append(sent[2:3], 10_500)) == ["share_due"]
    at.do(CHAT, "rekey", "bob")
    now = other.message(CHAT, "alice", "under the new share", id=new_id(7))
    assert codes(other.storage.log.append([now], 10_600)) == [None]
    at.renew("carol", linked=False)
    assert codes(other.storage.log.append([replace(now, id=new_id(8))], 11_100)) == [None]
    late = other.message(CHAT, "carol", kid=at.humans["carol"].sets[0].kid("Ed25519"))
    assert codes(other.storage.log.append([late], 11_700)) == ["unknown_key"]


def test_a_bundle_that_a_crash_kept_from_the_chats_counts_when_a_worker_starts(
    mongo: MongoAdapter, at: Signers
) -> None:
    other = at.through(mongo.open())
    sent = [other.message(CHAT, "alice", f"{number}") for number in range(3)]
    assert codes(other.storage.log.append(sent[:1], 10_000)) == [None]
    at.storage.accounts.add_bundle(at.new_bundle("bob"), None, None)
    assert codes(other.storage.log.append(sent[1:2], 11_000)) == [None], "nobody has told it"
    mongo.crash()
    assert codes(other.storage.log.append(sent[2:], 12_000)) == ["share_due"]
    with mongo.database() as database:
        assert database["users"].count_documents({"untold": {"$exists": True}}) == 0
        counts = [doc["keys_changed"] for doc in database["chats"].find()]
    mongo.crash()
    with mongo.database() as database:
        assert [doc["keys_changed"] for doc in database["chats"].find()] == counts, "once"
