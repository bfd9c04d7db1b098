"""The proxy as it is shipped, with two workers behind it: what reaches them, what does not, and what they are told."""

from __future__ import annotations

import json
import re
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
import requests
import websocket
from playwright.sync_api import Browser
from requests.adapters import HTTPAdapter

from tests.e2e.pages import Visitor
from tests.support.client import RawSocket, User
from tests.support.connections import Polled
from tests.support.mongo import shared
from tests.support.nginx import NginxProcess, self_signed
from tests.support.ports import free_port
from tests.support.redis import RedisProcess
from tests.support.server import ServerProcess

BALANCER = "127.0.0.9"
FORGED = "198.51.100."
MIB = 1024 * 1024
SOON = 20  # seconds within which a worker that was started again must be used again


class From(HTTPAdapter):
    """Connections from an address of one's own."""

    def __init__(self, address: str) -> None:
        self._address = address
        super().__init__()

    def init_poolmanager(self, *args: object, **kwargs: object) -> None:
        super().init_poolmanager(*args, source_address=(self._address, 0), **kwargs)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[ServerProcess]]:
    with ExitStack() as stack:
        redis = stack.enter_context(RedisProcess(tmp_path_factory.mktemp("redis")))
        settings = {
            "MONGO_URI": shared().uri(f"nginx_{free_port()}"),
            "REDIS_URL": redis.url,
            "SECRET_KEY": "only-for-tests-" * 3,
            "TRUSTED_PROXIES": "1",
            "RATE_LIMITS": "on",
        }
        made = [ServerProcess(tmp_path_factory.mktemp(name), **settings) for name in ("first", "second")]
        for worker in made:
            stack.callback(worker.kill)
            worker.start()
        yield made
    for worker in made:
        assert "Traceback" not in worker.log(), worker.log()[-4000:]


@pytest.fixture(scope="module")
def nginx(workers: list[ServerProcess], tmp_path_factory: pytest.TempPathFactory) -> Iterator[NginxProcess]:
    folder = tmp_path_factory.mktemp("nginx")
    with NginxProcess(folder, [one.port for one in workers], balancer=BALANCER) as process:
        yield process


@pytest.fixture(scope="module")
def people(nginx: NginxProcess) -> Iterator[tuple[User, User]]:
    alice, bob = User.register(nginx.url, "alice", 0), User.register(nginx.url, "bob", 1)
    yield alice, bob
    alice.close()
    bob.close()


@pytest.fixture
def visitor() -> Iterator[requests.Session]:
    """Keeps cookies, as a browser does."""
    with requests.Session() as session:
        session.trust_env = False
        yield session


@pytest.fixture
def balancer(visitor: requests.Session) -> requests.Session:
    """The visitor, by way of the load balancer."""
    visitor.mount("http://", From(BALANCER))
    return visitor


def say_head(nginx: NginxProcess, method: str, path: str, *headers: str) -> tuple[int, str]:
    """Sends the head of a request and no body; status and body of the answer."""
    with socket.create_connection(("127.0.0.1", nginx.port), 20) as raw:
        raw.sendall("\r\n".join((f"{method} {path} HTTP/1.1", "Host: chat", *headers, "", "")).encode())
        head = b""
        while b"\r\n\r\n" not in head:
            head += raw.recv(65536) or pytest.fail(f"no answer: {head!r}")
        head, _, body = head.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: (\d+)", head)
        while length and len(body) < int(length[1]):
            body += raw.recv(65536)
        return int(head.split()[1]), body.decode()


# ---------------------------------------------------------------- what gets through


def test_sockets_on_whatever_worker_reach_one_another(
    nginx: NginxProcess, people: tuple[User, User], workers: list[ServerProcess]
) -> None:
    alice, bob = people
    chat = alice.create_chat("bob")
    lives = [bob.connect() for _ in range(8)]  # both workers have one of them, but once in 128 times
    ack = alice.send(chat, "hello", live=alice.connect())
    assert ack["ok"]
    assert {live.message()["seq"] for live in lives} == {ack["seq"]}
    assert [item["seq"] for item in bob.history(chat, after=ack["seq"] - 1)["items"]] == [ack["seq"]]
    served = set(re.findall(r"127\.0\.0\.1:(\d+)$", nginx.log(), re.M))
    assert served == {str(worker.port) for worker in workers}


