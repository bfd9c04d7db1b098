"""Signatures without randomness, so that vector files come out the same every time."""

import hashlib
import hmac
from collections.abc import Iterator
from typing import Any

import gmpy2
from cryptography.hazmat.primitives.serialization import load_der_public_key

from tests.support import der
from tests.support.keys import DSA, PSS, KeySet, domain


def stream(label: str, size: int) -> bytes:
    """Bytes that depend on the label alone."""
    return hashlib.shake_256(f"chatsec vectors {label}".encode()).digest(size)


def sign(keys: KeySet, alg: str, data: bytes) -> bytes:
    """A valid signature, always the same one."""
    if alg == PSS:
        return pss(keys.private(alg), data, stream("salt", 32))
    if alg == DSA:
        return dsa(keys.private(alg).private_numbers().x, data)
    return keys.sign(alg, data)


def pss(key: Any, data: bytes, salt: bytes) -> bytes:
    """RSASSA-PSS with this salt (RFC 8017 §8.1.1, §9.1.1)."""
    numbers = key.private_numbers()
    bits = numbers.public_numbers.n.bit_length() - 1
    size = (bits + 7) // 8
    digest = hashlib.sha256(bytes(8) + hashlib.sha256(data).digest() + salt).digest()
    block = b"\x01" + salt
    block = block.rjust(size - 33, b"\x00")
    mask = b"".join(
        hashlib.sha256(digest + n.to_bytes(4, "big")).digest() for n in range(-(-len(block) // 32))
    )
    masked = int.from_bytes(block, "big") ^ int.from_bytes(mask[: len(block)], "big")
    masked &= (1 << (bits - 8 * 33)) - 1
    message = masked.to_bytes(size - 33, "big") + digest + b"\xbc"
    signed = gmpy2.powmod(int.from_bytes(message, "big"), numbers.d, numbers.public_numbers.n)
    return int(signed).to_bytes((bits + 8) // 8, "big")


def nonces(x: int, q: int, digest: bytes, extra: bytes = b"") -> Iterator[int]:
    """Candidates for k (RFC 6979 §3.2, extra data §3.6), for a q of 256 bits and SHA-256."""
    key, value = bytes(32), b"\x01" * 32
    seed = x.to_bytes(32, "big") + (int.from_bytes(digest, "big") % q).to_bytes(32, "big") + extra
    for mark in (b"\x00", b"\x01"):
        key = hmac.digest(key, value + mark + seed, "sha256")
        value = hmac.digest(key, value, "sha256")
    while True:
        value = hmac.digest(key, value, "sha256")
        k = int.from_bytes(value, "big")
        if 0 < k < q:
            yield k
        key = hmac.digest(key, value + b"\x00", "sha256")
        value = hmac.digest(key, value, "sha256")


def dsa(x: int, data: bytes, extra: bytes = b"") -> bytes:
    """Deterministic DSA-SHA256 on the published domain."""
    p, q, g = domain()
    digest = hashlib.sha256(data).digest()
    for k in nonces(x, q, digest, extra):
        r = int(gmpy2.powmod(g, k, p)) % q
        s = pow(k, -1, q) * (int.from_bytes(digest, "big") + x * r) % q
        if r and s:
            return der.sequence(der.integer(r), der.integer(s))
    raise AssertionError("there is always a next nonce")


def oaep(spki: bytes, secret: bytes, label: bytes) -> bytes:
    """RSAES-OAEP, SHA-256, MGF1-SHA-256, with a seed that depends on its input (RFC 8017 §7.1.1)."""
    numbers = load_der_public_key(spki).public_numbers()  # type: ignore[union-attr]
    size = (numbers.n.bit_length() + 7) // 8
    block = hashlib.sha256(label).digest() + (b"\x01" + secret).rjust(size - 65, b"\x00")
    seed = hashlib.sha256(b"seed" + spki + secret + label).digest()
    masked = _xor(block, mgf1(seed, len(block)))
    message = b"\x00" + _xor(seed, mgf1(masked, 32)) + masked
    wrapped = gmpy2.powmod(int.from_bytes(message, "big"), numbers.e, numbers.n)
    return int(wrapped).to_bytes(size, "big")


def mgf1(seed: bytes, size: int) -> bytes:
    """MGF1-SHA-256 (RFC 8017 §B.2.1)."""
    blocks = range(-(-size // 32))
    return b"".join(hashlib.sha256(seed + n.to_bytes(4, "big")).digest() for n in blocks)[:size]


def _xor(one: bytes, other: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, other, strict=True))
