"""The console in a gateway's process: built when somebody looks first, so that serving calls begins no later for it."""

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from trimtab.app.store import controller_folder
from trimtab.core import IdSource

if TYPE_CHECKING:
    from trimtab.app.house import House
    from trimtab.config import Loaded
    from trimtab.console import Reader

ROOT = "/console"


class LazyConsole:
    """What stands at /console of a house."""

    def __init__(self, house: "House", loaded: "Loaded") -> None:
        self._house, self._loaded = house, loaded
        self._building: asyncio.Task[ASGIApp] | None = None
        self._reader: Reader | None = None

    def routes(self) -> list[BaseRoute]:
        """For the gateway."""
        return [Route(ROOT, self), Route(f"{ROOT}/{{rest:path}}", self)]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if self._building is None or _failed(self._building):
            # In a thread: what the pages need takes a moment to load, and calls are to go on meanwhile.
            self._building = asyncio.ensure_future(asyncio.to_thread(self._build))
        pages = await asyncio.shield(self._building)
        await pages(scope, receive, send)

    def _build(self) -> ASGIApp:
        from trimtab.app.seats import HouseSeats
        from trimtab.app.watchers import engine_figures
        from trimtab.app.whatif import what_if_policy
        from trimtab.console import Premises, Reader, Sheets, console_routes

        house = self._house
        self._reader = Reader(house.database)
        premises = Premises(
            loaded=self._loaded,
            database=house.database,
            clock=house.clock,
            ids=IdSource(),
            keyring=house.keyring,
            reader=self._reader,
            sheets=Sheets(),
            fresh=house.writer.flush,
            closing=lambda: house.draining,
            controllers=controller_folder(house.settings),
            acts=house.acts,
            pool=house.pool,
            trial=partial(what_if_policy, house.settings, house.database),
            figures=partial(engine_figures, house.engines),
            seats=HouseSeats(house.settings, house.database, house.clock),
        )
        return Starlette(routes=list(console_routes(premises)))

    def close(self) -> None:
        """Leave the threads that read for it."""
        if self._reader is not None:
            self._reader.close()


def _failed(building: "asyncio.Task[ASGIApp]") -> bool:
    return building.done() and (building.cancelled() or building.exception() is not None)
