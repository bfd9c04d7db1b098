"""The page: which paths there are, what each may do, and that nothing else is ever read or run."""

from __future__ import annotations

import base64
import gzip
import hashlib
import re
from pathlib import Path
from typing import Any

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from chatsec.domain.limits import Limits
from chatsec.rest import create_app, ops, page
from tests.api.conftest import World, refused

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "frontend" / "out"
INLINE = b'self.__next_f=self.__next_f||[];self.__next_f.push([0,"\xc3\xa4 < 3"])'
SECOND = b"\n  (function(){})()\n"
INDEX = (
    b'<!doctype html><html><head><script src="/_next/static/chunks/a-1f2e.js" async=""></script>'
    b"</head><body><p>" + b"words that compress well " * 40 + b"</p>"
    b"<script>"
    + INLINE
    + b'</script><script id="x">'
    + SECOND
    + b"</script><script>"
    + INLINE
    + b"</script></body></html>"
)
FILES = {
    "index.html": INDEX,
    "login.html": b"<!doctype html><title>log in</title>" + b" " * 500 + b"<script>login()</script>",
    "ui/base.html": b"<!doctype html><title>base</title>",
    "404.html": b"<!doctype html><title>not here</title><script>missing()</script>",
    "_not-found.html": b"<!doctype html><title>not here</title>",
    "login.txt": b"1:payload\n" * 50,
    "icon.svg": b'<svg xmlns="http://www.w3.org/2000/svg"></svg>' * 9,
    "favicon.ico": bytes(range(256)),
    "_next/static/chunks/a-1f2e.js": b"const a = 1;\n" * 100,
    "_next/static/chunks/app/[slug]/(group)/page-9.js": b"const b = 2;\n" * 100,
    "_next/static/css/c-3d4c.css": b"body { color: red }\n" * 100,
    "_next/static/media/d.wasm": b"\0asm" + b"\0" * 500,
    ".hidden/secret.txt": b"not for you",
    ".env": b"SECRET_KEY=not for you",
}
TRAVERSAL = (
    "/../outside.txt",
    "/..%2foutside.txt",
    "/%2e%2e/outside.txt",
    "/_next/../../outside.txt",
    "/_next/static/..%2f..%2f..%2foutside.txt",
    "/..%5coutside.txt",
    "//outside.txt",
    "/%00",
    "/login%00.html",
    "/.env",
    "/.hidden/secret.txt",
    "/link.txt",
    "/index.html/..",
    "/index.html",
    "/login.html",
    "/login/",
    "/LOGIN",
    "/404",
    "/404.html",
    "/_not-found",
    "/_next",
    "/_next/static/",
    "/_next/static/chunks/",
    "/" + "x" * 5000,
)


@pytest.fixture
def build(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    for name, body in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
    (tmp_path / "outside.txt").write_bytes(b"not for you")
    (folder / "link.txt").symlink_to(tmp_path / "outside.txt")
    return folder


def new_app(world: World, folder: Path, *origins: str) -> APIFlask:
    site = page.open_site(folder, origins)
    about = ops.blueprint(
        ping=world.storage.ping,
        metrics=None,  # type: ignore[arg-type]  # nobody asks for them here
        metrics_token="",
        version="1",
        key_mode="server",
        registration="open",
    )
    return create_app(
        [about, *([site.blueprint()] if site else [])],
        sessions=world.sessions,
        limits=Limits(world.clock, enabled=False),
        not_found_page=site.not_found if site else None,
    )


@pytest.fixture
def client(world: World, build: Path) -> FlaskClient:
    return new_app(world, build).test_client()


def policy(answer: TestResponse) -> dict[str, list[str]]:
    """The answer's Content-Security-Policy: directive → sources. There must be just one header."""
    (header,) = answer.headers.getlist("Content-Security-Policy")
    return {words[0]: words[1:] for part in header.split("; ") if (words := part.split(" "))}


def script_hash(script: bytes) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(script).digest()).decode()}'"


@pytest.mark.parametrize(
    ("path", "name", "mimetype"),
    [
        ("/", "index.html", "text/html"),
        ("/login", "login.html", "text/html"),
        ("/ui/base", "ui/base.html", "text/html"),
        ("/login.txt?_rsc=abc", "login.txt", "text/plain"),
        ("/icon.svg", "icon.svg", "image/svg+xml"),
        ("/_next/static/chunks/a-1f2e.js", "_next/static/chunks/a-1f2e.js", "text/javascript"),
        (
            "/_next/static/chunks/app/%5Bslug%5D/(group)/page-9.js",
            "_next/static/chunks/app/[slug]/(group)/page-9.js",
            "text/javascript",
        ),
        ("/_next/static/css/c-3d4c.css", "_next/static/css/c-3d4c.css", "text/css"),
        ("/_next/static/media/d.wasm", "_next/static/media/d.wasm", "application/wasm"),
    ],
)
def test_every_file_has_its_path(client: FlaskClient, path: str, name: str, mimetype: str) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.mimetype, answer.data) == (200, mimetype, FILES[name])
    if mimetype.startswith("text/"):
        assert answer.content_type == f"{mimetype}; charset=utf-8"


