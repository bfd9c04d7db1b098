"""The REST side: one Flask app whose every answer, 404 and 405 too, is JSON or problem details (RFC 9457).

Bootstrap makes the blueprints, each by a function that is handed its services, and calls

    create_app(blueprints, sessions=…, limits=…, version="…", cors_origins=("https://…",), trusted_proxies=0,
               not_found_page=None)

Views parse with `@bp.input(Model)` and `@bp.input(Model, location="query")`, raise `ChatSecError`, and return a dict, or
a dict and a status. `guard` says who calls. Before a view runs, the body's size and type and `Accept` were judged.
No input gives a 5xx; a fault of our own is logged without its values and answered as `unavailable`.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable
from typing import Any

import orjson
import structlog
from apiflask import APIBlueprint, APIFlask, HTTPError
from flask import Blueprint, Flask, Response, request
from flask.json.provider import JSONProvider
from werkzeug.middleware.proxy_fix import ProxyFix

from chatsec.domain.limits import Limits
from chatsec.errors import ChatSecError
from chatsec.rest import guard, openapi
from chatsec.wire.errors import extra_json

API = "/api/v1"
BODY_LIMIT = 256 * guard.KIB
BY_STATUS = {404: "not_found", 405: "method_not_allowed", 406: "not_acceptable", 413: "too_large"} | {
    415: "unsupported_media_type",
    416: "range_not_satisfiable",
    429: "rate_limited",
}
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    # For answers that are no page; the page's own policy is set with the page.
    "Content-Security-Policy": (
        "default-src 'none'; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
}
HSTS = "max-age=63072000; includeSubDomains"

logger = structlog.get_logger("chatsec.rest")


class OrjsonProvider(JSONProvider):
    """Flask's JSON by orjson: strict UTF-8, no NaN, no lone surrogates, and deep nesting is an error, not a crash."""

    def dumps(self, obj: Any, **kwargs: Any) -> str:
        return orjson.dumps(obj).decode()

    def loads(self, s: str | bytes, **kwargs: Any) -> Any:
        """No body is an empty object, so that what is missing gets named."""
        return orjson.loads(s) if s else {}

    def response(self, *args: Any, **kwargs: Any) -> Response:
        return self._app.response_class(
            orjson.dumps(self._prepare_response_obj(args, kwargs)), mimetype="application/json"
        )


def create_app(
    blueprints: Iterable[APIBlueprint | Blueprint],
    *,
    sessions: guard.Authenticator,
    limits: Limits,
    version: str = "0.1.0",
    cors_origins: Iterable[str] = (),
    trusted_proxies: int = 0,
    not_found_page: Callable[[], Response] | None = None,
) -> APIFlask:
    """The app; blueprints bring their own `url_prefix`. `not_found_page` answers unknown paths outside /api."""
    app = APIFlask(
        "chatsec",
        title="Chat-Sec",
        version=version,
        spec_path=f"{API}/openapi.json",
        docs_path=None,
        static_folder=None,  # type: ignore[arg-type]  # no files but by explicit routes
    )
    app.json = OrjsonProvider(app)
    app.url_map.merge_slashes = False  # a wrong path is 404, not a redirect
    app.url_map.strict_slashes = True
    app.extensions[guard.EXTENSION] = guard.Guards(sessions, limits)
    if trusted_proxies:
        app.wsgi_app = ProxyFix(  # type: ignore[method-assign]
            app.wsgi_app, x_for=trusted_proxies, x_proto=trusted_proxies, x_host=trusted_proxies
        )
    app.before_request(lambda: _judge_request(app))
    _answer_errors(app, not_found_page)
    _set_headers(app, frozenset(cors_origins))
    openapi.install(app)
    for blueprint in blueprints:
        app.register_blueprint(blueprint)
    return app


def problem(error: ChatSecError) -> Response:
    """The error as problem details; what stands beside `code` (`errors`, `usernames`, `epoch` …) goes along."""
    body = {
        "type": f"urn:chatsec:problem:{error.code}",
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
        "code": error.code,
        **extra_json(error),
    }
    response = Response(orjson.dumps(body), error.status, mimetype="application/problem+json")
    if "retry_after" in error.extra:
        response.headers["Retry-After"] = str(error.extra["retry_after"])
    if error.status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


# ---------------------------------------------------------------- before


