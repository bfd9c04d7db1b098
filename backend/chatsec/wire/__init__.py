"""The shapes of everything that comes in over REST and Socket.IO, and of what several answers share.

One strict base model and the field types of the protocol's "Words": unknown keys are ignored and never kept, no type is
guessed ("5" is no number, true is none either), text holds neither NUL nor lone surrogates, b64u has one spelling.
A model is built with `parse`; what does not fit is `invalid` with `errors: [{field, message}]`, values never repeated.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

import orjson
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from chatsec.crypto import b64u_decode
from chatsec.domain.models import Account, Json, timestamp
from chatsec.errors import ChatSecError

MAX_NUMBER = 2**53 - 1
MAX_PAGE = 200
PAGE_BYTES = 1 << 20
USERNAME = r"[a-z0-9][a-z0-9._-]{1,30}[a-z0-9]"
UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
MAX_ERRORS, MAX_FIELD = 20, 100  # of one answer: a huge body must not make a huge problem
_UPPER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}

M = TypeVar("M", bound="Model")


class Model(BaseModel):
    """The base of every body and event."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True, protected_namespaces=())


def parse(model: type[M], data: Any) -> M:
    """`data` (what JSON gave) as a `model`, or `invalid`."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise as_invalid(error) from None  # the cause would carry the values


def as_invalid(error: ValidationError) -> ChatSecError:
    """pydantic's findings as ours."""
    found = error.errors(include_url=False, include_context=False, include_input=False)[:MAX_ERRORS]
    errors = [
        {
            "field": ".".join(str(part) for part in finding["loc"])[:MAX_FIELD] or "body",
            "message": finding["msg"].removeprefix("Value error, "),
        }
        for finding in found
    ]
    return ChatSecError("invalid", f"{errors[0]['field']}: {errors[0]['message']}", errors=errors)


# ---------------------------------------------------------------- numbers


def integral(value: Any) -> Any:
    """2.0 is 2: a number is an integral value however written. pydantic's strict int refuses the rest."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _digits(value: Any) -> Any:
    """A query's text as a number."""
    return int(value) if isinstance(value, str) and re.fullmatch(r"[0-9]{1,16}", value) else value


def _at_most_a_page(value: int) -> int:
    return min(value, MAX_PAGE)


def _one(value: Any) -> Any:
    if isinstance(value, bool) or value != 1:
        raise ValueError("must be 1")
    return 1


Number = Annotated[int, Field(ge=0, le=MAX_NUMBER), BeforeValidator(integral)]
Positive = Annotated[int, Field(ge=1, le=MAX_NUMBER), BeforeValidator(integral)]
FormatOne = Annotated[int, Field(ge=1, le=1), BeforeValidator(_one)]
"""`"v": 1`."""
QueryNumber = Annotated[int, Field(ge=0, le=MAX_NUMBER), BeforeValidator(_digits)]
Limit = Annotated[int, Field(ge=1, le=MAX_NUMBER), BeforeValidator(_digits), AfterValidator(_at_most_a_page)]
"""A page's length: above the most is the most (protocol §6)."""


# ---------------------------------------------------------------- text


def _clean(value: str) -> str:
    if "\0" in value:
        raise ValueError("must not contain NUL")
    if any("\ud800" <= char <= "\udfff" for char in value):
        raise ValueError("must not contain a lone surrogate")
    return value


def _plain(value: str) -> str:
    """One line for people: no control characters, something to see."""
    if any(ord(char) < 32 or 127 <= ord(char) < 160 for char in value):
        raise ValueError("must not contain control characters")
    if not value.strip():
        raise ValueError("must not be blank")
    return _clean(value)


def _matches(pattern: str, message: str) -> AfterValidator:
    compiled = re.compile(pattern)

    def check(value: str) -> str:
        if not compiled.fullmatch(value):
            raise ValueError(message)
        return value

    return AfterValidator(check)


