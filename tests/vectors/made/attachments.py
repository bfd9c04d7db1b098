"""Attachments under STREAM, good and refused (protocol §5).

`segment` is the length of a segment in bytes, 1 MiB in the last good cases, whose plaintext is `size` bytes of i mod 251 and whose
ciphertext is told by its hash alone; the others have both.
"""

from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tests.support.attachments import SEGMENT, TAG, seal_stream, segment_iv
from tests.support.encoding import H, b64u
from tests.vectors.fixed import stream

SMALL = 32
STEP = SMALL + TAG


def cases() -> list[dict[str, Any]]:
    """All cases of the file."""
    return [*_good(), *_large(), *_refused()]


def pattern(size: int) -> bytes:
    """The plaintext of the large ones."""
    return (bytes(range(251)) * (size // 251 + 1))[:size]


def _key(name: str) -> tuple[bytes, bytes]:
    return stream(f"attachment key {name}", 32), stream(f"attachment nonce {name}", 7)


def _case(name: str, plaintext: bytes, segment: int = SMALL) -> dict[str, Any]:
    key, nonce = _key(name)
    ciphertext = seal_stream(plaintext, key, nonce, segment)
    told = {"key": b64u(key), "nonce": b64u(nonce), "size": len(plaintext), "sha256": H(ciphertext)}
    return {"name": name, "valid": True, "segment": segment} | told


def _small(name: str, size: int) -> dict[str, Any]:
    plaintext = stream(f"attachment {name}", size)
    ciphertext = seal_stream(plaintext, *_key(name), SMALL)
    return _case(name, plaintext) | {"plaintext": b64u(plaintext), "ciphertext": b64u(ciphertext)}


def _good() -> list[dict[str, Any]]:
    return [
        _small("an empty file", 0),
        _small("one byte", 1),
        _small("one full segment", SMALL),
        _small("one byte more", SMALL + 1),
        _small("the last one full", 3 * SMALL),
        _small("many", 9 * SMALL + 5),
    ]


def _large() -> list[dict[str, Any]]:
    sizes = {"1 MiB": SEGMENT, "1 MiB and a byte": SEGMENT + 1}
    return [_case(name, pattern(size), SEGMENT) for name, size in sizes.items()]


def _refused() -> list[dict[str, Any]]:
    """Most have the sha256 of what is there: a sender or a key holder made them so."""

    def bad(name: str, failure: str, ciphertext: bytes, **changes: Any) -> dict[str, Any]:
        case = _small(name, 3 * SMALL) | {"valid": False, "failure": failure}
        del case["plaintext"]
        return case | {"ciphertext": b64u(ciphertext), "sha256": H(ciphertext)} | changes

    def sealed(name: str, size: int = 3 * SMALL) -> bytes:
        return seal_stream(stream(f"attachment {name}", size), *_key(name), SMALL)

    def parts(name: str) -> list[bytes]:
        whole = sealed(name)
        return [whole[at : at + STEP] for at in range(0, len(whole), STEP)]

    def marked(name: str, marks: list[bool]) -> bytes:
        key, nonce = _key(name)
        plaintext = stream(f"attachment {name}", 3 * SMALL)
        return b"".join(
            AESGCM(key).encrypt(segment_iv(nonce, at, last), plaintext[at * SMALL : (at + 1) * SMALL], None)
            for at, last in enumerate(marks)
        )

    one, two, three = parts("two exchanged")
    flipped = bytearray(sealed("a byte changed"))
    flipped[STEP + 3] ^= 1
    return [
        bad("two exchanged", "undecryptable", two + one + three),
        bad("one twice", "undecryptable", parts("one twice")[0] * 2 + parts("one twice")[2]),
        bad("the last one gone", "bad_attachment", b"".join(parts("the last one gone")[:2])),
        bad(
            "the last one gone, and the size too",
            "undecryptable",
            b"".join(parts("the last one gone, and the size too")[:2]),
            size=2 * SMALL,
        ),
        bad("the first one gone", "undecryptable", b"".join(parts("the first one gone")[1:]), size=2 * SMALL),
        bad("no last one", "undecryptable", marked("no last one", [False, False, False])),
        bad(
            "the last mark too early", "undecryptable", marked("the last mark too early", [False, True, True])
        ),
        bad("a byte changed", "undecryptable", bytes(flipped)),
        bad("cut in a segment", "bad_attachment", sealed("cut in a segment")[:-5]),
        bad("a byte more", "bad_attachment", sealed("a byte more") + b"x"),
        bad("nothing at all", "bad_attachment", b""),
        bad(
            "another sha256",
            "bad_attachment",
            sealed("another sha256"),
            sha256=H(b"another"),
        ),
        bad("another size", "bad_attachment", sealed("another size"), size=3 * SMALL + 1),
        bad("another key", "undecryptable", sealed("another key"), key=b64u(stream("x", 32))),
        bad("another nonce", "undecryptable", sealed("another nonce"), nonce=b64u(stream("x", 7))),
    ]
