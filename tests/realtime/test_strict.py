"""What no client should send: unknown events, wrong counts, reserved names, packets that end the connection (§7, H7)."""

import contextlib
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from tests.realtime.forge import forge
from tests.support.client import LiveClient, RawSocket, User
from tests.support.server import ServerProcess

Connect = Callable[[User], LiveClient]


@pytest.fixture
def raw(alice: User) -> Iterator[RawSocket]:
    """A joined socket of frames."""
    made = RawSocket(alice.url, alice.token)
    yield made
    made.close()


KNOWN = [
    "message:send",
    "message:delivered",
    "message:read",
    "typing",
    "presence:set",
    "presence:watch",
    "sync",
]


@pytest.mark.parametrize(
    "event", ["nonsense", "", "message", "event", "*", "__proto__", "message:send ", "é", "x" * 9999]
)
def test_unknown_events_are_answered(raw: RawSocket, event: str) -> None:
    for arguments in ([], [{}], [1, 2, 3]):
        ack = raw.emit(json.dumps([event, *arguments]))
        assert ack is not None and (ack["ok"], ack["code"]) == (False, "invalid")


@pytest.mark.parametrize("event", ["connect", "disconnect"])
def test_reserved_names_are_events_like_any_unknown(raw: RawSocket, alice: User, event: str) -> None:
    forged = {"HTTP_X_FORWARDED_FOR": "1.2.3.4", "PATH_INFO": "/", "REMOTE_ADDR": "::1"}
    for arguments in ([], [{}], [forged, {"token": alice.token}], ["client disconnect"]):
        ack = raw.emit(json.dumps([event, *arguments]))
        assert ack is not None and (ack["ok"], ack["code"]) == (False, "invalid"), arguments
    # It is still connected, still itself.
    assert raw.emit('["sync",{"chats":{}}]')["ok"]  # type: ignore[index]
    assert requests.get(f"{alice.url}/healthz", timeout=10).ok


@pytest.mark.parametrize("event", KNOWN)
def test_wrong_argument_counts_are_answered(raw: RawSocket, event: str) -> None:
    for arguments in ([], [{}, {}], [{"chats": {}}, 1, 2]):
        ack = raw.emit(json.dumps([event, *arguments]))
        assert ack is not None and (ack["ok"], ack["code"]) == (False, "invalid"), arguments


@pytest.mark.parametrize("event", KNOWN)
@pytest.mark.parametrize(
    "payload",
    [
        "null",
        "0",
        "-1",
        "1e308",
        '""',
        '"\\u0000"',
        "[]",
        "[[[[]]]]",
        "{}",
        "true",
        '{"chat":null}',
        '{"chat":{"$gt":""},"seq":{"$gt":0}}',
        '{"__proto__":{"admin":true}}',
        '{"chat":"\' OR 1=1 --","seq":1}',
        '{"constructor":{"prototype":{}}}',
        "[" * 100 + "]" * 100,
        '{"a":' * 100 + "1" + "}" * 100,
    ],
)
def test_any_payload_is_answered(raw: RawSocket, event: str, payload: str) -> None:
    ack = raw.emit(f'["{event}",{payload}]')
    assert ack is not None and (ack["ok"], ack["code"]) == (False, "invalid")


def test_an_event_without_an_ack_id_is_taken(raw: RawSocket) -> None:
    raw.send('42/chat,["nonsense",1]')
    raw.send('42/chat,["sync",{"chats":{}}]')
    assert raw.emit('["sync",{"chats":{}}]')["ok"]  # type: ignore[index]


BAD_FRAMES = {
    "a binary event": '451-/chat,["message:send",{"_placeholder":true,"num":0}]',
    "a binary event of no attachments": '450-/chat,["sync",{"chats":{}}]',
    "a binary ack": "461-/chat,1[]",
    "packet type 7": "47/chat,",
    "packet type 9": "49",
    "no packet type": "4",
    "no number": "4x",
    "no JSON": "42/chat,[",
    "half a JSON": '42/chat,["sync",',
    "an object as event": '42/chat,{"a":1}',
    "a text as event": '42/chat,"sync"',
    "an empty event": "42/chat,[]",
    "nothing as event": "42/chat,",
    "an object as name": '42/chat,[{"a":1}]',
    "a number as name": "42/chat,[1]",
    "null as name": "42/chat,[null]",
    "a list as name": '42/chat,[["sync"]]',
    "a lone surrogate": '42/chat,["sync","\\ud800"]',
    "NaN": '42/chat,["sync",NaN]',
    "very deep JSON": '42/chat,["sync",' + "[" * 20_000 + "]" * 20_000 + "]",
    "an id without end": "42/chat," + "1" * 5000 + '["sync"]',
    "a connect that is no object": "40/chat,[1]",
    "a disconnect of everything": "41/chat,[1",
    "an Engine.IO open": "0{}",
    "an Engine.IO ping": "2",
    "an Engine.IO noop": "6",
    "an unknown Engine.IO type": "9",
    "a base64 binary": "bAAAA",
    "an empty frame": "",
    "letters": "hello",
    "an ack of a text": '43/chat,1"x"',
    "an upgrade in between": "5",
}


