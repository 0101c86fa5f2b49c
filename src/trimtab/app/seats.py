"""What people do with controllers at the console: the same acts as those of `trimtab controllers`."""

import asyncio

from trimtab.app.seating import Address, Seating, silence_of
from trimtab.config import Settings
from trimtab.controllers import Manifest
from trimtab.core import Clock
from trimtab.core.errors import ConfigError, Conflict, DataError
from trimtab.store import ControllerState, Database


class HouseSeats:
    """Constructed with the console. What a command would refuse is a conflict here."""

    def __init__(self, settings: Settings, database: Database, clock: Clock) -> None:
        self._settings, self._seating = settings, Seating(settings, database, clock)

    async def put_to_work(
        self, workflow: str, kind: str, version: str, state: ControllerState, by: str, *, forced: bool
    ) -> None:
        """Enable a version, or let it look on; its files are verified."""
        address = Address(workflow, kind, version)
        try:
            await asyncio.to_thread(self._seating.put_to_work, address, state, by, forced=forced)
        except (ConfigError, DataError) as error:
            raise Conflict(str(error)) from error

    async def lay_off(self, workflow: str, kind: str, version: str, by: str) -> bool:
        """Disable a version; whether it was at work."""
        return bool(await asyncio.to_thread(self._seating.lay_off, Address(workflow, kind, version), by))

    def silence(self, manifest: Manifest) -> str:
        """Why a version would never answer under the settings; '' where it may."""
        return silence_of(self._settings, manifest)
