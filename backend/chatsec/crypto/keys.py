"""Judges public keys before the server keeps one (protocol §2).

Refuses with `unsupported_algorithm` an algorithm id it does not take for that purpose, with `malformed_key`
bytes that are no such key in strict DER, with `weak_key` a key that must not be used. Judging an RSA key
takes about 10 ms (70 ms where the modulus is prime) and a DSA key 1 ms, so callers run it off the loop; the
long powers release the GIL.
"""

from collections.abc import Callable
from functools import lru_cache

import gmpy2  # type: ignore[import-untyped]  # has no stubs
from nacl.bindings import crypto_core_ed25519_is_valid_point

from chatsec.crypto.der import NULL, Der, DerError, Spki, read_spki
from chatsec.crypto.domain import DSA_3072_256
from chatsec.errors import ChatSecError

MAX_SPKI = 4096  # bytes; a foreign key larger than any that is taken should still hear why, within reason
RSA_BITS = range(3072, 4097)
RSA_EXPONENT = 65537
SMALL_FACTOR_LIMIT = 1 << 16
MILLER_RABIN_BASES = (2, 3, 5, 7, 11, 13, 17, 19)

_RSA_ENCRYPTION = bytes.fromhex("2a864886f70d010101")  # 1.2.840.113549.1.1.1
_DSA = bytes.fromhex("2a8648ce380401")  # 1.2.840.10040.4.1
_ED25519 = bytes.fromhex("2b6570")  # 1.3.101.112
_ED25519_P = 2**255 - 19
_ED25519_D = -121665 * pow(121666, -1, _ED25519_P) % _ED25519_P


def judge_encryption_key(alg: str, spki: bytes) -> None:
    """Raises unless this is a key-wrapping key that may be used."""
    _judge(_ENCRYPTION, alg, spki)


def judge_signing_key(alg: str, spki: bytes) -> None:
    """Raises unless this is a signing key that may be used."""
    _judge(_SIGNING, alg, spki)


def _judge(table: dict[str, Callable[[Spki], None]], alg: str, spki: bytes) -> None:
    judge = table.get(alg)
    if judge is None:
        raise ChatSecError("unsupported_algorithm", f"use one of {', '.join(sorted(table))}")
    if len(spki) > MAX_SPKI:
        raise ChatSecError("malformed_key", "the key is too long")
    try:
        judge(read_spki(spki))
    except DerError as error:
        raise ChatSecError("malformed_key", f"not an {alg} key in strict DER: {error}") from error


def _judge_rsa(spki: Spki) -> None:
    if spki.oid != _RSA_ENCRYPTION:
        raise DerError("not rsaEncryption")
    if spki.parameters.take(NULL):
        raise DerError("parameters are not NULL")
    spki.parameters.end()
    outer = Der(spki.key)
    key = outer.sequence()
    outer.end()
    modulus, exponent = key.integer(), key.integer()
    key.end()
    if modulus.bit_length() not in RSA_BITS:
        raise ChatSecError("weak_key", "an RSA modulus has 3072 to 4096 bits")
    if exponent != RSA_EXPONENT:
        raise ChatSecError("weak_key", "the RSA exponent must be 65537")
    if gmpy2.gcd(modulus, _small_primes()) != 1:  # 2 is one of them: an even modulus ends here
        raise ChatSecError("weak_key", "the RSA modulus has a small factor")
    if _is_probably_prime(modulus):
        raise ChatSecError("weak_key", "the RSA modulus is prime")


def _judge_dsa(spki: Spki) -> None:
    if spki.oid != _DSA:
        raise DerError("not a DSA key")
    domain = spki.parameters.sequence()
    spki.parameters.end()
    p, q, g = domain.integer(), domain.integer(), domain.integer()
    domain.end()
    key = Der(spki.key)
    y = key.integer()
    key.end()
    if (p, q, g) != DSA_3072_256:
        raise ChatSecError("weak_key", "DSA keys are taken on the published 3072/256 domain only")
    if not 0 < y < p:
        raise ChatSecError("malformed_key", "y is no element of the DSA group")
    if y in (1, p - 1) or _power(y, q, p) != 1:
        raise ChatSecError("weak_key", "y is not in the subgroup of order q")


def _judge_ed25519(spki: Spki) -> None:
    if spki.oid != _ED25519:
        raise DerError("not an Ed25519 key")
    spki.parameters.end()  # RFC 8410 §3: the parameters must be absent
    if len(spki.key) != 32 or not _is_ed25519_point(spki.key):
        raise ChatSecError("malformed_key", "not the canonical encoding of a point on Ed25519")
    if not crypto_core_ed25519_is_valid_point(spki.key):
        raise ChatSecError("weak_key", "the point is not in the prime-order subgroup")


def _is_ed25519_point(encoded: bytes) -> bool:
    """Canonical and on the curve (RFC 8032 §5.1.3): libsodium answers one word for these and for torsion."""
    number = int.from_bytes(encoded, "little")
    y, sign = number & ((1 << 255) - 1), number >> 255
    if y >= _ED25519_P:
        return False
    u, v = (y * y - 1) % _ED25519_P, (_ED25519_D * y * y + 1) % _ED25519_P
    square = u * pow(v, -1, _ED25519_P) % _ED25519_P  # x^2; v is never 0, as -1/d is no square
    if square == 0:
        return sign == 0
    return pow(square, (_ED25519_P - 1) // 2, _ED25519_P) == 1


@lru_cache(maxsize=1)
def _small_primes() -> gmpy2.mpz:
    """The product of all primes below 2^16, 94,027 bits."""
    return gmpy2.primorial(SMALL_FACTOR_LIMIT - 1)


def _is_probably_prime(n: int) -> bool:
    """Miller-Rabin, 8 rounds. Fixed bases do: no prime gets past any base, a pseudoprime is refused."""
    twos = ((n - 1) & -(n - 1)).bit_length() - 1
    return all(_passes_round(n, base, (n - 1) >> twos, twos) for base in MILLER_RABIN_BASES)


def _passes_round(n: int, base: int, odd: int, twos: int) -> bool:
    x = _power(base, odd, n)
    if x in (1, n - 1):
        return True
    for _ in range(twos - 1):
        x = x * x % n
        if x == n - 1:
            return True
    return False


def _power(base: int, exponent: int, modulus: int) -> int:
    """base^exponent mod modulus without the GIL, which gmpy2's own is_prime and is_strong_prp would hold."""
    with gmpy2.context(allow_release_gil=True):
        return int(gmpy2.powmod(base, exponent, modulus))


_ENCRYPTION: dict[str, Callable[[Spki], None]] = {"RSA-OAEP-256": _judge_rsa}
_SIGNING: dict[str, Callable[[Spki], None]] = {
    "RSA-PSS-SHA256": _judge_rsa,
    "DSA-SHA256": _judge_dsa,
    "Ed25519": _judge_ed25519,
}
SIGNING_ALGORITHMS = frozenset(_SIGNING)
