"""Bytes as text and bytes as names: b64u and SHA-256, as protocol "Words" defines them.

Refuses every base64 spelling that re-encoding does not give back: padding, the other alphabet, blanks and
stray bits.
"""

import base64
import binascii
import hashlib

from chatsec.errors import invalid


def b64u_encode(data: bytes) -> str:
    """Bytes as base64url without padding (RFC 4648 §5)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def b64u_decode(text: str, field: str = "value") -> bytes:
    """The bytes of a b64u text; anything but its one canonical spelling is `invalid`, said of `field`."""
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError) as error:
        raise invalid(field, "not base64url") from error
    # The decoder skips foreign characters and drops stray bits; comparing is what makes it strict.
    if b64u_encode(data) != text:
        raise invalid(field, "not canonical base64url without padding")
    return data


def H(data: bytes) -> str:
    """b64u(SHA-256(data)): 43 characters, the protocol's H(x)."""
    return b64u_encode(hashlib.sha256(data).digest())


def kid(spki: bytes) -> str:
    """The id of a public key: H of its SPKI DER (protocol §2)."""
    return H(spki)
