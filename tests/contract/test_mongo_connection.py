"""MongoDB alone: what MONGO_URI may say, and whom a store refuses to start with: never with the password in a text."""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from pymongo import MongoClient
from pymongo.monitoring import CommandFailedEvent, CommandListener, CommandStartedEvent, CommandSucceededEvent

from chatsec.errors import ChatSecError
from chatsec.storage.mongo import MongoStorage
from tests.contract.world import World
from tests.support.direct import DirectOffload
from tests.support.mongo import MongoProcess, shared

PASSWORD = "s3cret-pass"
DURABLE = {"w": "majority", "j": True}


def opened(uri: str, **options: Any) -> MongoStorage:
    return MongoStorage(uri, DirectOffload(), **options)


def refused(uri: str, caplog: pytest.LogCaptureFixture) -> str:
    """The words of the refusal, which are all that is told."""
    with pytest.raises(ChatSecError) as caught:
        opened(uri, timeoutMS=800)
    assert caught.value.code == "unavailable" and caught.value.__cause__ is None
    assert PASSWORD not in f"{caught.value} {caught.value!r} {caplog.text}"
    return str(caught.value)


class Writes(CommandListener):
    def __init__(self) -> None:
        self.concerns: list[tuple[str, Any]] = []

    def started(self, event: CommandStartedEvent) -> None:
        if event.command_name in ("insert", "update", "findAndModify"):
            self.concerns.append((event.command_name, event.command.get("writeConcern")))

    def succeeded(self, event: CommandSucceededEvent) -> None: ...

    def failed(self, event: CommandFailedEvent) -> None: ...


@pytest.mark.parametrize(
    "weak", ["w=0&journal=false", "w=1", "journal=false", "w=0", "readPreference=secondary"]
)
def test_no_uri_makes_writes_less_than_durable(weak: str) -> None:
    writes = Writes()
    storage = opened(f"{shared().uri('weak')}&{weak}", event_listeners=[writes])
    try:
        World(storage).join(f"{weak}a", f"{weak}b").chat(f"{weak}a", f"{weak}b")
        storage.ping()
    finally:
        storage.close()
    hints = [concern for name, concern in writes.concerns if concern != DURABLE]
    assert hints == [{"w": 1}], "only the snapshot of a chat, which is a hint"
    assert {name for name, concern in writes.concerns if concern == DURABLE} == {
        "insert",
        "update",
        "findAndModify",
    }


@pytest.mark.parametrize("uri", [f"mongodb://u:{PASSWORD}@h:port/x", f"http://{PASSWORD}"])
def test_a_uri_that_is_none(uri: str, caplog: pytest.LogCaptureFixture) -> None:
    assert "MONGO_URI cannot be used" in refused(uri, caplog)


def test_nobody_listens(caplog: pytest.LogCaptureFixture) -> None:
    assert "cannot be opened" in refused(f"mongodb://u:{PASSWORD}@127.0.0.1:9/x", caplog)


# ---------------------------------------------------------------- credentials


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MongoProcess]:
    """With a user of its own, and one who may only read."""
    folder = tmp_path_factory.mktemp("guarded")
    process = MongoProcess(folder, auth=True)
    open_to_all = MongoProcess(folder).start()
    with MongoClient[dict[str, Any]](open_to_all.uri("admin")) as client:
        for user, role in (("chatsec", "readWriteAnyDatabase"), ("reader", "readAnyDatabase")):
            client.admin.command("createUser", user, pwd=PASSWORD, roles=[{"role": role, "db": "admin"}])
    open_to_all.stop()
    process.start()
    yield process
    process.stop()


def test_credentials_of_the_uri(guarded: MongoProcess) -> None:
    uri = f"mongodb://chatsec:{PASSWORD}@127.0.0.1:{guarded.port}/mine?authSource=admin"
    storage = opened(uri)
    assert World(storage).join("alice").storage.accounts.get("alice") is not None
    storage.close()


@pytest.mark.parametrize(
    ("login", "database"),
    [
        (f"chatsec:no-{PASSWORD}@", "?authSource=admin"),
        (f"nobody:{PASSWORD}@", "?authSource=admin"),
        ("", ""),
    ],
)
def test_wrong_credentials(
    guarded: MongoProcess, login: str, database: str, caplog: pytest.LogCaptureFixture
) -> None:
    said = refused(f"mongodb://{login}127.0.0.1:{guarded.port}/other{database}", caplog)
    assert "refuses the user, or their password" in said


# ---------------------------------------------------------------- TLS


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`ca.pem`, `server.pem` by it with `server.key`, and `other.pem`, a CA that nobody used."""
    folder = tmp_path_factory.mktemp("tls")
    ca_key, ca = certificate("Test CA")
    (folder / "ca.pem").write_bytes(ca.public_bytes(serialization.Encoding.PEM))
    (folder / "other.pem").write_bytes(certificate("Other CA")[1].public_bytes(serialization.Encoding.PEM))
    key, server = certificate("localhost", (ca_key, ca))
    form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    private = key.private_bytes(serialization.Encoding.PEM, *form)
    (folder / "server.key").write_bytes(private)
    (folder / "server.pem").write_bytes(server.public_bytes(serialization.Encoding.PEM) + private)
    return folder


Signed = tuple[ec.EllipticCurvePrivateKey, x509.Certificate]


def certificate(name: str, by: Signed | None = None) -> Signed:
    """For loopback if it is signed `by` another one, else a CA."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    begin = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(hours=1)
    signer = by[0] if by else key
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by[1].subject if by else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + datetime.timedelta(days=2))
        .add_extension(x509.BasicConstraints(by is None, None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
    )
    return key, made.sign(signer, hashes.SHA256())


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory, certificates: Path) -> Iterator[MongoProcess]:
    process = MongoProcess(tmp_path_factory.mktemp("mongo-tls"), tls=certificates)
    process.start()
    yield process
    process.stop()


def test_tls_with_the_right_ca(tls: MongoProcess, certificates: Path) -> None:
    storage = opened(f"mongodb://127.0.0.1:{tls.port}/mine?tls=true&tlsCAFile={certificates / 'ca.pem'}")
    assert World(storage).join("alice").storage.accounts.get("alice") is not None
    storage.close()


def test_tls_with_another_ca(tls: MongoProcess, certificates: Path, caplog: pytest.LogCaptureFixture) -> None:
    at = f"mongodb://u:{PASSWORD}@127.0.0.1:{tls.port}/mine?tls=true"
    assert "not trusted" in refused(f"{at}&tlsCAFile={certificates / 'other.pem'}", caplog)
    assert "not trusted" in refused(at, caplog)
    assert "cannot be used" in refused(f"{at}&tlsCAFile={certificates / 'none.pem'}", caplog)


def test_no_tls_where_it_is_wanted(tls: MongoProcess, caplog: pytest.LogCaptureFixture) -> None:
    assert "cannot be opened" in refused(f"mongodb://127.0.0.1:{tls.port}/mine", caplog)
