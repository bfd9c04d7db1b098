"""Budgets with limits switched on: what is over is refused by name with `retry_after`, and nobody else notices."""

from collections.abc import Iterator

import pytest

from tests.realtime.forge import forge
from tests.support.client import User
from tests.support.server import ServerProcess

BURST = 60


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server as it is deployed."""
    with ServerProcess(tmp_path_factory.mktemp("limited"), RATE_LIMITS="on") as process:
        yield process


def test_too_many_messages_are_refused_with_a_time(alice: User, bob: User, chat: str) -> None:
    live, other = alice.connect(), bob.connect()
    acks = [live.emit("message:send", forge(alice, chat)) for _ in range(4 * BURST)]
    answers = [ack.get(timeout=30) for ack in acks]
    taken = [answer for answer in answers if answer["ok"]]
    refused = [answer for answer in answers if not answer["ok"]]
    assert len(taken) >= BURST
    assert refused
    for answer in refused:
        assert answer["code"] == "rate_limited"
        assert isinstance(answer["retry_after"], int) and answer["retry_after"] >= 1
    assert [answer["seq"] for answer in taken] == list(range(2, 2 + len(taken)))
    assert other.call("message:send", forge(bob, chat))["ok"]
    answer = alice.rest.request("POST", f"/chats/{chat}/messages", forge(alice, chat))
    if answer.status_code != 201:  # a message may have become affordable meanwhile
        assert (answer.status_code, answer.json()["code"]) == (429, "rate_limited")
        assert int(answer.headers["Retry-After"]) >= 1
    assert bob.history(chat)["last_seq"] in (2 + len(taken), 3 + len(taken))


def test_too_many_events_are_refused_alike(bob: User, chat: str) -> None:
    live = bob.connect()
    acks = [live.emit("typing", {"chat": chat, "active": True}) for _ in range(400)]
    answers = [ack.get(timeout=30) for ack in acks]
    assert {answer.get("code") for answer in answers} == {None, "rate_limited"}
    assert all(answer["retry_after"] >= 1 for answer in answers if not answer["ok"])


def test_names_change_only_so_often_and_someone_can_still_be_shut_out(
    alice: User, bob: User, chat: str
) -> None:
    def change(**event: object) -> int:
        return alice.rest.request("POST", f"/chats/{chat}/events", event).status_code

    answers = [change(kind="rename", name=f"name {number}") for number in range(40)]
    assert answers[0] == 200 and answers[-1] == 429 and set(answers) == {200, 429}
    assert change(kind="remove", usernames=[bob.username]) == 200


def test_epochs_are_opened_only_so_often_beyond_what_is_due(alice: User, bob: User, carol: User) -> None:
    """A share that is due, and a removal, are never too often; a new name is not counted with them."""
    chat = carol.create_combined("alice", "bob")
    path = f"/chats/{chat}/events"
    answers = [carol.rest.request("POST", path, carol.signer(chat).body("rekey")) for _ in range(10)]
    assert [answer.status_code for answer in answers] == [200] * 9 + [429]  # the first epoch counts, too
    assert answers[-1].json()["code"] == "rate_limited" and int(answers[-1].headers["Retry-After"]) >= 1
    carol.signer(chat).rename("a name")
    bob.signer(chat).leave()
    carol.signer(chat).rekey()
    assert carol.chat(chat)["share_due"] is False
    assert carol.rest.request("POST", path, carol.signer(chat).body("rekey")).status_code == 429
    carol.signer(chat).remove("alice")
    carol.send(chat, "alone")
