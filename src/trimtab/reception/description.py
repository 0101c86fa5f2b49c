"""What /openapi.json says of these doors: their paths, in short. Their bodies are the LangGraph SDKs'."""

import re
from collections.abc import Iterable
from typing import Any

from starlette.routing import BaseRoute, Route

from trimtab.reception.desk import Doorway

_PLACE = re.compile(r"\{(\w+)(?::path)?\}")
_WITH_BODY = ("POST", "PUT", "PATCH")
_ERROR = {
    "type": "object",
    "required": ["detail"],
    "properties": {
        "detail": {"type": "string"},
        "code": {"type": ["string", "null"]},
        "param": {"type": ["string", "null"]},
    },
}


def described(routes: Iterable[BaseRoute]) -> dict[str, Any]:
    """The routes as OpenAPI's paths."""
    paths: dict[str, Any] = {}
    for route in routes:
        if isinstance(route, Route) and isinstance(route.endpoint, Doorway):
            path = _PLACE.sub(r"{\1}", route.path)
            item = paths.setdefault(path, {})
            if names := _PLACE.findall(path):
                item["parameters"] = [_parameter(name) for name in names]
            for method in sorted((route.methods or set()) - {"HEAD"}):
                item[method.lower()] = _operation(method, path, route.endpoint)
    return paths


def _parameter(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}


def _operation(method: str, path: str, door: Doorway) -> dict[str, Any]:
    kind = "text/event-stream" if path.endswith("/stream") else "application/json"
    operation: dict[str, Any] = {
        "operationId": "_".join([method.lower(), *re.findall(r"\w+", path)]),
        "summary": door.about,
        "responses": {
            "2XX": {"description": "the answer", "content": {kind: {}}},
            "default": {
                "description": "why it was not done",
                "content": {"application/json": {"schema": _ERROR}},
            },
        },
    }
    if method in _WITH_BODY:
        operation["requestBody"] = {"content": {"application/json": {"schema": {}}}}
    return operation
