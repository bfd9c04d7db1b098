"""On MongoDB: the server and its database die in turn, by kill −9 and under load; nothing acked is lost (R1–R4, R10)."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.e2e.load import Book, burst, check, collect, open_socket, seal_many
from tests.e2e.test_durability import resend
from tests.support.client import ApiError, User
from tests.support.mongo import MongoProcess
from tests.support.server import ServerProcess

ROUNDS = 2
RECOVERY = 30  # seconds in which a server must find its database again


@pytest.fixture
def database(tmp_path: Path) -> Iterator[MongoProcess]:
    made = MongoProcess(tmp_path).start()
    yield made
    made.kill()


@pytest.fixture
def server(tmp_path: Path, database: MongoProcess) -> Iterator[ServerProcess]:
    made = ServerProcess(
        tmp_path, MONGO_URI=database.uri("chatsec"), SECRET_KEY="only-for-tests-" * 3
    ).start()
    yield made
    made.kill()
    assert "Traceback" not in made.log(), made.log()[-4000:]


def wait_until_ready(server: ServerProcess, status: int = 200) -> None:
    deadline = time.monotonic() + RECOVERY
    while requests.get(f"{server.url}/readyz", timeout=30).status_code != status:
        assert time.monotonic() < deadline, f"/readyz is not {status} after {RECOVERY} s"


def load(
    users: list[User], chat: str, book: Book, goal: int
) -> tuple[list[threading.Thread], threading.Event]:
    """Sockets that send at once, and what is set when `goal` acks are there."""
    enough = threading.Event()

    def run(user: User, messages: list[tuple[str, dict[str, str]]]) -> None:
        raw = open_socket(user)
        for at in range(0, len(messages), 4):
            part = messages[at : at + 4]
            burst(raw, part, book)
            collect(raw, part, book)
            if len(book.acked) >= goal:
                enough.set()
        raw.close()
        enough.set()

    threads = [threading.Thread(target=run, args=(user, seal_many(user, chat, 32))) for user in users]
    for thread in threads:
        thread.start()
    return threads, enough


def test_server_and_database_die_in_turn(server: ServerProcess, database: MongoProcess) -> None:
    alice, bob = User.register(server.url, "alice", 0), User.register(server.url, "bob", 1)
    chat = alice.create_chat("bob")
    book = Book()
    for round_ in range(ROUNDS):
        for victim in ("server", "database", "both"):
            threads, enough = load([alice, bob, alice], chat, book, len(book.acked) + 5 + 11 * round_)
            assert enough.wait(60)
            if victim != "server":
                database.kill()
            if victim != "database":
                server.kill()
            if victim != "server":
                database.start()
            for thread in threads:
                thread.join()
            if victim != "database":
                server.start()
            wait_until_ready(server)
            places = check(bob, chat, book)
            resend(alice, bob, chat, book, places)
    assert len(book.acked) > 100
    assert bob.reader(chat).last_seq == len(check(bob, chat, book)) + 1
    alice.close()
    bob.close()


def test_a_database_that_is_away_or_hangs_is_told(server: ServerProcess, database: MongoProcess) -> None:
    """503 and a red /readyz within the limits of a call, no ack; and all is well again without a restart."""
    alice, bob = User.register(server.url, "alice", 0), User.register(server.url, "bob", 1)
    chat = alice.create_chat("bob")
    book = Book()
    for how in (signal.SIGKILL, signal.SIGSTOP):
        messages = seal_many(alice, chat, 2)
        assert database.process is not None
        database.process.send_signal(how)
        if how is signal.SIGKILL:
            database.process.wait(20)
        with pytest.raises(ApiError) as caught:
            alice.post(messages[0][1])
        assert (caught.value.status, caught.value.code) == (503, "unavailable")
        wait_until_ready(server, 503)
        assert requests.get(f"{server.url}/healthz", timeout=10).status_code == 200
        if how is signal.SIGKILL:
            database.start()
        else:
            database.process.send_signal(signal.SIGCONT)
        wait_until_ready(server)
        for message_id, envelope in messages:
            book.sent[message_id] = envelope
            book.acked[message_id] = alice.post(envelope)
        assert check(bob, chat, book).keys() == book.acked.keys()
    alice.close()
    bob.close()