def lower_ascii(value: Any) -> Any:
    """A username as it is stored: ASCII upper case lowered, nothing else touched."""
    return value.translate(_UPPER) if isinstance(value, str) else value


def is_username(value: str) -> bool:
    return re.fullmatch(USERNAME, value) is not None


Text = Annotated[str, AfterValidator(_clean), Field(max_length=1024)]
Password = Annotated[str, AfterValidator(_clean), Field(min_length=1, max_length=1024)]
"""What is typed or derived; how long a new one must be is the domain's to say."""
DisplayName = Annotated[str, AfterValidator(_plain), Field(min_length=1, max_length=64)]
ChatName = Annotated[str, AfterValidator(_plain), Field(min_length=1, max_length=128)]
Username = Annotated[
    str,
    BeforeValidator(lower_ascii),
    _matches(USERNAME, "not a username"),
    Field(min_length=3, max_length=32, json_schema_extra={"pattern": f"^{USERNAME}$"}),
]
Id = Annotated[
    str,
    _matches(UUID, "not a lower-case UUID"),
    Field(json_schema_extra={"format": "uuid", "pattern": f"^{UUID}$"}),
]


def b64u(*, exactly: int | None = None, at_least: int = 0, at_most: int | None = None) -> Any:
    """The type of a b64u text of so many bytes; the value stays text."""
    low, high = (exactly, exactly) if exactly is not None else (at_least, at_most)

    def check(value: str) -> str:
        if not _is_b64u(value):
            raise ValueError("not base64url in its one spelling")
        size = len(value) * 3 // 4
        if size < low or (high is not None and size > high):
            raise ValueError(f"must be {low} bytes" if low == high else f"must be {low} to {high} bytes")
        return value

    longest = None if high is None else -(-high * 4 // 3)  # looked at before anything is decoded
    schema = {"contentEncoding": "base64url", "pattern": "^[A-Za-z0-9_-]*$"}
    return Annotated[str, AfterValidator(check), Field(max_length=longest, json_schema_extra=schema)]


def _hash_or_empty(value: str) -> str:
    if value and (len(value) != 43 or not _is_b64u(value)):
        raise ValueError("neither empty nor 32 bytes as b64u")
    return value


def _is_b64u(value: str) -> bool:
    try:
        b64u_decode(value)
    except ChatSecError:
        return False
    return True


Hash = b64u(exactly=32)
"""43 characters: a hash, a kid, an auth."""
HashOrEmpty = Annotated[
    str,
    AfterValidator(_hash_or_empty),
    Field(max_length=43, json_schema_extra={"pattern": "^([A-Za-z0-9_-]{43})?$"}),
]


# ---------------------------------------------------------------- what several routes take or give


class Page(Model):
    """The query of a list."""

    limit: Limit = 50
    cursor: Text = ""


def page(items: list[Json], limit: int, cursor: str) -> Json:
    """`{items, next}` from up to limit + 1 items; `cursor` names the field by which the list goes on."""
    more = len(items) > limit
    return {"items": items[:limit], "next": items[limit - 1][cursor] if more else None}


def page_of_large(items: list[Json], limit: int, cursor: Callable[[Json], int]) -> Json:
    """As `page`, of things that may have tens of KB each: fewer where the answer would pass 1 MiB, one at least."""
    room, shown = PAGE_BYTES, 0
    for item in items[:limit]:
        room -= len(orjson.dumps(item))
        if room < 0 and shown:
            break
        shown += 1
    return {"items": items[:shown], "next": cursor(items[shown - 1]) if len(items) > shown else None}


def user(account: Account, status: str, last_seen: int | None) -> Json:
    """`user` (protocol §6); status and last seen are what presence says to whoever asks."""
    return {
        "username": account.username,
        "display_name": account.display_name,
        "created_at": timestamp(account.created_at),
        "status": status,
        "last_seen": None if last_seen is None else timestamp(last_seen),
        "keys_version": account.keys_version,
    }
