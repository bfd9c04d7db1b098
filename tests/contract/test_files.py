"""Attachments' ciphertext, on every store: whole and in ranges, broken off, swept, and where it lies failing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from gridfs import GridFSBucket

from chatsec.domain.attachments import AttachmentService
from chatsec.domain.models import Attachment
from chatsec.domain.ports import CiphertextFiles, UploadFile
from chatsec.errors import ChatSecError
from chatsec.storage.mongo import files as mongo_files
from chatsec.storage.mongo.files import CHUNK
from tests.contract.adapters import MongoAdapter
from tests.contract.conftest import Adapter
from tests.contract.world import T0, World, new_id

ONE, TWO, THREE, FOUR = map(new_id, (1, 2, 3, 4))
BODY = bytes(n * n % 251 for n in range(2 * CHUNK + 1000))
HOUR = 3600.0


@pytest.fixture
def files(adapter: Adapter) -> CiphertextFiles:
    return adapter.storage.files


def put(files: CiphertextFiles, attachment: str, body: bytes = BODY, step: int = 100_000) -> None:
    upload = begun(files, attachment, body, step)
    upload.keep()
    upload.drop()


def begun(files: CiphertextFiles, attachment: str, body: bytes = BODY, step: int = 100_000) -> UploadFile:
    upload = files.begin(attachment)
    for at in range(0, len(body), step):
        upload.write(body[at : at + step])
    return upload


def get(files: CiphertextFiles, attachment: str, start: int = 0, stop: int = len(BODY)) -> bytes:
    file = files.open(attachment)
    parts = []
    while start < stop and (part := file.read(start, min(stop - start, CHUNK))):
        parts.append(part)
        start += len(part)
    file.close()
    return b"".join(parts)


def code(call: Any, *args: Any) -> str:
    with pytest.raises(ChatSecError) as caught:
        call(*args)
    return caught.value.code


@pytest.mark.parametrize("step", [1000, CHUNK - 1, CHUNK, len(BODY)])
def test_what_was_kept_comes_back(adapter: Adapter, files: CiphertextFiles, step: int) -> None:
    put(files, ONE, BODY, step)
    put(files, TWO, b"x", step)
    assert get(files, ONE) == BODY and get(files, TWO) == b"x"
    assert get(adapter.crash().files, ONE) == BODY
    assert adapter.files() == {ONE, TWO}


@pytest.mark.parametrize("size", [CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK])
def test_around_a_chunk(files: CiphertextFiles, size: int) -> None:
    put(files, ONE, BODY[:size])
    assert get(files, ONE, 0, size + 1) == BODY[:size]


@pytest.mark.parametrize(
    ("start", "stop"),
    [(0, 1), (5, 7), (CHUNK - 1, CHUNK + 1), (CHUNK, 2 * CHUNK), (99, len(BODY)), (len(BODY) - 1, len(BODY))],
)
def test_a_range(files: CiphertextFiles, start: int, stop: int) -> None:
    put(files, ONE)
    assert get(files, ONE, start, stop) == BODY[start:stop]


def test_nothing_comes_after_the_end(files: CiphertextFiles) -> None:
    put(files, ONE, BODY[:CHUNK])
    file = files.open(ONE)
    assert [file.read(at, 10) for at in (CHUNK, CHUNK + 1, 10 * CHUNK)] == [b""] * 3
    file.close()


def test_what_is_not_there_is_not_found(adapter: Adapter, files: CiphertextFiles) -> None:
    assert code(files.open, ONE) == "not_found"
    upload = begun(files, ONE)
    assert code(files.open, ONE) == "not_found", "nobody sees it before it is whole"
    upload.keep()
    assert get(files, ONE) == BODY
    files.remove(ONE)
    assert code(files.open, ONE) == "not_found"
    files.remove(ONE)
    assert adapter.files() == set()


def test_what_is_dropped_leaves_nothing(adapter: Adapter, files: CiphertextFiles) -> None:
    put(files, TWO)
    begun(files, ONE).drop()
    files.begin(THREE).drop()
    assert adapter.files() == {TWO} and get(files, TWO) == BODY


# ---------------------------------------------------------------- sweeping


def test_only_what_is_old_is_listed(adapter: Adapter, files: CiphertextFiles) -> None:
    for attachment in (ONE, TWO, THREE):
        put(files, attachment, b"x")
    unfinished = files.begin(FOUR)
    adapter.age(ONE, HOUR)
    adapter.age(THREE, HOUR)
    adapter.age(FOUR, HOUR)
    assert set(files.older_than(HOUR)) == {ONE, THREE}
    assert set(files.older_than(2 * HOUR)) == set()
    assert set(files.older_than(0)) == {ONE, TWO, THREE}
    unfinished.drop()


def test_many_are_listed_each_once(files: CiphertextFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mongo_files, "PAGE", 2)
    names = [new_id(number) for number in range(5)]
    for attachment in names:
        put(files, attachment, b"x")
    assert sorted(files.older_than(0)) == names


def test_what_a_crash_left_is_dropped(adapter: Adapter, files: CiphertextFiles) -> None:
    put(files, TWO)
    uploads = [begun(files, ONE), begun(files, THREE)]
    adapter.age(ONE, HOUR)
    adapter.age(TWO, HOUR)
    swept = adapter.crash().files
    assert swept.drop_unfinished(HOUR) == 1 and adapter.files() == {TWO, THREE}
    assert swept.drop_unfinished(0) == 1 and adapter.files() == {TWO}
    assert swept.drop_unfinished(0) == 0 and get(swept, TWO) == BODY
    for upload in uploads:
        upload.drop()


def test_a_sweep_takes_what_nobody_knows(adapter: Adapter, world: World) -> None:
    """And so do two at once, which many workers make."""
    chat = world.chat()
    for attachment in (ONE, TWO, THREE):
        put(adapter.storage.files, attachment, b"x")
    world.storage.attachments.create(Attachment(ONE, chat, "bob", 1, T0))
    unfinished = begun(adapter.storage.files, FOUR)
    for attachment in (ONE, TWO, FOUR):
        adapter.age(attachment, HOUR)
    assert service(world).sweep() == 2
    assert adapter.files() == {ONE, THREE}
    assert service(world).sweep() == 0
    unfinished.drop()


class Clock:
    def now(self) -> int:
        return T0


def service(world: World) -> AttachmentService:
    store = world.storage
    return AttachmentService(
        chats=store.chats, attachments=store.attachments, files=store.files, clock=Clock()
    )


def test_an_upload_goes_on_while_another_worker_starts(adapter: Adapter, world: World) -> None:
    """Its start sweeps: at the beginning of an upload, in the middle, and between the file and what the store knows."""
    chat = world.chat()
    other = World(adapter.open()) if isinstance(adapter, MongoAdapter) else world

    def parts() -> Iterator[bytes]:
        for at in range(0, len(BODY), CHUNK):
            assert service(other).sweep() == 0
            yield BODY[at : at + CHUNK]

    class Between:
        """The store of attachments, when the file is in place."""

        def create(self, attachment: Attachment) -> None:
            assert service(other).sweep() == 0
            world.storage.attachments.create(attachment)

    uploading = service(world)
    uploading._attachments = Between()  # type: ignore[assignment]
    made = uploading.upload("bob", chat, parts(), None)
    assert service(other).sweep() == 0
    download = service(world).open("alice", chat, made.id)
    assert b"".join(download.parts(0, made.size)) == BODY
    download.close()


# ---------------------------------------------------------------- failures


@pytest.mark.parametrize("budget", [*range(8), 50])
def test_a_failure_in_the_middle(adapter: Adapter, files: CiphertextFiles, budget: int) -> None:
    """It is whole or that is told; nobody sees a part, and what could not be dropped is swept."""
    put(files, TWO)
    with adapter.failing_files(budget):
        try:
            upload = files.begin(ONE)
            try:
                upload.write(BODY[:300_000])
                upload.write(BODY[300_000:])
                upload.keep()
            finally:
                upload.drop()
        except ChatSecError as error:
            assert error.code == "unavailable" and budget < 50
            failed = True
        else:
            failed = False
            assert budget > 0
    files = adapter.crash().files
    if failed:
        left = set(files.older_than(0)) - {TWO}
        assert [get(files, attachment) == BODY for attachment in left] in ([], [True])
        assert left or code(files.open, ONE) == "not_found"
        files.drop_unfinished(0)
        for attachment in left:
            files.remove(attachment)
        assert adapter.files() == {TWO}
    else:
        assert get(files, ONE) == BODY
    assert get(files, TWO) == BODY


def test_where_it_lies_fails(mongo: MongoAdapter) -> None:
    files = mongo.storage.files
    put(files, ONE)
    file, upload = files.open(ONE), begun(files, TWO)
    with mongo.failing(0):
        assert code(files.begin, THREE) == code(files.open, ONE) == code(files.remove, ONE) == "unavailable"
        assert code(list, files.older_than(0)) == code(files.drop_unfinished, 0) == "unavailable"
        assert code(file.read, 0, 1) == code(upload.write, BODY) == code(upload.keep) == "unavailable"
        upload.drop()
    assert get(files, ONE) == BODY


def test_a_part_whose_answer_is_lost_is_left_to_the_sweep(mongo: MongoAdapter) -> None:
    """It may come to be at any time, so that its file's document must stay."""
    files = mongo.storage.files
    upload = files.begin(ONE)
    mongo.wire.lost, mongo.wire.lose = "insert", 1
    assert code(upload.write, BODY) == "unavailable"
    upload.drop()
    with mongo.database() as database:
        assert database["attachments.chunks"].count_documents({"files_id": ONE}) == 1
    assert files.drop_unfinished(0) == 1
    assert mongo.files() == set()


