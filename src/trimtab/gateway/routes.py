"""The gateway's surface: which path leads to which door."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from trimtab.core import Surface
from trimtab.dispatch import Dispatch
from trimtab.gateway.calls import CallDoor
from trimtab.gateway.door import Door
from trimtab.gateway.house import HouseDoor
from trimtab.gateway.openapi import Description
from trimtab.gateway.runs import RunDoor
from trimtab.gateway.trees import TreeDoor
from trimtab.wire import anthropic_error, openai_error

CALL_PATHS: dict[str, Surface] = {
    "/v1/chat/completions": "chat",
    "/v1/messages": "messages",
    "/v1/responses": "responses",
    "/v1/embeddings": "embeddings",
}


class Gateway:
    """The ASGI application: calls go straight to their doors, everything else through Starlette's routing."""

    def __init__(
        self, calls: dict[str, CallDoor], rest: Starlette, house: HouseDoor, description: Description
    ) -> None:
        self._calls, self._rest, self._house, self._description = calls, rest, house, description

    def add(self, routes: Iterable[BaseRoute], described: Mapping[str, Any]) -> None:
        """More doors, as hosted workflows bring them, and what /openapi.json says of their paths."""
        self._rest.router.routes.extend(routes)
        self._description.add(described)

    def measure(self, part: Callable[[], Awaitable[bytes]]) -> None:
        """More Prometheus text for /metrics, asked for at each scrape."""
        self._house.more_metrics.append(part)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http" and scope["method"] == "POST":
            door = self._calls.get(scope["path"])
            if door is not None:
                await door(scope, receive, send)
                return
        await self._rest(scope, receive, send)


def build_gateway(
    dispatch: Dispatch,
    runs: RunDoor,
    trees: TreeDoor,
    house: HouseDoor,
    max_body_bytes: int,
) -> Gateway:
    """Put the doors in their places."""
    calls = {path: CallDoor(surface, dispatch, max_body_bytes) for path, surface in CALL_PATHS.items()}
    description = Description()
    routes = [
        Route("/v1/models", Door(house.models), methods=["GET"]),
        Route("/v1/models/{model:path}", Door(house.model), methods=["GET"]),
        Route("/v1/runs/{run:path}/outcome", Door(runs.outcome), methods=["POST"]),
        Route("/v1/runs/{run:path}/entries", Door(runs.entry), methods=["POST"]),
        Route("/v1/runs", Door(trees.listed), methods=["GET"]),
        Route("/v1/runs/{run:path}", Door(trees.shown), methods=["GET"]),
        Route("/healthz", house.healthz),
        Route("/readyz", house.readyz),
        Route("/metrics", Door(house.metrics), methods=["GET"]),
        Route("/openapi.json", description.served),
        *[Route(path, _post_only, methods=["GET", "PUT", "PATCH", "DELETE"]) for path in CALL_PATHS],
    ]
    rest = Starlette(routes=routes, exception_handlers={404: _not_found, 405: _wrong_method})
    return Gateway(calls, rest, house, description)


async def _post_only(request: Request) -> Response:
    return _refusal(request, 405, f"{request.url.path} takes POST", {"allow": "POST"})


async def _not_found(request: Request, error: Exception) -> Response:
    return _refusal(request, 404, f"there is nothing at {request.url.path}", {})


async def _wrong_method(request: Request, error: Exception) -> Response:
    headers = getattr(error, "headers", None) or {}
    return _refusal(request, 405, f"{request.url.path} does not take {request.method}", headers)


def _refusal(request: Request, status: int, message: str, headers: dict[str, str]) -> Response:
    """In the shape of the surface whose path it is."""
    code = "not_found" if status == 404 else "method_not_allowed"
    body = openai_error(message, "invalid_request_error", code, None)
    if request.url.path.startswith("/v1/messages"):
        body = anthropic_error(message, "not_found_error" if status == 404 else "invalid_request_error")
    return Response(body, status, media_type="application/json", headers=headers)
