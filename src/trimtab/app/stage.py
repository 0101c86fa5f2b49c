"""Puts a gateway, its endpoint and a driver on one machine: what `trimtab demo` and `trimtab replay` play on.

The gateway is the real one, behind a real socket, with keys; only the endpoint is simulated or recorded.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
from starlette.types import ASGIApp

from trimtab.app.house import House, open_house
from trimtab.app.serve import begin, server_for
from trimtab.config import load
from trimtab.simulation import LocalServer, Mode, PlannedRun, Traffic, TrafficReport
from trimtab.tenants import create_key

CONFIG_NAME = "trimtab.toml"
ENDPOINT_URL = "{endpoint_url}"
Progress = Callable[[int, int], None]


class Play(msgspec.Struct, frozen=True):
    """What is played. `settings` is TOML with `{endpoint_url}` and `{data}` in it; `runs` is called with the
    API key of each tenant; `notices` say what of the material is left out."""

    settings: str
    endpoint: ASGIApp
    tenants: tuple[str, ...]
    runs: Callable[[Mapping[str, str]], Iterable[PlannedRun]]
    total: int
    concurrency: int
    mode: Mode
    on_progress: Progress
    notices: tuple[str, ...] = ()


async def perform(play: Play, data: Path) -> TrafficReport:
    """Play it in the folder `data`; afterwards everything stands in its store. Cancelled, it ends cleanly."""
    data.mkdir(parents=True, exist_ok=True)
    config = data / CONFIG_NAME
    async with LocalServer(play.endpoint) as endpoint:
        text = play.settings.replace(ENDPOINT_URL, endpoint.url).replace("{data}", str(data.resolve()))
        config.write_text(text)
        async with open_house(load(config, {})) as house, serving(house) as url:
            keys = await asyncio.to_thread(_keys, house, play.tenants)
            await house.keyring.load()
            traffic = Traffic(url, concurrency=play.concurrency, mode=play.mode, on_progress=play.on_progress)
            try:
                return await traffic.drive(play.runs(keys), play.total)
            except asyncio.CancelledError:
                return traffic.report()
            finally:
                await house.writer.flush()


def _keys(house: House, tenants: Iterable[str]) -> dict[str, str]:
    clock = house.clock
    return {
        tenant: create_key(house.database, clock, tenant, "", "operator", note="made by the stage")[0]
        for tenant in tenants
    }


@asynccontextmanager
async def serving(house: House) -> AsyncIterator[str]:
    """A house's gateway on a free loopback port; its URL."""
    server = server_for(house, "127.0.0.1", 0)
    running = await begin(server)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        await running
