"""Our own API description (OpenAPI 3.1), served at /openapi.json and tested against the running gateway.

Model calls are described by what the gateway itself reads; everything else in their bodies passes through. Doors that
are put beside the gateway's own bring their paths with them.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from trimtab import __version__
from trimtab.gateway.runs import NewEntry, Outcome

_STATUSES = {
    "400": "the request is wrong; `param` names the field",
    "401": "no key, or one that does not open this door",
    "402": "a budget is exhausted: which, its limit and reset time stand in the error",
    "403": "this key may not do this",
    "404": "no such model or run",
    "405": "another method is expected",
    "413": "the body is too large",
    "422": "the endpoint found the request unprocessable",
    "429": "rate limit or queue full; `retry-after` says when to come again",
    "502": "the endpoint failed",
    "503": "money cannot be set aside now; `retry-after` says when to come again",
    "504": "the endpoint, or the call's own deadline, ran out of time",
}


def openapi() -> dict[str, Any]:
    """The document as a value."""
    (_, _), schemas = msgspec.json.schema_components(
        [Outcome, NewEntry], ref_template="#/components/schemas/{name}"
    )
    return {
        "openapi": "3.1.0",
        "info": {"title": "Trimtab", "version": __version__, "description": "The gateway that knows runs."},
        "security": [{"key": []}],
        "paths": _paths(),
        "components": {
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
            "schemas": {**schemas, "Error": _error(), "Message": _message(), "Call": _call()},
        },
    }


class Description:
    """The document as it is served."""

    def __init__(self) -> None:
        self._paths: dict[str, Any] = {}
        self._json = b""

    def add(self, paths: Mapping[str, Any]) -> None:
        """More paths, as OpenAPI has them."""
        self._paths.update(paths)
        self._json = b""

    async def served(self, request: Request) -> Response:
        """`GET /openapi.json`."""
        if not self._json:
            whole = openapi()
            self._json = msgspec.json.encode(whole | {"paths": whole["paths"] | self._paths})
        return Response(self._json, media_type="application/json")


def _paths() -> dict[str, Any]:
    plain = {"application/json": {"schema": {"type": "object"}}}
    streamed: dict[str, Any] = {"text/event-stream": {}}
    ok: dict[str, Any] = {"200": {"description": "the reply", "content": plain}}
    reply: dict[str, Any] = {"200": {"description": "the reply", "content": plain | streamed}}
    run = [{"name": "run", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}]
    return {
        "/v1/chat/completions": {"post": _operation("chat", "OpenAI chat completion", _ref("Call"), reply)},
        "/v1/messages": {"post": _operation("messages", "Anthropic message", _messages(), reply)},
        "/v1/responses": {"post": _operation("responses", "OpenAI response, stateless", _responses(), reply)},
        "/v1/embeddings": {"post": _operation("embeddings", "Embeddings", _embeddings(), reply)},
        "/v1/models": {"get": _operation("models", "Models this key may name", None, ok)},
        "/v1/models/{model}": {
            "parameters": [
                {
                    "name": "model",
                    "in": "path",
                    "required": True,
                    "schema": {"type": "string", "minLength": 1},
                }
            ],
            "get": _operation("model", "One model", None, ok),
        },
        "/v1/runs": {"get": _operation("runs", "Hosted runs of this tenant, the newest first", None, ok)},
        "/v1/runs/{run}": {
            "parameters": run,
            "get": _operation("run", "A run: its steps, calls, costs and decisions", None, ok),
        },
        "/v1/runs/{run}/outcome": {
            "parameters": run,
            "post": _operation("outcome", "Record how a run turned out", _ref("Outcome"), ok),
        },
        "/v1/runs/{run}/entries": {
            "parameters": run,
            "post": _operation("entry", "Charge a tool use or compute to a run", _ref("NewEntry"), ok),
        },
        "/healthz": {"get": {"operationId": "healthz", "security": [], "responses": ok}},
        "/readyz": {
            "get": {
                "operationId": "readyz",
                "security": [],
                "responses": {**ok, "503": {"description": "not ready"}},
            }
        },
    }


def _operation(id: str, summary: str, body: dict[str, Any] | None, replies: dict[str, Any]) -> dict[str, Any]:
    error = {"application/json": {"schema": _ref("Error")}}
    responses = replies | {s: {"description": text, "content": error} for s, text in _STATUSES.items()}
    operation: dict[str, Any] = {"operationId": id, "summary": summary, "responses": responses}
    if body is not None:
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": body}}}
    return operation


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


def _error() -> dict[str, Any]:
    return {"type": "object", "required": ["error"], "properties": {"error": {"type": "object"}}}


def _message() -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["role"],
        "properties": {"role": {"type": "string", "minLength": 1}, "content": {"type": ["string", "null"]}},
    }


def _call() -> dict[str, Any]:
    return _model_call(
        ["messages"],
        {
            "messages": {"type": "array", "minItems": 1, "items": _ref("Message")},
            "max_completion_tokens": {"type": ["integer", "null"], "minimum": 1, "maximum": 1_000_000},
            "n": {"type": ["integer", "null"], "minimum": 1, "maximum": 128},
            "metadata": {"type": ["object", "null"], "additionalProperties": {"type": "string"}},
        },
    )


def _messages() -> dict[str, Any]:
    return _model_call(
        ["messages", "max_tokens"],
        {
            "messages": {"type": "array", "minItems": 1, "items": _ref("Message")},
            "max_tokens": {"type": "integer", "minimum": 1, "maximum": 1_000_000},
        },
    )


def _responses() -> dict[str, Any]:
    return _model_call(["input"], {"input": {"type": "string", "minLength": 1}})


def _embeddings() -> dict[str, Any]:
    texts = {"type": "array", "minItems": 1, "items": {"type": "string", "minLength": 1}}
    return _model_call(["input"], {"input": {"anyOf": [{"type": "string", "minLength": 1}, texts]}})


def _model_call(required: list[str], properties: dict[str, Any]) -> dict[str, Any]:
    shared = {"model": {"type": "string", "minLength": 1}, "stream": {"type": ["boolean", "null"]}}
    return {"type": "object", "required": ["model", *required], "properties": shared | properties}