@pytest.mark.parametrize("path", TRAVERSAL)
def test_nothing_else_has_one(client: FlaskClient, path: str) -> None:
    answer = client.get("/", environ_overrides={"PATH_INFO": _decoded(path), "RAW_URI": path})
    assert answer.status_code == 404
    assert b"not for you" not in answer.data and b"not here" in answer.data


def _decoded(path: str) -> str:
    from urllib.parse import unquote

    return unquote(path, encoding="latin-1")


def test_unknown_paths_get_the_pages_own_404_and_the_api_its_problems(client: FlaskClient) -> None:
    answer = client.get("/no/such/page")
    assert (answer.status_code, answer.data) == (404, FILES["404.html"])
    assert policy(answer)["script-src"][-1] == script_hash(b"missing()")
    assert answer.headers["Cache-Control"] == "no-cache"
    refused(client.get("/api/v1/nothing"), 404, "not_found")
    refused(client.get("/api/"), 404, "not_found")
    refused(client.post("/login", json={}), 405, "method_not_allowed")
    refused(client.delete("/api/v1/server"), 405, "method_not_allowed")


def test_an_unknown_path_is_no_304(client: FlaskClient) -> None:
    etag = client.get("/nothing").headers.get("ETag", "*")
    for condition in (etag, "*"):
        assert client.get("/nothing", headers={"If-None-Match": condition}).status_code == 404


def test_a_page_may_run_its_own_scripts_and_nothing_else(client: FlaskClient) -> None:
    """ASVS 1.3.2."""
    allowed = policy(client.get("/"))
    assert allowed["script-src"] == ["'self'", "'wasm-unsafe-eval'", script_hash(INLINE), script_hash(SECOND)]
    assert policy(client.get("/login"))["script-src"][2:] == [script_hash(b"login()")]
    assert policy(client.get("/ui/base"))["script-src"] == ["'self'", "'wasm-unsafe-eval'"]


EVERYWHERE = (
    "/",
    "/login",
    "/login.txt",
    "/favicon.ico",
    "/_next/static/chunks/a-1f2e.js",
    "/_next/static/css/c-3d4c.css",
    "/nothing",
    "/api/v1/server",
    "/api/v1/nothing",
    "/healthz",
    "/metrics",
)


@pytest.mark.parametrize("path", EVERYWHERE)
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "OPTIONS", "DELETE"])
def test_every_answer_is_fenced(client: FlaskClient, method: str, path: str) -> None:
    """ASVS 3.4.3, 3.4.6."""
    answer = client.open(path, method=method, environ_overrides={"REMOTE_ADDR": "192.0.2.7"})
    allowed = policy(answer)
    assert allowed["default-src"] == ["'none'"]
    for directive in ("object-src", "base-uri", "frame-ancestors"):
        assert allowed[directive] == ["'none'"], directive
    assert "'unsafe-inline'" not in str(allowed) and "'unsafe-eval'" not in str(allowed)
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert "Strict-Transport-Security" not in answer.headers
    assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.parametrize("path", ["/", "/_next/static/chunks/a-1f2e.js", "/nothing"])
def test_a_page_and_its_scripts_have_the_whole_policy(client: FlaskClient, path: str) -> None:
    """ASVS 3.4.3, 3.4.6."""
    answer = client.get(path)
    allowed = policy(answer)
    assert allowed["require-trusted-types-for"] == ["'script'"]
    assert allowed["trusted-types"] == ["nextjs", "nextjs#bundler", "app"]
    assert allowed["connect-src"] == allowed["style-src"] == allowed["worker-src"] == ["'self'"]
    assert answer.headers["Cross-Origin-Embedder-Policy"] == "require-corp"
    assert "camera=()" in answer.headers["Permissions-Policy"]


def test_other_origins_enter_the_policy_as_http_and_ws(world: World, build: Path) -> None:
    app = new_app(world, build, "https://api.example", "", "http://localhost:5001")
    sources = policy(app.test_client().get("/"))["connect-src"]
    assert sources == [
        "'self'",
        "https://api.example",
        "wss://api.example",
        "http://localhost:5001",
        "ws://localhost:5001",
    ]


@pytest.mark.parametrize("path", ["/", "/_next/static/chunks/a-1f2e.js", "/api/v1/server", "/nothing"])
def test_hsts_only_where_it_is_secure(client: FlaskClient, path: str) -> None:
    value = client.get(path, base_url="https://localhost").headers["Strict-Transport-Security"]
    age = re.fullmatch(r"max-age=(\d+); includeSubDomains", value)
    assert age and int(age[1]) >= 365 * 24 * 3600
    forged = client.get(path, headers={"X-Forwarded-Proto": "https"})
    assert "Strict-Transport-Security" not in forged.headers


