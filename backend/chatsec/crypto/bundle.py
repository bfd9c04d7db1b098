"""Key bundles: the statement that binds a user's keys, and the judgement over an uploaded one (protocol §2).

Judges the keys before any proof, then wants a proof by exactly every signing key and continuity from the
bundle before. Refuses by `invalid`, `keys_conflict`, `unsupported_algorithm`, `malformed_key`, `weak_key` and
`invalid_proof`. The shape of an upload (fields and their types) is wire.py's business and was checked before.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chatsec.crypto.encoding import H, b64u_decode, kid
from chatsec.crypto.keys import SIGNING_ALGORITHMS, judge_encryption_key, judge_signing_key
from chatsec.crypto.signatures import verify
from chatsec.errors import ChatSecError, invalid

CONTINUITY_ALGORITHMS = frozenset({"RSA-PSS-SHA256", "Ed25519"})  # DSA keys sign messages and nothing else
MAX_SIGNATURE = 512  # bytes: RSA-4096

Bundle = Mapping[str, Any]
"""`{version, previous, encryption: {alg, spki}, signing: [{alg, spki}], proofs, continuity?}` as uploaded."""

SigningKeys = dict[str, tuple[str, bytes]]
"""kid → (alg, SPKI DER)."""


@dataclass(frozen=True)
class JudgedBundle:
    """A bundle with good keys and proofs; `hash` is its kh, `continuous` False on version 1 and a reset."""

    version: int
    previous: str
    hash: str
    encryption_kid: str
    encryption_spki: bytes
    signing: SigningKeys
    continuous: bool


def bundle_statement(
    username: str, version: int, previous: str, encryption_kid: str, signing: Mapping[str, str]
) -> bytes:
    """What every proof and the continuity signature sign. `signing` is kid → alg."""
    keys = ",".join(sorted(f"{alg}:{key_id}" for key_id, alg in signing.items()))
    return f"chatsec/keys/v1\n{username}\n{version}\n{previous}\n{encryption_kid}\n{keys}".encode()


def bundle_hash(username: str, bundle: Bundle) -> str:
    """kh = H(statement) of a bundle that is already known to be well-formed."""
    signing = {key_id: alg for key_id, (alg, _) in _signing_keys(bundle).items()}
    encryption_kid = kid(b64u_decode(bundle["encryption"]["spki"]))
    return H(bundle_statement(username, bundle["version"], bundle["previous"], encryption_kid, signing))


def judge_bundle(username: str, bundle: Bundle, previous_bundle: Bundle | None) -> JudgedBundle:
    """Judges an upload that is to follow `previous_bundle`, the user's current one (None: they have none).

    Takes tens of milliseconds, so callers run it off the loop.
    """
    current_hash = _want_next_version(username, bundle, previous_bundle)
    encryption_spki = b64u_decode(bundle["encryption"]["spki"], "encryption.spki")
    judge_encryption_key(bundle["encryption"]["alg"], encryption_spki)
    if len(bundle["signing"]) > len(SIGNING_ALGORITHMS):  # before any costly judging
        raise invalid("signing", "one key per algorithm")
    for entry in bundle["signing"]:
        judge_signing_key(entry["alg"], b64u_decode(entry["spki"], "signing.spki"))
    signing = _signing_keys(bundle)
    _want_sound_set(bundle, encryption_spki, signing)

    encryption_kid = kid(encryption_spki)
    algs = {key_id: alg for key_id, (alg, _) in signing.items()}
    statement = bundle_statement(username, bundle["version"], bundle["previous"], encryption_kid, algs)
    _want_proofs(bundle["proofs"], signing, statement)
    continuous = _want_link(bundle, previous_bundle, current_hash, statement)
    return JudgedBundle(
        bundle["version"],
        bundle["previous"],
        H(statement),
        encryption_kid,
        encryption_spki,
        signing,
        continuous,
    )


def _want_next_version(username: str, bundle: Bundle, previous_bundle: Bundle | None) -> str:
    """The hash of the current bundle, "" for none; `keys_conflict` unless this one is the next version."""
    version = previous_bundle["version"] if previous_bundle else 0
    current_hash = bundle_hash(username, previous_bundle) if previous_bundle else ""
    if bundle["version"] != version + 1:
        raise ChatSecError("keys_conflict", "not the next version", version=version, hash=current_hash)
    return current_hash


def _signing_keys(bundle: Bundle) -> SigningKeys:
    """The signing keys by kid; a key listed twice shows up once here and is refused by `_want_sound_set`."""
    keys: SigningKeys = {}
    for entry in bundle["signing"]:
        spki = b64u_decode(entry["spki"], "signing.spki")
        keys[kid(spki)] = (entry["alg"], spki)
    return keys


def _want_sound_set(bundle: Bundle, encryption_spki: bytes, signing: SigningKeys) -> None:
    """No key in two places, one key per algorithm, and one that may sign for continuity."""
    if len(signing) != len(bundle["signing"]) or kid(encryption_spki) in signing:
        raise ChatSecError("weak_key", "the same key stands in two places")
    algs = [alg for alg, _ in signing.values()]
    if len(set(algs)) != len(algs):
        raise invalid("signing", "one key per algorithm")
    if not CONTINUITY_ALGORITHMS.intersection(algs):
        raise invalid("signing", "at least one RSA-PSS-SHA256 or Ed25519 key")


def _want_proofs(proofs: Mapping[str, str], signing: SigningKeys, statement: bytes) -> None:
    """Possession of every signing key, and nothing beside it."""
    if proofs.keys() != signing.keys():
        raise ChatSecError("invalid_proof", "a proof for each signing key and no other is needed")
    for key_id, (alg, spki) in signing.items():
        if not verify(alg, spki, b64u_decode(proofs[key_id], f"proofs.{key_id}"), statement):
            raise ChatSecError("invalid_proof", f"the {alg} key's proof does not verify")


def _want_link(bundle: Bundle, previous_bundle: Bundle | None, current_hash: str, statement: bytes) -> bool:
    """True for a bundle linked to the one before; False for a first one or a reset, which claim no link."""
    continuity = bundle.get("continuity")
    if not bundle["previous"]:
        if continuity is not None:
            raise ChatSecError("invalid_proof", "continuity without `previous`")
        return False
    if previous_bundle is None or bundle["previous"] != current_hash:
        raise ChatSecError("invalid_proof", "`previous` is not the hash of the bundle before")
    if continuity is None:
        raise ChatSecError("invalid_proof", "`previous` without continuity")
    alg, spki = _signing_keys(previous_bundle).get(continuity["kid"], ("", b""))
    if alg not in CONTINUITY_ALGORITHMS:
        raise ChatSecError("invalid_proof", "continuity takes an RSA-PSS or Ed25519 key of the bundle before")
    if not verify(alg, spki, b64u_decode(continuity["signature"], "continuity.signature"), statement):
        raise ChatSecError("invalid_proof", "the continuity signature does not verify")
    return True
