"""The doors to the house itself: which models it serves, its health and its metrics."""

from collections.abc import Awaitable, Callable

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from trimtab.core.errors import UnknownModel
from trimtab.gateway.asgi import send_bytes
from trimtab.gateway.calls import is_loopback
from trimtab.gateway.hints import hints_of
from trimtab.pool import Pool
from trimtab.tenants import Keyring

_json = msgspec.json.Encoder()
_METRICS = b"text/plain; version=0.0.4; charset=utf-8"


class HouseDoor:
    """Models, health and metrics; `more_metrics` add to the text, under names of their own."""

    def __init__(
        self, keyring: Keyring, pool: Pool, render_metrics: Callable[[], bytes], ready: Callable[[], str]
    ) -> None:
        self._keyring, self._pool = keyring, pool
        self._render_metrics, self._ready = render_metrics, ready
        self.more_metrics: list[Callable[[], Awaitable[bytes]]] = []

    async def models(self, scope: Scope, receive: Receive, send: Send) -> None:
        """`GET /v1/models`: what this key may name."""
        _, presented = hints_of(scope["headers"])
        key = await self._keyring.open(presented, loopback=is_loopback(scope))
        names = [name for name in self._pool.names if not key.models or name in key.models]
        listed = [{"id": name, "object": "model", "created": 0, "owned_by": "trimtab"} for name in names]
        await send_bytes(send, 200, _json.encode({"object": "list", "data": listed}), {})

    async def model(self, scope: Scope, receive: Receive, send: Send) -> None:
        """`GET /v1/models/{model}`."""
        _, presented = hints_of(scope["headers"])
        key = await self._keyring.open(presented, loopback=is_loopback(scope))
        name = scope["path_params"]["model"]
        self._pool.candidates(name)
        if key.models and name not in key.models:
            raise UnknownModel(f"this key may use {', '.join(key.models)}, not {name!r}", param="model")
        shown = {"id": name, "object": "model", "created": 0, "owned_by": "trimtab"}
        await send_bytes(send, 200, _json.encode(shown), {})

    async def healthz(self, request: Request) -> Response:
        """200 as long as the process answers."""
        return Response(b'{"status":"ok"}', media_type="application/json")

    async def readyz(self, request: Request) -> Response:
        """200 when calls can be served; 503 with the reason else."""
        reason = self._ready()
        body = _json.encode({"status": "ready"} if not reason else {"status": "not ready", "reason": reason})
        return Response(body, 503 if reason else 200, media_type="application/json")

    async def metrics(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Prometheus text. It tells of all tenants: for this machine and for admins only."""
        if not is_loopback(scope):
            _, presented = hints_of(scope["headers"])
            (await self._keyring.open(presented, loopback=False)).require("admin")
        parts = [self._render_metrics(), *[await part() for part in self.more_metrics]]
        await send_bytes(send, 200, b"".join(parts), {}, _METRICS)