def test_polling_stays_on_one_worker(nginx: NginxProcess, people: tuple[User, User]) -> None:
    join = f"40/chat,{json.dumps({'token': people[0].token})}"
    with ExitStack() as stack:
        sessions = [stack.enter_context(requests.Session()) for _ in range(8)]
        polls = [Polled(session, nginx.url) for session in sessions]
        for polled in reversed(polls):  # else whoever takes turns would pass
            assert polled.post(join) == 200
            assert "40/chat" in polled.get().text
        for polled in polls:
            assert polled.post(f"42/chat,1{json.dumps(['sync', {'chats': {}}])}") == 200
            answers = ""
            while "43/chat,1" not in answers:
                answers += polled.get().text
        for session in sessions:
            (cookie,) = [cookie for cookie in session.cookies if cookie.name == "chatsec_route"]
            assert cookie.path == "/socket.io/" and cookie.expires is None and not cookie.secure
            assert {"HttpOnly", "SameSite"} <= set(vars(cookie)["_rest"])


def test_polling_without_the_cookie_does_not(nginx: NginxProcess) -> None:
    """So the test above does test something."""
    statuses = set()
    for _ in range(12):
        with requests.Session() as session:
            polled = Polled(session, nginx.url)
            session.cookies.clear()
            statuses.add(polled.post("3"))
    assert 400 in statuses


def test_attachments_stream_both_ways(nginx: NginxProcess, people: tuple[User, User]) -> None:
    alice, bob = people
    chat = alice.create_chat("bob")
    sent = bytes(range(256)) * (4 * 5 * 1024)  # 5 MiB, more than any other body may have
    octets = {"Content-Type": "application/octet-stream"}
    for body in (sent, iter([sent[:MIB], sent[MIB:]])):  # with a length, and chunked
        made = alice.rest.request("POST", f"/chats/{chat}/attachments", data=body, headers=octets)
        assert made.status_code == 201, made.text
        path = f"/chats/{chat}/attachments/{made.json()['id']}"
        assert bob.rest.request("GET", path, headers={"Accept": "*/*"}).content == sent
        part = bob.rest.request("GET", path, headers={"Accept": "*/*", "Range": "bytes=4096-8191"})
        assert part.status_code == 206 and part.content == sent[4096:8192]


# ---------------------------------------------------------------- what does not


def test_limits_of_size_have_the_protocols_names(nginx: NginxProcess, people: tuple[User, User]) -> None:
    alice, _ = people
    path = f"/api/v1/chats/{alice.create_chat('bob')}/attachments"
    octets = ("Content-Type: application/octet-stream", f"Authorization: Bearer {alice.token}")
    status, body = say_head(nginx, "POST", path, *octets, f"Content-Length: {100 * MIB + 1}")
    assert (status, json.loads(body)["code"]) == (413, "too_large")
    # No more than the head came, and the worker was asked: nothing waits in the proxy.
    stranger = ("Content-Type: application/octet-stream", "Authorization: Bearer nobody")
    status, body = say_head(nginx, "POST", path, *stranger, f"Content-Length: {100 * MIB}")
    assert (status, json.loads(body)["code"]) == (401, "unauthorized")
    for size, allowed in ((3 * MIB, 400), (3 * MIB + 1, 413)):
        answer = alice.rest.request(
            "POST", "/me/keys", data=b" " * size, headers={"Content-Type": "application/json"}
        )
        assert answer.status_code == allowed
        assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["code"] == "too_large"
    status, body = say_head(nginx, "GET", "/api/v1/server", f"X-Long: {'x' * 9000}")
    assert (status, json.loads(body)["code"]) == (400, "invalid")


@pytest.mark.parametrize("path", ["/metrics", "/readyz", "/%6detrics", "//readyz", "/x/../metrics"])
def test_what_is_for_those_who_run_it_is_closed(
    nginx: NginxProcess, workers: list[ServerProcess], path: str
) -> None:
    status, body = say_head(nginx, "GET", path)
    assert (status, json.loads(body)["code"]) == (404, "not_found")
    for open_ in ("/metrics", "/readyz"):
        assert requests.get(workers[0].url + open_, timeout=10).ok


