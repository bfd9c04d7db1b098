"""Key bundles: statement, hash, proofs, continuity, and every way to be refused (protocol §2).

`{username, bundle, previous_bundle, statement, hash, continuous}`; failing ones carry the server's code. `link: true`
marks failures that lie in the step from `previous_bundle` alone (to a client walking the line: a reset), and
`server_only: true` what clients do not judge again (primality).
"""

import copy
from collections.abc import Callable
from functools import cache
from typing import Any

import gmpy2
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from tests.support import der
from tests.support.encoding import H, b64u, un64u
from tests.support.keys import (
    DSA,
    ED25519,
    PSS,
    WRAPPING,
    KeySet,
    bundle_hash,
    bundle_statement,
    domain,
    pool,
)
from tests.vectors.fixed import sign, stream

Bundle = dict[str, Any]
P25519 = 2**255 - 19


def make(
    keys: KeySet, version: int = 1, after: tuple[Bundle, KeySet] | None = None, link: str = ED25519
) -> Bundle:
    """A bundle of alice with reproducible proofs."""
    bundle: Bundle = {
        "version": version,
        "previous": bundle_hash("alice", after[0]) if after else "",
        "encryption": {"alg": WRAPPING, "spki": b64u(keys.spki(WRAPPING))},
        "signing": [{"alg": alg, "spki": b64u(keys.spki(alg))} for alg in keys.signing],
    }
    signed = bundle_statement("alice", bundle)
    bundle["proofs"] = {keys.kid(alg): b64u(sign(keys, alg, signed)) for alg in keys.signing}
    if after:
        bundle["continuity"] = {"kid": after[1].kid(link), "signature": b64u(sign(after[1], link, signed))}
    return bundle


def cases() -> list[Bundle]:
    """All cases of the file."""
    return [*_good(), *_keys(), *_sets(), *_proofs(), *_links()]


@cache
def first() -> Bundle:
    """Version 1 of alice."""
    return make(pool(0))


def _case(
    name: str, bundle: Bundle, failure: str = "", previous: Bundle | None = None, **more: Any
) -> Bundle:
    case = {
        "name": name,
        "valid": not failure,
        "username": "alice",
        "bundle": bundle,
        "previous_bundle": previous,
    }
    if failure:
        return case | {"failure": failure} | more
    known = {
        "statement": b64u(bundle_statement("alice", bundle)),
        "hash": bundle_hash("alice", bundle),
        "kids": {
            entry["alg"]: H(un64u(entry["spki"])) for entry in [bundle["encryption"], *bundle["signing"]]
        },
        "continuous": "continuity" in bundle,
    }
    return case | known | more


def _good() -> list[Bundle]:
    rotated = [make(pool(1), 2, (first(), pool(0)), link) for link in (PSS, ED25519)]
    third = make(pool(2), 3, (rotated[1], pool(1)))
    reversed_order = copy.deepcopy(first())
    reversed_order["signing"].reverse()
    return [
        _case("first", first()),
        _case("first, signing keys listed the other way round", reversed_order),
        _case("Ed25519 alone", make(pool(3).without(PSS, DSA))),
        _case("RSA-PSS alone", make(pool(3).without(ED25519, DSA))),
        _case("DSA and Ed25519", make(pool(3).without(PSS))),
        _case("second, linked by RSA-PSS", rotated[0], previous=first()),
        _case("second, linked by Ed25519", rotated[1], previous=first()),
        _case("third", third, previous=rotated[1]),
        _case(
            "second, the wrapping key kept",
            make(_with(1, WRAPPING, 0), 2, (first(), pool(0))),
            previous=first(),
        ),
        _case("second, an identity reset", make(pool(1), 2), previous=first()),
    ]


def _with(index: int, alg: str, other: int) -> KeySet:
    return KeySet(pool(index).pkcs8 | {alg: pool(other).pkcs8[alg]})


def _prime(bits: int) -> int:
    return int(gmpy2.next_prime((3 << (bits - 2)) + int.from_bytes(stream(f"prime {bits}", 32), "big")))


