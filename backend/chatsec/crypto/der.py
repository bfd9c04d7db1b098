"""A strict DER reader, as much of X.690 as SPKI and DSA signatures need.

Refuses (`DerError`) indefinite and non-minimal lengths, negative and padded integers, unused bits and
trailing bytes.
"""

from typing import NamedTuple

INTEGER, BIT_STRING, NULL, OID, SEQUENCE = 0x02, 0x03, 0x05, 0x06, 0x30


class DerError(ValueError):
    """The bytes are not the one DER form of what was expected."""


class Der:
    """Reads one value after the other; `end()` says that nothing may follow."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, tag: int) -> bytes:
        """The content of the next value, which must have this tag."""
        if self._byte() != tag:
            raise DerError("unexpected tag")
        length = self._length()
        content = self._data[self._at : self._at + length]
        if len(content) != length:
            raise DerError("truncated")
        self._at += length
        return content

    def sequence(self) -> "Der":
        """A reader over the next value, a SEQUENCE."""
        return Der(self.take(SEQUENCE))

    def integer(self) -> int:
        """The next value, a non-negative INTEGER in its shortest form (X.690 §8.3.2)."""
        content = self.take(INTEGER)
        if not content or content[0] & 0x80 or (len(content) > 1 and content[0] == 0 and content[1] < 0x80):
            raise DerError("negative, empty or padded integer")
        return int.from_bytes(content, "big")

    def bits(self) -> bytes:
        """The next value, a BIT STRING of whole bytes."""
        content = self.take(BIT_STRING)
        if content[:1] != b"\x00":
            raise DerError("unused bits")
        return content[1:]

    def more(self) -> bool:
        """Whether anything is left."""
        return self._at < len(self._data)

    def end(self) -> None:
        """Nothing may be left."""
        if self.more():
            raise DerError("trailing bytes")

    def _byte(self) -> int:
        if self._at >= len(self._data):
            raise DerError("truncated")
        self._at += 1
        return self._data[self._at - 1]

    def _length(self) -> int:
        first = self._byte()
        if first < 0x80:
            return first
        octets = bytes(self._byte() for _ in range(first & 0x7F))
        length = int.from_bytes(octets, "big")
        if not octets or octets[0] == 0 or length < 0x80:
            raise DerError("length is not minimal")
        return length


class Spki(NamedTuple):
    """SubjectPublicKeyInfo taken apart (RFC 5280 §4.1): OID content, DER of the parameters, key bits."""

    oid: bytes
    parameters: Der
    key: bytes


def read_spki(data: bytes) -> Spki:
    """Takes an SPKI apart; the caller judges the parameters, `end()` included."""
    outer = Der(data)
    info = outer.sequence()
    outer.end()
    algorithm = info.sequence()
    oid = algorithm.take(OID)
    key = info.bits()
    info.end()
    return Spki(oid, algorithm, key)


def read_dsa_signature(data: bytes) -> tuple[int, int]:
    """(r, s) of a strict DER SEQUENCE { r INTEGER, s INTEGER } (RFC 3279 §2.2.2)."""
    outer = Der(data)
    pair = outer.sequence()
    outer.end()
    r, s = pair.integer(), pair.integer()
    pair.end()
    return r, s
