"""Public-key work of the server: names, judges, verifies, wraps, hashes. The door of the package.

It cannot decrypt or sign, and holds no private key. Pure: bytes in, bytes out; refusals are ChatSecErrors.
"""

from chatsec.crypto.bundle import (
    CONTINUITY_ALGORITHMS,
    MAX_SIGNATURE,
    Bundle,
    JudgedBundle,
    bundle_hash,
    bundle_statement,
    judge_bundle,
)
from chatsec.crypto.chain import (
    CHAIN_START,
    MAX_CIPHERTEXT,
    MAX_HEADER,
    chain_step,
    envelope_hash,
    event_hash,
)
from chatsec.crypto.domain import DSA_3072_256
from chatsec.crypto.encoding import H, b64u_decode, b64u_encode, kid
from chatsec.crypto.keys import MAX_SPKI, judge_encryption_key, judge_signing_key
from chatsec.crypto.signatures import verify, wrap_key, wrap_label, wrap_size

__all__ = [
    "CHAIN_START",
    "CONTINUITY_ALGORITHMS",
    "DSA_3072_256",
    "MAX_CIPHERTEXT",
    "MAX_HEADER",
    "MAX_SIGNATURE",
    "MAX_SPKI",
    "Bundle",
    "H",
    "JudgedBundle",
    "b64u_decode",
    "b64u_encode",
    "bundle_hash",
    "bundle_statement",
    "chain_step",
    "envelope_hash",
    "event_hash",
    "judge_bundle",
    "judge_encryption_key",
    "judge_signing_key",
    "kid",
    "verify",
    "wrap_key",
    "wrap_label",
    "wrap_size",
]
