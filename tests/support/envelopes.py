"""Epoch keys, message envelopes, padding, hashes and the chain (protocol §4, §5)."""

import hmac
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tests.support.encoding import (
    USERNAME,
    UUID,
    Failure,
    H,
    b64u,
    digest,
    field,
    number,
    parse_object,
    sha256,
    text,
    time,
    un64u,
)
from tests.support.keys import SIGNING, KeySet, verify

CHAIN_START = bytes(32)
SIZES = ((2, 4096), (16, 65536), (1, 512))  # of header, ciphertext with its tag, signature
MAX_PAYLOAD = 63_487
KIND = re.compile("[a-z]{1,32}")
Envelope = dict[str, str]


def now() -> str:
    """The clock as the protocol writes it."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


# ---- keys of an epoch


def wrap_label(chat: str, epoch: int) -> bytes:
    """Label of the server share's wrap."""
    return f"chatsec/wrap/v1\n{chat}\n{epoch}\nserver".encode()


def open_wrap(keys: KeySet, wrapped: str, chat: str, epoch: int) -> bytes:
    """S_e, which in `server` chats is K_e; exactly 32 bytes."""
    key = keys.unwrap(un64u(wrapped), wrap_label(chat, epoch))
    if len(key) != 32:
        raise ValueError("a share has 32 bytes")
    return key


def commitment(key: bytes) -> str:
    """kc."""
    return b64u(hmac.digest(key, b"chatsec/commit/v1", "sha256"))


# ---- padding


