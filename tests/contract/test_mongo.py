"""MongoDB alone: answers that get lost on the wire, two writers at once, and what may reach a query."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from chatsec.domain.models import Appended, Attachment, Mark
from chatsec.errors import ChatSecError
from tests.contract.adapters import MongoAdapter
from tests.contract.test_interleaving import check_sequence, codes
from tests.contract.world import World, message, new_id, session


@pytest.fixture
def mongo(tmp_path: Path) -> Iterator[MongoAdapter]:
    made = MongoAdapter(tmp_path)
    yield made
    made.close()


@pytest.fixture
def at(mongo: MongoAdapter) -> World:
    return World(mongo.storage).join("alice", "bob", "carol", "dave")


# ---------------------------------------------------------------- an insert whose answer is lost


@pytest.mark.parametrize("lost", [1, 2, 3])
def test_what_was_inserted_is_found_and_answered_as_placed(mongo: MongoAdapter, at: World, lost: int) -> None:
    chat = at.chat()
    at.say(chat, "bob", "so that the writer knows the chat")
    batch = [
        message(chat, "bob", "1"),
        message(chat, "alice", "2"),
        at.change(chat, "rename", "alice", name="ü"),
    ]
    mongo.wire.lost, mongo.wire.lose = "insert", lost
    results = at.append(*batch)
    assert mongo.wire.lose < lost
    mongo.wire.lose = 0  # a standalone was sent it once, a replica set again by the driver
    assert [(r.seq, r.duplicate) for r in results if isinstance(r, Appended)] == [
        (3, False),
        (4, False),
        (5, False),
    ]
    assert [item.seq for item in at.items(chat)] == [1, 2, 3, 4, 5]
    befores = [r.before for r in results if isinstance(r, Appended)]
    assert befores == [item.chain for item in at.items(chat)[1:4]]
    assert at.storage.log.append(batch[:1], 9)[0].duplicate  # type: ignore[union-attr]


def test_what_cannot_be_journaled_again_is_not_acked(mongo: MongoAdapter, at: World) -> None:
    """The insert was done, its answer lost, and then the database refuses writes: found, but not answered as placed."""
    chat = at.chat()
    at.say(chat, "bob")
    sent = message(chat, "bob", "unsure")
    mongo.wire.lost, mongo.wire.lose = "insert", 1
    with mongo.wire.failing(2), pytest.raises(ChatSecError) as caught:  # the insert and the look
        at.append(sent)
    assert caught.value.code == "unavailable"
    placed = at.place(sent)
    assert not placed.duplicate and set(placed.members) == {"alice", "bob"}, "nobody was told of it yet"
    assert at.place(sent).duplicate and len(at.items(chat)) == 3


@pytest.mark.parametrize("command", ["findAndModify", "insert", "update"])
def test_a_creation_whose_answers_are_lost(mongo: MongoAdapter, at: World, command: str) -> None:
    event = at.creation("00000000-0000-4000-8000-000000000001", "alice", ["bob"])
    mongo.wire.lost, mongo.wire.lose = command, 1
    try:
        (first,) = at.append(event)
    except ChatSecError as error:
        assert error.code == "unavailable"
    else:
        assert isinstance(first, Appended) and first.seq == 1
    mongo.wire.lose = 0
    assert at.place(event).seq == 1
    assert at.say(event.chat, "bob").seq == 2


# ---------------------------------------------------------------- two writers


def test_two_writers_at_once(mongo: MongoAdapter, at: World) -> None:
    """Messages through both, and a member goes in between: every number once, nobody speaks who is not there."""
    writers = [mongo.storage, mongo.open()]
    for _ in range(5):
        chat = at.chat("alice", "bob", "carol")
        batches: list[list[Any]] = [
            [
                *(message(chat, "alice", f"a {n}") for n in range(6)),
                at.change(chat, "remove", "alice", "bob"),
                *(message(chat, "alice", f"late {n}", epoch=2, seen=2) for n in range(3)),
            ],
            [message(chat, who, f"{who} {n}") for n in range(12) for who in ("bob", "carol")],
        ]
        answers: list[list[Any]] = [[], []]
        start = threading.Barrier(2)

        def write(one: int, batches: Any = batches, answers: Any = answers, start: Any = start) -> None:
            start.wait()
            for where in range(0, len(batches[one]), 3):
                answers[one] += writers[one].log.append(batches[one][where : where + 3], 5)

        threads = [threading.Thread(target=write, args=(one,)) for one in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        check_sequence(at, chat, batches, answers)
        assert codes(answers[0])[:7] == [None] * 7
        assert set(codes(answers[1])) <= {None, "not_found", "stale_epoch"}


def test_a_writer_learns_what_another_one_did(mongo: MongoAdapter, at: World) -> None:
    """Marks count its messages, lists show its members; chats that it erased are gone."""
    chat = at.chat()
    other = World(mongo.open())
    other.now = at.now
    assert other.say(chat, "bob").seq == 2
    for number in range(40):
        at.say(chat, "alice", f"{number}")
    assert other.append(Mark(chat, "bob", 99, 42)) == [Mark(chat, "bob", 42, 42)]
    other.do(chat, "add", "alice", "carol")
    assert [view.last_seq for view in at.storage.chats.page("carol", "", 9)] == [43]
    assert at.storage.chats.last_seqs("bob") == {chat: 43}
    assert at.storage.chats.peers("bob") == {"alice", "bob", "carol"}
    other.storage.chats.erase(chat)
    assert codes(at.append(message(chat, "alice"), Mark(chat, "alice", 1, 1))) == ["not_found", "not_found"]


def test_an_erasure_that_a_crash_cut_short_is_finished(mongo: MongoAdapter, at: World) -> None:
    chat, other = at.chat(), at.chat()
    at.storage.attachments.create(Attachment(new_id(7), chat, "bob", 3, 5))
    kept = at.everything(other)
    with mongo.failing(4):
        assert at.storage.chats.erase(chat) == [new_id(7)], "it is gone, and what is left is taken away later"
    assert at.storage.chats.head(chat) is None
    at.storage = mongo.crash()
    with MongoClient[dict[str, Any]](mongo.uri) as client:
        database = client.get_default_database()
        left = {name: len(database[name].distinct("chat")) for name in ("chats", "items", "wraps")}
    assert left == {"chats": 1, "items": 1, "wraps": 1}
    assert at.everything(other) == kept


# ---------------------------------------------------------------- what reaches the database


def test_indexes_are_made_once(mongo: MongoAdapter) -> None:
    def names() -> dict[str, set[str]]:
        with MongoClient[dict[str, Any]](mongo.uri) as client:
            database = client.get_default_database()
            return {
                name: set(database[name].index_information()) for name in database.list_collection_names()
            }

    before = names()
    assert {"places", "ids", "epochs"} <= before["items"] and "chat" in before["chats"]
    mongo.open()
    assert names() == before


@pytest.mark.parametrize("value", [{"$gt": ""}, {"$ne": None}, {"$regex": ".*"}])
def test_an_operator_is_no_more_than_a_value(at: World, value: Any) -> None:
    chat = at.chat()
    at.storage.sessions.create(session(1, "alice"))
    storage = at.storage
    assert storage.accounts.get(value) is None
    assert storage.sessions.get(value) is None
    assert not storage.sessions.rotate(value, 0, 1)
    storage.sessions.end(value)
    assert len(storage.sessions.list("alice")) == 1
    assert storage.chats.head(value) is None and storage.chats.get(chat, "alice") is not None
    assert storage.chats.page(value, "", 9) == [] and storage.chats.erase(value) == []
    assert storage.keys.history(value, 0) == []


@pytest.mark.parametrize("query", ["$_id", "$$ROOT", ".*", "a|b", "(", "\\", "\0"])
def test_a_search_is_no_expression(at: World, query: str) -> None:
    assert at.storage.accounts.search(query, "", 9) == []
    at.storage.accounts.set_display_name("bob", f"B {query}")
    assert [found.username for found in at.storage.accounts.search(query, "", 9)] == ["bob"]
