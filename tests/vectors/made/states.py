"""Client states, good and refused (protocol §3).

`backup_key` is B, `plaintext` what is sealed (`compact`: it is the contents without blanks, in their order), `contents`
what a reader takes from it.
"""

import json
from typing import Any

from tests.support.encoding import H, b64u, un64u
from tests.support.state import seal_text
from tests.vectors.fixed import stream

SECRET = stream("state B", 32)
CHAT = "5a1d7f04-3c7e-4d0b-9b52-7d6f1c2e9a10"
OTHER = "5a1d7f04-3c7e-4d0b-9b52-7d6f1c2e9a11"
PIN = {"version": 2, "keys": H(b"bundle 2"), "verified": True}
KNOWN = {
    "mode": "combined",
    "log_n": 3,
    "log_hash": H(b"entry 3"),
    "epoch": 4,
    "seq": 41,
    "chain": H(b"item 41"),
}
SERVER = {"mode": "server", "log_n": 0, "log_hash": "", "epoch": 0, "seq": 0, "chain": ""}
WHOLE = {
    "pins": {"bob": PIN, "alice": PIN | {"version": 1, "verified": False}},
    "chats": {OTHER: SERVER, CHAT: KNOWN},
}


def cases() -> list[dict[str, Any]]:
    """All cases of the file."""
    return [*_good(), *_sealed_wrong(), *_wrong_inside()]


def _case(
    name: str, n: int, plaintext: str, username: str = "alice", secret: bytes = SECRET
) -> dict[str, Any]:
    state = seal_text(username, n, plaintext, secret, stream(f"state iv {name}", 12))
    return {"name": name, "valid": True, "username": username, "backup_key": b64u(secret), "state": state}


def _compact(contents: Any) -> str:
    return json.dumps(contents, separators=(",", ":"))


def _good() -> list[dict[str, Any]]:
    whole = _compact(WHOLE)
    spaced = json.dumps({"unknown": [1], **WHOLE, "chats": {CHAT: KNOWN | {"more": None}}}, indent=2)
    made = []
    for name, n, plaintext, contents in (
        ("the first", 1, _compact({"pins": {}, "chats": {}}), {"pins": {}, "chats": {}}),
        ("people and chats", 2**53 - 1, whole, WHOLE),
        ("blanks and unknown keys", 7, spaced, WHOLE | {"chats": {CHAT: KNOWN}}),
        ("a number written 3.0", 8, whole.replace('"log_n":3', '"log_n":3.0'), WHOLE),
        ("of a repeated key the last", 9, '{"pins":7,' + whole[1:], WHOLE),
    ):
        compact = plaintext == _compact(contents)
        case = _case(name, n, plaintext)
        made.append(case | {"plaintext": b64u(plaintext.encode()), "compact": compact, "contents": contents})
    return made


def _bad(failure: str, case: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return case | {"valid": False, "failure": failure} | changes


def _sealed_wrong() -> list[dict[str, Any]]:
    whole = _compact(WHOLE)

    def changed(name: str, failure: str, **in_state: Any) -> dict[str, Any]:
        case = _case(name, 5, whole)
        return _bad(failure, case, state=case["state"] | in_state)

    good = _case("x", 5, whole)["state"]
    flipped = bytearray(un64u(good["ciphertext"]))
    flipped[9] ^= 1
    return [
        _bad("undecryptable", _case("another B", 5, whole), backup_key=b64u(stream("another B", 32))),
        _bad("undecryptable", _case("another account", 5, whole), username="bob"),
        changed("an older state under a newer n", "undecryptable", n=6),
        changed("a byte changed", "undecryptable", ciphertext=b64u(bytes(flipped))),
        changed("empty ciphertext", "undecryptable", ciphertext=""),
        changed("another iv", "undecryptable", iv=b64u(stream("another iv", 12))),
        changed("iv of 16 bytes", "malformed", iv=b64u(stream("long iv", 16))),
        changed("ciphertext padded", "malformed", ciphertext=good["ciphertext"] + "="),
        changed("another v", "malformed", v=2),
        changed("v a boolean", "malformed", v=True),
        changed("n 0", "malformed", n=0),
        changed("n a text", "malformed", n="5"),
    ]


def _wrong_inside() -> list[dict[str, Any]]:
    def pins(**pin: Any) -> dict[str, Any]:
        return {"pins": {"bob": PIN | pin}, "chats": {}}

    def chats(**known: Any) -> dict[str, Any]:
        return {"pins": {}, "chats": {CHAT: KNOWN | known}}

    wrong: dict[str, Any] = {
        "a list": [],
        "no pins": {"chats": {}},
        "no chats": {"pins": {}},
        "pins a list": {"pins": [], "chats": {}},
        "chats null": {"pins": {}, "chats": None},
        "not a username": {"pins": {"Bob": PIN}, "chats": {}},
        "a username with a line feed": {"pins": {"bob\n": PIN}, "chats": {}},
        "a pin null": {"pins": {"bob": None}, "chats": {}},
        "version 0": pins(version=0),
        "version a text": pins(version="2"),
        "keys no hash": pins(keys="x"),
        "keys empty": pins(keys=""),
        "verified 1": pins(verified=1),
        "verified missing": {"pins": {"bob": {"version": 1, "keys": PIN["keys"]}}, "chats": {}},
        "not a chat's id": {"pins": {}, "chats": {CHAT.upper(): KNOWN}},
        "mode null": chats(mode=None),
        "log_n negative": chats(log_n=-1),
        "log_hash no hash": chats(log_hash="x"),
        "log_hash null": chats(log_hash=None),
        "epoch not integral": chats(epoch=1.5),
        "seq 2^53": chats(seq=2**53),
        "seq a boolean": chats(seq=True),
        "chain a number": chats(chain=0),
    }
    texts = {name: _compact(contents) for name, contents in wrong.items()}
    texts["not JSON"] = "{"
    texts["a byte order mark"] = "\ufeff" + _compact(WHOLE)
    texts["a lone surrogate"] = _compact(WHOLE)[:-1] + ',"x":"\\ud800"}'
    return [_bad("malformed", _case(f"inside: {name}", 5, text)) for name, text in texts.items()]
