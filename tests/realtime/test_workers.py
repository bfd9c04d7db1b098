"""Two workers on one store and one Redis: what is said to one reaches the sockets of both, once, and nobody else's."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests
import socketio

from tests.support.client import ApiError, LiveClient, RawSocket, User
from tests.support.cluster import until
from tests.support.mongo import shared
from tests.support.redis import RedisProcess
from tests.support.server import ServerProcess

CUT = 2  # seconds in which a revoked session's sockets are gone (protocol §6)
WAIT = 20.0
Here = Callable[..., User]


def readyz(server: ServerProcess) -> tuple[int, object]:
    answer = requests.get(f"{server.url}/readyz", timeout=WAIT)
    return answer.status_code, answer.json()


class Pair:
    """Two workers; `at` gives a person as a client of one of them, with a session of its own there."""

    def __init__(self, folder: Path, database: str, **env: str) -> None:
        self.redis = RedisProcess(folder).start()
        self.workers = []
        for name in ("a", "b"):
            own = folder / name
            own.mkdir()
            self.workers.append(
                ServerProcess(
                    own,
                    MONGO_URI=shared().uri(database),
                    REDIS_URL=self.redis.url,
                    SECRET_KEY="only-for-tests-" * 3,
                    **env,
                ).start()
            )
        self.a, self.b = self.workers

    def end(self) -> None:
        for worker in self.workers:
            worker.stop()
        self.redis.kill()
        for worker in self.workers:
            log = worker.log()
            assert "Traceback" not in log and "fault in" not in log, log[-4000:]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    made = Pair(tmp_path_factory.mktemp("pair"), "workers")
    yield made
    made.end()


@pytest.fixture(scope="module")
def at_a(pair: Pair) -> Iterator[Here]:
    made: list[User] = []

    def register(username: str, key_set: int) -> User:
        made.append(User.register(pair.a.url, username, key_set))
        return made[-1]

    yield register
    for user in made:
        user.close()


@pytest.fixture(scope="module")
def alice(at_a: Here) -> User:
    return at_a("alice", 0)


@pytest.fixture(scope="module")
def bob(at_a: Here) -> User:
    return at_a("bob", 1)


@pytest.fixture(scope="module")
def carol(at_a: Here) -> User:
    return at_a("carol", 2)


def elsewhere(user: User, worker: ServerProcess) -> User:
    """The same session, spoken to by another worker."""
    other = User(worker.url, user.username, user.password, user.keys)
    other.kdf, other.bundle, other._real_kdf = user.kdf, user.bundle, user._real_kdf
    other.rest.token, other.refresh_token = user.rest.token, user.refresh_token
    return other


def refused(user: User, envelope: dict[str, str]) -> str:
    """The code with which a message is refused, "" where it is taken."""
    answer = user.rest.request("POST", f"/chats/{envelope['chat']}/messages", envelope)
    return str(answer.json().get("code", ""))


@pytest.fixture
def connect() -> Iterator[Callable[[User, ServerProcess], LiveClient]]:
    lives: list[LiveClient] = []

    def make(user: User, worker: ServerProcess) -> LiveClient:
        live = LiveClient(worker.url, user.token)
        lives.append(live)
        live.next("presence:list")
        live.clear()
        return live

    yield make
    for live in lives:
        live.close()


Sockets = Callable[[User, ServerProcess], LiveClient]


def test_all_that_happens_reaches_the_other_worker(
    pair: Pair, alice: User, bob: User, carol: User, connect: Sockets
) -> None:
    chat = alice.create_chat("bob")
    sending, phone, other = connect(alice, pair.a), connect(alice, pair.b), connect(bob, pair.b)

    sent = alice.send(chat, "to everyone", live=sending)
    assert sent["ok"]
    assert other.message()["seq"] == phone.message()["seq"] == sent["seq"]

    assert sending.call("typing", {"chat": chat, "active": True})["ok"]
    assert other.next("typing")["username"] == phone.next("typing")["username"] == "alice"

    assert other.call("message:read", {"chat": chat, "seq": sent["seq"]})["ok"]
    assert sending.next("receipt")["read"] == phone.next("receipt")["read"] == sent["seq"]

    added = connect(carol, pair.b)
    alice.change(chat, "add", usernames=["carol"])
    seqs = {live.event()["seq"] for live in (sending, phone, other, added)}
    assert len(seqs) == 1, "each is told once, and the same"

    elsewhere(bob, pair.b).change(chat, "leave")
    assert other.next("chat:removed") == {"chat": chat}
    assert sending.event()["event"]["kind"] == phone.event()["event"]["kind"] == "leave"

    for live in (sending, phone, other, added):
        live.settle()
    assert sending.inbox["message"].empty() and sending.inbox["typing"].empty(), "not to the sending socket"
    assert all(live.inbox["message"].empty() for live in (phone, other, added)), "not twice"


def test_keys_reach_the_other_worker(pair: Pair, at_a: Here, alice: User, connect: Sockets) -> None:
    dora = at_a("dora", 3)
    chat = dora.create_chat("alice")
    live = connect(alice, pair.b)
    dora.rotate(dora.keys)
    assert live.next("keys") == {"username": "dora", "version": 2}
    assert live.event()["event"]["kind"] == "keys"
    kinds = [item["event"]["kind"] for item in alice.history(chat)["items"] if "event" in item]
    assert kinds == ["create", "keys"], "one epoch for the new bundle, whoever opened it"


def test_a_combined_chat_is_one_on_both_workers(
    pair: Pair, alice: User, bob: User, carol: User, connect: Sockets
) -> None:
    """Entries, shares and what is due: whoever asks which worker; each is told with their own wraps."""
    chat = alice.create_combined("bob", "carol", name="Team")
    there, hers = elsewhere(bob, pair.b), elsewhere(alice, pair.b)
    own, live, reader = connect(alice, pair.a), connect(bob, pair.b), bob.reader(chat)

    for change in (alice.signer(chat).rename, lambda _: hers.signer(chat).rekey()):
        change("another name")
        item = live.event()
        assert item["chat"] == there.chat(chat) == bob.chat(chat)
        assert own.event()["chat"] == alice.chat(chat)
        bob.hear(reader, item)
    assert there.send(chat, "from b")["seq"] == 4
    bodies = [user.signer(chat).rename_body(name) for user, name in ((alice, "a"), (hers, "b"))]
    with ThreadPoolExecutor(2) as pool:
        posts = pool.map(
            lambda user, body: user.rest.request("POST", f"/chats/{chat}/events", body), (alice, hers), bodies
        )
        assert sorted(answer.status_code for answer in posts) == [200, 409]

    elsewhere(carol, pair.b).change(chat, "leave")
    assert refused(alice, alice.seal(chat, "far too soon")) == "share_due"  # at once: the leave is an item
    alice.signer(chat).retire()
    assert there.send(chat, "among two")["seq"] == 8

    bob.rotate(bob.keys)
    for user in (
        alice,
        hers,
    ):  # a worker may take what is sent under the share that stands for half a second more
        assert user.chat(chat)["share_due"] is True
        until(lambda user=user: refused(user, user.seal(chat, "too soon")) == "share_due", "a share is due")
    there.bundle = bob.bundle
    there.signer(chat).rekey()
    alice.send(chat, "under new keys")
    reader = bob.reader(chat)
    assert (reader.failures(), reader.warnings) == ({}, set())
    texts = [text for text in reader.texts() if text != "too soon"]
    assert texts == ["from b", "among two", "under new keys"]


def test_who_is_removed_hears_nothing_more_on_any_worker(
    pair: Pair, alice: User, bob: User, carol: User, connect: Sockets
) -> None:
    chat = alice.create_chat("bob", "carol")
    bobs = [connect(bob, worker) for worker in pair.workers]
    carols = connect(carol, pair.b)
    there = elsewhere(carol, pair.b)
    there.send(chat, "while bob is there")
    for live in bobs:
        assert live.message()
    alice.change(chat, "remove", usernames=["bob"])
    # At once, and by the worker that did not remove him: it must know.
    after = there.send(chat, "without bob")
    alice.send(chat, "and another")
    assert carols.next("event")["seq"] < after["seq"]
    while carols.message()["seq"] <= after["seq"]:
        pass
    for live in bobs:
        assert live.next("chat:removed") == {"chat": chat}
        live.settle()
        assert live.inbox["message"].empty() and live.inbox["event"].empty()
    for worker in pair.workers:
        with pytest.raises(ApiError) as refused:
            elsewhere(bob, worker).history(chat)
        assert refused.value.code == "not_found"
    assert not bobs[1].call("typing", {"chat": chat, "active": True})["ok"]


def test_what_one_has_committed_the_other_knows_at_once(pair: Pair, alice: User, bob: User) -> None:
    """No worker may answer from what it remembers: history, members and epoch are the store's."""
    chat = alice.create_chat("bob")
    there = elsewhere(bob, pair.b)
    for number in range(10):
        alice.send(chat, f"from a {number}")
        assert there.send(chat, f"from b {number}")["seq"] == 2 * number + 3
        assert alice.history(chat)["last_seq"] == 2 * number + 3
    there.change(chat, "leave")
    with pytest.raises(ApiError):
        there.history(chat)
    assert [member["username"] for member in alice.chat(chat)["members"]] == ["alice"]


