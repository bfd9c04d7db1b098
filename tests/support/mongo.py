"""A MongoDB for tests: the one at TEST_MONGO_URI, else `mongod` from the PATH, else SecantusDB, which speaks its protocol.

With none of them there is one line that says so, and the tests that need one fail.
"""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError
from pymongo.uri_parser import parse_uri

from tests.support.ports import free_port

START_SECONDS = 60
ROOM = 2**31  # bytes
NONE = "no MongoDB for the tests: set TEST_MONGO_URI, put mongod on the PATH, or install requirements-dev.txt"


class NoMongo(RuntimeError):
    """None of the three is there."""


def command(port: int, folder: Path, auth: bool = False, tls: Path | None = None) -> list[str]:
    """How one is started, that keeps its data in `folder` and lets tests make it fail; `NoMongo`.

    `tls`: a folder with `server.pem`, certificate and key, and `server.key`, the key alone.
    """
    where = ["--port", str(port), *(["--auth"] if auth else [])]
    if mongod := shutil.which("mongod"):
        where += ["--bind_ip", "127.0.0.1", "--dbpath", str(folder)]
        if tls:
            where += ["--tlsMode", "requireTLS", "--tlsCertificateKeyFile", str(tls / "server.pem")]
        return [mongod, *where, "--quiet", "--setParameter", "enableTestCommands=1"]
    secantus = Path(sys.executable).with_name("secantusd-py")
    if secantus.exists():
        where += ["--host", "127.0.0.1", "--storage-path", str(folder)]
        if tls:
            where += ["--tls-cert-file", str(tls / "server.pem"), "--tls-key-file", str(tls / "server.key")]
        return [str(secantus), *where, "--standalone", "--sync-on-commit", "--enable-test-commands"]
    raise NoMongo(NONE)


@dataclass(frozen=True)
class Address:
    """Where a server is, and how one logs in to it."""

    host: str
    port: int
    login: str = ""
    options: str = ""

    def uri(self, database: str, proxy: int | None = None) -> str:
        """Of one of its databases; by a proxy on that port of loopback if there is one."""
        where = f"127.0.0.1:{proxy}" if proxy else f"{self.host}:{self.port}"
        return f"mongodb://{self.login}{where}/{database}?directConnection=true{self.options}"


@cache
def shared() -> Address:
    """One server for all tests of this process; the one at TEST_MONGO_URI, or one that ends with the process."""
    if given := os.environ.get("TEST_MONGO_URI"):
        parts = parse_uri(given)
        login = (
            f"{quote_plus(parts['username'])}:{quote_plus(parts['password'])}@" if parts["username"] else ""
        )
        host, port = parts["nodelist"][0]
        source = parts["options"].get("authSource") or parts["database"] or "admin"
        return Address(host, port, login, f"&authSource={source}" if login else "")
    return _started()


def _started() -> Address:
    folder = tempfile.TemporaryDirectory(prefix="chatsec-mongo-", dir=_memory())
    server = MongoProcess(Path(folder.name)).start()
    atexit.register(folder.cleanup)
    atexit.register(server.kill)
    return Address("127.0.0.1", server.port)


def _memory() -> str | None:
    """A folder in memory if there is one with room: no test of this server cuts the power, and journals cost most here."""
    folder = Path("/dev/shm")
    return str(folder) if folder.is_dir() and shutil.disk_usage(folder).free > ROOM else None


class MongoProcess:
    """A database server of one's own, which can be killed and started again on the same port and data."""

    def __init__(self, folder: Path, auth: bool = False, tls: Path | None = None) -> None:
        """`auth`: with the users that were made without it. `tls`: as in `command`."""
        self._auth = auth
        self._tls = tls
        self._folder = folder / "mongo"
        self._folder.mkdir(exist_ok=True)
        self._log = folder / "mongo.log"
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    def uri(self, database: str = "test") -> str:
        return f"mongodb://127.0.0.1:{self.port}/{database}"

    def start(self) -> MongoProcess:
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                command(self.port, self._folder, self._auth, self._tls),
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            if answers(self.uri() + ("?tls=true&tlsInsecure=true" if self._tls else "")):
                return self
        self.kill()
        raise RuntimeError(f"the database did not start:\n{self._log.read_text(errors='replace')}")

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> None:
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, how)
        if self.process is not None:
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()


@cache
def breakable() -> Address:
    """`shared`, or one of our own if that may not be made to fail."""
    try:
        with failing(shared(), "ping"):
            return shared()
    except OperationFailure:
        return _started()


@contextmanager
def failing(server: Address, *commands: str, times: int | None = None, **how: Any) -> Iterator[None]:
    """These commands of the product fail, `times` times or all the while: `errorCode`, `closeConnection`,
    `writeConcernError`, `blockConnection` with `blockTimeMS` (MongoDB's fail point `failCommand`)."""
    admin = client(server.uri("admin")).admin
    data = {"failCommands": list(commands), "appName": "chatsec", **how}
    mode = "alwaysOn" if times is None else {"times": times}
    admin.command({"configureFailPoint": "failCommand", "mode": mode, "data": data})
    try:
        yield
    finally:
        admin.command({"configureFailPoint": "failCommand", "mode": "off"})


def answers(uri: str) -> bool:
    with MongoClient[dict[str, object]](uri, serverSelectionTimeoutMS=500) as client:
        try:
            client.admin.command("ping")
        except PyMongoError:
            return False
    return True


def empty(uri: str) -> None:
    """Takes all documents out of a database; collections and indexes stay, which are slow to make."""
    database = client(uri).get_default_database()
    for name in database.list_collection_names():
        database[name].delete_many({})


@cache
def client(uri: str) -> MongoClient[dict[str, Any]]:
    """One that stays open to the end."""
    made: MongoClient[dict[str, Any]] = MongoClient(uri)
    atexit.register(made.close)
    return made