def test_foreign_origins_are_refused_and_the_own_is_not(
    nginx: NginxProcess, visitor: requests.Session
) -> None:
    address = f"{nginx.url}/socket.io/?EIO=4&transport="
    for origin, forged, status in (
        (nginx.url, {}, 200),
        ("https://evil.example", {}, 400),
        ("http://evil.example", {"X-Forwarded-Host": "evil.example"}, 400),
        ("https://evil.example", {"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https"}, 400),
    ):
        headers = {"Origin": origin, **forged}
        assert visitor.get(f"{address}polling", headers=headers, timeout=10).status_code == status
        where = f"{address.replace('http', 'ws', 1)}websocket"
        if status == 200:
            websocket.create_connection(where, origin=origin, header=forged, timeout=10).shutdown()
        else:
            with pytest.raises(websocket.WebSocketBadStatusException, match="400"):
                websocket.create_connection(where, origin=origin, header=forged, timeout=10)


# ---------------------------------------------------------------- who is speaking


def wrong_log_in(session: requests.Session, url: str, number: int) -> int:
    body = {"username": f"nobody{number}", "password": "x" * 43}
    headers = {"X-Forwarded-For": f"{FORGED}{number}", "Forwarded": f"for={FORGED}{number}"}
    return session.post(f"{url}/api/v1/auth/login", json=body, headers=headers, timeout=30).status_code


def test_a_forged_address_evades_no_limit_and_enters_no_log(
    nginx: NginxProcess, workers: list[ServerProcess], visitor: requests.Session
) -> None:
    """ASVS 4.1.3, 15.3.4."""
    visitor.mount("http://", From("127.0.0.3"))
    statuses = [wrong_log_in(visitor, nginx.url, number) for number in range(11)]
    assert statuses == [401] * 10 + [429]  # ten by address, whichever worker is asked
    logs = nginx.log() + "".join(worker.log() for worker in workers)
    assert FORGED not in logs and "127.0.0.3" in logs


def test_the_balancers_word_counts(
    nginx: NginxProcess, workers: list[ServerProcess], balancer: requests.Session
) -> None:
    statuses = [wrong_log_in(balancer, nginx.url, number) for number in range(12)]
    assert statuses == [401] * 12
    assert f"{FORGED}11" in "".join(worker.log() for worker in workers)


def test_https_before_the_proxy(
    nginx: NginxProcess, people: tuple[User, User], balancer: requests.Session
) -> None:
    alice = people[0]
    said = {"X-Forwarded-For": f"{FORGED}200", "X-Forwarded-Proto": "https"}
    body = {"username": "alice", "password": alice.secret, "refresh_in": "cookie"}
    url = f"{nginx.url}/api/v1/auth/login"
    answer = balancer.post(url, json=body, headers=said, timeout=30)
    assert answer.ok, answer.text
    assert answer.headers["Strict-Transport-Security"].startswith("max-age=63072000")
    assert answer.headers["Set-Cookie"].startswith("__Host-chatsec_refresh=")
    assert "; Secure" in answer.headers["Set-Cookie"]
    polled = balancer.get(f"{nginx.url}/socket.io/?EIO=4&transport=polling", headers=said, timeout=10)
    assert polled.headers["Set-Cookie"].endswith("SameSite=Strict; Secure")
    # The same from somebody else, and from the balancer of somebody who did not come by TLS.
    for other, headers in ((requests.Session(), said), (balancer, {"X-Forwarded-For": f"{FORGED}201"})):
        with other:
            plain = other.post(url, json=body, headers=headers, timeout=30)
        assert plain.ok and "Strict-Transport-Security" not in plain.headers
        assert plain.headers["Set-Cookie"].startswith("chatsec_refresh=")


# ---------------------------------------------------------------- TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return self_signed(tmp_path_factory.mktemp("secure") / "tls")


@pytest.fixture(scope="module")
def secure(workers: list[ServerProcess], certificate: Path) -> Iterator[NginxProcess]:
    with NginxProcess(certificate.parents[1], [one.port for one in workers], "tls") as process:
        yield process


