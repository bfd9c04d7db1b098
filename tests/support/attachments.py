"""Attachments: a file in segments under STREAM (protocol §5)."""

import os
import struct
from collections.abc import Mapping
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tests.support.encoding import Failure, H, b64u, un64u

SEGMENT = 1024 * 1024
TAG = 16


def segments(size: int, segment: int = SEGMENT) -> int:
    """How many: a last full one is the last, an empty file is one empty one."""
    return max(1, -(-size // segment))


def segment_iv(nonce: bytes, index: int, last: bool) -> bytes:
    """12 bytes of the 7, the place and the mark."""
    return nonce + struct.pack(">IB", index, last)


def seal_stream(plaintext: bytes, key: bytes, nonce: bytes, segment: int = SEGMENT) -> bytes:
    """The ciphertext that is uploaded."""
    count = segments(len(plaintext), segment)
    return b"".join(
        AESGCM(key).encrypt(
            segment_iv(nonce, index, index == count - 1),
            plaintext[index * segment : (index + 1) * segment],
            None,
        )
        for index in range(count)
    )


def open_stream(ciphertext: bytes, size: int, key: bytes, nonce: bytes, segment: int = SEGMENT) -> bytes:
    """The plaintext of `size` bytes; `bad_attachment`, `undecryptable`."""
    count = segments(size, segment)
    if len(ciphertext) != size + TAG * count:
        raise Failure("bad_attachment", "another length than its size says")
    opened, step = b"", segment + TAG
    for index in range(count):
        iv = segment_iv(nonce, index, index == count - 1)
        try:
            opened += AESGCM(key).decrypt(iv, ciphertext[index * step : (index + 1) * step], None)
        except InvalidTag as error:
            raise Failure("undecryptable", f"segment {index}") from error
    return opened


def seal_attachment(plaintext: bytes, name: str, mime: str) -> tuple[bytes, dict[str, Any]]:
    """(ciphertext, what a payload carries but for the `id`)."""
    key, nonce = os.urandom(32), os.urandom(7)
    ciphertext = seal_stream(plaintext, key, nonce)
    told = {"key": b64u(key), "nonce": b64u(nonce), "name": name, "mime": mime}
    return ciphertext, told | {"size": len(plaintext), "sha256": H(ciphertext)}


def open_attachment(ciphertext: bytes, told: Mapping[str, Any], segment: int = SEGMENT) -> bytes:
    """The plaintext of what a payload carries; `bad_attachment`, `undecryptable`."""
    if H(ciphertext) != told["sha256"]:
        raise Failure("bad_attachment", "another sha256")
    key, nonce = un64u(told["key"], 32), un64u(told["nonce"], 7)
    return open_stream(ciphertext, told["size"], key, nonce, segment)
