"""One file to install: the wheel carries the page, and from an empty environment to the first encrypted message is a minute.

No Node, no repository, nobody's settings: another folder, a home that is empty, and only the environment's own programs.
"""

from __future__ import annotations

import itertools
import os
import re
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes
from pathlib import Path

import pytest
import requests

from chatsec import __version__
from tests.house.test_text import FETCHED, MACHINE, SECRET
from tests.support.client import User
from tests.support.ports import free_port
from tests.support.server import ROOT, STOP_SECONDS

SECONDS = 60


def build(source: Path, folder: Path) -> Path:
    """Builds it as `make dist` does, from the page that is built."""
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps"]
    result = subprocess.run(
        [*command, "--wheel-dir", folder, source], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the wheel is made of, in another place and written at another time."""
    folder = tmp_path_factory.mktemp("copy")
    for name in ("pyproject.toml", "requirements.txt", ".gitignore"):
        shutil.copyfile(ROOT / name, folder / name)
    for name in ("backend", "frontend/out"):
        shutil.copytree(ROOT / name, folder / name, copy_function=shutil.copyfile)
    return folder


@pytest.fixture(scope="module")
def wheel(copy: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(ROOT, tmp_path_factory.mktemp("dist"))


@contextmanager
def serving(environment: Path, home: Path) -> Iterator[str]:
    """`chatsec-server` of that environment, started in an empty home; its URL."""
    port = free_port()
    (home / ".env").write_text(f"PORT={port}\n")
    url = f"http://127.0.0.1:{port}"
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(
            [environment / "bin" / "chatsec-server"],
            cwd=home,
            env={"PATH": str(environment / "bin"), "HOME": str(home)},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        until = time.monotonic() + SECONDS
        while not _answers(url):
            assert process.poll() is None and time.monotonic() < until, (home / "log").read_text()
            time.sleep(0.05)
        yield url
        process.terminate()
        assert process.wait(STOP_SECONDS) == 0
    finally:
        process.kill()
        process.wait()


def _answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/healthz", timeout=5).ok
    except requests.ConnectionError:
        return False


def test_from_an_empty_environment_to_the_first_message_is_a_minute(
    wheel: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    environment, home = tmp_path / "environment", tmp_path / "home"
    home.mkdir()
    programs = str(environment / "bin")
    without = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    marks = [time.monotonic()]

    subprocess.run([sys.executable, "-m", "venv", environment], check=True, env=without)
    assert shutil.which("node", path=programs) is None
    marks.append(time.monotonic())
    subprocess.run(
        [environment / "bin" / "python", "-m", "pip", "install", "--quiet", "--no-cache-dir", wheel],
        check=True,
        cwd=home,
        env=without | {"PATH": programs, "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
    )
    marks.append(time.monotonic())
    with serving(environment, home) as url:
        page = requests.get(url, timeout=10)
        assert page.ok and "<html" in page.text and "_next/static/" in page.text
        assert re.search(r"script-src 'self' [^;]*'sha256-", page.headers["Content-Security-Policy"])
        alice, bob = User.register(url, "alice", 0), User.register(url, "bob", 1)
        chat = alice.create_chat("bob")
        live = bob.connect()
        ack = alice.send(chat, "the first words")
        assert live.message()["seq"] == ack["seq"]
        assert bob.reader(chat).texts() == ["the first words"]
        marks.append(time.monotonic())
        alice.close()
        bob.close()
    assert (home / ".local" / "share" / "chatsec" / "chatsec.db").exists()  # and nothing elsewhere
    assert sorted(path.name for path in home.iterdir()) == [".env", ".local", "log"]

    backup = subprocess.run(
        [environment / "bin" / "python", "-m", "chatsec", "backup", "everything"],
        cwd=home,
        env={"PATH": programs, "HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert backup.returncode == 0 and "2 accounts, 1 chats" in backup.stderr, backup.stderr

    took = marks[-1] - marks[0]
    parts = [later - earlier for earlier, later in itertools.pairwise(marks)]
    with capsys.disabled():
        names = ("environment", "installation", "first message")
        told = ", ".join(f"{name} {part:.1f} s" for name, part in zip(names, parts, strict=True))
        sys.stdout.write(f"\nfrom an empty environment to the first message: {took:.1f} s ({told})\n")
    assert took < SECONDS


def test_the_same_source_makes_the_same_file(wheel: Path, copy: Path, tmp_path: Path) -> None:
    again = build(copy, tmp_path)
    assert again.name == wheel.name == f"chatsec-{__version__}-py3-none-any.whl"
    assert again.read_bytes() == wheel.read_bytes()


def test_the_whole_page_is_in_it_and_nothing_that_is_not_the_server_s(wheel: Path) -> None:
    out = ROOT / "frontend" / "out"
    page = {f"chatsec/page/{file.relative_to(out)}" for file in out.rglob("*") if file.is_file()}
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        assert page <= names and len(page) > 10
        assert {name.split("/")[0] for name in names} == {"chatsec", f"chatsec-{__version__}.dist-info"}
        assert not [name for name in names if re.search(r"\.(pyc|env|db|map)$", name)]
        for name in names:
            text = archive.read(name).decode("utf-8", errors="replace")
            assert str(ROOT) not in text, name
            for pattern in (MACHINE, FETCHED, SECRET):
                assert not pattern.search(text), f"{name}: {pattern.search(text)}"


def test_it_asks_for_the_packages_of_requirements_txt(wheel: Path) -> None:
    pins = [line for line in (ROOT / "requirements.txt").read_text("utf-8").splitlines() if line[:1] != "#"]
    with zipfile.ZipFile(wheel) as archive:
        metadata = message_from_bytes(archive.read(f"chatsec-{__version__}.dist-info/METADATA"))
    wanted = [re.sub(r"_", "-", pin.lower()).replace("python-version", "python_version") for pin in pins]
    assert sorted(metadata.get_all("Requires-Dist", [])) == sorted(pin.replace('"', "'") for pin in wanted)