def _keys() -> list[Bundle]:
    n = pool(0).private(PSS).public_key().public_numbers().n
    p, q, g = domain()
    y = int(gmpy2.powmod(g, 7, p))
    point = pool(0).spki(ED25519)[-32:]
    rsa = pool(0).spki(PSS)
    weak = {
        (PSS, "2048 bits"): der.rsa_spki(_prime(1024) * int(gmpy2.next_prime(_prime(1024))), 65537),
        (PSS, "4097 bits"): der.rsa_spki((1 << 4096) + 1, 65537),
        (PSS, "exponent 3"): der.rsa_spki(n, 3),
        (PSS, "even modulus"): der.rsa_spki(n - 1, 65537),
        (PSS, "a factor of 16 bits"): der.rsa_spki(65521 * _prime(3060), 65537),
        (PSS, "prime modulus"): der.rsa_spki(_prime(3072), 65537),
        (DSA, "foreign domain"): der.dsa_spki(p, q, y, int(gmpy2.powmod(g, 49, p))),
        (DSA, "y = 1"): der.dsa_spki(p, q, g, 1),
        (DSA, "y = p - 1"): der.dsa_spki(p, q, g, p - 1),
        (DSA, "y outside the subgroup"): der.dsa_spki(p, q, g, p - y),
        (ED25519, "the neutral point"): der.ed25519_spki((1).to_bytes(32, "little")),
        (ED25519, "order 2"): der.ed25519_spki((P25519 - 1).to_bytes(32, "little")),
        (ED25519, "order 4"): der.ed25519_spki(bytes(32)),
        (ED25519, "order 8"): der.ed25519_spki(
            bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05")
        ),
        (ED25519, "mixed order"): der.ed25519_spki(_plus_order_two(point)),
    }
    malformed = {
        (PSS, "trailing byte"): rsa + b"\x00",
        (PSS, "no parameters"): der.rsa_spki(n, 65537, parameters=b""),
        (PSS, "id-RSASSA-PSS"): der.rsa_spki(n, 65537, oid=der.RSA_PSS),
        (PSS, "negative modulus"): der.rsa_spki(-n, 65537),
        (PSS, "an Ed25519 key"): pool(0).spki(ED25519),
        (PSS, "nothing"): b"",
        (DSA, "y = 0"): der.dsa_spki(p, q, g, 0),
        (DSA, "y = p + 1"): der.dsa_spki(p, q, g, p + 1),
        (DSA, "no parameters"): der.sequence(der.sequence(der.DSA), der.bit_string(der.integer(y))),
        (ED25519, "not on the curve"): der.ed25519_spki((2).to_bytes(32, "little")),
        (ED25519, "not canonical"): der.ed25519_spki((P25519 + 1).to_bytes(32, "little")),
        (ED25519, "31 bytes"): der.ed25519_spki(point[:31]),
        (ED25519, "NULL parameters"): der.ed25519_spki(point, der.NULL),
        (ED25519, "a bare point"): point,
    }
    made = [_swapped(alg, name, spki, "weak_key") for (alg, name), spki in weak.items()]
    made += [_swapped(alg, name, spki, "malformed_key") for (alg, name), spki in malformed.items()]
    wrapping = copy.deepcopy(first())
    wrapping["encryption"]["spki"] = b64u(weak[PSS, "2048 bits"])
    return [*made, _case("wrapping key: 2048 bits", wrapping, "weak_key"), *_unsupported()]


def _plus_order_two(point: bytes) -> bytes:
    """(x, y) + (0, −1) = (−x, −y)."""
    number = int.from_bytes(point, "little")
    y, sign_bit = number & (2**255 - 1), number >> 255
    return (P25519 - y | (1 - sign_bit) << 255).to_bytes(32, "little")


def _swapped(alg: str, name: str, spki: bytes, failure: str) -> Bundle:
    """The key of `alg` replaced, its proof moved to the new kid: keys are judged before proofs."""
    bundle = copy.deepcopy(first())
    entry = next(entry for entry in bundle["signing"] if entry["alg"] == alg)
    entry["spki"] = b64u(spki)
    bundle["proofs"][H(spki)] = bundle["proofs"].pop(pool(0).kid(alg))
    more = {"server_only": True} if name == "prime modulus" else {}
    return _case(f"{alg}: {name}", bundle, failure, **more)


