"""A process that drives runs of hosted workflows and serves no calls of clients: what `trimtab worker` does."""

import asyncio
import os
import signal
from collections.abc import Callable
from typing import TYPE_CHECKING

import uvloop
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from trimtab.app.house import open_house
from trimtab.app.serve import Server, begin, server_for
from trimtab.config import Loaded

if TYPE_CHECKING:
    from trimtab.workflows import Host

_SHOWN = ("/healthz", "/readyz", "/metrics")
_CUT_OFF = 130


class Window:
    """What one sees of a worker from outside: its health and its metrics."""

    def __init__(self, gateway: ASGIApp) -> None:
        self._gateway = gateway

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http" and scope["path"] in _SHOWN:
            await self._gateway(scope, receive, send)
            return
        said = {"error": {"message": f"a worker shows {', '.join(_SHOWN)}; calls go to `trimtab serve`"}}
        await JSONResponse(said, 404)(scope, receive, send)


class Stop:
    """The signals told so far: the first lets steps end, the second ends them."""

    def __init__(self, host: "Host") -> None:
        self.asked, self.at_once = asyncio.Event(), False
        self._host = host
        self._ending: asyncio.Task[None] | None = None

    def heed(self) -> None:
        """One more signal."""
        if self.asked.is_set() and not self.at_once:
            self.at_once = True
            self._ending = asyncio.ensure_future(self._host.drain(0))
        self.asked.set()


def work(loaded: Loaded, port: int | None, announce: Callable[[str], None]) -> None:
    """Drive runs until SIGTERM or SIGINT, health and metrics on a port where one is named.

    Raises ConfigError, StoreUnavailable.
    """
    if uvloop.run(_work(loaded, port, announce)):
        # All that is to be kept is kept; threads of nodes cannot be ended otherwise.
        os._exit(_CUT_OFF)


async def _work(loaded: Loaded, port: int | None, announce: Callable[[str], None]) -> bool:
    async with open_house(loaded) as house:
        host, settings = house.host(), loaded.settings
        stop = Stop(host)
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.heed)
        server = None
        if port is not None:
            server = server_for(house, settings.server.host, port, Window(house.gateway))
        serving = None if server is None else await begin(server)
        host.take_runs()
        announce(_told(loaded, house.process, server))
        await stop.asked.wait()
        house.draining = True
        await host.drain(settings.server.drain_seconds)
        if server is not None and serving is not None:
            server.should_exit = True
            await serving
    return stop.at_once


def _told(loaded: Loaded, worker: str, server: Server | None) -> str:
    settings = loaded.settings
    hosted = ", ".join(name for name, workflow in sorted(settings.workflow.items()) if workflow.graph)
    told = f"worker {worker} drives {hosted}, at most {settings.hosting.runs} runs at once"
    if any(settings.hosting.partitions):
        told += f", of {', '.join(name or 'what is not pinned' for name in settings.hosting.partitions)}"
    if server is not None:
        name, port = server.servers[0].sockets[0].getsockname()[:2]
        told += f"; http://{name}:{port}/metrics"
    return told
