"""The file of a backup: what it is for a stranger's eye, and all that is refused before anything is changed."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import stat
import tarfile
import zlib
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from chatsec.__main__ import main
from chatsec.storage.sqlite import FILE, SqliteStorage
from chatsec.storage.sqlite.transfer import SqliteTarget
from tests.contract.signers import Signers
from tests.contract.test_transfer import live, live_combined
from tests.contract.world import World
from tests.support.direct import DirectOffload

Parts = list[tuple[str, bytes]]
OLD = Path(__file__).parent / "saved" / "version-1.tar.gz"  # by 0.1.0, of `live` with small attachments


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backup of a store in which everything is."""
    folder = tmp_path_factory.mktemp("saved")
    with (
        closing(SqliteStorage(folder / FILE, DirectOffload())) as storage,
        pytest.MonkeyPatch.context() as patch,
    ):
        live(World(storage))
        live_combined(Signers(storage))
        patch.setenv("DATA_DIR", str(folder))
        patch.setenv("MONGO_URI", "")
        assert main(["backup", str(folder / "saved.tar.gz")]) == 0
    return folder / "saved.tar.gz"


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that the commands use."""
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("MONGO_URI", "")
    return tmp_path / "data"


Refused = Callable[[bytes], str]


@pytest.fixture
def refused(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Refused:
    """What is said of a file with these bytes, which must change nothing."""

    def restore(content: bytes) -> str:
        file = tmp_path / "given.tar.gz"
        file.write_bytes(content)
        assert main(["restore", str(file)]) == 1
        assert not any(data.iterdir())
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("chatsec: ")
        return line

    return restore


def parts(file: Path) -> Parts:
    with tarfile.open(file) as tar:
        return [(info.name, tar.extractfile(info).read()) for info in tar]  # type: ignore[union-attr]


def packed(given: Parts) -> bytes:
    """As any other program would pack it."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        for name, content in given:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return gzip.compress(raw.getvalue())


def sealed(given: Parts) -> bytes:
    """With a last entry that is right for the others."""
    *rest, (name, end) = given
    lines = "".join(f"{hashlib.sha256(content).hexdigest()}  {one}\n" for one, content in rest)
    right = json.loads(end) | {"sha256": hashlib.sha256(lines.encode()).hexdigest()}
    return packed([*rest, (name, json.dumps(right).encode())])


def change(given: Parts, name: str, edit: Callable[[bytes], bytes]) -> Parts:
    assert any(one.startswith(name) for one, _ in given)
    return [(one, edit(content) if one.startswith(name) else content) for one, content in given]


def test_it_is_a_plain_archive_for_its_owner_alone(saved: Path, data: Path, tmp_path: Path) -> None:
    assert stat.S_IMODE(saved.stat().st_mode) == 0o600
    names = [name for name, _ in parts(saved)]
    assert (names[0], names[-2:]) == ("backup.json", ["accounts.ndjson", "end.json"])
    header, end = json.loads(parts(saved)[0][1]), json.loads(parts(saved)[-1][1])
    assert (header["format"], header["version"], header["store"]) == ("chatsec-backup", 2, "sqlite")
    assert (end["accounts"], end["chats"], end["attachments"]) == (9, 3, 2)
    again = tmp_path / "again.tar.gz"
    again.write_bytes(sealed(parts(saved)))  # what others pack is as good
    assert main(["restore", str(again)]) == 0
    assert main(["backup", str(tmp_path / "copy.tar.gz")]) == 0
    assert parts(tmp_path / "copy.tar.gz")[1:-1] == parts(saved)[1:-1]


def test_no_secret_of_a_session_is_in_it(saved: Path) -> None:
    assert b"00000000-0000-4000-8000-000000000001" not in b"".join(content for _, content in parts(saved))