def padme(length: int) -> int:
    """Padded length of a payload of `length` bytes, the 0x80 counted."""
    size = max(32, length + 1)
    exponent = size.bit_length() - 1
    kept = exponent.bit_length()
    step = 1 << (exponent - kept)
    return -(-size // step) * step


def pad(payload: bytes) -> bytes:
    """payload || 0x80 || zeros."""
    return (payload + b"\x80").ljust(padme(len(payload)), b"\x00")


def unpad(padded: bytes) -> bytes:
    """The payload, or `bad_padding`."""
    payload, mark, _ = padded.rstrip(b"\x00").rpartition(b"\x80")
    if not mark or pad(payload) != padded:
        raise Failure("bad_padding")
    return payload


# ---- envelopes


@dataclass
class Lane:
    """One sending lane of one chat: `dev`, and where its (epoch, n, prev) stands."""

    dev: str
    epoch: int = 0
    n: int = 0
    prev: str = ""

    def sent(self, epoch: int, envelope: Mapping[str, str]) -> None:
        """An envelope was stored by the server: the next one follows it."""
        self.n = self.n + 1 if epoch == self.epoch else 1
        self.epoch, self.prev = epoch, envelope_hash(envelope)

    def place(self, epoch: int) -> tuple[int, str]:
        """(n, prev) for the next envelope."""
        return (self.n + 1, self.prev) if epoch == self.epoch else (1, "")


def new_lane() -> Lane:
    """A lane with a random id."""
    return Lane(b64u(os.urandom(16)))


def make_header(**fields: Any) -> bytes:
    """Header JSON: `v` and `at` are filled in, `sender` stands for `from`."""
    fields["from"] = fields.pop("sender")
    return json.dumps({"v": 1, "log": "", "at": now()} | fields, separators=(",", ":")).encode()


def seal_envelope(
    keys: KeySet,
    key: bytes,
    payload: bytes,
    *,
    chat: str,
    epoch: int,
    id: str,
    sender: str,
    lane: Lane,
    seen: tuple[int, str],
    alg: str = SIGNING[0],
    **overrides: Any,
) -> Envelope:
    """A message envelope; `overrides` replace header fields, for hostile ones."""
    n, prev = lane.place(epoch)
    fields = {
        "chat": chat,
        "epoch": epoch,
        "id": id,
        "sender": sender,
        "dev": lane.dev,
        "n": n,
        "prev": prev,
        "seen": {"seq": seen[0], "hash": seen[1]},
        "alg": alg,
        "kid": keys.kid(alg) if alg in keys.signing else "",
        "kc": commitment(key),
    }
    return seal_raw(keys, key, make_header(**(fields | overrides)), pad(payload), chat, alg)


def seal_raw(keys: KeySet, key: bytes, header: bytes, plaintext: bytes, chat: str, alg: str) -> Envelope:
    """Encrypts and signs exactly these header and plaintext bytes."""
    protected = b64u(header)
    iv = os.urandom(12)
    ciphertext = AESGCM(key).encrypt(iv, plaintext, protected.encode())
    signed = signing_input(protected, b64u(iv), ciphertext)
    envelope = {"chat": chat, "protected": protected, "iv": b64u(iv), "ciphertext": b64u(ciphertext)}
    return envelope | {"signature": b64u(keys.sign(alg, signed))}


def signing_input(protected: str, iv: str, ciphertext: bytes) -> bytes:
    """What `kid` signs."""
    return f"chatsec/message/v1\n{protected}\n{iv}\n{H(ciphertext)}".encode()


def envelope_hash(envelope: Mapping[str, str]) -> str:
    """h."""
    return H(".".join(envelope[name] for name in ("protected", "iv", "ciphertext", "signature")).encode())


def read_header(envelope: Mapping[str, Any]) -> dict[str, Any]:
    """Strict form of envelope and header; anything else is `malformed`."""
    chat = text(field(envelope, "chat"), UUID)
    protected = un64u(field(envelope, "protected"))
    un64u(field(envelope, "iv"), 12)
    ciphertext, signature = un64u(field(envelope, "ciphertext")), un64u(field(envelope, "signature"))
    sizes = (len(protected), len(ciphertext), len(signature))
    if any(not low <= size <= high for size, (low, high) in zip(sizes, SIZES, strict=True)):
        raise Failure("malformed", "size")
    header = parse_object(protected)
    if number(field(header, "v")) != 1 or text(field(header, "chat")) != chat:
        raise Failure("malformed", "v or chat")
    seen = field(header, "seen")
    if not isinstance(seen, dict):
        raise Failure("malformed", "seen")
    return {
        "chat": chat,
        "epoch": number(field(header, "epoch"), 1),
        "id": text(field(header, "id"), UUID),
        "from": text(field(header, "from"), USERNAME),
        "dev": b64u(un64u(field(header, "dev"), 16)),
        "n": number(field(header, "n"), 1),
        "prev": digest(field(header, "prev"), empty=True),
        "seen": (number(field(seen, "seq"), 1), digest(field(seen, "hash"))),
        "log": digest(field(header, "log"), empty=True),
        "at": time(field(header, "at")),
        "alg": text(field(header, "alg")),
        "kid": digest(field(header, "kid")),
        "kc": digest(field(header, "kc")),
    }


def check_signature(envelope: Mapping[str, str], alg: str, spki: bytes) -> None:
    """`bad_signature` unless it verifies."""
    signed = signing_input(envelope["protected"], envelope["iv"], un64u(envelope["ciphertext"]))
    if not verify(alg, spki, un64u(envelope["signature"]), signed):
        raise Failure("bad_signature")


def open_envelope(envelope: Mapping[str, str], key: bytes) -> bytes:
    """The payload bytes: `key_mismatch`, `undecryptable` or `bad_padding` otherwise."""
    header = parse_object(un64u(envelope["protected"]))
    if header["kc"] != commitment(key):
        raise Failure("key_mismatch")
    aad = envelope["protected"].encode()
    try:
        padded = AESGCM(key).decrypt(un64u(envelope["iv"], 12), un64u(envelope["ciphertext"]), aad)
    except InvalidTag as error:
        raise Failure("undecryptable") from error
    return unpad(padded)


# ---- items and the chain


def event_hash(item: Mapping[str, Any]) -> str:
    """Hash of an event item as it travels; its chat may be the id or the whole Chat of a push."""
    event = item["event"]
    chat = item["chat"]["id"] if isinstance(item["chat"], dict) else item["chat"]
    if not isinstance(event["usernames"], list):
        raise Failure("malformed", "usernames")
    names = ",".join(sorted(text(name, USERNAME) for name in event["usernames"]))
    by = event["by"] and text(event["by"], USERNAME)
    parts = ["chatsec/event/v1", text(chat, UUID), text(event["kind"], KIND), by, names]
    hashes = [digest(event[name], empty=True) for name in ("log", "share", "keys")]
    return H("\n".join([*parts, str(number(event["epoch"], 1)), *hashes]).encode())


def item_hash(item: Mapping[str, Any]) -> bytes:
    """Raw hash of a message or event item."""
    return un64u(event_hash(item) if "event" in item else envelope_hash(item))


def chain_step(before: bytes, hashed: bytes) -> bytes:
    """c_s from c_{s-1}."""
    return sha256(b"chatsec/chain/v1\n", before, hashed)


def chain(items: list[Mapping[str, Any]], before: bytes = CHAIN_START) -> bytes:
    """The c after these items."""
    for item in items:
        before = chain_step(before, item_hash(item))
    return before