# ---------------------------------------------------------------- GridFS alone


@pytest.fixture
def mongo(tmp_path: Path) -> Iterator[MongoAdapter]:
    made = MongoAdapter(tmp_path)
    yield made
    made.close()


def test_any_driver_reads_it(mongo: MongoAdapter) -> None:
    put(mongo.storage.files, ONE)
    with mongo.database() as database:
        assert "filename_1_uploadDate_1" in database["attachments.files"].index_information()
        assert "files_id_1_n_1" in database["attachments.chunks"].index_information()
        bucket = GridFSBucket(database, "attachments")
        with bucket.open_download_stream(ONE) as out:
            assert out.read() == BODY and out.length == len(BODY) and out.filename == ONE
        with bucket.open_download_stream_by_name(ONE) as out:
            assert out.read() == BODY


def test_what_any_driver_wrote_is_read(mongo: MongoAdapter) -> None:
    """With chunks of another size."""
    with mongo.database() as database:
        bucket = GridFSBucket(database, "attachments", chunk_size_bytes=1000)
        bucket.upload_from_stream_with_id(ONE, ONE, BODY[:5500])
    assert get(mongo.storage.files, ONE) == BODY[:5500]
    assert get(mongo.storage.files, ONE, 999, 3001) == BODY[999:3001]


