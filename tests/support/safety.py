"""Safety numbers of two users, and their QR codes (protocol §2)."""

import hashlib
import re

from tests.support.encoding import Failure

QR = "chatsec:verify:1:"


def fingerprint(username: str, statement: bytes) -> str:
    """The 30 digits of one user."""
    value = b"chatsec/fingerprint/v1" + username.encode() + b"\x00" + statement
    for _ in range(5200):
        value = hashlib.sha512(value + statement).digest()
    return "".join(f"{int.from_bytes(value[at : at + 5], 'big') % 100_000:05}" for at in range(0, 30, 5))


def safety_number(one: tuple[str, bytes], other: tuple[str, bytes]) -> str:
    """60 digits in groups of five, of two users' (username, statement of their bundle)."""
    digits = "".join(sorted((fingerprint(*one), fingerprint(*other))))
    return " ".join(digits[at : at + 5] for at in range(0, 60, 5))


def qr_text(number: str) -> str:
    """What the QR code of a safety number holds."""
    return QR + number.replace(" ", "")


def read_qr(scanned: str) -> str:
    """The safety number in a scanned code; `malformed` for anything else."""
    digits = scanned.removeprefix(QR)
    if not re.fullmatch("[0-9]{60}", digits) or scanned != QR + digits:
        raise Failure("malformed", "no safety number")
    return " ".join(digits[at : at + 5] for at in range(0, 60, 5))
