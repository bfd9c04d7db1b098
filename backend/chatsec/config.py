"""Every setting of the server, read once from the environment and `.env`; all that is wrong is told at once.

The only reader of `os.environ`. `.env.example` has a line for each. In the repository `.env`, data and page are its
own; an installed server carries the page, reads `.env` where it is started, and keeps data in the user's data folder.
There is no default secret: one process on the embedded store makes a random one and keeps it in `DATA_DIR` (mode 0600),
anything larger must be given one.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from dotenv import dotenv_values

PACKAGE = Path(__file__).resolve().parent
ROOT = PACKAGE.parents[1]  # the repository, unless installed
PACKED_PAGE = PACKAGE / "page"  # only the wheel has one
T = TypeVar("T")


class BadSettings(Exception):
    """One line for each setting that cannot be used."""


@dataclass(frozen=True, slots=True)
class Settings:
    secret_key: str  # signs tokens; ≥ 32 characters
    host: str
    port: int
    data_dir: Path  # database, attachments, secret
    page_dir: Path  # the built page; none there: the API alone
    mongo_uri: str  # "" = the embedded store
    redis_url: str  # "" = the only worker; joins the workers on one MongoDB
    chat_key_mode: str  # of the chats that the page makes: combined or server
    registration: str  # open or closed
    bcrypt_rounds: int
    rate_limits: bool
    cors_origins: tuple[str, ...]  # origins beside the own one
    trusted_proxies: int  # how many proxies in front may say whom they speak for
    metrics_token: str  # "" = /metrics for loopback only
    api_url: str  # where the built page calls, if elsewhere: enters its CSP
    socket_url: str
    log_level: str


def environment() -> dict[str, str]:
    """What `.env` says, and over it the environment."""
    file = Path(".env") if PACKED_PAGE.is_dir() else ROOT / ".env"
    return {name: value or "" for name, value in dotenv_values(file).items()} | dict(os.environ)


def from_env(environ: Mapping[str, str], workers: int = 1) -> Settings:
    """The settings in `environ` for so many processes on the ports from PORT on, or `BadSettings` with all that is
    wrong."""
    wrong: list[str] = []
    packed = PACKED_PAGE.is_dir()

    def read(name: str, default: str, convert: Callable[[str], T], means: str) -> T:
        try:
            return convert(environ.get(name, "").strip() or default)
        except (ValueError, OSError, RuntimeError) as error:  # the last: nobody's home to put data in
            wrong.append(
                f"{name}: must be {means}" + (f" ({error.strerror})" if isinstance(error, OSError) else "")
            )
            return convert(default) if isinstance(error, ValueError) else Path(default)  # type: ignore[return-value]

    mongo_uri = read("MONGO_URI", "", _mongo_uri, "empty or start with mongodb:// or mongodb+srv://")
    data_dir = read(
        "DATA_DIR",
        _user_data(environ) if packed else str(ROOT / "data"),
        _directory,
        "a folder that can be written",
    )
    redis_url = read("REDIS_URL", "", _redis_url, "empty or start with redis://, rediss:// or unix://")
    settings = Settings(
        secret_key="",
        host=read("HOST", "127.0.0.1", str, "an address"),
        port=read("PORT", "5001", _between(1, 65535), "a number from 1 to 65535"),
        data_dir=data_dir,
        page_dir=read(
            "PAGE_DIR", str(PACKED_PAGE if packed else ROOT / "frontend" / "out"), Path, "a folder"
        ),
        mongo_uri=mongo_uri,
        redis_url=redis_url,
        chat_key_mode=read(
            "CHAT_KEY_MODE", "combined", _one_of("combined", "server"), "`combined` or `server`"
        ),
        registration=read("REGISTRATION", "open", _one_of("open", "closed"), "`open` or `closed`"),
        bcrypt_rounds=read("BCRYPT_ROUNDS", "12", _between(4, 16), "a number from 4 to 16"),
        rate_limits=read("RATE_LIMITS", "on", _one_of("on", "off"), "`on` or `off`") == "on",
        cors_origins=read(
            "CORS_ORIGINS", "", _origins, "origins like https://chat.example, separated by commas"
        ),
        trusted_proxies=read("TRUSTED_PROXIES", "0", _between(0, 9), "a number from 0 to 9"),
        metrics_token=environ.get("METRICS_TOKEN", "").strip(),
        api_url=read("NEXT_PUBLIC_API_URL", "", _origin_or_empty, "an origin like https://chat.example"),
        socket_url=read(
            "NEXT_PUBLIC_SOCKET_URL", "", _origin_or_empty, "an origin like https://chat.example"
        ),
        log_level=read(
            "LOG_LEVEL", "info", _one_of("debug", "info", "warning", "error"), "debug, info, warning or error"
        ),
    )
    secret = environ.get("SECRET_KEY", "").strip()
    if mongo_uri and not secret:
        wrong.append("SECRET_KEY: must be given with MONGO_URI")
    if workers > 1:
        wrong += [
            f"{name}: must be given when there are several workers"
            for name in ("MONGO_URI", "REDIS_URL")
            if not environ.get(name, "").strip()
        ]
        if settings.port + workers - 1 > 65535:
            wrong.append(f"PORT: must leave room for {workers} workers up to 65535")
    elif redis_url and not mongo_uri:
        wrong.append(
            "REDIS_URL: joins workers on one MongoDB and needs MONGO_URI; the embedded store has one worker"
        )
    if secret and len(secret) < 32:
        wrong.append("SECRET_KEY: must have 32 characters or more")
    if wrong:
        raise BadSettings("\n".join(wrong))
    return replace(settings, secret_key=secret or kept_secret(data_dir))


def kept_secret(data_dir: Path) -> str:
    """The random secret in `data_dir`, made at the first start, readable by its owner alone."""
    path = data_dir / "secret_key"
    if not path.exists():
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_urlsafe(48))
    return path.read_text().strip()


def _user_data(environ: Mapping[str, str]) -> str:
    """Where a user's programs keep data (XDG base directories, which have relative paths ignored)."""
    base = environ.get("XDG_DATA_HOME", "")
    return str(Path(base if base.startswith("/") else "~/.local/share") / "chatsec")


def _between(low: int, high: int) -> Callable[[str], int]:
    def convert(text: str) -> int:
        number = int(text)
        if not low <= number <= high:
            raise ValueError(text)
        return number

    return convert


def _one_of(*words: str) -> Callable[[str], str]:
    def convert(text: str) -> str:
        if text.lower() not in words:
            raise ValueError(text)
        return text.lower()

    return convert


def _directory(text: str) -> Path:
    path = Path(text).expanduser().resolve()
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not os.access(path, os.W_OK):
        raise ValueError(text)
    return path


def _mongo_uri(text: str) -> str:
    if text and not text.startswith(("mongodb://", "mongodb+srv://")):
        raise ValueError(text)
    return text


def _redis_url(text: str) -> str:
    if text and not text.startswith(("redis://", "rediss://", "unix://")):
        raise ValueError(text)
    return text


def _origin_or_empty(text: str) -> str:
    text = text.rstrip("/")
    if text and (
        not text.startswith(("http://", "https://")) or "/" in text.split("://", 1)[1] or '"' in text
    ):
        raise ValueError(text)
    return text


def _origins(text: str) -> tuple[str, ...]:
    return tuple(_origin_or_empty(part.strip()) for part in text.split(",") if part.strip())