@pytest.mark.parametrize("way", ["revoked", "password"])
def test_a_session_that_ends_on_one_is_cut_on_the_other(
    pair: Pair, at_a: Here, way: str, connect: Sockets
) -> None:
    user = at_a(f"ending-{way}", 4)
    tablet = user.log_in_again()
    cut, kept = connect(tablet, pair.b), connect(user, pair.b)
    if way == "revoked":
        sessions = user.rest.get("/me/sessions")["items"]
        other = next(one["id"] for one in sessions if not one["current"])
        user.rest.call("DELETE", f"/me/sessions/{other}")
    else:
        user.change_password("another passphrase")
    assert cut.next("session:revoked", CUT) == {}
    assert cut.gone.wait(CUT)
    kept.settle()
    assert kept.inbox["session:revoked"].empty() and not kept.gone.is_set()
    tablet.close()


def test_an_emitter_of_python_socketio_reaches_all_workers(pair: Pair, alice: User, connect: Sockets) -> None:
    lives = [connect(alice, worker) for worker in pair.workers]
    emitter = socketio.RedisManager(pair.redis.url, channel="chatsec:socketio", write_only=True)
    emitter.emit("typing", {"from": "outside"}, namespace="/chat", room="user:alice")
    emitter.redis.close()
    for live in lives:
        assert live.next("typing") == {"from": "outside"}


