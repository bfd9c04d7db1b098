"""The log: one JSON object a line on stderr, from structlog and the standard library alike, without secrets.

What cannot get in: the value of any field named like a secret, anything that looks like a token, query strings, and
the messages of exceptions other than our own and the system's (others may quote the input), for which type and places
must do. Callers still log no bodies: this is the second fence.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, TextIO

import orjson
import structlog
from structlog.typing import EventDict, Processor

from chatsec.errors import ChatSecError

REMOVED = "[removed]"
SECRET_NAME = re.compile(
    r"passw|secret|token|auth|cookie|csrf|credential|pkcs8|private|plaintext|ciphertext|wrap|share"
    r"|recovery|backup|signature|salt|body|payload|\bkey\b|_key\b|^keys$|^state$",
    re.IGNORECASE,
)
SECRET_TEXT = re.compile(
    r"eyJ[\w-]{4,}\.[\w-]+(?:\.[\w-]*)?"  # a JWT
    r"|\bbearer\s+[\w.~+/=-]+"
    r"|\?[^\s\"'?]*=[^\s\"']*"  # a query string
    r"|[A-Za-z0-9_+-]{40,}={0,2}",  # as long as a hash, a key or a refresh token
    re.IGNORECASE,
)
MAX_TEXT = 2000
MAX_DEPTH = 4
MAX_PLACES = 12


def configure(level: str = "info", stream: TextIO | None = None) -> None:
    """Sends everything that anybody logs through here; `level` as in LOG_LEVEL."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _without_exception_text,
        scrub,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(level.upper()),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.ExtraAdder(), *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _json],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in (
        "engineio.server",
        "socketio.server",
        "werkzeug",
    ):  # below that they log packets and request lines
        logging.getLogger(name).setLevel(logging.WARNING)


def scrub(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """Blanks what is named like a secret, and in all other texts what looks like one."""
    return {name: _clean(name, value, 0) for name, value in event.items()}


def _clean(name: str, value: Any, depth: int) -> Any:
    if name.startswith("_"):  # structlog's own (the record), taken out before rendering
        return value
    if SECRET_NAME.search(name) or depth > MAX_DEPTH:
        return REMOVED
    if isinstance(value, Mapping):
        return {_text(str(key)): _clean(str(key), one, depth + 1) for key, one in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_clean(name, one, depth + 1) for one in value]
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, (bytes, bytearray, memoryview)):
        return REMOVED
    return _text(str(value))


def _text(text: str) -> str:
    return SECRET_TEXT.sub(REMOVED, text[:MAX_TEXT])


def _without_exception_text(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> EventDict:
    """An exception as types and places; no locals, and no message that may hold input."""
    info = event.pop("exc_info", None)
    if info is True:
        info = sys.exc_info()
    error = info[1] if isinstance(info, tuple) else info
    if isinstance(error, BaseException):
        event["error"] = [_named(one) for one in _causes(error)]
        event["places"] = _places(error)[-MAX_PLACES:]
    event.pop("exception", None)
    event.pop("stack_info", None)
    return dict(event)


def _causes(error: BaseException) -> list[BaseException]:
    found: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and current not in found and len(found) < MAX_DEPTH:
        found.append(current)
        current = current.__cause__ or current.__context__
    return found


def _named(error: BaseException) -> str:
    name = type(error).__name__
    return f"{name}: {error}" if isinstance(error, (ChatSecError, OSError)) else name


def _places(error: BaseException) -> list[str]:
    places = []
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        places.append(f"{code.co_filename.rsplit('/', 1)[-1]}:{trace.tb_lineno} {code.co_name}")
        trace = trace.tb_next
    return places


def _json(_logger: Any, _method: str, event: EventDict) -> str:
    return orjson.dumps(event, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
