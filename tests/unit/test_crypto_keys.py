"""chatsec.crypto judging public keys: what the server takes, by which name it refuses the rest (protocol §2)."""

import json
from functools import cache
from pathlib import Path

import gmpy2
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_private_key

from chatsec import crypto
from chatsec.errors import ChatSecError
from tests.support import der

ROOT = Path(__file__).resolve().parents[2]
KEYS = json.loads((ROOT / "tests/support/keys.json").read_text())
DOMAINS = {s["L"]: s for s in json.loads((ROOT / "docs/dsa/parameters.json").read_text())["sets"]}
P, Q, G = crypto.DSA_3072_256
# RFC 8032 leaves no doubt about these: the identity, order 2, order 4 and order 8.
SMALL_ORDER = [
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
]


def spki(alg: str, number: int = 0) -> bytes:
    """A good key of the pool."""
    key = load_der_private_key(crypto.b64u_decode(KEYS[number][alg]), None)
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


@cache
def modulus() -> int:
    return (
        load_der_private_key(crypto.b64u_decode(KEYS[0]["RSA-OAEP-256"]), None)
        .public_key()
        .public_numbers()
        .n
    )


@cache
def prime(bits: int) -> int:
    return int(gmpy2.next_prime(3 << (bits - 2)))


def mixed_order_point() -> bytes:
    """A good point plus the point of order 2: still on the curve, no longer in the prime-order subgroup."""
    good = int.from_bytes(spki("Ed25519")[-32:], "little")
    y, sign = good & (2**255 - 1), good >> 255
    return ((-y % (2**255 - 19)) | ((1 - sign) << 255)).to_bytes(32, "little")


def refusal(alg: str, key: bytes) -> str:
    judge = crypto.judge_encryption_key if alg == "RSA-OAEP-256" else crypto.judge_signing_key
    with pytest.raises(ChatSecError) as caught:
        judge(alg, key)
    return caught.value.code


@pytest.mark.parametrize("number", range(len(KEYS)))
def test_good_keys_are_taken(number: int) -> None:
    crypto.judge_encryption_key("RSA-OAEP-256", spki("RSA-OAEP-256", number))
    for alg in ("RSA-PSS-SHA256", "DSA-SHA256", "Ed25519"):
        crypto.judge_signing_key(alg, spki(alg, number))


def test_the_dsa_domain_is_the_published_one() -> None:
    assert tuple(int(DOMAINS[3072][name], 16) for name in "pqg") == crypto.DSA_3072_256


