"""Fixtures for tests that need a whole house: an upstream that follows a script, and a gateway in front of it.

The heavy imports wait inside the fixtures, so that tests of single rooms start at once.
"""

import asyncio
import os
import shutil
import time
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
import uvloop
from hypothesis import HealthCheck, settings

# The same examples every time, on a machine of any speed; HYPOTHESIS_PROFILE=explore draws new ones.
settings.register_profile(
    "house", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("explore", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "house"))


@pytest.hookimpl(optionalhook=True)
def pytest_asyncio_loop_factories(config, item):
    """The loop that serves in earnest."""
    return {"uvloop": uvloop.new_event_loop}


class Hands:
    """A clock that runs, and can be put forward."""

    def __init__(self):
        self.ahead = 0.0

    def now(self):
        return time.time() + self.ahead

    def monotonic(self):
        return time.monotonic() + self.ahead


@pytest.fixture
def clock():
    return Hands()


@pytest.fixture
async def upstreams():
    """Makes upstreams: `first = await upstreams()`."""
    from gateway.upstream import Upstream

    made = []

    async def make():
        upstream = Upstream()
        await upstream.start()
        made.append(upstream)
        return upstream

    yield make
    for upstream in made:
        await upstream.stop()


@pytest.fixture
async def upstream(upstreams):
    return await upstreams()


@pytest.fixture(scope="session")
def fresh_database(tmp_path_factory):
    """An empty database with all tables; copying it is quicker than migrating each time."""
    from trimtab.store import Database, migrate, url_of

    folder = tmp_path_factory.mktemp("fresh")
    database = Database(url_of("sqlite", folder))
    migrate(database)
    database.close()
    return folder / "trimtab.sqlite"


@pytest.fixture
async def serve(tmp_path, fresh_database, clock, monkeypatch):
    """Serves houses: `served = await serve(toml)`. At the end each must be at rest, with nothing left behind."""
    async with AsyncExitStack() as stack:

        async def start(text, name="house", **environ):
            for variable, value in environ.items():
                monkeypatch.setenv(variable, value)
            data = tmp_path / name
            data.mkdir(exist_ok=True)
            if not (data / "trimtab.sqlite").exists():
                shutil.copy(fresh_database, data / "trimtab.sqlite")
            mine = await stack.enter_async_context(AsyncExitStack())
            served = await mine.enter_async_context(_served(text, data, clock))
            served.close = mine.aclose
            return served

        yield start


@pytest.fixture
async def house(serve, upstream):
    """One house with one model at one endpoint."""
    from gateway.served import endpoint

    return await serve(endpoint(upstream))


@pytest.fixture
async def open_house(serve, upstream):
    """One house with one model that is known not to reason out of sight."""
    from gateway.served import SHOWN, endpoint

    return await serve(endpoint(upstream, more=SHOWN))


@asynccontextmanager
async def _served(text, data, clock):
    import aiohttp

    from gateway.served import Served
    from trimtab.app.house import open_house
    from trimtab.config import load_text

    loaded = load_text(text, "trimtab.toml", {"TRIMTAB_SERVER__DATA": str(data)})
    async with open_house(loaded, clock) as house, _listening(house) as url:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as session:
            served = Served(house, url, session, clock)
            served.quiet = asyncio.all_tasks()
            yield served
            await served.at_rest()
        await served.no_strays()


@asynccontextmanager
async def _listening(house):
    from trimtab.app.serve import server_for

    server = server_for(house, "127.0.0.1", 0)
    server.config.load()
    server.lifespan = server.config.lifespan_class(server.config)
    await server.startup()
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        # uvicorn's own shutdown sleeps a tenth of a second in any case.
        for listener in server.servers:
            listener.close()
        for connection in list(server.server_state.connections):
            connection.shutdown()
        while server.server_state.connections or server.server_state.tasks:
            await asyncio.sleep(0.001)
