"""`message:send` with headers and envelopes of bad form: each is `invalid`, and nothing is stored (protocol §5, §7; H7)."""

import uuid
from collections.abc import Callable
from typing import Any

from tests.realtime.forge import forge, forge_text, refusal
from tests.support import protocol as p
from tests.support.client import LiveClient, User

Connect = Callable[[User], LiveClient]

HEADER_FAULTS: list[dict[str, Any]] = [
    {"v": 2},
    {"v": True},
    {"v": "1"},
    {"chat": "5a1d7f04-3c7e-4d0b-9b52-7d6f1c2e9a10"},
    {"chat": None},
    {"from": "bob"},
    {"from": "Alice"},
    {"from": None},
    {"epoch": 0},
    {"epoch": -1},
    {"epoch": 1.5},
    {"epoch": "1"},
    {"epoch": True},
    {"epoch": None},
    {"epoch": 2**53},
    {"epoch": 10**400},
    {"id": "x"},
    {"id": 5},
    {"id": "5A1D7F04-3C7E-4D0B-9B52-7D6F1C2E9A10"},
    {"id": {"$ne": ""}},
    {"dev": ""},
    {"dev": "AA"},
    {"dev": p.b64u(bytes(17))},
    {"dev": None},
    {"n": 0},
    {"n": True},
    {"prev": "x"},
    {"prev": None},
    {"seen": None},
    {"seen": []},
    {"seen": {"seq": 1}},
    {"seen": {"seq": "1", "hash": p.H(b"")}},
    {"seen": {"seq": 1, "hash": ""}},
    {"log": "x"},
    {"log": None},
    {"at": "yesterday"},
    {"at": 0},
    {"at": "2026-11-24T18:00:00Z"},
    {"alg": "none"},
    {"alg": "RSA-OAEP-256"},
    {"alg": None},
    {"alg": ["Ed25519"]},
    {"kid": ""},
    {"kid": None},
    {"kid": p.H(b"") + "="},
    {"kc": ""},
    {"kc": p.H(b"")[:-1] + "9"},
]
FIELDS = ["v", "chat", "epoch", "id", "from", "dev", "n", "prev", "seen", "log", "at", "alg", "kid", "kc"]


def test_headers_of_bad_form(alice: User, chat: str, connect: Connect) -> None:
    live = connect(alice)
    for fields in HEADER_FAULTS:
        ack = live.call("message:send", forge(alice, chat, **fields))
        assert ack["code"] == "invalid", fields
    for name in FIELDS:
        assert refusal(live.call("message:send", forge(alice, chat, drop=name))).startswith("invalid"), name
    assert alice.history(chat)["last_seq"] == 1


def test_headers_that_are_no_json_object(alice: User, chat: str, connect: Connect) -> None:
    live = connect(alice)
    good = p.un64u(forge(alice, chat)["protected"])
    texts = [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"1",
        b"\xef\xbb\xbf" + good,
        good + b"x",
        good[:-1],
        good[:-1] + b',"x":NaN}',
        good[:-1] + b',"x":Infinity}',
        good[:-1] + b',"x":"\\ud800"}',
        good[:-1] + b',"x":"\xff"}',
        good[:-1] + b',"x":"\xed\xa0\x80"}',
        good.replace(b'"', b"'"),
        b"[" * 2000,
        b'{"x":' * 600 + b"1" + b"}" * 600,
    ]
    for header in texts:
        ack = live.call("message:send", forge_text(alice, chat, header))
        assert refusal(ack).startswith("invalid protected"), header[:40]
    assert alice.history(chat)["last_seq"] == 1


def test_numbers_however_written_and_the_last_of_repeated_keys(
    alice: User, bob: User, chat: str, connect: Connect
) -> None:
    live = connect(alice)
    good = p.un64u(forge(alice, chat)["protected"])
    for old, new in (
        (b'"epoch": 1', b'"epoch": 1.0'),
        (b'"n": 1', b'"n": 1e0'),
        (b'"seq": 1', b'"seq": 10e-1'),
        (b'"epoch": 1', b'"epoch": 77, "epoch": 1'),
        (b'"v": 1', b'"unknown": [1.5, {"a": null}], "v": 1'),
    ):
        assert old in good
        header = good.replace(old, new)
        header = header.replace(p.parse_object(good)["id"].encode(), str(uuid.uuid4()).encode())
        assert live.call("message:send", forge_text(alice, chat, header))["ok"], new
    repeated = good.replace(b'"epoch": 1', b'"epoch": 1, "epoch": 77')
    assert refusal(live.call("message:send", forge_text(alice, chat, repeated))) == "invalid epoch"


def test_envelopes_of_bad_form(alice: User, chat: str, connect: Connect) -> None:
    live = connect(alice)
    good = forge(alice, chat)
    bad: list[Any] = [None, 1, "x", [], [good], {}, {"chat": chat}, {"chat": {"$ne": None}}]
    bad += [{name: value for name, value in good.items() if name != missing} for missing in good]
    for name in good:
        bad += [
            good | {name: value} for value in (None, 1, True, [], {}, "", good[name] + "=", good[name] + "\n")
        ]
        bad += [good | {name: f" {good[name]}"}, good | {name: good[name].replace("-", "+") + "+"}]
        bad += [good | {name: "é" * 4}, good | {name: "\x00" * 4}, good | {name: "A"}]
    bad += [
        good | {"iv": p.b64u(bytes(11))},
        good | {"iv": p.b64u(bytes(16))},
        good | {"ciphertext": p.b64u(bytes(15))},
    ]
    bad += [good | {"chat": chat.upper()}, good | {"chat": f"{{{chat}}}"}]
    for envelope in bad:
        ack = live.call("message:send", envelope)
        assert ack["ok"] is False and ack["code"] == "invalid", envelope
    assert alice.history(chat)["last_seq"] == 1
    assert live.call("message:send", good | {"unknown": 1, "__proto__": {"seq": 9}})["seq"] == 2
    assert set(alice.history(chat)["items"][-1]) == {*good, "seq", "received_at"}
