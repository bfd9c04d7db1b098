"""The OpenAPI 3.1 page, /api/v1/openapi.json: APIFlask's, with problem details and access tokens as they really are."""

from __future__ import annotations

import re
from typing import Any

from apiflask import APIFlask

from chatsec.errors import CODES

PROBLEM = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "code"],
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer", "enum": sorted({status for status, _ in CODES.values()})},
        "detail": {"type": "string"},
        "code": {"type": "string", "enum": sorted(CODES)},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "message"],
                "properties": {"field": {"type": "string"}, "message": {"type": "string"}},
            },
        },
    },
}
PROBLEM_RESPONSE = {
    "description": "A refusal (RFC 9457)",
    "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
}


def install(app: APIFlask) -> None:
    """Makes the app's page tell what every route has in common."""
    app.config.update(
        VALIDATION_ERROR_STATUS_CODE=400,
        AUTO_VALIDATION_ERROR_RESPONSE=False,
        AUTO_AUTH_ERROR_RESPONSE=False,
        AUTO_404_RESPONSE=False,
        AUTO_OPERATION_ID=True,
        AUTO_SERVERS=False,  # it would keep the Host of whoever asks first
    )
    app.security_schemes = {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}}

    @app.spec_processor
    def complete(spec: dict[str, Any]) -> dict[str, Any]:
        components = spec.setdefault("components", {})
        components.setdefault("schemas", {})["Problem"] = PROBLEM
        for rule in app.url_map.iter_rules():
            path = spec.get("paths", {}).get(re.sub(r"<(?:[^<:]+:)?([^>]+)>", r"{\1}", rule.rule), {})
            for method in rule.methods or ():
                if operation := path.get(method.lower()):
                    _complete(operation, app.view_functions[rule.endpoint])
        return spec


def _complete(operation: dict[str, Any], view: Any) -> None:
    responses = operation["responses"]
    responses["default"] = PROBLEM_RESPONSE
    if {"201", "204", "206"} & responses.keys():  # said by the route, so 200 is only APIFlask's guess
        responses.pop("200", None)
    if getattr(view, "needs_caller", False):
        operation["security"] = [{"bearer": []}]
    if takes := getattr(view, "takes", None):
        operation["requestBody"] = {"content": {takes: {"schema": {"type": "string", "format": "binary"}}}}
