"""Keys, bundles, continuity (protocol §2), as a client makes and judges them."""

import json
import os
from collections.abc import Iterable, Mapping
from functools import cache, lru_cache
from math import gcd, prod
from pathlib import Path
from typing import Any

import gmpy2
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import dsa, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
    load_der_public_key,
)
from nacl.bindings import crypto_core_ed25519_add, crypto_core_ed25519_is_valid_point
from nacl.exceptions import CryptoError

from tests.support.encoding import Failure, H, b64u, number, un64u

WRAPPING = "RSA-OAEP-256"
PSS, DSA, ED25519 = "RSA-PSS-SHA256", "DSA-SHA256", "Ed25519"
SIGNING = (PSS, DSA, ED25519)
LINKING = (PSS, ED25519)
_CLASSES = {
    WRAPPING: rsa.RSAPublicKey,
    PSS: rsa.RSAPublicKey,
    DSA: dsa.DSAPublicKey,
    ED25519: ed25519.Ed25519PublicKey,
}
_NEUTRAL = (1).to_bytes(32, "little")
Bundle = dict[str, Any]


class KeySet:
    """One user's private keys of one bundle, by algorithm id."""

    def __init__(self, pkcs8: Mapping[str, str]) -> None:
        """`pkcs8` is alg → b64u PKCS#8; the algorithms present are those of the bundle."""
        self.pkcs8 = dict(pkcs8)
        self.signing = tuple(alg for alg in SIGNING if alg in pkcs8)
        self._loaded: dict[str, Any] = {}

    def private(self, alg: str) -> Any:
        """The private key, loaded once (RSA checks skipped: the pool is known to be good)."""
        if alg not in self._loaded:
            der = un64u(self.pkcs8[alg])
            self._loaded[alg] = load_der_private_key(der, None, unsafe_skip_rsa_key_validation=True)
        return self._loaded[alg]

    def spki(self, alg: str) -> bytes:
        """SPKI DER of the public half."""
        key = self.private(alg).public_key()
        return bytes(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))

    def kid(self, alg: str) -> str:
        """Id of the public half."""
        return H(self.spki(alg))

    def sign(self, alg: str, data: bytes) -> bytes:
        """A signature as the wire wants it."""
        key = self.private(alg)
        if alg == PSS:
            return bytes(key.sign(data, padding.PSS(padding.MGF1(SHA256()), 32), SHA256()))
        if alg == DSA:
            return bytes(key.sign(data, SHA256()))
        return bytes(key.sign(data))

    def unwrap(self, wrapped: bytes, label: bytes) -> bytes:
        """Opens RSA-OAEP-256; ValueError if it does not open."""
        scheme = padding.OAEP(padding.MGF1(SHA256()), SHA256(), label)
        return bytes(self.private(WRAPPING).decrypt(wrapped, scheme))

    def without(self, *algs: str) -> "KeySet":
        """The same set with fewer signing keys."""
        return KeySet({alg: pkcs8 for alg, pkcs8 in self.pkcs8.items() if alg not in algs})


@cache
def _pool() -> list[dict[str, str]]:
    made: list[dict[str, str]] = json.loads(Path(__file__).with_name("keys.json").read_text())
    return made


@cache
def pool(index: int) -> KeySet:
    """Key set `index` of the committed pool (modulo its size), loaded once a process."""
    return KeySet(_pool()[index % len(_pool())])


def fresh(index: int) -> KeySet:
    """A set with its own Ed25519 key, the slow keys from the pool: enough where bundles must differ."""
    key = ed25519.Ed25519PrivateKey.from_private_bytes(os.urandom(32))
    der = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return KeySet(pool(index).pkcs8 | {ED25519: b64u(der)})


@lru_cache(maxsize=4096)
def _public(spki: bytes) -> Any:
    return load_der_public_key(spki)


@lru_cache(maxsize=1024)
def verify(alg: str, spki: bytes, signature: bytes, data: bytes) -> bool:
    """Strict verification under a judged key."""
    key = _public(spki)
    try:
        if alg == PSS:
            if len(signature) != (key.key_size + 7) // 8:
                return False
            key.verify(signature, data, padding.PSS(padding.MGF1(SHA256()), 32), SHA256())
        elif alg == DSA:
            r, s = decode_dss_signature(signature)
            q = domain()[1]
            if encode_dss_signature(r, s) != signature or not (0 < r < q and 0 < s < q):
                return False
            key.verify(signature, data, SHA256())
        else:
            key.verify(signature, data)
    except (InvalidSignature, ValueError):
        return False
    return True


@cache
def domain() -> tuple[int, int, int]:
    """(p, q, g) of the published 3072/256 set."""
    path = Path(__file__).resolve().parents[2] / "docs/dsa/parameters.json"
    found = next(s for s in json.loads(path.read_text())["sets"] if s["L"] == 3072)
    return int(found["p"], 16), int(found["q"], 16), int(found["g"], 16)


@lru_cache(maxsize=4096)
def judge_key(alg: str, spki: bytes) -> None:
    """Client's judgement: strict DER by re-encoding, then what must not be used. Primality is the server's."""
    if alg not in _CLASSES:
        raise Failure("unsupported_algorithm", alg)
    try:
        key = load_der_public_key(spki)
        strict = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) == spki
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise Failure("malformed_key", alg) from error
    if not strict or not isinstance(key, _CLASSES[alg]) or not _formed(key, spki):
        raise Failure("malformed_key", alg)
    if not _sound(key, spki):
        raise Failure("weak_key", alg)


