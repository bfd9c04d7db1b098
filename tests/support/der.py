"""Builds DER by hand, so that tests can make the keys and signatures that no library would."""

RSA = bytes.fromhex("06092a864886f70d010101")
RSA_PSS = bytes.fromhex("06092a864886f70d01010a")
DSA = bytes.fromhex("06072a8648ce380401")
ED25519 = bytes.fromhex("06032b6570")
NULL = b"\x05\x00"


def tlv(tag: int, content: bytes) -> bytes:
    """One value with a minimal length."""
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(octets))) + octets + content


def sequence(*parts: bytes) -> bytes:
    """SEQUENCE of encoded parts."""
    return tlv(0x30, b"".join(parts))


def integer(value: int) -> bytes:
    """INTEGER, negative ones too."""
    size = (value if value >= 0 else ~value).bit_length() // 8 + 1
    return tlv(0x02, value.to_bytes(size, "big", signed=True))


def bit_string(content: bytes) -> bytes:
    """BIT STRING of whole bytes."""
    return tlv(0x03, b"\x00" + content)


def rsa_spki(n: int, e: int, oid: bytes = RSA, parameters: bytes = NULL) -> bytes:
    """SPKI of an RSA key (RFC 3279 §2.3.1)."""
    return sequence(sequence(oid, parameters), bit_string(sequence(integer(n), integer(e))))


def dsa_spki(p: int, q: int, g: int, y: int) -> bytes:
    """SPKI of a DSA key (RFC 3279 §2.3.2)."""
    return sequence(sequence(DSA, sequence(integer(p), integer(q), integer(g))), bit_string(integer(y)))


def ed25519_spki(point: bytes, parameters: bytes = b"") -> bytes:
    """SPKI of an Ed25519 key (RFC 8410 §4)."""
    return sequence(sequence(ED25519, parameters), bit_string(point))
