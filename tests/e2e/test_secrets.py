"""S_e is forgotten, and no plaintext, password or token stays where it must not be: store, its log, files, log, errors (H1).

A recording generator supplies every S_e; afterwards all its forms are searched for. That the search finds what is there
is shown by planting one.
"""

from __future__ import annotations

import base64
import gc
import types
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from chatsec import crypto
from chatsec.domain.epochs import EpochService
from chatsec.domain.models import Bundle
from chatsec.errors import ChatSecError
from tests.support import protocol as p
from tests.support.client import RestClient, User
from tests.support.direct import DirectOffload
from tests.support.server import ServerProcess

CANARY = "canary-7f3a9e the plaintext that nobody else may read"


def forms(secret: bytes) -> set[bytes]:
    """Raw, reversed, hex, decimal and escaped; base64 and b64u at each place that it can have in a longer text."""
    found = {secret, secret[::-1], secret.hex().encode(), secret.hex().upper().encode()}
    found |= {", ".join(map(str, secret)).encode(), ",".join(map(str, secret)).encode()}
    found |= {repr(secret)[2:-1].encode(), str(int.from_bytes(secret, "big")).encode()}
    for shift in range(3):
        # What is before and after it in a longer text changes the first and the last characters.
        encoded = base64.b64encode(bytes(shift) + secret)
        whole = encoded[-(-shift * 8 // 6) : (shift + len(secret)) * 8 // 6]
        found |= {whole, whole.translate(bytes.maketrans(b"+/", b"-_"))}
    return found


def holders(secrets: Iterable[bytes], places: dict[str, bytes]) -> list[str]:
    """Where any form of any of them lies."""
    return [
        f"{place} ({form[:12]!r}…)"
        for secret in secrets
        for form in forms(secret)
        for place, content in places.items()
        if form in content
    ]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_search_finds_every_form() -> None:
    secret = bytes(range(7, 39))
    for text in (
        b"x" + secret,
        secret.hex().upper().encode(),
        base64.b64encode(b"a" + secret + b"zz"),
        base64.urlsafe_b64encode(b"ab" + secret + b"z"),
        p.b64u(secret).encode(),
        repr({"key": secret}).encode(),
        str(list(secret)).encode(),
    ):
        assert holders([secret], {"here": text}), text
    assert not holders([secret], {"here": bytes(range(8, 40)) + b"A" * 100})


# ---------------------------------------------------------------- the real process


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    """The server in `main/`, its drawn keys in `drawn` beside."""
    folder = tmp_path / "main"
    folder.mkdir()
    process = ServerProcess(folder, LOG_LEVEL="debug")
    process.command = (str(Path(__file__).with_name("recording_app.py")), str(tmp_path / "drawn"))
    with process:
        yield process


def test_nothing_secret_stays(server: ServerProcess, tmp_path: Path) -> None:
    alice, bob, carol = (
        User.register(server.url, name, at) for at, name in enumerate(("alice", "bob", "carol"))
    )
    plain = RestClient(server.url)
    typed = "typed password canary-51b2"
    answer = plain.post("/auth/register", {"username": "plain", "password": typed, "kdf": None})
    chat = alice.create_chat("bob")
    live = bob.connect()
    alice.send(chat, CANARY)
    bob.send(chat, CANARY, live=live)
    alice.change(chat, "add", usernames=["carol"])
    alice.change(chat, "rekey")
    bob.rotate(p.pool(3))
    carol.send(chat, CANARY)
    alice.change(chat, "remove", usernames=["bob"])
    for body in (
        {"kind": "add", "usernames": ["nobody"]},
        {"kind": "add", "usernames": ["plain"]},
        {"kind": "x"},
    ):
        assert not alice.rest.request("POST", f"/chats/{chat}/events", body).ok
    assert carol.reader(chat).last_seq == alice.chat(chat)["last_seq"]

    drawn = [bytes.fromhex(line) for line in (tmp_path / "drawn").read_text().split()]
    assert len(drawn) == 5, "create, add, rekey, keys, remove"
    keys = {
        carol.epoch_key(chat, epoch)
        for epoch in carol.rest.get(f"/chats/{chat}/epochs")["items"]
        if epoch["wrapped"]
    }
    assert keys <= set(drawn) and len(keys) == 4, "these are the real keys"

    running = contents(tmp_path / "main")
    assert any(place.endswith("-wal") and content for place, content in running.items())
    sure = [CANARY.encode(), typed.encode(), alice.secret.encode(), bob.secret.encode()]
    tokens = [answer["access_token"].encode(), answer["refresh_token"].encode(), alice.token.encode()]
    for user in (alice, bob, carol):
        user.close()
    plain.close()
    server.stop()
    for places in (running, contents(tmp_path / "main")):
        assert holders(drawn, places) == []
        assert holders([*sure, *tokens], places) == []
        assert holders([CANARY[7:13].encode()], places) == []
    assert "Traceback" not in server.log()
    (tmp_path / "main" / "planted").write_text(p.b64u(drawn[0]))
    assert len(holders(drawn, contents(tmp_path / "main"))) == 1


# ---------------------------------------------------------------- an exception on the way


class OneBadKey:
    """A key store where the last one's wrapping key cannot be used."""

    def __init__(self, bad: bytes) -> None:
        self._bad = bad

    def current(self, usernames: Iterable[str]) -> dict[str, Bundle]:
        spki = p.un64u(p.make_bundle("alice", p.pool(0))["encryption"]["spki"])
        return {
            name: Bundle(name, 1, f"kh-{name}", 0, "kid", self._bad if name == "zoe" else spki, {}, {})
            for name in usernames
        }

    def history(self, username: str, after: int) -> list[Bundle]:
        return []


def core(error: BaseException) -> Iterator[bytes]:
    """Everything that hangs on an exception: texts, causes, and all that the frames on its way hold."""
    seen: set[int] = set()
    waiting: list[Any] = [error]
    while waiting:
        one = waiting.pop()
        if id(one) in seen or isinstance(one, types.ModuleType | type):
            continue
        seen.add(id(one))
        if isinstance(one, bytes | bytearray):
            yield bytes(one)
        elif isinstance(one, str | int | float):
            yield str(one).encode()
        elif isinstance(one, BaseException):
            waiting += [one.args, one.__cause__, one.__context__, one.__traceback__, vars(one)]
        elif isinstance(one, types.TracebackType):
            waiting += [one.tb_next, dict(one.tb_frame.f_locals)]
        elif isinstance(one, dict):
            waiting += [*one.keys(), *one.values()]
        elif isinstance(one, list | tuple | set | frozenset):
            waiting += one
        elif type(one).__module__.startswith("chatsec"):
            waiting += gc.get_referents(one)


@pytest.mark.parametrize("bad", [b"", b"no key", bytes(400)])
def test_an_exception_while_wrapping_holds_no_key(bad: bytes) -> None:
    drawn: list[bytes] = []

    def record(size: int) -> bytes:
        # A copy: what the service was given is its own to overwrite, this one is the test's.
        drawn.append(bytes(range(100, 100 + size)))
        return bytes(range(100, 100 + size))

    service = EpochService(OneBadKey(bad), DirectOffload(), record)
    good = service.open("chat", 1, ["alice", "bob"])
    label = crypto.wrap_label("chat", 1)
    assert p.pool(0).unwrap(p.un64u(good.wraps["bob"].wrapped), label) == drawn[0], (
        "the recorded one is the key"
    )
    with pytest.raises(ChatSecError) as caught:
        service.open("chat", 2, ["alice", "bob", "zoe"])
    assert caught.value.code == "unavailable"
    own = {"test_an_exception_while_wrapping_holds_no_key", "record"}
    assert not [found for found in core(strip(caught.value, own)) if holders(drawn, {"core": found})]


def strip(error: BaseException, own: set[str]) -> BaseException:
    """Without this test's own frame, which knows the key."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_name in own:
        trace = trace.tb_next
    return error.with_traceback(trace)


def test_the_core_of_an_exception_is_searched_deep() -> None:
    secret = b"S" * 32

    def fail() -> None:
        inner = {"deep": [bytearray(secret)]}
        try:
            raise ValueError(len(inner))
        except ValueError as error:
            raise ChatSecError("unavailable") from error

    with pytest.raises(ChatSecError) as caught:
        fail()
    assert [found for found in core(caught.value) if secret in found]
