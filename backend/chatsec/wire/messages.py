"""The message envelope on its way in, and items of the sequence on their way out (protocol §4–§7).

`envelope` is written by hand rather than as a model, since it is judged for every message: it takes about 8 µs. It
judges the form alone, signatures are for readers (§5). What it stores has just the envelope's own fields.
"""

from __future__ import annotations

import binascii
import re
from base64 import urlsafe_b64decode
from typing import Annotated, Any

import orjson
from pydantic import Field

from chatsec import crypto
from chatsec.domain.messages import MessageService, Page
from chatsec.domain.models import Json, NewMessage, timestamp
from chatsec.errors import ChatSecError, invalid
from chatsec.wire import MAX_NUMBER, UUID, Id, Limit, Model, Number, QueryNumber
from chatsec.wire.chats import epoch_json

ALGORITHMS = frozenset({"RSA-PSS-SHA256", "DSA-SHA256", "Ed25519"})
TAG_BYTES = 16

_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
# The last character of a b64u text has bits that must be zero: which ones may stand there, by length mod 4.
_LAST = {0: frozenset(_ALPHABET), 2: frozenset(b"AQgw"), 3: frozenset(b"AEIMQUYcgkosw048")}
_UUID = re.compile(UUID).fullmatch
_HASH = re.compile(r"[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]").fullmatch
_LANE = re.compile(r"[A-Za-z0-9_-]{21}[AQgw]").fullmatch
_IV = re.compile(r"[A-Za-z0-9_-]{16}").fullmatch
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", re.ASCII).fullmatch


class MarkBody(Model):
    """`message:delivered` and `message:read`."""

    chat: Id
    seq: Number


EnvelopeText = Annotated[Any, Field(json_schema_extra={"type": "string"})]


class Envelope(Model):
    """An envelope's fields, of whatever form: `accept` judges them, after it has looked for their id."""

    chat: EnvelopeText = None
    protected: EnvelopeText = None
    iv: EnvelopeText = None
    ciphertext: EnvelopeText = None
    signature: EnvelopeText = None


class History(Model):
    """The query of a page of history."""

    after: QueryNumber | None = None
    before: QueryNumber | None = None
    limit: Limit = 50


def accept(messages: MessageService, sender: str, data: Any, skip_sid: str | None = None) -> Json:
    """What both transports do with an envelope: the ack of `message:send` (§7), when the message is durable."""
    messages.allow(sender)
    try:
        message = envelope(data, sender)
    except ChatSecError as error:
        raise messages.refuse(*_claims(data), sender, error) from error
    placed = messages.send(message, skip_sid)
    return {
        "chat": message.chat,
        "id": message.id,
        "seq": placed.seq,
        "received_at": timestamp(placed.received_at),
        "before": crypto.b64u_encode(placed.before),
        "duplicate": placed.duplicate,
    }


def envelope(data: Any, sender: str) -> NewMessage:
    """The message in `data`, as sent by `sender`; `invalid` naming the field, or `too_large`."""
    if not isinstance(data, dict):
        raise invalid("body", "must be an object")
    chat = _text(data, "chat", _UUID)
    protected = _b64u(data, "protected", 2, crypto.MAX_HEADER)
    iv = _text(data, "iv", _IV)
    ciphertext = _b64u(data, "ciphertext", TAG_BYTES, crypto.MAX_CIPHERTEXT)
    signature = _b64u(data, "signature", 1, crypto.MAX_SIGNATURE)
    header = _header(protected)
    if header.get("v") != 1 or isinstance(header["v"], bool):
        raise invalid("protected.v", "must be 1")
    if header.get("chat") != chat:
        raise invalid("protected.chat", "must be the envelope's chat")
    if header.get("from") != sender:
        raise invalid("protected.from", "must be the sender")
    message_id = _text(header, "id", _UUID)
    epoch = _number(header, "epoch")
    _text(header, "dev", _LANE)
    _number(header, "n")
    _hash_or_empty(header, "prev")
    seen = header.get("seen")
    if not isinstance(seen, dict):
        raise invalid("protected.seen", "must be an object")
    seen_seq = _number(seen, "seq")
    _text(seen, "hash", _HASH)
    _hash_or_empty(header, "log")
    _text(header, "at", _TIME)
    alg = header.get("alg")
    if not isinstance(alg, str) or alg not in ALGORITHMS:
        raise invalid("protected.alg", "no signature algorithm of this protocol")
    kid = _text(header, "kid", _HASH)
    _text(header, "kc", _HASH)
    body = f'"protected":"{protected}","iv":"{iv}","ciphertext":"{ciphertext}","signature":"{signature}"'
    return NewMessage(
        chat,
        sender,
        message_id,
        epoch,
        seen_seq,
        alg,
        kid,
        crypto.envelope_hash(protected, iv, ciphertext, signature),
        body.encode(),
    )