@pytest.mark.parametrize("bits", [3072, 4096])
def test_rsa_sizes_at_both_ends_are_taken(bits: int) -> None:
    n = prime(bits // 2) * int(gmpy2.next_prime(prime(bits // 2)))
    assert n.bit_length() == bits
    crypto.judge_signing_key("RSA-PSS-SHA256", der.rsa_spki(n, 65537))


@pytest.mark.parametrize(
    ("name", "n", "e"),
    [
        ("2048 bits", lambda: prime(1024) * int(gmpy2.next_prime(prime(1024))), 65537),
        ("3071 bits", lambda: modulus() >> 1 | 1, 65537),
        ("4097 bits", lambda: (1 << 4096) + 1, 65537),
        ("exponent 3", modulus, 3),
        ("exponent 1", modulus, 1),
        ("even exponent", modulus, 65536),
        ("larger exponent", modulus, 65539),
        ("even modulus", lambda: modulus() + 1, 65537),
        ("factor 3", lambda: 3 * (prime(3072) // 3 | 1), 65537),
        ("factor 65521", lambda: 65521 * prime(3060), 65537),
        ("prime modulus", lambda: prime(3072), 65537),
    ],
)
def test_weak_rsa(name: str, n: object, e: int) -> None:
    """ASVS 11.2.3."""
    key = der.rsa_spki(n(), e)  # type: ignore[operator]
    assert refusal("RSA-PSS-SHA256", key) == "weak_key", name
    assert refusal("RSA-OAEP-256", key) == "weak_key", name


def test_malformed_rsa() -> None:
    n = modulus()
    good = der.rsa_spki(n, 65537)
    padded = der.tlv(0x02, b"\x00\x00" + n.to_bytes(384, "big"))
    bad = {
        "trailing byte": good + b"\x00",
        "truncated": good[:-1],
        "empty": b"",
        "no parameters": der.rsa_spki(n, 65537, parameters=b""),
        "NULL with content": der.rsa_spki(n, 65537, parameters=b"\x05\x01\x00"),
        "second parameter": der.rsa_spki(n, 65537, parameters=der.NULL * 2),
        "id-RSASSA-PSS": der.rsa_spki(n, 65537, oid=der.RSA_PSS),
        "negative modulus": der.rsa_spki(-n, 65537),
        "negative exponent": der.rsa_spki(n, -65537),
        "padded modulus": der.sequence(
            der.sequence(der.RSA, der.NULL), der.bit_string(der.sequence(padded, der.integer(65537)))
        ),
        "third integer": der.sequence(
            der.sequence(der.RSA, der.NULL),
            der.bit_string(der.sequence(der.integer(n), der.integer(65537), der.integer(1))),
        ),
        "trailing in the bits": der.sequence(
            der.sequence(der.RSA, der.NULL),
            der.bit_string(der.sequence(der.integer(n), der.integer(65537)) + b"\x00"),
        ),
        "unused bits": good.replace(b"\x03\x82\x01\x8f\x00", b"\x03\x82\x01\x8f\x01"),
        "long length": good[:1] + b"\x83\x00" + good[2:4] + good[4:],
        "indefinite length": b"\x30\x80" + good[4:] + b"\x00\x00",
        "an Ed25519 key": spki("Ed25519"),
        "over long": good + b"\x00" * 4096,
    }
    assert bad["unused bits"] != good
    assert {name: refusal("RSA-OAEP-256", key) for name, key in bad.items()} == dict.fromkeys(
        bad, "malformed_key"
    )


def test_weak_dsa() -> None:
    """ASVS 11.6.1."""
    foreign = tuple(int(DOMAINS[2048][name], 16) for name in "pqg")
    y = pow(foreign[2], 12345, foreign[0])
    weak = {
        "2048 domain": der.dsa_spki(*foreign, y),
        "other generator": der.dsa_spki(P, Q, pow(G, 2, P), pow(G, 5, P)),
        "y = 1": der.dsa_spki(P, Q, G, 1),
        "y = p - 1": der.dsa_spki(P, Q, G, P - 1),
        "y outside the subgroup": der.dsa_spki(P, Q, G, 2),
        "y times an element of order 2": der.dsa_spki(P, Q, G, P - pow(G, 7, P)),
    }
    assert {name: refusal("DSA-SHA256", key) for name, key in weak.items()} == dict.fromkeys(weak, "weak_key")


def test_malformed_dsa() -> None:
    good = spki("DSA-SHA256")
    bad = {
        "y = 0": der.dsa_spki(P, Q, G, 0),
        "y = p": der.dsa_spki(P, Q, G, P),
        "y + p": der.dsa_spki(P, Q, G, P + pow(G, 7, P)),
        "negative": der.dsa_spki(P, Q, G, -5),
        "no parameters": der.sequence(der.sequence(der.DSA), der.bit_string(der.integer(5))),
        "trailing": good + b"\x05\x00",
        "RSA": spki("RSA-PSS-SHA256"),
    }
    assert {name: refusal("DSA-SHA256", key) for name, key in bad.items()} == dict.fromkeys(
        bad, "malformed_key"
    )


@pytest.mark.parametrize("point", SMALL_ORDER)
def test_small_order_ed25519(point: str) -> None:
    assert refusal("Ed25519", der.ed25519_spki(bytes.fromhex(point))) in {"weak_key", "malformed_key"}


def test_mixed_order_ed25519_is_weak() -> None:
    assert refusal("Ed25519", der.ed25519_spki(mixed_order_point())) == "weak_key"


def test_malformed_ed25519() -> None:
    point = spki("Ed25519")[-32:]
    field = 2**255 - 19
    off_curve = next(
        y
        for y in range(2, 100)
        if gmpy2.jacobi((y * y - 1) * pow(-121665 * pow(121666, -1, field) * y * y + 1, -1, field), field)
        == -1
    )
    bad = {
        "not on the curve": der.ed25519_spki(off_curve.to_bytes(32, "little")),
        "y = p + 1": der.ed25519_spki((field + 1).to_bytes(32, "little")),
        "y = p + 9": der.ed25519_spki((field + 9).to_bytes(32, "little")),
        "x = 0 with a sign": der.ed25519_spki((1 | 1 << 255).to_bytes(32, "little")),
        "31 bytes": der.ed25519_spki(point[:-1]),
        "33 bytes": der.ed25519_spki(point + b"\x00"),
        "NULL parameters": der.ed25519_spki(point, der.NULL),
        "trailing": der.ed25519_spki(point) + b"\x00",
        "bare point": point,
    }
    assert {name: refusal("Ed25519", key) for name, key in bad.items()} == dict.fromkeys(bad, "malformed_key")


def test_unsupported_algorithms() -> None:
    for alg in ("", "ed25519", "ECDSA", "RSA-PSS-SHA512", "RSA-OAEP", "DSA-SHA256"):
        with pytest.raises(ChatSecError) as caught:
            crypto.judge_encryption_key(alg, spki("RSA-OAEP-256"))
        assert caught.value.code == "unsupported_algorithm"
    with pytest.raises(ChatSecError) as caught:
        crypto.judge_signing_key("RSA-OAEP-256", spki("RSA-OAEP-256"))
    assert caught.value.code == "unsupported_algorithm"


def test_a_key_is_named_by_its_bytes() -> None:
    assert crypto.kid(b"") == "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"
    assert len({crypto.kid(spki(alg)) for alg in KEYS[0]}) == 4
