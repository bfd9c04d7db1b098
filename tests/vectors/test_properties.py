"""Opening inverts sealing, for any content; and the reference client owes nothing to the server's code."""

import ast
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import protocol as p

CHAT = "5a1d7f04-3c7e-4d0b-9b52-7d6f1c2e9a10"
REFERENCE = (
    "encoding",
    "keys",
    "passwords",
    "envelopes",
    "signed",
    "membership",
    "safety",
    "reader",
    "protocol",
    "connections",
    "client",
    "server",
    "der",
)


@given(st.binary(max_size=5000))
def test_padding(payload: bytes) -> None:
    padded = p.pad(payload)
    assert p.unpad(padded) == payload
    assert 32 <= len(padded) == p.padme(len(payload))
    assert len(padded) <= max(32, 1.12 * (len(payload) + 1))


@pytest.mark.parametrize("alg", p.SIGNING)
@settings(max_examples=20, deadline=None)
@given(payload=st.binary(max_size=2000), epoch=st.integers(1, 2**53 - 1), seq=st.integers(1, 2**53 - 1))
def test_envelopes(alg: str, payload: bytes, epoch: int, seq: int) -> None:
    key, lane = os.urandom(32), p.new_lane()
    envelope = p.seal_envelope(
        p.pool(0),
        key,
        payload,
        chat=CHAT,
        epoch=epoch,
        id=CHAT,
        sender="alice",
        lane=lane,
        seen=(seq, p.H(b"")),
        alg=alg,
    )
    header = p.read_header(envelope)
    assert (header["epoch"], header["seen"], header["dev"]) == (epoch, (seq, p.H(b"")), lane.dev)
    p.check_signature(envelope, alg, p.pool(0).spki(alg))
    assert p.open_envelope(envelope, key) == payload


@settings(max_examples=20, deadline=None)
@given(key=st.binary(min_size=32, max_size=32), version=st.integers(1, 2**53 - 1))
def test_backups(key: bytes, version: int) -> None:
    secret, contents = p.open_backup("alice", p.seal_backup("alice", p.pool(1), key, version), key)
    assert len(secret) == 32
    assert p.backup_keys(contents).pkcs8 == p.pool(1).pkcs8


@given(st.binary(max_size=300))
def test_b64u(data: bytes) -> None:
    assert p.un64u(p.b64u(data)) == data


@pytest.mark.parametrize("name", REFERENCE)
def test_the_reference_client_imports_no_backend_code(name: str) -> None:
    tree = ast.parse((Path(p.__file__).parent / f"{name}.py").read_text())
    modules = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    modules += [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    assert [module for module in modules if module.split(".")[0] == "chatsec"] == []
