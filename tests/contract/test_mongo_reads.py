"""MongoDB alone: what one worker committed another one sees at once, in every read; and lists cost few commands."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pymongo.monitoring import CommandFailedEvent, CommandListener, CommandStartedEvent, CommandSucceededEvent

from chatsec.domain.models import Mark
from chatsec.domain.ports import Storage
from tests.contract.adapters import MongoAdapter
from tests.contract.world import World, bundle, message, new_id

PEOPLE = ("alice", "bob", "carol", "dave")


class Counting(CommandListener):
    def __init__(self) -> None:
        self.commands: list[str] = []

    def started(self, event: CommandStartedEvent) -> None:
        self.commands.append(event.command_name)

    def succeeded(self, event: CommandSucceededEvent) -> None: ...

    def failed(self, event: CommandFailedEvent) -> None: ...


@pytest.fixture
def mongo(tmp_path: Path) -> Iterator[MongoAdapter]:
    made = MongoAdapter(tmp_path)
    yield made
    made.close()


@pytest.fixture
def at(mongo: MongoAdapter) -> World:
    return World(mongo.storage).join(*PEOPLE)


def seen(world: World, chat: str) -> dict[str, Any]:
    """All that each of the four may read, of this chat and in lists."""
    chats = world.storage.chats
    head = chats.head(chat)
    last = head.last_seq if head else 0
    return world.everything(chat, PEOPLE) | {
        "chains": [chats.chain(chat, seq) for seq in range(last + 1)] if head else [],
        "epoch_at": [chats.epoch_at(chat, seq) for seq in range(1, last + 2)],
        "pages": {name: chats.page(name, "", 9) for name in PEOPLE},
        "peers": {name: chats.peers(name) for name in PEOPLE},
        "overdue of": {name: chats.overdue(name) for name in PEOPLE},
    }


def test_what_one_committed_the_other_sees_at_once(mongo: MongoAdapter, at: World) -> None:
    """Both writers keep the chat's head; the reader of each step is the one that did not do it."""
    other = World(mongo.open())
    worlds = [at, other]
    chat = at.chat("alice", "bob", number=1)
    steps: list[Callable[[World], object]] = [
        lambda w: w.say(chat, "bob", "1"),
        lambda w: w.say(chat, "alice", "2"),
        lambda w: w.append(*(message(chat, "alice", f"more {n}") for n in range(20))),
        lambda w: w.do(chat, "add", "alice", "carol"),
        lambda w: w.do(chat, "rename", "alice", name="ü"),
        lambda w: w.append(Mark(chat, "bob", 5, 3)),
        lambda w: w.do(chat, "role", "alice", "bob", role="owner"),
        lambda w: w.storage.accounts.add_bundle(bundle("bob", 2), None, None),
        lambda w: w.do(chat, "keys", "", "bob", keys="kh-bob-2"),
        lambda w: w.do(chat, "remove", "alice", "carol"),
        lambda w: w.say(chat, "bob", "3", kid="sig-bob-2"),
        lambda w: w.storage.chats.erase(chat),
        lambda w: w.place(w.creation(chat, "alice", ["dave"])),
    ]
    before = seen(at, chat)
    for number, step in enumerate(steps):
        actor, reader = worlds[number % 2], worlds[1 - number % 2]
        step(actor)
        now = seen(reader, chat)
        assert now == seen(actor, chat), number
        assert now != before, number
        before = now


@pytest.mark.parametrize("lost", [{"last": 0, "state": None}, {}])
def test_lists_are_right_whatever_snapshots_lack(
    mongo: MongoAdapter, at: World, lost: dict[str, Any]
) -> None:
    """As after a crash right behind the insert: the snapshots of before the last events and messages."""
    chats = [at.chat("alice", "bob", number=number) for number in range(1, 5)]
    with mongo.database() as database:
        kept = list(database["chats"].find())
    for number, chat in enumerate(chats):
        for text in range(number * 9):
            at.say(chat, "bob", f"{text}")
    at.do(chats[1], "add", "alice", "carol")
    at.do(chats[2], "remove", "alice", "bob")
    right = [seen(at, chat) for chat in chats]
    with mongo.database() as database:
        for doc in kept:
            if lost:
                database["chats"].update_one(
                    {"_id": doc["_id"]}, {"$set": {"last": 0}, "$unset": {"state": ""}}
                )
            else:
                old = {name: doc[name] for name in ("last", "chain", "state")}
                database["chats"].update_one({"_id": doc["_id"]}, {"$set": old})
    assert [seen(World(mongo.open()), chat) for chat in chats] == right


LISTS: dict[str, Callable[[Storage], Any]] = {
    "last_seqs": lambda storage: storage.chats.last_seqs("alice"),
    "peers": lambda storage: storage.chats.peers("alice"),
    "page": lambda storage: storage.chats.page("alice", "", 50),
    "overdue": lambda storage: storage.chats.overdue("alice"),
    "overdue at the start": lambda storage: storage.chats.overdue(),
}


def test_lists_cost_as_few_commands_for_many_chats(mongo: MongoAdapter, at: World) -> None:
    counting = Counting()
    reader = mongo.open(event_listeners=[counting])

    def cost() -> dict[str, int]:
        found = {}
        for name, ask in LISTS.items():
            counting.commands.clear()
            ask(reader)
            found[name] = len(counting.commands)
        return found

    def fill(numbers: range) -> None:
        for number in numbers:
            chat = at.chat("alice", "bob", number=number)
            at.append(*(message(chat, "bob", f"{n}") for n in range(3)))

    fill(range(1, 3))
    few = cost()
    fill(range(3, 25))
    assert cost() == few
    assert few["last_seqs"] <= 3 and few["peers"] <= 3 and few["page"] <= 6


@pytest.mark.parametrize("value", [{"$gt": ""}, {"$ne": None}, {"$exists": True}])
def test_an_operator_finds_nothing(at: World, value: Any) -> None:
    chat = at.chat()
    at.say(chat, "bob")
    chats, log = at.storage.chats, at.storage.log
    assert chats.last_seqs(value) == {} and chats.overdue(value) == []
    assert chats.items(value, 1, 9) == chats.people(value) == chats.epochs(value, "bob", 1, 9) == []
    assert chats.views(value) == {} and not log.known(value, "bob", new_id())
    assert not log.known(chat, value, new_id())
    assert at.storage.attachments.get(chat, value) is None
    assert at.storage.accounts.search("a", "", 9) != []