@pytest.mark.parametrize("name", [name for name in BAD_FRAMES if name not in ("an upgrade in between",)])
def test_packets_that_cannot_be_read_end_the_connection(
    raw: RawSocket, connect: Connect, bob: User, name: str
) -> None:
    bystander = connect(bob)
    raw.send(BAD_FRAMES[name])
    assert raw.ended()
    assert bystander.call("sync", {"chats": {}})["ok"]


def test_binary_frames_end_the_connection(raw: RawSocket, connect: Connect, bob: User) -> None:
    bystander = connect(bob)
    raw.send_binary(b'42/chat,["sync",{"chats":{}}]')
    assert raw.ended()
    assert bystander.call("sync", {"chats": {}})["ok"]


def test_text_that_is_not_utf_8_ends_the_connection(raw: RawSocket, connect: Connect, bob: User) -> None:
    bystander = connect(bob)
    raw.ws.send(b'42/chat,["sync",{"a":"\xff\xfe"}]', opcode=1)
    assert raw.ended()
    assert bystander.call("sync", {"chats": {}})["ok"]


def test_a_huge_packet_ends_the_connection_and_nobody_elses(
    raw: RawSocket, connect: Connect, bob: User
) -> None:
    """ASVS 5.2.1."""
    bystander = connect(bob)
    with contextlib.suppress(OSError):  # it may be cut while it is being sent
        raw.send('42/chat,["sync",{"chats":{},"x":"' + "x" * (8 << 20) + '"}]')
    assert raw.ended()
    assert bystander.call("sync", {"chats": {}})["ok"]


def test_a_large_body_within_the_limit_is_answered(raw: RawSocket, alice: User, chat: str) -> None:
    envelope = forge(alice, chat) | {"padding": "x" * 100_000}
    ack = raw.emit(json.dumps(["message:send", envelope]))
    assert ack is not None and ack["ok"]


def test_joining_twice_hears_everything_once(alice: User, bob: User, chat: str, raw: RawSocket) -> None:
    raw.send(f"40/chat,{json.dumps({'token': alice.token})}")
    bob.send(chat, "once")
    assert raw.until('42/chat,["message"')
    ack = raw.emit('["sync",{"chats":{}}]')
    assert ack is None or ack["ok"]
    seen = []
    raw.send('42/chat,77["sync",{"chats":{}}]')
    while (frame := raw.recv()) and not frame.startswith("43/chat,77"):
        seen.append(frame)
    assert [frame for frame in seen if '"message"' in frame] == []


def test_other_namespaces_are_refused(alice: User) -> None:
    for frame in ("40", "40/other,", "40/admin,{}", '40/chat/,{"token":"x"}'):
        raw = RawSocket(alice.url)
        raw.send(frame)
        answer = raw.recv()
        assert answer is None or answer.startswith("44"), frame
        raw.send('42/other,1["sync",{"chats":{}}]')
        raw.close()
    assert requests.get(f"{alice.url}/healthz", timeout=10).ok


def test_events_before_joining_are_not_heard(alice: User) -> None:
    raw = RawSocket(alice.url)
    raw.send('42/chat,1["sync",{"chats":{}}]')
    raw.send(f"40/chat,{json.dumps({'token': alice.token})}")
    assert raw.until("4").startswith("40/chat,")
    raw.close()


def test_polling_packets_are_judged_alike(alice: User, server: ServerProcess) -> None:
    """Over long polling too: a bad packet ends the session, and the token is in no URL."""
    url = f"{alice.url}/socket.io/?EIO=4&transport=polling"
    for bad in (b"", b"x", b"42/chat,[", b"\xff\xfe", b"6", b"bAAAA", b"4" * 300_000):
        sid = json.loads(requests.get(url, timeout=10).text[1:])["sid"]
        joined = requests.post(
            f"{url}&sid={sid}", f"40/chat,{json.dumps({'token': alice.token})}", timeout=10
        )
        assert joined.status_code == 200
        status = requests.post(f"{url}&sid={sid}", bad, timeout=10).status_code
        assert status < 500
        answer: Any = None
        for _ in range(5):  # what was queued for it is given out first
            answer = requests.get(f"{url}&sid={sid}", timeout=10)
            if answer.status_code >= 400 or answer.text in ("1", ""):
                break
        assert answer.status_code == 400 or answer.text in ("1", ""), (bad[:10], answer.text[:100])
    assert alice.token not in server.log()