# ---------------------------------------------------------------- Redis away, and limits


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """A pair of its own, whose Redis may be killed, with limits on."""
    made = Pair(tmp_path_factory.mktemp("limited"), "workers_limited", RATE_LIMITS="on")
    yield made
    made.end()


def test_log_in_attempts_count_for_both(limited: Pair) -> None:
    answers = []
    for number in range(12):
        url = limited.workers[number % 2].url
        body = {"username": "nobody", "password": "x" * 43}
        answers.append(requests.post(f"{url}/api/v1/auth/login", json=body, timeout=WAIT))
    assert [answer.status_code for answer in answers] == [401] * 10 + [429] * 2
    assert 1 <= int(answers[-1].headers["Retry-After"]) <= 30


class Follower:
    """A client as people have them: it comes back by itself when its connection breaks."""

    def __init__(self, user: User, worker: ServerProcess) -> None:
        self.connects = 0
        self._sockets: list[Any] = []
        self.sio = socketio.Client(handle_sigint=False, reconnection_delay=0.1, reconnection_delay_max=0.5)
        self.sio.on("connect", self._count, namespace="/chat")
        self.sio.connect(
            worker.url,
            auth={"token": user.token},
            transports=["websocket"],
            namespaces=["/chat"],
            wait_timeout=10,
        )

    def _count(self) -> None:
        self._sockets.append(self.sio.eio.ws)  # Engine.IO's client leaves them open where the server has gone
        self.connects += 1

    def sync(self, chats: dict[str, int]) -> dict[str, int]:
        answer = self.sio.call("sync", {"chats": chats}, namespace="/chat", timeout=WAIT)
        assert answer["ok"]
        behind: dict[str, int] = answer["behind"]
        return behind

    def close(self) -> None:
        self.sio.disconnect()
        for socket in self._sockets:
            socket.shutdown()


