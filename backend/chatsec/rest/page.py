"""The page: the static export of frontend/ (PAGE_DIR), served from memory under a policy that lets nothing else run.

    site = open_site(page_dir, (api_url, socket_url))     None where nothing is built: then there is the API alone
    create_app([…, site.blueprint()], not_found_page=site.not_found)

Every file has a route of its own, made from what there is at the start: no path is ever looked for on the disk, and an
unknown one is 404. `login.html` is `/login`, `index.html` is `/`. Each page's policy names the hashes of its own inline
scripts (CSP, Trusted Types); scripts carry the policy too, since a worker obeys that of its own response. Hashed files
are kept for ever by browsers, the rest is asked for again (ETag). Texts are compressed once, at the start.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import mimetypes
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import structlog
from flask import Blueprint, Response, request

NOT_FOUND = "404.html"
NO_ROUTE = frozenset({NOT_FOUND, "_not-found.html"})
INLINE_SCRIPT = re.compile(rb"<script(?![^>]*\ssrc=)[^>]*>(.*?)</script>", re.DOTALL | re.IGNORECASE)
COMPRESSED = (
    "text/",
    "application/javascript",
    "application/json",
    "application/manifest+json",
    "application/wasm",
    "image/svg+xml",
)
TYPES = {
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".txt": "text/plain",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
}
IMMUTABLE = "public, max-age=31536000, immutable"
ASKED_AGAIN = "no-cache"
HEADERS = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=(), browsing-topics=()",
}

logger = structlog.get_logger("chatsec.page")


@dataclass(frozen=True, slots=True)
class Asset:
    """A file as it is answered."""

    body: bytes
    gzipped: bytes | None
    etag: str
    mimetype: str
    caching: str
    policy: str

    def response(self, status: int = 200) -> Response:
        """Compressed if the client takes it; 304 if it has it."""
        small = self.gzipped if request.accept_encodings["gzip"] > 0 else None
        response = Response(small or self.body, status, content_type=_content_type(self.mimetype))
        response.headers.update(HEADERS)
        response.headers["Content-Security-Policy"] = self.policy
        response.headers["Cache-Control"] = self.caching
        if self.gzipped:
            response.headers["Vary"] = "Accept-Encoding"
        if small:
            response.headers["Content-Encoding"] = "gzip"
        response.set_etag(f"{self.etag}-gz" if small else self.etag)
        if status == 200:
            response.make_conditional(request)
        return response


class Site:
    """All files of one build."""

    def __init__(self, assets: dict[str, Asset], missing: Asset | None) -> None:
        self.assets = assets  # by URL path
        self._missing = missing

    def blueprint(self) -> Blueprint:
        bp = Blueprint("page", __name__)
        for number, (path, asset) in enumerate(sorted(self.assets.items())):
            bp.add_url_rule(path, f"file{number}", _view(asset), methods=["GET"])
        return bp

    def not_found(self) -> Response:
        """The build's own page for paths that there are not."""
        if self._missing is None:
            return Response("Not found", 404, content_type=_content_type("text/plain"))
        return self._missing.response(404)


def open_site(page_dir: Path, other_origins: Iterable[str] = ()) -> Site | None:
    """Reads the build; `other_origins` is where the page may connect to beside its own origin, empty ones ignored."""
    if not (page_dir / "index.html").is_file():
        logger.warning("no page is built here: serving the API alone", page_dir=str(page_dir))
        return None
    connect = _connect_sources(other_origins)
    assets: dict[str, Asset] = {}
    missing = None
    for file in sorted(page_dir.rglob("*")):
        name = file.relative_to(page_dir).as_posix()
        if not file.is_file() or file.is_symlink() or any(part.startswith(".") for part in name.split("/")):
            continue
        asset = _asset(name, file.read_bytes(), connect)
        if name == NOT_FOUND:
            missing = asset
        elif name not in NO_ROUTE:
            assets[_url(name)] = asset
    return Site(assets, missing)


def _url(name: str) -> str:
    """`index.html` → `/`, `login.html` → `/login`, `ui/index.html` → `/ui`; others as they are."""
    if not name.endswith(".html"):
        return f"/{name}"
    return "/" + re.sub(r"(^|/)index$", "", name.removesuffix(".html"))


def _asset(name: str, body: bytes, connect: str) -> Asset:
    mimetype = _mimetype(name)
    gzipped = None
    if mimetype.startswith(COMPRESSED):
        small = gzip.compress(body, 9, mtime=0)
        gzipped = small if len(small) < len(body) else None
    return Asset(
        body=body,
        gzipped=gzipped,
        etag=hashlib.sha256(body).hexdigest()[:32],
        mimetype=mimetype,
        caching=IMMUTABLE if name.startswith("_next/static/") else ASKED_AGAIN,
        policy=policy(body if mimetype == "text/html" else b"", connect),
    )


def policy(page: bytes, connect: str = "'self'") -> str:
    """The Content-Security-Policy of a page, with the hashes of its inline scripts; of b"" for what is no page."""
    scripts = dict.fromkeys(_hash(script) for script in INLINE_SCRIPT.findall(page))
    return "; ".join(
        (
            "default-src 'none'",
            " ".join(("script-src 'self' 'wasm-unsafe-eval'", *scripts)),
            "style-src 'self'",
            "img-src 'self' data: blob:",
            "font-src 'self'",
            f"connect-src {connect}",
            "worker-src 'self'",
            "manifest-src 'self'",
            "media-src 'self' blob:",
            "base-uri 'none'",
            "form-action 'self'",
            "frame-ancestors 'none'",
            "object-src 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types nextjs nextjs#bundler app",
        )
    )


def _hash(script: bytes) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(script).digest()).decode()}'"


def _connect_sources(origins: Iterable[str]) -> str:
    """'self' covers WebSockets to the own origin; elsewhere `ws:` has to be named beside `http:`."""
    sources = ["'self'"]
    for origin in origins:
        if origin:
            sources += [origin, re.sub(r"^http", "ws", origin)]
    return " ".join(dict.fromkeys(sources))


def _mimetype(name: str) -> str:
    suffix = Path(name).suffix
    return TYPES.get(suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"


def _content_type(mimetype: str) -> str:
    return f"{mimetype}; charset=utf-8" if mimetype.startswith("text/") else mimetype


def _view(asset: Asset) -> Callable[[], Response]:
    return lambda: asset.response()