def test_tls_ends_at_the_proxy(
    secure: NginxProcess,
    people: tuple[User, User],
    visitor: requests.Session,
    certificate: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    visitor.verify = str(certificate)
    answer = visitor.get(f"{secure.url}/api/v1/server", headers={"X-Forwarded-Proto": "http"}, timeout=10)
    assert answer.ok and answer.headers["Strict-Transport-Security"].startswith("max-age=63072000")
    body = {"username": "alice", "password": people[0].secret, "refresh_in": "cookie"}
    answer = visitor.post(f"{secure.url}/api/v1/auth/login", json=body, timeout=30)
    assert "__Host-chatsec_refresh" in visitor.cookies
    polled = Polled(visitor, secure.url)
    assert polled.post(f"40/chat,{json.dumps({'token': people[0].token})}") == 200
    monkeypatch.setenv("WEBSOCKET_CLIENT_CA_BUNDLE", str(certificate))
    raw = RawSocket(secure.url, answer.json()["access_token"])
    assert raw.emit('["sync",{"chats":{}}]') is not None
    raw.close()
    moved = visitor.get(f"http://127.0.0.1:{secure.port}/login?x=1", allow_redirects=False, timeout=10)
    assert (moved.status_code, moved.headers["Location"]) == (308, "https://127.0.0.1/login?x=1")


@pytest.mark.browser
def test_the_page_over_tls(secure: NginxProcess, chromium: Browser) -> None:
    """ASVS 4.4.1: Two people on whatever workers; a reload takes the session up again by its `__Host-` cookie."""
    alice, bob = (Visitor(chromium, secure.url, ignore_https_errors=True) for _ in range(2))
    with closing(alice), closing(bob):
        alice.register("alice.tls", "Alice")
        bob.register("bob.tls", "Bob")
        alice.start_chat("bob.tls")
        alice.write("by the proxy")
        bob.open_chat("Alice")
        bob.expect_verified("by the proxy", "RSA-PSS-SHA256")
        (cookie,) = [one for one in bob.context.cookies() if one["name"] == "__Host-chatsec_refresh"]
        assert cookie["secure"] and cookie["httpOnly"]
        bob.page.reload()
        bob.expect_verified("by the proxy", "RSA-PSS-SHA256")
        assert alice.complaints == bob.complaints == []


def test_tls_is_new_enough(secure: NginxProcess) -> None:
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.maximum_version = version
        context.set_alpn_protocols(["h2", "http/1.1"])
        with (
            socket.create_connection(("127.0.0.1", secure.tls_port), 10) as raw,
            context.wrap_socket(raw) as tls,
        ):
            assert tls.version() == version.name.replace("_", ".")
            assert tls.selected_alpn_protocol() == "h2"
    # A ClientHello of TLS 1.1, which no library here would send: version, random, no session, two ciphers.
    hello = bytes.fromhex("0302" + "00" * 32 + "00" + "0004c013c014" + "0100" + "0000")
    with socket.create_connection(("127.0.0.1", secure.tls_port), 10) as raw:
        raw.sendall(b"\x16\x03\x01\0" + bytes([len(hello) + 4]) + b"\x01\0\0" + bytes([len(hello)]) + hello)
        assert raw.recv(7) == bytes.fromhex("15030200020246")  # a fatal alert: protocol_version


# ---------------------------------------------------------------- when workers go


def test_another_worker_goes_on(
    nginx: NginxProcess, workers: list[ServerProcess], people: tuple[User, User], visitor: requests.Session
) -> None:
    alice, bob = people
    chat = alice.create_chat("bob")
    lives = {live.sio.eio.sid: live for live in (bob.connect() for _ in range(8))}
    polled = Polled(visitor, nginx.url)
    first, second = workers
    first.kill()
    for _ in range(6):  # whatever it is, it is served
        assert alice.rest.get("/server")["protocol"] == 1
        alice.send(chat, "still here")
    for live in lives.values():
        live.close()
    status = polled.post("3")
    assert status in (200, 400)  # it was on the other, or is unknown there
    if status == 400:
        assert Polled(visitor, nginx.url).post("3") == 200
    second.kill()
    answer = alice.rest.request("GET", "/server")
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert answer.headers["Retry-After"] == "2"
    for worker in workers:
        worker.start()
    deadline = time.monotonic() + SOON
    while not _both_serve(nginx, alice, workers):
        assert time.monotonic() < deadline, "the workers are not used again"
    live = bob.connect()
    alice.send(chat, "again")
    assert live.message()


def _both_serve(nginx: NginxProcess, user: User, workers: list[ServerProcess]) -> bool:
    before = len(nginx.log())
    for _ in range(6):
        user.rest.request("GET", "/server")
    served = set(re.findall(r"127\.0\.0\.1:(\d+)$", nginx.log()[before:], re.M))
    return served == {str(worker.port) for worker in workers}
