"""What the server has acknowledged is on the disk: shown by a trace, by kill −9, by a full disk, by a stop (R1–R4, R10)."""

from __future__ import annotations

import resource
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from tests.e2e.load import Book, burst, check, collect, open_socket, seal_many
from tests.e2e.trace import STRACE, unsynced
from tests.support import protocol as p
from tests.support.client import ApiError, Json, RawSocket, User
from tests.support.server import ROOT, ServerProcess

KILLS = 20


def people(server: ServerProcess) -> tuple[User, User, str]:
    alice, bob = User.register(server.url, "alice", 0), User.register(server.url, "bob", 1)
    return alice, bob, alice.create_chat("bob")


def close(*users: User) -> None:
    for user in users:
        user.close()


def clean(server: ServerProcess) -> None:
    """Nothing of its own went wrong in the server."""
    assert "Traceback" not in server.log(), server.log()[-4000:]


# ---------------------------------------------------------------- under a trace


class BrokenCopy(ServerProcess):
    """The same server, but for one word: its store does not wait for the disk."""

    def __init__(self, folder: Path, prefix: tuple[str, ...]) -> None:
        super().__init__(folder, prefix)
        self.backend = folder / "backend"
        shutil.copytree(ROOT / "backend", self.backend)
        database = self.backend / "chatsec" / "storage" / "sqlite" / "database.py"
        text = database.read_text("utf-8")
        assert text.count('"synchronous=FULL"') == 1
        database.write_text(text.replace('"synchronous=FULL"', '"synchronous=OFF"'), "utf-8")


@pytest.mark.parametrize("kind", [ServerProcess, BrokenCopy])
def test_every_ack_follows_a_sync_that_follows_its_message(tmp_path: Path, kind: type[ServerProcess]) -> None:
    if shutil.which("strace") is None:
        pytest.fail("strace is needed to see whether acks wait for the disk")
    trace = tmp_path / "trace"
    server = kind(tmp_path, (*STRACE, "-o", str(trace)))
    with server:
        alice, bob, chat = people(server)
        book = Book()
        for user in (alice, bob):
            raw = open_socket(user, plain=True)
            for _ in range(3):
                messages = seal_many(user, chat, 12)
                burst(raw, messages, book)
                collect(raw, messages, book)
            raw.close()
        ((message_id, envelope),) = seal_many(alice, chat, 1)
        book.sent[message_id] = envelope
        book.acked[message_id] = alice.post(envelope)
        check(alice, chat, book)
        close(alice, bob)
    assert len(book.acked) == 73
    wrong, acked = unsynced(trace, {one: envelope["signature"] for one, envelope in book.sent.items()})
    assert acked == 73, "the trace shows every ack"
    assert len(wrong) == (0 if kind is ServerProcess else 73)
    clean(server)


# ---------------------------------------------------------------- kill −9


def test_kill_under_load_loses_nothing_that_was_acked(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path).start()
    try:
        alice, bob, chat = people(server)
        book = Book()
        for round_ in range(KILLS):
            kill_under_load(server, [alice, bob], chat, book, after=1 + 7 * round_ % 40)
            server.start()
            places = check(bob, chat, book)
            last = alice.chat(chat)["last_seq"]
            live = bob.connect()
            assert live.call("sync", {"chats": {chat: 0}})["behind"] == {chat: last}
            live.close()
            resend(alice, bob, chat, book, places)
        assert len(book.acked) > 20 * KILLS
        reader = bob.reader(chat)
        assert reader.last_seq == len(check(bob, chat, book)) + 1
        close(alice, bob)
        clean(server)
    finally:
        server.kill()


def kill_under_load(server: ServerProcess, users: list[User], chat: str, book: Book, after: int) -> None:
    """Four sockets send at once; the process dies when so many acks have come."""
    threads, enough = [], threading.Event()

    def run(raw: RawSocket, messages: list[tuple[str, p.Envelope]]) -> None:
        for at in range(0, len(messages), 4):
            part = messages[at : at + 4]
            burst(raw, part, book)
            collect(raw, part, book)
            if len(book.acked) >= goal:
                enough.set()
        raw.close()
        enough.set()

    goal = len(book.acked) + after
    for user in [*users, *users]:
        messages = seal_many(user, chat, 40)
        threads.append(threading.Thread(target=run, args=(open_socket(user), messages)))
    for thread in threads:
        thread.start()
    assert enough.wait(60)
    server.kill()
    for thread in threads:
        thread.join()


