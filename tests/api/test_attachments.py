"""Attachments over REST, on real SQLite and real files: streams, ranges, limits, and whose they are."""

from __future__ import annotations

import io
import os
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from chatsec.domain import attachments as rules
from chatsec.domain.attachments import AttachmentService
from chatsec.domain.limits import Limits
from chatsec.errors import ChatSecError
from chatsec.rest import attachments as routes
from chatsec.rest import create_app
from tests.api.conftest import World, refused
from tests.support.chats import make_chat, remove

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
BODY = bytes(range(256)) * 4  # 1,024 bytes, each place different from its neighbours
TRAVERSAL = (
    "..",
    "../chatsec.db",
    "..%2f..%2fetc%2fpasswd",
    "%2e%2e/%2e%2e/chatsec.db",
    "..%5c..%5cchatsec.db",
    "....//chatsec.db",
    "/etc/passwd",
    "%2fetc%2fpasswd",
    "chatsec.db",
    "%00",
    "x%00.part",
    "*",
    "a' OR '1'='1",
    "%c0%ae%c0%ae/",
    "0" * 36,
    "0" * 5000,
)


class Room:
    """Alice and Bob in a chat, Mallory not, and their attachments."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.headers = {
            name: {"Authorization": f"Bearer {world.register(name).access}"}
            for name in ("alice", "bob", "mallory")
        }
        self.storage = world.storage
        self.folder = world.folder / "attachments"
        self.files = world.storage.files
        self.service = AttachmentService(
            chats=world.storage.chats,
            attachments=world.storage.attachments,
            files=self.files,
            clock=world.clock,
        )
        self.chat = make_chat(world.storage, "alice", "bob")
        self.client = self.new_client(rate_limits=False)

    def new_client(self, rate_limits: bool) -> FlaskClient:
        app = create_app(
            [routes.blueprint(self.service)],
            sessions=self.world.sessions,
            limits=Limits(self.world.clock, rate_limits),
        )
        return app.test_client()

    def upload(self, body: Any = BODY, who: str = "alice", chat: str = "", **options: Any) -> TestResponse:
        options.setdefault("content_type", "application/octet-stream")
        path = f"/api/v1/chats/{chat or self.chat}/attachments"
        return self.client.post(path, data=body, headers=self.headers[who], **options)

    def get(self, attachment: str, who: str = "bob", chat: str = "", **headers: str) -> TestResponse:
        path = f"/api/v1/chats/{chat or self.chat}/attachments/{attachment}"
        sent = {**self.headers[who], **{name.replace("_", "-"): value for name, value in headers.items()}}
        return self.client.get(path, headers=sent, buffered=True)

    def on_disk(self) -> set[str]:
        return {path.name for path in self.folder.iterdir()}

    def stored(self) -> int:
        """How many the store knows."""
        return int(
            self.storage._database.read(lambda c: c.execute("SELECT count(*) FROM attachments").fetchone())[0]
        )


@pytest.fixture
def room(world: World) -> Room:
    return Room(world)


class Endless(io.RawIOBase):
    """A body that never ends; counts what was taken of it."""

    def __init__(self) -> None:
        self.taken = 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        assert 0 < size <= 1 << 20, "a body must be read in parts"
        self.taken += size
        return b"x" * size


class BreaksOff(Endless):
    """A body whose sender goes away in the middle, as eventlet tells it."""

    def read(self, size: int = -1) -> bytes:
        if self.taken:
            raise OSError("unexpected end of file while parsing chunked data")
        return super().read(size)


def chunked(stream: io.RawIOBase) -> dict[str, Any]:
    """Options of a request whose body comes as eventlet gives a chunked one."""
    return {
        "content_type": "application/octet-stream",
        "environ_overrides": {
            "wsgi.input": stream,
            "HTTP_TRANSFER_ENCODING": "chunked",
            "CONTENT_LENGTH": "",
        },
    }


def test_what_was_uploaded_comes_back(room: Room) -> None:
    answer = room.upload()
    assert answer.status_code == 201
    made = answer.get_json()
    assert made["size"] == len(BODY) and UUID.fullmatch(made["id"])
    assert set(made) == {"id", "size"}
    got = room.get(made["id"])
    assert got.status_code == 200 and got.data == BODY and got.content_length == len(BODY)


def test_a_chunked_body_is_taken_too(room: Room) -> None:
    answer = room.upload(None, **chunked(io.BytesIO(BODY * 1000)))  # type: ignore[arg-type]
    assert answer.status_code == 201 and answer.get_json()["size"] == len(BODY) * 1000
    assert room.get(answer.get_json()["id"]).data == BODY * 1000


def test_a_download_can_act_as_nothing_but_bytes(room: Room) -> None:
    """ASVS 3.2.1, 1.3.4, 1.3.5."""
    headers = room.get(room.upload(b"<script>alert(1)</script>").get_json()["id"]).headers
    assert headers["Content-Type"] == "application/octet-stream"
    assert headers["Content-Disposition"] == "attachment"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"
    policy = headers["Content-Security-Policy"].split("; ")
    assert {"sandbox", "default-src 'none'", "object-src 'none'", "base-uri 'none'"} <= set(policy)


@pytest.mark.parametrize(
    ("asked", "start", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=0-1023", 0, 1024),
        ("bytes=100-199", 100, 200),
        ("bytes=1000-", 1000, 1024),
        ("bytes=1000-9999999", 1000, 1024),
        ("bytes=-24", 1000, 1024),
        ("bytes=-5000", 0, 1024),
        ("BYTES=5-6", 5, 7),
    ],
)
def test_one_range(room: Room, asked: str, start: int, stop: int) -> None:
    got = room.get(room.upload().get_json()["id"], Range=asked)
    assert got.data == BODY[start:stop] and got.content_length == stop - start
    if (start, stop) == (0, 1024):
        assert got.status_code == 200
    else:
        assert got.status_code == 206
        assert got.headers["Content-Range"] == f"bytes {start}-{stop - 1}/1024"


@pytest.mark.parametrize("asked", ["bytes=1024-", "bytes=5000-6000", "bytes=-0"])
def test_a_range_that_is_not_there(room: Room, asked: str) -> None:
    got = room.get(room.upload().get_json()["id"], Range=asked)
    refused(got, 416, "range_not_satisfiable")
    assert got.headers["Content-Range"] == "bytes */1024"


@pytest.mark.parametrize(
    "asked",
    [
        "bytes=5-2",
        "bytes=a-b",
        "bytes=",
        "bytes=-",
        "lines=1-2",
        "bytes=0-1,5-6",
        "bytes=1e1-",
        f"bytes={9**99}-",
    ],
)
def test_a_range_that_cannot_be_used_is_as_if_not_there(room: Room, asked: str) -> None:
    got = room.get(room.upload().get_json()["id"], Range=asked)
    assert got.status_code == 200 and got.data == BODY


def test_if_range_is_by_the_etag(room: Room) -> None:
    made = room.upload().get_json()["id"]
    etag = room.get(made).headers["ETag"]
    assert room.get(made, Range="bytes=0-9", If_Range=etag).status_code == 206
    for other in ('"else"', f"W/{etag}", "Wed, 21 Oct 2026 07:28:00 GMT"):
        got = room.get(made, Range="bytes=0-9", If_Range=other)
        assert got.status_code == 200 and got.data == BODY, other
    assert room.get(room.upload().get_json()["id"]).headers["ETag"] != etag


def test_head_gives_no_body_and_leaves_no_file_open(room: Room) -> None:
    made = room.upload().get_json()["id"]
    path = f"/api/v1/chats/{room.chat}/attachments/{made}"
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        answer = room.client.head(path, headers=room.headers["bob"])
        assert answer.status_code == 200 and answer.data == b"" and answer.content_length == len(BODY)
        answer.close()
        refused(room.get(made, Range="bytes=9999-"), 416, "range_not_satisfiable")
    assert len(os.listdir("/proc/self/fd")) <= before


def test_more_than_the_most_is_refused_unread(room: Room) -> None:
    body = Endless()
    answer = room.upload(
        None,
        environ_overrides={"wsgi.input": body, "CONTENT_LENGTH": str(rules.MAX_ATTACHMENT + 1)},
    )
    refused(answer, 413, "too_large")
    assert body.taken == 0 and room.on_disk() == set()


def test_a_body_without_end_is_cut_at_the_most(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "MAX_ATTACHMENT", 1 << 20)
    body = Endless()
    refused(room.upload(None, **chunked(body)), 413, "too_large")
    assert body.taken <= (1 << 20) + rules.PART
    assert room.on_disk() == set()


def test_just_the_most_is_taken(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "MAX_ATTACHMENT", 1024)
    assert room.upload(BODY).status_code == 201
    refused(room.upload(BODY + b"x"), 413, "too_large")


@pytest.mark.parametrize("stream", [BreaksOff(), io.BytesIO(b"")], ids=["breaks off", "empty"])
def test_half_a_body_and_none_leave_nothing(room: Room, stream: io.RawIOBase) -> None:
    refused(room.upload(None, **chunked(stream)), 400, "invalid")
    assert room.on_disk() == set() and room.stored() == 0


def test_a_short_body_is_not_taken_for_a_whole_one(room: Room) -> None:
    answer = room.upload(
        None, environ_overrides={"wsgi.input": io.BytesIO(BODY), "CONTENT_LENGTH": str(len(BODY) + 1)}
    )
    refused(answer, 400, "invalid")
    assert room.on_disk() == set()


def test_other_types_and_no_token_are_refused(room: Room) -> None:
    refused(room.upload(content_type="application/json"), 415, "unsupported_media_type")
    refused(room.upload(content_type="multipart/form-data; boundary=x"), 415, "unsupported_media_type")
    path = f"/api/v1/chats/{room.chat}/attachments"
    body = Endless()
    for headers in ({}, {"Authorization": "Bearer x"}):
        answer = room.client.post(
            path, headers=headers, **{**chunked(body), "content_type": "application/octet-stream"}
        )
        refused(answer, 401, "unauthorized")
    assert body.taken == 0


def test_another_chat_is_as_if_not_there(room: Room) -> None:
    made = room.upload().get_json()["id"]
    others = make_chat(room.storage, "mallory", "bob")
    body = Endless()
    refused(room.upload(None, "mallory", **chunked(body)), 404, "not_found")
    assert body.taken == 0
    refused(room.get(made, "mallory"), 404, "not_found")
    refused(room.get(made, "mallory", others), 404, "not_found")  # through a chat of their own
    refused(room.get(made, "bob", others), 404, "not_found")
    assert room.get(made, "bob").status_code == 200
    strangers = room.get(made, "mallory").get_json()
    assert strangers == room.get("0b4b9a3e-0000-4000-8000-000000000000", "mallory").get_json()


def test_who_was_removed_gets_and_puts_nothing(room: Room) -> None:
    made = room.upload().get_json()["id"]
    assert room.get(made, "bob").status_code == 200
    remove(room.storage, room.chat, "alice", "bob")
    refused(room.get(made, "bob"), 404, "not_found")
    refused(room.upload(who="bob"), 404, "not_found")
    assert room.on_disk() == {made}


def test_who_is_removed_during_the_upload_leaves_nothing(room: Room) -> None:
    def parts() -> Iterator[bytes]:
        yield BODY
        remove(room.storage, room.chat, "alice", "bob")
        yield BODY

    with pytest.raises(ChatSecError, match="not_found"):
        room.service.upload("bob", room.chat, parts(), None)
    assert room.on_disk() == set()


@pytest.mark.parametrize("name", TRAVERSAL)
def test_no_name_reaches_the_disk(room: Room, name: str) -> None:
    """ASVS 5.3.2, 5.4.1."""
    room.upload()
    for path in (f"/api/v1/chats/{room.chat}/attachments/{name}", f"/api/v1/chats/{name}/attachments/{name}"):
        answer = room.client.get(path, headers=room.headers["alice"])
        assert answer.status_code == 404, (path, answer.status_code)
        assert answer.mimetype == "application/problem+json"
    with pytest.raises(ChatSecError, match="not_found"):
        room.files.open(name)


def test_orphans_and_leftovers_are_swept(room: Room) -> None:
    kept = room.upload().get_json()["id"]
    orphan = "11111111-1111-4111-8111-111111111111"
    leftover = "22222222-2222-4222-8222-222222222222.part"
    young = "33333333-3333-4333-8333-333333333333"
    for name in (orphan, leftover, young):
        (room.folder / name).write_bytes(BODY)
    old = time.time() - 3601
    for name in (kept, orphan, leftover):
        os.utime(room.folder / name, (old, old))
    assert room.service.sweep() == 2
    assert room.on_disk() == {kept, young}
    assert room.service.sweep(age=0) == 1
    assert room.on_disk() == {kept}


def test_the_files_of_an_erased_chat_go(room: Room) -> None:
    made = room.upload().get_json()["id"]
    room.service.forget(room.storage.chats.erase(room.chat))
    assert room.on_disk() == set()
    refused(room.get(made, "alice"), 404, "not_found")


def test_files_are_the_servers_alone(room: Room) -> None:
    made = room.upload().get_json()["id"]
    assert (room.folder / made).stat().st_mode & 0o077 == 0
    assert room.folder.stat().st_mode & 0o077 == 0


def test_a_failing_disk_is_unavailable_and_takes_nothing(room: Room) -> None:
    room.folder.rmdir()
    room.folder.write_text("no folder any more")
    refused(room.upload(), 503, "unavailable")
    assert room.stored() == 0


def test_a_file_that_is_gone_is_not_found(room: Room) -> None:
    made = room.upload().get_json()["id"]
    (room.folder / made).unlink()
    refused(room.get(made), 404, "not_found")


def test_uploads_are_limited_by_account(room: Room) -> None:
    """ASVS 2.4.1."""
    room.client = room.new_client(rate_limits=True)
    answers = [room.upload(b"x") for _ in range(70)]
    limited = refused(answers[-1], 429, "rate_limited")
    assert int(answers[-1].headers["Retry-After"]) >= 1 and limited["retry_after"] >= 1
    assert room.upload(b"x", "bob").status_code == 201
