"""Text, JSON and b64u with the strictness of protocol "Words". What breaks them is `malformed`."""

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

USERNAME = re.compile(r"[a-z0-9][a-z0-9._-]{1,30}[a-z0-9]")
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", re.ASCII)
MAX_NUMBER = 2**53 - 1


class Failure(Exception):
    """Something a reader refuses, by its name of §5 (or the server's code of §8 for keys)."""

    def __init__(self, name: str, detail: str = "") -> None:
        super().__init__(f"{name}: {detail}" if detail else name)
        self.name = name


def b64u(data: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def un64u(text: Any, size: int | None = None) -> bytes:
    """Bytes of a canonical b64u text, of exactly `size` bytes if given."""
    if not isinstance(text, str) or not re.fullmatch(r"[A-Za-z0-9_-]*", text):
        raise Failure("malformed", "not b64u")
    try:
        data = base64.b64decode(text.translate({45: 43, 95: 47}) + "==="[: -len(text) % 4], validate=True)
    except binascii.Error as error:
        raise Failure("malformed", "not b64u") from error
    if b64u(data) != text or (size is not None and len(data) != size):
        raise Failure("malformed", "not canonical, or of another size")
    return data


def sha256(*parts: bytes) -> bytes:
    """SHA-256 of the parts joined."""
    return hashlib.sha256(b"".join(parts)).digest()


def H(data: bytes) -> str:
    """b64u(SHA-256(data))."""
    return b64u(sha256(data))


def decode_text(data: bytes) -> str:
    """Strict UTF-8 without a leading BOM."""
    if data.startswith(b"\xef\xbb\xbf"):
        raise Failure("malformed", "BOM")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Failure("malformed", "not UTF-8") from error


def parse_object(data: bytes, lone: str = "refuse") -> dict[str, Any]:
    """A JSON object of strict text. `lone="replace"` reads a lone surrogate as U+FFFD (payloads)."""
    try:
        value = json.loads(decode_text(data), parse_constant=_refuse, parse_float=_finite)
        if not isinstance(value, dict):
            raise Failure("malformed", "not an object")
        clean: dict[str, Any] = _surrogates(value, lone)
    except (ValueError, RecursionError) as error:
        raise Failure("malformed", "not JSON, or too deep") from error
    return clean


def _refuse(word: str) -> None:
    raise ValueError(word)


def _finite(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise ValueError("infinite")
    return value


def _surrogates(value: Any, lone: str) -> Any:
    if isinstance(value, dict):
        return {_surrogates(key, lone): _surrogates(item, lone) for key, item in value.items()}
    if isinstance(value, list):
        return [_surrogates(item, lone) for item in value]
    if isinstance(value, str) and any("\ud800" <= letter <= "\udfff" for letter in value):
        if lone == "refuse":
            raise Failure("malformed", "lone surrogate")
        return re.sub("[\ud800-\udfff]", "\ufffd", value)
    return value


def number(value: Any, least: int = 0) -> int:
    """An integral JSON number in least … 2^53−1, however written; a boolean is none."""
    whole = isinstance(value, int | float) and not isinstance(value, bool) and value == int(value)
    if not whole or not least <= value <= MAX_NUMBER:
        raise Failure("malformed", "not such a number")
    return int(value)


def text(value: Any, pattern: re.Pattern[str] | None = None) -> str:
    """A string, and in full of this pattern."""
    if not isinstance(value, str) or (pattern and not pattern.fullmatch(value)):
        raise Failure("malformed", "not such a text")
    return value


def time(value: Any) -> str:
    """RFC 3339, UTC, milliseconds, Z."""
    try:
        datetime.strptime(text(value, TIME), "%Y-%m-%dT%H:%M:%S.%fZ")
    except ValueError as error:
        raise Failure("malformed", "no such time") from error
    return str(value)


def digest(value: Any, empty: bool = False) -> str:
    """An H value, or "" where the protocol allows it."""
    if not (empty and value == ""):
        un64u(value, 32)
    return str(value)


def field(record: Mapping[str, Any], name: str) -> Any:
    """A field that must be there."""
    if name not in record:
        raise Failure("malformed", f"no {name}")
    return record[name]