def test_a_part_that_the_store_lost_is_told(mongo: MongoAdapter) -> None:
    """As a server may that dies before it has journaled a chunk."""
    upload = begun(mongo.storage.files, ONE)
    with mongo.database() as database:
        database["attachments.chunks"].delete_one({"files_id": ONE, "n": 0})
    assert code(upload.keep) == "unavailable"
    upload.drop()
    assert mongo.files() == set()


def test_an_upload_that_was_swept_cannot_be_kept(
    mongo: MongoAdapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = begun(mongo.storage.files, ONE), begun(mongo.storage.files, TWO)
    assert mongo.open().files.drop_unfinished(0) == 2
    assert code(first.keep) == "unavailable"
    monkeypatch.setattr(mongo_files, "TOUCH", 0.0)
    assert code(second.write, BODY) == "unavailable"
    first.drop()
    second.drop()
    assert mongo.files() == set()


def test_a_slow_upload_is_not_swept(mongo: MongoAdapter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mongo_files, "TOUCH", 0.0)
    upload = begun(mongo.storage.files, ONE)
    mongo.age(ONE, HOUR)
    upload.write(BODY)
    assert mongo.open().files.drop_unfinished(HOUR) == 0
    upload.keep()
    assert get(mongo.storage.files, ONE, 0, 2 * len(BODY)) == BODY * 2


def test_a_sweep_that_a_crash_cut_short_is_finished(mongo: MongoAdapter) -> None:
    """Of an upload, and of a file that nobody knows: its document goes last."""
    put(mongo.storage.files, TWO)
    begun(mongo.storage.files, ONE)
    for budget in range(4):
        with mongo.failing(budget):
            assert code(mongo.storage.files.drop_unfinished, 0) == "unavailable"
        assert mongo.files() == {ONE, TWO}
    with mongo.failing(1):
        assert code(mongo.storage.files.remove, TWO) == "unavailable"
    assert mongo.storage.files.drop_unfinished(0) == 1
    assert list(mongo.storage.files.older_than(0)) == [TWO]
    mongo.storage.files.remove(TWO)
    assert mongo.files() == set()