def resend(alice: User, bob: User, chat: str, book: Book, places: dict[str, int]) -> None:
    """R3: the same again is in the same place; what no ack was seen for gets one; other bytes are a conflict."""
    owner = {}
    for message_id, envelope in book.sent.items():
        sender = p.parse_object(p.un64u(envelope["protected"]))["from"]
        owner[message_id] = alice if sender == "alice" else bob
    unsure = [one for one in book.sent if one not in book.acked]
    sure = list(book.acked)[-10:]
    for message_id in [*unsure, *sure]:
        ack = owner[message_id].post(book.sent[message_id])
        assert ack["duplicate"] == (message_id in places)
        assert ack["seq"] == places.get(message_id, ack["seq"])
        book.acked[message_id] = {"ok": True} | ack
    with pytest.raises(ApiError) as caught:
        owner[sure[0]].post(book.sent[sure[0]] | {"iv": "A" * 16})
    assert caught.value.code == "id_conflict"


# ---------------------------------------------------------------- a full disk


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path) as server:
        yield server
    clean(server)


def limit_files(server: ServerProcess, size: int) -> None:
    assert server.process is not None
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def test_a_full_disk_is_told_and_loses_nothing(fresh: ServerProcess) -> None:
    alice, bob, chat = people(fresh)
    book = Book()
    raw = open_socket(alice)

    def send(count: int) -> None:
        messages = seal_many(alice, chat, count, "x" * 2000)
        burst(raw, messages, book)
        collect(raw, messages, book)

    send(20)
    assert len(book.acked) == 20 and not book.refused
    size = (fresh.data_dir / "data" / "chatsec.db-wal").stat().st_size
    limit_files(fresh, size + 20_000)
    while not book.refused:
        send(10)
    limit_files(fresh, size)  # not even a page more
    full = len(book.acked)
    send(5)
    assert len(book.acked) == full, "no ack while the disk is full"
    assert {ack["code"] for ack in book.refused.values()} == {"unavailable"}
    assert_unavailable(fresh, alice, chat)
    assert check(bob, chat, book).keys() == book.acked.keys(), "what was refused is not there"

    limit_files(fresh, resource.RLIM_INFINITY)
    assert_ready(fresh, 200)
    again = [(one, book.sent[one]) for one in book.refused]
    burst(raw, again, book)
    collect(raw, again, book)
    assert book.acked.keys() == book.sent.keys()
    raw.close()
    fresh.kill()
    fresh.start()
    assert check(bob, chat, book).keys() == book.acked.keys()
    close(alice, bob)


def assert_ready(server: ServerProcess, status: int) -> None:
    """What /readyz says now, or as soon as it looks at the store again: five times a second."""
    deadline = time.monotonic() + 5
    while (answer := requests.get(f"{server.url}/readyz", timeout=10)).status_code != status:
        assert time.monotonic() < deadline, answer.text


def assert_unavailable(server: ServerProcess, alice: User, chat: str) -> None:
    assert requests.get(f"{server.url}/healthz", timeout=10).status_code == 200
    assert_ready(server, 503)
    calls: list[Callable[[], object]] = [
        lambda: alice.post(seal_many(alice, chat, 1, "x" * 9000)[0][1]),
        lambda: alice.change(chat, "rekey"),
        lambda: alice.create_chat("bob"),
        lambda: User.register(server.url, "carol", 2),
    ]
    for call in calls:
        with pytest.raises(ApiError) as caught:
            call()
        assert (caught.value.status, caught.value.code) == (503, "unavailable")


# ---------------------------------------------------------------- a stop


def test_a_stop_answers_what_is_under_way(tmp_path: Path) -> None:
    """After SIGTERM nothing lies in the store that its sender was not told of."""
    server = ServerProcess(tmp_path).start()
    try:
        alice, bob, chat = people(server)
        book = Book()
        for _ in range(5):
            first = threading.Event()
            runs = []
            for user in (alice, bob, alice, bob):
                messages = seal_many(user, chat, 80)
                raw = open_socket(user)
                runs.append((raw, messages))
            threads = [threading.Thread(target=collect, args=(*run, book, first)) for run in runs]
            threads += [threading.Thread(target=burst, args=(*run, book)) for run in runs]
            for thread in threads:
                thread.start()
            assert first.wait(30)
            assert server.stop() == 0
            for thread in threads:
                thread.join()
            for raw, _ in runs:
                raw.close()
            server.start()
            stored = check(bob, chat, book)
            assert stored.keys() == book.acked.keys()
            assert not book.refused.keys() & stored.keys()
        assert book.acked
        close(alice, bob)
        clean(server)
    finally:
        server.stop()


def test_the_wal_is_folded_in_by_a_stop(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path).start()
    alice, bob, chat = people(server)
    acks: list[Json] = [alice.send(chat, f"{number}") for number in range(3)]
    close(alice, bob)
    assert server.stop() == 0
    assert not (tmp_path / "data" / "chatsec.db-wal").exists()
    server.start()
    assert alice.history(chat)["last_seq"] == acks[-1]["seq"]
    close(alice)
    assert server.stop() == 0
    clean(server)