def test_redis_killed_and_started_again(limited: Pair, connect: Sockets) -> None:
    """Local delivery and all that the store knows go on; afterwards everyone comes back and catches up."""
    a, b = limited.workers
    with limited.redis.client() as client:
        client.delete(*client.keys("chatsec:limit:*"), "")  # the attempts to log in
    assert readyz(a) == readyz(b) == (200, {"status": "ready"})
    alice, bob, carol = (
        User.register(a.url, name, number) for number, name in enumerate(("alice", "bob", "carol"))
    )
    tablet = bob.log_in_again()
    chat = alice.create_chat("bob", "carol")
    sending, near, far = connect(alice, a), connect(carol, a), connect(bob, b)
    revoked = connect(tablet, b)
    raw = RawSocket(b.url, bob.token)
    follower = Follower(bob, b)
    assert alice.send(chat, "before", live=sending)["ok"]
    last = far.message()["seq"]

    limited.redis.kill()
    until(
        lambda: readyz(a)[1] == readyz(b)[1] == {"status": "degraded", "redis": "down"}, "both are degraded"
    )
    assert readyz(a)[0] == 200
    assert "chatsec_redis_up 0.0" in requests.get(f"{a.url}/metrics", timeout=WAIT).text
    started = time.monotonic()
    acks = [alice.send(chat, f"while it is away {number}", live=sending) for number in range(20)]
    assert all(ack["ok"] for ack in acks), acks
    assert time.monotonic() - started < 10, "each waited for Redis"
    assert [near.message()["seq"] for _ in range(21)][1:] == [ack["seq"] for ack in acks]
    assert alice.change(chat, "rename", name="still the same chat")
    assert near.event()["event"]["kind"] == "rename"
    far.settle()
    assert far.inbox["message"].empty() and not far.gone.is_set(), "nobody is sent away for it"

    sessions = bob.rest.get("/me/sessions")["items"]
    bob.rest.call("DELETE", f"/me/sessions/{next(one['id'] for one in sessions if not one['current'])}")
    assert revoked.next("session:revoked", 3 * CUT) == {}, "which only the store could tell"
    assert not far.gone.is_set()

    limited.redis.start()
    for live in (sending, near, far):
        assert live.gone.wait(WAIT), "everyone is told to come back"
    frames = []
    while (frame := raw.recv()) is not None:
        frames.append(frame)
    assert not [frame for frame in frames if frame.startswith("41")], "a client that is told to go stays away"
    until(lambda: follower.connects == 2 and follower.sio.connected, "the client comes back by itself")
    until(lambda: readyz(a) == readyz(b) == (200, {"status": "ready"}), "both are ready")
    behind = follower.sync({chat: last})
    assert behind[chat] == acks[-1]["seq"] + 1
    again = elsewhere(bob, b)
    seqs = [item["seq"] for item in again.history(chat, after=last)["items"]]
    assert seqs == list(range(last + 1, behind[chat] + 1)), "nothing that was acked is lost"
    live, sender = connect(bob, b), connect(alice, a)
    assert alice.send(chat, "after", live=sender)["seq"] == live.message()["seq"]
    follower.close()
    raw.close()
    for user in (alice, bob, carol, tablet):
        user.close()