def _unsupported() -> list[Bundle]:
    made = []
    for alg in ("ECDSA-SHA256", "RSA-PSS-SHA512", "ed25519", "", WRAPPING):
        bundle = copy.deepcopy(first())
        bundle["signing"][0]["alg"] = alg
        made.append(_case(f"signing with {alg or 'nothing'}", bundle, "unsupported_algorithm"))
    for alg in ("RSA-OAEP", "RSA-PSS-SHA256", "X25519"):
        bundle = copy.deepcopy(first())
        bundle["encryption"]["alg"] = alg
        made.append(_case(f"wrapping with {alg}", bundle, "unsupported_algorithm"))
    return made


def _sets() -> list[Bundle]:
    twice = copy.deepcopy(first())
    twice["signing"][1] = twice["signing"][0]
    both = copy.deepcopy(make(pool(0).without(DSA, ED25519)))
    both["encryption"]["spki"] = both["signing"][0]["spki"]
    return [
        _case("a signing key twice", twice, "weak_key"),
        _case("the wrapping key signs", both, "weak_key"),
    ]


def _proofs() -> list[Bundle]:
    ed_kid, dsa_kid = pool(0).kid(ED25519), pool(0).kid(DSA)
    signed = bundle_statement("alice", first())
    changes: dict[str, Callable[[Bundle], Any]] = {
        "a proof missing": lambda b: b["proofs"].pop(dsa_kid),
        "a proof too many": lambda b: b["proofs"].update({H(b"?"): b["proofs"][ed_kid]}),
        "the proof of another key": lambda b: b["proofs"].update({ed_kid: b["proofs"][dsa_kid]}),
        "a proof over something else": lambda b: b["proofs"].update(
            {ed_kid: b64u(sign(pool(0), ED25519, b"?"))}
        ),
        "a proof of nothing": lambda b: b["proofs"].update({ed_kid: ""}),
        "another wrapping key": lambda b: b["encryption"].update({"spki": b64u(pool(1).spki(WRAPPING))}),
        "a signing key taken out": lambda b: b["signing"].pop(1),
        "DSA proof with q - s": lambda b: b["proofs"].update(
            {dsa_kid: b64u(_other_s(sign(pool(0), DSA, signed)))}
        ),
    }
    made = []
    for name, change in changes.items():
        bundle = copy.deepcopy(first())
        change(bundle)
        made.append(_case(name, bundle, "invalid_proof"))
    other = _case("somebody else's bundle", first(), "invalid_proof")
    return [*made, other | {"username": "alicia"}]


def _other_s(signature: bytes) -> bytes:
    r, s = decode_dss_signature(signature)
    return der.sequence(der.integer(r), der.integer(domain()[1] - s))


def _links() -> list[Bundle]:
    good = make(pool(1), 2, (first(), pool(0)))
    signed = bundle_statement("alice", good)

    def linked(alg: str, keys: KeySet, data: bytes = signed) -> Bundle:
        return good | {"continuity": {"kid": keys.kid(alg), "signature": b64u(sign(keys, alg, data))}}

    unsigned = {name: value for name, value in good.items() if name != "continuity"}
    reset = make(pool(1), 2)
    by_itself = {"kid": pool(1).kid(ED25519), "signature": b64u(sign(pool(1), ED25519, signed))}
    return [
        _case("linked by DSA", linked(DSA, pool(0)), "invalid_proof", first(), link=True),
        _case("linked by its own key", good | {"continuity": by_itself}, "invalid_proof", first(), link=True),
        _case("linked by a stranger's key", linked(ED25519, pool(2)), "invalid_proof", first(), link=True),
        _case("link over something else", linked(PSS, pool(0), b"?"), "invalid_proof", first(), link=True),
        _case("link to another bundle", good, "invalid_proof", make(pool(2)), link=True),
        _case("previous without continuity", unsigned, "invalid_proof", first()),
        _case("continuity without previous", reset | {"continuity": by_itself}, "invalid_proof", first()),
        _case("version 1 with a previous", make(pool(1), 1, (first(), pool(0))), "invalid_proof"),
    ]
