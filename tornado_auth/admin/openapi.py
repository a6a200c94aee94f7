"""The OpenAPI 3.1 document of the admin API, made of the endpoints themselves.

Owns the form of the document; what it says of an endpoint is what `operations.py` holds every
request to. Never says anything about who is signed in: it is the same for all.
"""

import re
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from tornado_auth import __version__
from tornado_auth.admin.access import PUBLIC, SESSION, AdminHandler
from tornado_auth.admin.operations import Operation, in_path
from tornado_auth.admin.schemas import Schema
from tornado_auth.admin.shown import SHOWN, fixed

BASE = "/admin/api"
METHODS = ("get", "post", "put", "patch", "delete")

Endpoint = tuple[str, type[AdminHandler]]

_ERROR = fixed({"error": {"type": "string"}, "error_description": {"type": "string"}})
_SECURITY = {
    "administrator": {
        "type": "http",
        "scheme": "bearer",
        "description": "An admin token, or an API key with the scope, of an administrator.",
    },
    "session": {
        "type": "http",
        "scheme": "bearer",
        "description": "The session token of whoever is signed in.",
    },
}


def document(endpoints: Sequence[Endpoint]) -> dict[str, Any]:
    """Return the document for these endpoints."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "tornado_auth admin API",
            "version": __version__,
            "description": "Users, groups, roles, API keys, clients and the audit log. Times are "
            "in seconds since the epoch. A page's `next`, sent as `after`, brings the following "
            "page.",
        },
        "servers": [{"url": BASE}],
        "paths": {path: _path(path, handler) for path, handler in endpoints},
        "components": {
            "schemas": {"Error": _ERROR, **{shown.name: shown.schema for shown in SHOWN}},
            "securitySchemes": _SECURITY,
        },
    }


def operations(handler: type[AdminHandler]) -> dict[str, Operation]:
    """Return what a handler answers, by method in lower case."""
    found = {method: getattr(handler, method) for method in METHODS}
    return {name: one.operation for name, one in found.items() if hasattr(one, "operation")}


def _path(path: str, handler: type[AdminHandler]) -> dict[str, Any]:
    return {
        method: _operation(path, method, described, in_path(getattr(handler, method)))
        for method, described in operations(handler).items()
    }


def _operation(
    path: str, method: str, described: Operation, places: dict[str, Schema]
) -> dict[str, Any]:
    words = re.findall("[a-z]+", path.replace("_id", ""))
    shown: dict[str, Any] = {
        "operationId": method + "".join(word.title() for word in words),
        "summary": described.summary,
        "security": _security(described.needs),
        "parameters": _parameters(described, places),
        "responses": {str(status): _answer(described, status) for status in described.statuses()},
    }
    shown["responses"]["503"] = _answer(described, 503)
    if described.body is not None:
        is_required = bool(described.body["required"])
        shown["requestBody"] = {"required": is_required, **_json(described.body)}
    return shown


def _security(needs: str) -> list[dict[str, list[str]]]:
    if needs == PUBLIC:
        return []
    return [{"session": []}] if needs == SESSION else [{"administrator": [needs]}]


def _parameters(described: Operation, places: dict[str, Schema]) -> list[dict[str, Any]]:
    in_the_path = [
        {"name": name, "in": "path", "required": True, "schema": schema}
        for name, schema in places.items()
    ]
    in_the_query = [
        {"name": name, "in": "query", "required": name in described.required, "schema": schema}
        for name, schema in described.query.items()
    ]
    return in_the_path + in_the_query


def _answer(described: Operation, status: int) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": HTTPStatus(status).phrase}
    if status == described.status:
        return answer if described.answer is None else answer | _json(described.answer)
    if status == 401:
        answer["headers"] = {"WWW-Authenticate": {"required": True, "schema": {"type": "string"}}}
    return answer | _json({"$ref": "#/components/schemas/Error"})


def _json(schema: Schema) -> dict[str, Any]:
    return {"content": {"application/json": {"schema": schema}}}
