"""Tables that stand in two places say the same: settings, errors, vectors, the DSA domain, the public doors."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from chatsec import crypto
from chatsec.bootstrap import build
from chatsec.config import BadSettings, from_env
from chatsec.errors import CODES, ChatSecError
from chatsec.storage.memory import MemoryStorage
from tests.house.sources import ROOT, tracked
from tests.support.direct import DirectOffload

# ---------------------------------------------------------------- settings


class Recorded(Mapping[str, str]):
    """An environment that remembers what was asked for."""

    def __init__(self, **values: str) -> None:
        self.values_, self.asked = values, set[str]()

    def __getitem__(self, key: str) -> str:
        self.asked.add(key)
        return self.values_[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.values_)

    def __len__(self) -> int:
        return len(self.values_)


def example() -> dict[str, str]:
    lines = (ROOT / ".env.example").read_text("utf-8").splitlines()
    return {found[1]: found[2] for line in lines if (found := re.match(r"#?([A-Z][A-Z_]+)=(.*)$", line))}


def test_env_example_has_every_setting_and_no_other(tmp_path: Path) -> None:
    environ = Recorded(DATA_DIR=str(tmp_path))
    from_env(environ)
    assert set(example()) == environ.asked


def test_env_example_s_defaults_are_the_defaults(tmp_path: Path) -> None:
    own = {"DATA_DIR": str(tmp_path)}
    told = {name: value for name, value in example().items() if value}
    assert from_env(told | own) == from_env(own)
    assert len(told) > 5


def test_every_setting_has_its_line_of_explanation() -> None:
    lines = (ROOT / ".env.example").read_text("utf-8").splitlines()
    for before, line in itertools.pairwise(lines):
        if re.match(r"#?[A-Z][A-Z_]+=", line):
            assert re.match(r"# \w|#?[A-Z][A-Z_]+=", before), line


def test_all_bad_settings_are_told_at_once(tmp_path: Path) -> None:
    bad = {
        "PORT": "x",
        "BCRYPT_ROUNDS": "99",
        "RATE_LIMITS": "maybe",
        "SECRET_KEY": "short",
        "MONGO_URI": "x",
    }
    with pytest.raises(BadSettings) as caught:
        from_env(bad | {"DATA_DIR": str(tmp_path)})
    assert {line.split(":")[0] for line in str(caught.value).splitlines()} == set(bad)


# ---------------------------------------------------------------- errors


def table() -> dict[str, int]:
    """code → status, as protocol §8 has it."""
    section = (ROOT / "docs" / "protocol.md").read_text("utf-8").split("## 8. Codes")[1]
    found: dict[str, int] = {}
    for statuses, cell in re.findall(r"^\| ([\d, ]+) \| (.*) \|$", section, re.MULTILINE):
        numbers = [int(status) for status in statuses.split(",")]
        codes = re.findall(r"`(\w+)`", re.sub(r"\([^)]*\)", "", cell))
        assert len(numbers) in (1, len(codes)), cell
        found |= dict(zip(codes, numbers * len(codes) if len(numbers) == 1 else numbers, strict=False))
    return found


def test_errors_are_the_page_s() -> None:
    assert {code: status for code, (status, _) in CODES.items()} == table()
    assert len(table()) > 30


def test_an_error_outside_the_table_cannot_be_raised() -> None:
    with pytest.raises(KeyError):
        ChatSecError("no_such_code")


def test_openapi_has_the_same_codes(tmp_path: Path) -> None:
    settings = from_env({"DATA_DIR": str(tmp_path)})
    server = build(settings, DirectOffload(), async_mode="threading", storage=MemoryStorage())
    spec: Any = server.app.test_client().get("/api/v1/openapi.json").get_json()
    problem = spec["components"]["schemas"]["Problem"]["properties"]
    assert spec["openapi"].startswith("3.1")
    assert set(problem["code"]["enum"]) == set(table())
    assert set(problem["status"]["enum"]) == set(table().values())


def test_the_client_has_words_for_every_code() -> None:
    text = (ROOT / "frontend" / "lib" / "errors.js").read_text("utf-8")
    known = set(re.findall(r"^\s+(\w+): ?[\[\n]", text, re.MULTILINE))
    assert set(CODES) <= known, set(CODES) - known


def test_codes_in_the_sources_are_of_the_table() -> None:
    for path in tracked(".py", under=("backend/",)):
        for code in re.findall(r"ChatSecError\(\s*\"(\w+)\"", path.read_text("utf-8")):
            assert code in CODES, f"{path.name}: {code}"


# ---------------------------------------------------------------- vectors, DSA domain


def test_every_vector_file_is_read_by_both_languages() -> None:
    files = sorted((ROOT / "tests" / "vectors").glob("*.json"))
    assert len(files) > 8
    python = "\n".join(path.read_text("utf-8") for path in tracked(".py", under=("tests/",)))
    script = "\n".join(path.read_text("utf-8") for path in tracked(".test.js", under=("frontend/tests/",)))
    for path in files:
        assert re.search(rf"[\"'/]{path.stem}(\.json)?[\"']", python), f"{path.name}: not in Python"
        assert re.search(rf"[\"'/]{path.stem}(\.json)?[\"']", script), f"{path.name}: not in JavaScript"


def test_the_dsa_domain_is_the_published_one() -> None:
    sets = json.loads((ROOT / "docs" / "dsa" / "parameters.json").read_text("utf-8"))["sets"]
    (published,) = [one for one in sets if (one["L"], one["N"]) == (3072, 256)]
    p, q, g = (int(published[name], 16) for name in "pqg")
    assert (crypto.DSA_3072_256.p, crypto.DSA_3072_256.q, crypto.DSA_3072_256.g) == (p, q, g)
    script = (ROOT / "frontend" / "lib" / "crypto" / "dsa_domain.js").read_text("utf-8")
    found = {
        name: int(re.sub(r"\s", "", text), 16)
        for name, text in re.findall(r"const ([PQG]) = hex\(`([^`]*)`", script)
    }
    assert found == {"P": p, "Q": q, "G": g}


# ---------------------------------------------------------------- doors


def exported(path: str) -> list[str]:
    """What a script door re-exports."""
    text = re.sub(r"//.*|/\*[\s\S]*?\*/", "", (ROOT / path).read_text("utf-8"))
    lists = re.findall(r"export \{([^}]*)\}", text)
    return sorted(
        part.split(" as ")[-1].strip() for names in lists for part in names.split(",") if part.strip()
    )


def test_the_library_s_door() -> None:
    assert exported("frontend/lib/index.js") == [
        "ALGORITHMS",
        "ChatSecError",
        "FAILURES",
        "createClient",
        "memoryStore",
        "openStore",
    ]


def test_the_crypto_s_door_has_the_plain_primitives() -> None:
    assert {"verifySignature", "rsaOaepDecrypt", "aesGcmDecrypt"} <= set(
        exported("frontend/lib/crypto/index.js")
    )


def test_the_server_s_crypto_cannot_decrypt_or_sign() -> None:
    assert list(crypto.__all__) == [
        "CHAIN_START",
        "CONTINUITY_ALGORITHMS",
        "DSA_3072_256",
        "MAX_CIPHERTEXT",
        "MAX_HEADER",
        "MAX_SIGNATURE",
        "MAX_SPKI",
        "Bundle",
        "H",
        "JudgedBundle",
        "b64u_decode",
        "b64u_encode",
        "bundle_hash",
        "bundle_statement",
        "chain_step",
        "envelope_hash",
        "event_hash",
        "judge_bundle",
        "judge_encryption_key",
        "judge_signing_key",
        "kid",
        "verify",
        "wrap_key",
        "wrap_label",
        "wrap_size",
    ]
