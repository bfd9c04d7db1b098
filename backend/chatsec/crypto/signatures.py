"""Verifies signatures under judged keys, and wraps epoch keys for them (protocol §2, §4).

Refuses, as False, every signature that is not in its algorithm's one strict form. Nothing here signs or opens
anything: the server holds no private key.
"""

from collections.abc import Callable
from functools import lru_cache

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.dsa import DSAPublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from chatsec.crypto.der import DerError, read_dsa_signature
from chatsec.crypto.domain import DSA_3072_256
from chatsec.errors import ChatSecError

PSS_SALT = 32  # bytes, exactly
LOADED_KEYS = 4096  # most used public keys kept parsed: loading an RSA key costs several times a wrap

PublicKey = RSAPublicKey | DSAPublicKey | Ed25519PublicKey


def verify(alg: str, spki: bytes, signature: bytes, data: bytes) -> bool:
    """Whether `signature` over `data` is valid under a key that was judged for `alg`."""
    check = _VERIFY.get(alg)
    if check is None:
        raise ChatSecError("unsupported_algorithm", f"use one of {', '.join(sorted(_VERIFY))}")
    try:
        check(_load(spki), signature, data)
    except (InvalidSignature, DerError):
        return False
    return True


def wrap_key(spki: bytes, plaintext: bytes, label: bytes) -> bytes:
    """RSAES-OAEP with SHA-256, MGF1-SHA-256 and this label (RFC 8017 §7.1): bytes as long as the modulus."""
    key = _load(spki)
    if not isinstance(key, RSAPublicKey):
        raise ChatSecError("malformed_key", "not an RSA key")
    return key.encrypt(plaintext, padding.OAEP(padding.MGF1(SHA256()), SHA256(), label))


def wrap_size(spki: bytes) -> int:
    """Bytes of every wrap under this key: as many as its modulus has (RFC 8017 §7.1.1)."""
    key = _load(spki)
    if not isinstance(key, RSAPublicKey):
        raise ChatSecError("malformed_key", "not an RSA key")
    return (key.key_size + 7) // 8


def wrap_label(chat: str, epoch: int) -> bytes:
    """The OAEP label of the server share of this epoch (protocol §4)."""
    return f"chatsec/wrap/v1\n{chat}\n{epoch}\nserver".encode()


@lru_cache(maxsize=LOADED_KEYS)
def _load(spki: bytes) -> PublicKey:
    key = load_der_public_key(spki)
    if not isinstance(key, RSAPublicKey | DSAPublicKey | Ed25519PublicKey):
        raise ChatSecError("malformed_key", "not a key of this protocol")
    return key


def _verify_pss(key: PublicKey, signature: bytes, data: bytes) -> None:
    # RFC 8017 §8.1.2 step 1: as long as the modulus; OpenSSL would take a shorter one.
    if not isinstance(key, RSAPublicKey) or len(signature) != (key.key_size + 7) // 8:
        raise InvalidSignature
    key.verify(signature, data, padding.PSS(padding.MGF1(SHA256()), PSS_SALT), SHA256())


def _verify_dsa(key: PublicKey, signature: bytes, data: bytes) -> None:
    r, s = read_dsa_signature(signature)
    if not isinstance(key, DSAPublicKey) or not (0 < r < DSA_3072_256.q and 0 < s < DSA_3072_256.q):
        raise InvalidSignature
    key.verify(signature, data, SHA256())


def _verify_ed25519(key: PublicKey, signature: bytes, data: bytes) -> None:
    # OpenSSL is cofactorless, wants S < L and compares R bytewise; under a prime-order key that is all of §2.
    if not isinstance(key, Ed25519PublicKey):
        raise InvalidSignature
    key.verify(signature, data)


_VERIFY: dict[str, Callable[[PublicKey, bytes, bytes], None]] = {
    "RSA-PSS-SHA256": _verify_pss,
    "DSA-SHA256": _verify_dsa,
    "Ed25519": _verify_ed25519,
}
