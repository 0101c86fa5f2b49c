"""Runs a gateway process: house, HTTP server, signals, draining."""

import asyncio
import contextlib
import gc
import os
import signal
from collections.abc import Callable
from typing import TYPE_CHECKING

import uvicorn
import uvloop

from trimtab.app.house import House, open_house
from trimtab.config import HostingSettings, Loaded
from trimtab.core.errors import ConfigError

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from trimtab.workflows import Host

_LET_GO_SECONDS = 3.0


class Server(uvicorn.Server):
    """uvicorn without its own signal handling: the house decides when it closes."""

    @contextlib.contextmanager
    def capture_signals(self):  # type: ignore[no-untyped-def]  # noqa: ANN201
        """Leave signals alone."""
        yield


def server_for(house: House, host: str, port: int, door: "ASGIApp | None" = None) -> Server:
    """An HTTP server for a house's gateway, or for another door to it."""
    return server_of(door or house.gateway, host, port, house.settings.server.drain_seconds)


def server_of(app: "ASGIApp", host: str, port: int, drain_seconds: float) -> Server:
    """An HTTP server for anything."""
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        loop="none",
        http="httptools",
        ws="none",
        lifespan="off",
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        date_header=False,
        timeout_keep_alive=75,
        backlog=4096,
        timeout_graceful_shutdown=int(drain_seconds),
    )
    return Server(config)


def serve(loaded: Loaded, announce: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT; a second one ends at once. Raises ConfigError, StoreUnavailable."""
    uvloop.run(_serve(loaded, announce))


async def _serve(loaded: Loaded, announce: Callable[[str], None]) -> None:
    async with open_house(loaded) as house:
        settings = loaded.settings.server
        server = server_for(house, settings.host, settings.port)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, _stop, house, server)
        running = await begin(server)
        port = server.servers[0].sockets[0].getsockname()[1]
        if house.workflows is not None:
            _drive(house.workflows, loaded.settings.hosting)
        announce(f"http://{settings.host}:{port}")
        _calm_collector()
        await running
        await _end_calls(server)
    if house.workflows is not None and house.workflows.is_stuck:
        # All that is to be kept is kept; nodes that do not end cannot be ended otherwise.
        os._exit(0)


def _drive(host: "Host", settings: HostingSettings) -> None:
    if settings.drive:
        host.take_runs()
    else:
        host.leave_runs()


async def begin(server: Server) -> "asyncio.Task[None]":
    """The task that serves, once it listens. Raises ConfigError where it cannot."""
    running = asyncio.create_task(_run(server))
    while not server.started and not running.done():
        await asyncio.sleep(0.005)
    if running.done():
        config = server.config
        raise ConfigError(
            f"cannot listen on {config.host}:{config.port} (is another process there?)", key="server.port"
        )
    return running


async def _run(server: Server) -> None:
    # uvicorn leaves the process where it cannot listen; the house is to be closed first.
    with contextlib.suppress(SystemExit):
        await server.serve()


async def _end_calls(server: Server) -> None:
    """Calls that did not end in time are let go, and charged while there still is a journal to write to."""
    tasks = list(server.server_state.tasks)
    for task in tasks:
        if not task.cancelling():
            task.cancel("the process is shutting down")
    if tasks:
        await asyncio.wait(tasks, timeout=_LET_GO_SECONDS)


def _calm_collector() -> None:
    """What stands now stands for good, and calls leave no cycles: look for garbage less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


def _stop(house: House, server: Server) -> None:
    house.draining = True
    if house.workflows is not None:
        house.workflows.retire()
    if server.should_exit:
        server.force_exit = True
    server.should_exit = True