@pytest.mark.parametrize(
    ("path", "caching"),
    [
        ("/", "no-cache"),
        ("/login", "no-cache"),
        ("/login.txt", "no-cache"),
        ("/_next/static/chunks/a-1f2e.js", "public, max-age=31536000, immutable"),
        ("/api/v1/server", "no-store"),
    ],
)
def test_what_may_be_kept(client: FlaskClient, path: str, caching: str) -> None:
    assert client.get(path).headers["Cache-Control"] == caching


def test_who_has_a_file_is_told_so(client: FlaskClient) -> None:
    first = client.get("/login")
    again = client.get("/login", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    assert policy(again) == policy(first) and again.headers["Cache-Control"] == "no-cache"
    for other in ('"else"', ""):
        assert client.get("/login", headers={"If-None-Match": other}).status_code == 200
    assert client.get("/").headers["ETag"] != first.headers["ETag"]


def test_texts_come_compressed_to_who_takes_it(client: FlaskClient) -> None:
    for path in ("/", "/_next/static/chunks/a-1f2e.js", "/icon.svg", "/_next/static/media/d.wasm"):
        plain = client.get(path)
        small = client.get(path, headers={"Accept-Encoding": "br, gzip;q=0.5"})
        assert small.headers["Content-Encoding"] == "gzip" and gzip.decompress(small.data) == plain.data
        assert len(small.data) < len(plain.data) and small.content_length == len(small.data)
        assert "Accept-Encoding" in small.headers["Vary"] and "Accept-Encoding" in plain.headers["Vary"]
        assert small.headers["ETag"] != plain.headers["ETag"]
        assert policy(small) == policy(plain)
        again = client.get(path, headers={"Accept-Encoding": "gzip", "If-None-Match": small.headers["ETag"]})
        assert again.status_code == 304


@pytest.mark.parametrize("encodings", ["", "identity", "br", "gzip;q=0", "x-unknown"])
def test_and_plain_to_who_does_not(client: FlaskClient, encodings: str) -> None:
    answer = client.get("/", headers={"Accept-Encoding": encodings})
    assert "Content-Encoding" not in answer.headers and answer.data == INDEX


def test_what_does_not_compress_is_not_compressed(client: FlaskClient) -> None:
    answer = client.get("/favicon.ico", headers={"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in answer.headers and "Vary" not in answer.headers


def test_head_has_the_headers_and_no_body(client: FlaskClient) -> None:
    head, got = client.head("/login"), client.get("/login")
    assert head.data == b"" and head.content_length == len(got.data)
    assert policy(head) == policy(got)


def test_the_disk_is_not_asked_again(world: World, build: Path) -> None:
    client = new_app(world, build).test_client()
    for path in sorted(build.rglob("*"), reverse=True):
        if path.is_dir():
            path.rmdir()
        else:
            path.unlink()
    assert client.get("/").data == INDEX
    (build / "later.html").write_text("later")
    assert client.get("/later").status_code == 404


@pytest.mark.parametrize("make", [lambda path: None, lambda path: path.mkdir()], ids=["no folder", "empty"])
def test_without_a_build_there_is_the_api_alone(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str], make: Any
) -> None:
    folder = tmp_path / "none"
    make(folder)
    client = new_app(world, folder).test_client()
    assert capsys.readouterr().out.count("no page is built") == 1
    assert client.get("/api/v1/server").status_code == 200
    for path in ("/", "/login"):
        refused(client.get(path), 404, "not_found")


def test_a_build_without_a_404_page_still_answers(world: World, build: Path) -> None:
    (build / "404.html").unlink()
    answer = new_app(world, build).test_client().get("/nothing")
    assert (answer.status_code, answer.mimetype) == (404, "text/plain")
    assert policy(answer)["default-src"] == ["'none'"]


def test_the_real_build_fits_its_policy(world: World) -> None:
    """ASVS 3.4.3, 3.4.6."""
    client = new_app(world, OUT).test_client()
    pages = [path for path in OUT.rglob("*.html") if path.name not in page.NO_ROUTE]
    assert pages, "the page is not built: make page"
    for path in pages:
        answer = client.get(page._url(path.relative_to(OUT).as_posix()))
        assert answer.status_code == 200, path
        scripts = page.INLINE_SCRIPT.findall(answer.data)
        assert {script_hash(script) for script in scripts} <= set(policy(answer)["script-src"])
        for blocked in (b" style=", b"<style", b" onclick=", b" onload=", b"javascript:"):
            assert blocked not in answer.data, (path, blocked)
        for link in re.findall(rb'(?:src|href)="(/[^"#?]*)', answer.data):
            assert client.get(link.decode()).status_code == 200, (path, link)