def _formed(key: Any, spki: bytes) -> bool:
    """Whether it is a number of the group, or the one encoding of a point on the curve."""
    if isinstance(key, dsa.DSAPublicKey):
        numbers = key.public_numbers()
        return 0 < numbers.y < max(numbers.parameter_numbers.p, 2)
    if isinstance(key, ed25519.Ed25519PublicKey):
        point = int.from_bytes(spki[-32:], "little")
        y, sign, prime = point & (2**255 - 1), point >> 255, 2**255 - 19
        if y >= prime or (sign and y in (1, prime - 1)):
            return False
        try:
            crypto_core_ed25519_add(spki[-32:], _NEUTRAL)
        except CryptoError:
            return False
    return True


def _sound(key: Any, spki: bytes) -> bool:
    if isinstance(key, rsa.RSAPublicKey):
        public = key.public_numbers()
        small = gcd(public.n, _small_primes() % public.n) != 1
        return public.e == 65537 and 3072 <= public.n.bit_length() <= 4096 and not small
    if isinstance(key, dsa.DSAPublicKey):
        numbers = key.public_numbers()
        group = numbers.parameter_numbers
        p, q, g = domain()
        return (
            (group.p, group.q, group.g) == (p, q, g)
            and 1 < numbers.y < p - 1
            and gmpy2.powmod(numbers.y, q, p) == 1
        )
    return bool(crypto_core_ed25519_is_valid_point(spki[-32:]))


@cache
def _small_primes() -> int:
    """The product of all primes below 2^16."""
    sieve = bytearray([1]) * 65536
    for step in range(2, 256):
        sieve[step * step :: step] = bytes(len(sieve[step * step :: step]))
    return prod(n for n in range(2, 65536) if sieve[n])


def statement(
    username: str, version: int, previous: str, encryption_kid: str, signing: Iterable[str]
) -> bytes:
    """What proofs and continuity sign; `signing` are texts `alg:kid`."""
    joined = ",".join(sorted(signing))
    return f"chatsec/keys/v1\n{username}\n{version}\n{previous}\n{encryption_kid}\n{joined}".encode()


def bundle_statement(username: str, bundle: Mapping[str, Any]) -> bytes:
    """The statement of a bundle as it travels."""
    signing = [f"{entry['alg']}:{H(un64u(entry['spki']))}" for entry in bundle["signing"]]
    wrapping = H(un64u(bundle["encryption"]["spki"]))
    return statement(username, number(bundle["version"], 1), bundle["previous"], wrapping, signing)


def bundle_hash(username: str, bundle: Mapping[str, Any]) -> str:
    """kh."""
    return H(bundle_statement(username, bundle))


def make_bundle(
    username: str,
    keys: KeySet,
    version: int = 1,
    after: tuple[Mapping[str, Any], KeySet] | None = None,
    link: str = ED25519,
) -> Bundle:
    """A bundle with proofs; `after` = (bundle before, its keys) links it, without is a first one or a reset."""
    bundle: Bundle = {
        "version": version,
        "previous": bundle_hash(username, after[0]) if after else "",
        "encryption": {"alg": WRAPPING, "spki": b64u(keys.spki(WRAPPING))},
        "signing": [{"alg": alg, "spki": b64u(keys.spki(alg))} for alg in keys.signing],
    }
    signed = bundle_statement(username, bundle)
    bundle["proofs"] = {keys.kid(alg): b64u(keys.sign(alg, signed)) for alg in keys.signing}
    if after:
        bundle["continuity"] = {"kid": after[1].kid(link), "signature": b64u(after[1].sign(link, signed))}
    return bundle


def signing_keys(bundle: Mapping[str, Any]) -> dict[str, tuple[str, bytes]]:
    """kid → (alg, SPKI)."""
    keys = [(entry["alg"], un64u(entry["spki"])) for entry in bundle["signing"]]
    return {H(spki): (alg, spki) for alg, spki in keys}


def judge_bundle(username: str, bundle: Mapping[str, Any], before: Mapping[str, Any] | None = None) -> bool:
    """Judges keys, then proofs; True if continuity links it to `before`. Raises Failure by the server's code."""
    wrapping = un64u(bundle["encryption"]["spki"])
    if bundle["encryption"]["alg"] != WRAPPING:
        raise Failure("unsupported_algorithm", "encryption")
    judge_key(WRAPPING, wrapping)
    for entry in bundle["signing"]:
        if entry["alg"] not in SIGNING:
            raise Failure("unsupported_algorithm", "signing")
        judge_key(entry["alg"], un64u(entry["spki"]))
    signing = signing_keys(bundle)
    if len(signing) != len(bundle["signing"]) or H(wrapping) in signing:
        raise Failure("weak_key", "a key twice")
    if not {alg for alg, _ in signing.values()} & set(LINKING):
        raise Failure("invalid", "no key that links")
    signed = bundle_statement(username, bundle)
    if set(bundle["proofs"]) != set(signing):
        raise Failure("invalid_proof", "other keys")
    for kid, (alg, spki) in signing.items():
        if not verify(alg, spki, un64u(bundle["proofs"][kid]), signed):
            raise Failure("invalid_proof", alg)
    return _linked(username, bundle, before, signed)


def _linked(
    username: str, bundle: Mapping[str, Any], before: Mapping[str, Any] | None, signed: bytes
) -> bool:
    continuity = bundle.get("continuity")
    if bundle["previous"] == "":
        if continuity is not None:
            raise Failure("invalid_proof", "continuity of nothing")
        return False
    if before is None or continuity is None or bundle["previous"] != bundle_hash(username, before):
        raise Failure("invalid_proof", "previous")
    alg, spki = signing_keys(before).get(continuity["kid"], ("", b""))
    if alg not in LINKING or not verify(alg, spki, un64u(continuity["signature"]), signed):
        raise Failure("invalid_proof", "continuity")
    return True
