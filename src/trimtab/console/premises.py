"""What the console's pages work with, and what they can have done to runs. Constructed by `app/`."""

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from trimtab.config import Loaded
from trimtab.console.reader import Reader
from trimtab.console.sheets import Sheets
from trimtab.controllers import Manifest
from trimtab.core import Clock, IdSource
from trimtab.pool import Pool
from trimtab.simulation.whatif import WhatIf
from trimtab.store import AuditRow, ControllerState, Database, Selection, Standing, audit
from trimtab.tenants import KeyFacts, Keyring
from trimtab.traces import EngineFigures, standing_of


class RunPoint(msgspec.Struct, frozen=True):
    """A checkpoint that a run may be forked from. `to_come` are the nodes that go on there; `at` is ISO."""

    id: str
    step: int
    at: str
    to_come: tuple[str, ...]


class Acts(Protocol):
    """What can be done to hosted runs. Each raises NotFound, Conflict, BadRequest, StoreUnavailable."""

    async def cancel(self, tenant: str, run: str) -> str:
        """Ask that a run ends; its state then."""
        ...

    async def retry(self, tenant: str, run: str) -> str:
        """Queue a parked or failed run again; its state then."""
        ...

    async def fork(self, tenant: str, run: str, checkpoint: str, by: KeyFacts) -> str:
        """A new run from a checkpoint ('': where the run stands); its id."""
        ...

    async def answer(self, tenant: str, run: str, question: str, value: bytes, by: str, verb: str) -> bool:
        """Answer a question with JSON; whether the run goes on by that."""
        ...

    async def points(self, tenant: str, run: str, most: int) -> list[RunPoint]:
        """A run's checkpoints, the latest first."""
        ...


class Seats(Protocol):
    """What can be done with controllers, with an audit of its own. Each raises Conflict, StoreUnavailable."""

    async def put_to_work(
        self, workflow: str, kind: str, version: str, state: ControllerState, by: str, *, forced: bool
    ) -> None:
        """Enable a version, or let it look on; `forced`: also without a passed evaluation."""
        ...

    async def lay_off(self, workflow: str, kind: str, version: str, by: str) -> bool:
        """Disable a version; whether it was at work."""
        ...

    def silence(self, manifest: Manifest) -> str:
        """Why a version would never answer under the settings; '' where it may."""
        ...


class Premises(msgspec.Struct, frozen=True):
    """`fresh` brings the store up to what this process knows; `closing`: the process ends; `controllers` is the
    folder of packaged controllers.

    `pool`, and `figures` of what engines said lately, are None where no calls are served, `acts` where no workflow is
    hosted, `seats` where controllers can only be looked at.
    """

    loaded: Loaded
    database: Database
    clock: Clock
    ids: IdSource
    keyring: Keyring
    reader: Reader
    sheets: Sheets
    fresh: Callable[[], Awaitable[None]]
    closing: Callable[[], bool]
    controllers: Path
    acts: Acts | None = None
    pool: Pool | None = None
    figures: Callable[[], Sequence[EngineFigures]] | None = None
    seats: Seats | None = None
    trial: Callable[[Selection, str], WhatIf] | None = None

    def standing(self) -> Standing:
        """What a run's status is told by now."""
        return standing_of(self.loaded.settings, self.clock.now())

    async def note(self, tenant: str, by: str, action: str, subject: str, detail: str = "") -> None:
        """Keep who did what. Raises StoreUnavailable."""
        now = self.clock.now()
        row = AuditRow(self.ids.new(now), now, tenant, by, action, subject, detail)
        await self.database.run(lambda connection: audit.add(connection, row))
