"""Serves the console alone, on a store that gateways elsewhere write to: what `trimtab console` does."""

import asyncio
import signal
from collections.abc import Callable
from functools import partial

import uvloop
from starlette.applications import Starlette
from starlette.responses import RedirectResponse
from starlette.routing import Route

from trimtab.app.seats import HouseSeats
from trimtab.app.serve import begin, server_of
from trimtab.app.store import controller_folder, database_for
from trimtab.app.whatif import what_if_policy
from trimtab.config import Loaded
from trimtab.console import ROOT, Acts, Premises, Reader, Sheets, console_routes
from trimtab.core import IdSource, SystemClock
from trimtab.store import Database, require_head
from trimtab.tenants import Keyring

_DRAIN_SECONDS = 3.0


def view(loaded: Loaded, announce: Callable[[str], None]) -> None:
    """Serve the console until SIGTERM or SIGINT. Raises ConfigError, StoreUnavailable."""
    uvloop.run(_view(loaded, announce))


async def _view(loaded: Loaded, announce: Callable[[str], None]) -> None:
    database = database_for(loaded)
    reader, keyring = Reader(database), Keyring(database, SystemClock())
    ending = asyncio.Event()
    try:
        await asyncio.to_thread(require_head, database)
        await keyring.load()
        await _serve(
            _pages(_premises(loaded, database, reader, keyring, ending)), loaded, ending, announce, keyring
        )
    finally:
        reader.close()
        await asyncio.to_thread(database.close)


async def _serve(
    pages: Starlette,
    loaded: Loaded,
    ending: asyncio.Event,
    announce: Callable[[str], None],
    keyring: Keyring,
) -> None:
    settings = loaded.settings.server
    server = server_of(pages, settings.host, settings.port, _DRAIN_SECONDS)

    def stop() -> None:
        ending.set()
        server.force_exit = server.should_exit
        server.should_exit = True

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop)
    running = await begin(server)
    port = server.servers[0].sockets[0].getsockname()[1]
    announce(f"http://{settings.host}:{port}{ROOT}")
    async with asyncio.TaskGroup() as group:
        keeping = group.create_task(keyring.run())
        await running
        keeping.cancel()


def _pages(premises: Premises) -> Starlette:
    home = Route("/", lambda request: RedirectResponse(ROOT))
    return Starlette(routes=[home, *console_routes(premises)])


def _premises(
    loaded: Loaded, database: Database, reader: Reader, keyring: Keyring, ending: asyncio.Event
) -> Premises:
    clock = SystemClock()
    return Premises(
        loaded=loaded,
        database=database,
        clock=clock,
        ids=IdSource(),
        keyring=keyring,
        reader=reader,
        sheets=Sheets(),
        fresh=_nothing,
        closing=ending.is_set,
        controllers=controller_folder(loaded.settings),
        acts=_acts(database),
        trial=partial(what_if_policy, loaded.settings, database) if loaded.settings.endpoint else None,
        seats=HouseSeats(loaded.settings, database, clock),
    )


async def _nothing() -> None:
    """What calls wrote, their own processes bring into the store."""


def _acts(database: Database) -> Acts | None:
    try:
        from trimtab.app.acts import StoreActs
        from trimtab.workflows import Inbox
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("trimtab"):
            raise
        return None
    return StoreActs(database, Inbox(database))
