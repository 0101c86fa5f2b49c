"""Doors of hosted workflows on a port of their own, with real keys and LangGraph's own client."""

import asyncio
from contextlib import asynccontextmanager

import uvicorn
from langgraph_sdk import get_client
from starlette.applications import Starlette

from trimtab.reception import Desk
from trimtab.tenants import Keyring, create_key

MOST_BYTES = 1_000_000


class Doors:
    """Serves routes; `client("acme")` speaks to them with a new key of that tenant."""

    def __init__(self, database, clock, url, keyring):
        self._database, self._clock, self.url, self._keyring = database, clock, url, keyring
        self._clients = []

    async def client(self, tenant="acme", role="operator", user="ada"):
        secret, _ = await asyncio.to_thread(create_key, self._database, self._clock, tenant, user, role)
        await self._keyring.load()
        client = get_client(url=self.url, api_key=secret)
        self._clients.append(client)
        return client

    async def close(self):
        for client in self._clients:
            await client.aclose()


@asynccontextmanager
async def open_doors(database, clock, routes_of):
    """`routes_of(desk)` gives the routes."""
    keyring = Keyring(database, clock)
    await keyring.load()
    app = Starlette(routes=routes_of(Desk(keyring, MOST_BYTES)))
    server = uvicorn.Server(uvicorn.Config(app, "127.0.0.1", 0, log_level="error", lifespan="off"))
    server.config.load()
    server.lifespan = server.config.lifespan_class(server.config)
    await server.startup()
    doors = Doors(
        database, clock, f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}", keyring
    )
    try:
        yield doors
    finally:
        await doors.close()
        for listener in server.servers:
            listener.close()