def _judge_request(app: Flask) -> None:
    """Size, then type of the body, then `Accept`; unknown paths and methods go on to their 404 and 405."""
    view: Any = app.view_functions.get(request.endpoint or "")
    request.max_content_length = limit = getattr(view, "body_limit", BODY_LIMIT)
    if view is None or request.method == "OPTIONS" or request.routing_exception is not None:
        return
    if (request.content_length or 0) > limit:
        raise ChatSecError("too_large", f"the body may have {limit} bytes")
    takes = getattr(view, "takes", "application/json")
    if _has_body() and request.method in ("POST", "PUT", "PATCH") and request.mimetype != takes:
        raise ChatSecError("unsupported_media_type", f"the body must be {takes}")
    if _is_chunked() and takes == "application/json":
        request.max_content_length = limit + 1  # Werkzeug cuts off what is longer, and says nothing
        if len(request.get_data()) > limit:
            raise ChatSecError("too_large", f"the body may have {limit} bytes")
    if request.path.startswith(f"{API}/"):
        gives = getattr(view, "gives", "application/json")
        if request.accept_mimetypes and not request.accept_mimetypes[gives]:
            raise ChatSecError("not_acceptable", f"the answer is {gives}")


def _has_body() -> bool:
    return bool(request.content_length) or _is_chunked()


def _is_chunked() -> bool:
    return "chunked" in request.headers.get("Transfer-Encoding", "").lower()


# ---------------------------------------------------------------- errors


def _answer_errors(app: APIFlask, not_found_page: Callable[[], Response] | None) -> None:
    @app.error_processor
    def answer_http(error: HTTPError) -> Response:
        """What Flask, Werkzeug and APIFlask's validation refuse."""
        if error.status_code == 404 and not_found_page and not request.path.startswith("/api/"):
            return not_found_page()
        response = problem(_as_chatsec(error))
        if allow := dict(error.headers).get("Allow"):
            response.headers["Allow"] = allow
        return response

    @app.errorhandler(ChatSecError)
    def answer_refusal(error: ChatSecError) -> Response:
        if error.status >= 500:
            logger.warning("unavailable", route=_route(), detail=error.detail)
        return problem(error)

    @app.errorhandler(Exception)
    def answer_fault(error: Exception) -> Response:
        # Types and places only: messages and locals may hold what must never be logged.
        places = [f"{frame.name}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)]
        logger.error("fault", route=_route(), error=type(error).__name__, places=places[-8:])
        return problem(ChatSecError("unavailable"))


def _route() -> str:
    """The pattern, never the path: nothing that a client wrote gets into the log."""
    return request.url_rule.rule if request.url_rule else "-"


def _as_chatsec(error: HTTPError) -> ChatSecError:
    if error.status_code >= 500:
        return ChatSecError("unavailable")
    code = BY_STATUS.get(error.status_code, "invalid")
    if code != "invalid":
        return ChatSecError(code)
    errors = [
        {
            "field": "body" if field == "_schema" else field[:100],
            "message": text.removeprefix("Value error, "),
        }
        for fields in _by_location(error.detail)
        for field, texts in fields.items()
        for text in texts
    ][:20] or [{"field": "body", "message": "cannot be read"}]
    return ChatSecError("invalid", f"{errors[0]['field']}: {errors[0]['message']}", errors=errors)


def _by_location(detail: Any) -> list[dict[str, list[str]]]:
    """APIFlask's `{location: {field: [message]}}` without the location."""
    return (
        [fields for fields in detail.values() if isinstance(fields, dict)] if isinstance(detail, dict) else []
    )


# ---------------------------------------------------------------- after


def _set_headers(app: Flask, cors_origins: frozenset[str]) -> None:
    @app.after_request
    def set_headers(response: Response) -> Response:
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        if request.is_secure:
            response.headers.setdefault("Strict-Transport-Security", HSTS)
        if request.path.startswith("/api/"):
            response.headers.setdefault("Cache-Control", "no-store")
            if cors_origins:
                _allow_origin(response, cors_origins)
        return response


def _allow_origin(response: Response, cors_origins: frozenset[str]) -> None:
    """Tells listed origins, and nobody else, that they may read the answer."""
    response.headers.add("Vary", "Origin")
    origin = request.headers.get("Origin", "")
    if origin not in cors_origins:
        return
    response.headers["Access-Control-Allow-Origin"] = origin
    response.headers["Access-Control-Allow-Credentials"] = "true"
    response.headers["Access-Control-Expose-Headers"] = "Retry-After"
    if request.method == "OPTIONS":
        response.headers["Access-Control-Allow-Methods"] = "GET, POST, PUT, PATCH, DELETE"
        response.headers["Access-Control-Allow-Headers"] = "Authorization, Content-Type, Range, X-CSRF-Token"
        response.headers["Access-Control-Max-Age"] = "600"