def test_what_is_cut_off_is_refused(saved: Path, refused: Refused) -> None:
    whole = saved.read_bytes()
    for length in (*range(0, len(whole), len(whole) // 40), len(whole) - 9, len(whole) - 1):
        said = refused(whole[:length])
        assert "cut off" in said or (length < 20_000 and "not whole" in said), length


def is_packed_alike(one: bytes, other: bytes) -> bool:
    """Where a text comes again, another place that it is copied from makes no difference."""
    try:
        return gzip.decompress(one) == gzip.decompress(other)
    except (OSError, EOFError, zlib.error):
        return False


def test_what_was_altered_is_refused(saved: Path, refused: Refused) -> None:
    whole = saved.read_bytes()
    for at in (0, 2, *range(10, len(whole), len(whole) // 60), len(whole) - 1):
        altered = whole[:at] + bytes([whole[at] ^ 0x10]) + whole[at + 1 :]
        if not is_packed_alike(whole, altered):
            refused(altered)
    refused(whole + b"more")


def test_what_was_packed_anew_with_other_content_is_refused(saved: Path, refused: Refused) -> None:
    good = parts(saved)
    assert "altered" in refused(
        packed(change(good, "accounts", lambda text: text.replace(b"carol", b"karol")))
    )
    assert "altered" in refused(packed([good[0], *good[2:]]))
    assert "cut off" in refused(packed(good[:-1]))
    assert "goes on" in refused(packed([*good, good[1]]))
    assert "goes on" in refused(packed([*good[:2], *good[1:]]))
    assert "does not belong" in refused(packed([good[0], ("../../etc/passwd", b"x"), *good[1:]]))


def test_a_chat_that_does_not_hold_together_is_refused(saved: Path, refused: Refused) -> None:
    """Even if the sums are right: seq, chain, epochs and form are judged as well."""
    good = parts(saved)

    def lines(edit: Callable[[list[bytes]], list[bytes]]) -> str:
        return refused(sealed(change(good, "chats/", lambda text: b"".join(edit(text.splitlines(True))))))

    assert "missing" in lines(lambda all_: all_[:2] + all_[3:])
    assert "missing or altered" in lines(lambda all_: all_[:-1])
    assert "missing or altered" in lines(lambda all_: [line.replace(b"cccc", b"cccd") for line in all_])
    assert "the epoch of item 1" in lines(
        lambda all_: [line.replace(b'"number":1', b'"number":2') for line in all_]
    )
    assert "not of its form" in lines(lambda all_: [all_[0], b"{}\n", *all_[1:]])
    assert "not of its form" in lines(lambda all_: [b"[]\n", *all_[1:]])
    assert "item 1 names" in lines(lambda all_: [line.replace(b'"entry":', b'"other":') for line in all_])
    assert "item 1 names" in lines(lambda all_: [line.replace(b'"share":[', b'"other":[') for line in all_])
    assert "that of its share" in lines(  # a wrap that was not signed for
        lambda all_: [line.replace(b"A" * 60, b"A" * 59 + b"B") for line in all_]
    )
    other = next(name for name, _ in good if name.startswith("chats/"))
    renamed = [(f"chats/{'f' * 8}{name[14:]}" if name == other else name, content) for name, content in good]
    assert "another chat" in refused(sealed(renamed))
    assert "account is not of its form" in refused(
        sealed(change(good, "accounts", lambda text: b"{}\n" + text))
    )


def test_what_is_foreign_is_refused(saved: Path, refused: Refused) -> None:
    good = parts(saved)
    for content in (b"", b"hello", gzip.compress(b"hello"), packed([("readme", b"hello")]), packed(good[1:])):
        assert "no backup of Chat-Sec" in refused(content)


def test_a_newer_form_is_refused(saved: Path, refused: Refused) -> None:
    newer = {"format": "chatsec-backup", "version": 3, "product": "9.0", "something": "else"}
    assert "newer Chat-Sec, 9.0" in refused(packed([("backup.json", json.dumps(newer).encode())]))


def test_the_first_form_is_read(data: Path, tmp_path: Path) -> None:
    assert main(["restore", str(OLD)]) == 0
    assert main(["backup", str(tmp_path / "copy.tar.gz")]) == 0
    (_, old), *rest = parts(OLD)
    (_, new), *copied = parts(tmp_path / "copy.tar.gz")
    assert (json.loads(old)["version"], json.loads(new)["version"]) == (1, 2)
    assert copied[:-1] == rest[:-1]


def test_a_store_that_is_not_empty_stays_as_it_is(
    saved: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["restore", str(saved)]) == 0
    before = (data / FILE).read_bytes()
    capsys.readouterr()
    assert main(["restore", str(saved)]) == 1
    assert "is not empty: it has 9 accounts and 3 chats" in capsys.readouterr().err
    assert (data / FILE).read_bytes() == before


def test_a_store_that_was_opened_but_never_used_is_empty(saved: Path, data: Path) -> None:
    data.mkdir()
    SqliteStorage(data / FILE, DirectOffload()).close()
    assert main(["restore", str(saved)]) == 0
    assert sorted(path.name for path in data.iterdir()) == ["attachments", FILE, "chatsec.lock"]


def test_what_does_not_arrive_whole_is_not_there_at_all(
    saved: Path, data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A column is forgotten: the comparison sees it. And then all is well again."""
    monkeypatch.setattr(SqliteTarget, "_take_people", lambda *_: None)
    assert main(["restore", str(saved)]) == 1
    said = capsys.readouterr().err  # of the chat that comes first
    assert "is not as it was sent" in said or "does not follow from its items" in said
    assert not (data / FILE).exists()
    monkeypatch.undo()
    monkeypatch.setenv("DATA_DIR", str(data))
    monkeypatch.setenv("MONGO_URI", "")
    assert main(["restore", str(saved)]) == 0


def test_a_damaged_store_is_not_saved_as_if_it_were_whole(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And the backup that is there stays."""
    file = tmp_path / "saved.tar.gz"
    data.mkdir()
    with closing(SqliteStorage(data / FILE, DirectOffload())) as storage:
        live(World(storage))
        assert main(["backup", str(file)]) == 0
        good = file.read_bytes()
        other = "CAST(replace(CAST(body AS TEXT), 'cccc', 'dddd') AS BLOB)"
        storage._database.write(lambda connection: connection.execute(f"UPDATE items SET body = {other}"))
        assert main(["backup", str(file)]) == 1
    assert "does not fit into the chain" in capsys.readouterr().err
    assert file.read_bytes() == good
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "saved.tar.gz"]