def _claims(data: Any) -> tuple[object, object]:
    """(chat, id) as an envelope of whatever form claims them; None where they cannot be read."""
    try:
        return data["chat"], orjson.loads(_decoded(data["protected"]))["id"]
    except (TypeError, KeyError, ValueError):
        return None, None


def _header(protected: str) -> Json:
    try:
        header = orjson.loads(_decoded(protected))
    except ValueError as error:
        raise invalid("protected", "not the b64u of JSON text") from error
    if not isinstance(header, dict):
        raise invalid("protected", "must hold an object")
    return header


def _decoded(text: str) -> bytes:
    try:
        return urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error as error:
        raise ValueError("not base64url") from error


def _b64u(data: Json, field: str, at_least: int, at_most: int) -> str:
    """A strict b64u text (its alphabet, its one spelling) of so many bytes."""
    text = data.get(field)
    if not isinstance(text, str) or not text.isascii():
        raise invalid(field, "must be base64url")
    size = len(text) * 3 // 4
    if size > at_most:
        raise ChatSecError("too_large", f"{field}: at most {at_most} bytes")
    raw = text.encode()
    if size < at_least or raw.translate(None, _ALPHABET) or raw[-1] not in _LAST.get(len(raw) % 4, ()):
        raise invalid(field, f"must be canonical base64url of at least {at_least} bytes")
    return text


def _text(data: Json, field: str, matches: Any) -> str:
    text = data.get(field)
    if not isinstance(text, str) or not matches(text):
        raise invalid(field, "missing or not of its form")
    return text


def _hash_or_empty(data: Json, field: str) -> None:
    if data.get(field) != "":
        _text(data, field, _HASH)


def _number(data: Json, field: str) -> int:
    """1 … 2^53 − 1, integral however written."""
    value = data.get(field)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= MAX_NUMBER:
        raise invalid(field, "must be a whole number from 1")
    return value


def item_json(chat: str, seq: int, received_at: int, body: bytes, before: str | None = None) -> bytes:
    """An item as JSON: the stored body spliced in, `before` for pushed ones."""
    return b"".join((_item_head(chat, seq, received_at, before), body, b"}"))


def _item_head(chat: str, seq: int, received_at: int, before: str | None = None) -> bytes:
    pushed = "" if before is None else f'"before":"{before}",'
    return f'{{"chat":"{chat}","seq":{seq},"received_at":"{timestamp(received_at)}",{pushed}'.encode()


def page_json(page: Page) -> bytes:
    """A page of history (§6): stored bytes joined once, not parsed and built again."""
    parts = [b'{"items":[']
    for item in page.items:
        parts += (_item_head(page.chat, item.seq, item.received_at), item.body, b"},")
    if page.items:
        parts[-1] = b"}"
    rest = orjson.dumps(
        {
            "before": crypto.b64u_encode(page.before),
            "epochs": [epoch_json(epoch) for epoch in page.epochs],
            "last_seq": page.last_seq,
        }
    )
    return b"".join((*parts, b"],", rest[1:]))
