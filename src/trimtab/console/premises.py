"""What the console's pages work with, and what they can have done to runs. Constructed by `app/`."""

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from trimtab.config import Loaded
from trimtab.console.reader import Reader
from trimtab.console.sheets import Sheets
from trimtab.console.visitor import Visitor
from trimtab.controllers import Manifest
from trimtab.core import Clock, IdSource
from trimtab.core.errors import CallError, StoreUnavailable
from trimtab.pool import Pool
from trimtab.simulation.whatif import WhatIf
from trimtab.store import AuditRow, ControllerState, Database, Selection, Standing, sessions
from trimtab.tenants import KeyFacts, Keyring
from trimtab.traces import EngineFigures, standing_of

_SESSION_SECONDS = 1.5


class RunPoint(msgspec.Struct, frozen=True):
    """A checkpoint that a run may be forked from. `to_come` are the nodes that go on there; `at` is ISO."""

    id: str
    step: int
    at: str
    to_come: tuple[str, ...]


class Acts(Protocol):
    """What can be done to hosted runs. Each raises NotFound, Conflict, BadRequest, StoreUnavailable. A note of the act
    is kept with it, or neither is."""

    @property
    def forks(self) -> bool:
        """Whether runs can be forked from here."""
        ...

    async def cancel(self, tenant: str, run: str, note: AuditRow) -> str:
        """Ask that a run ends; its state then."""
        ...

    async def retry(self, tenant: str, run: str, note: AuditRow) -> str:
        """Queue a parked or failed run again; its state then."""
        ...

    async def fork(self, tenant: str, run: str, checkpoint: str, by: KeyFacts, note: AuditRow) -> str:
        """A new run from a checkpoint ('': where the run stands); its id."""
        ...

    async def answer(
        self, tenant: str, run: str, question: str, value: bytes, verb: str, note: AuditRow
    ) -> bool:
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

    async def may_look(self, visitor: Visitor) -> bool:
        """Whether a visitor who came some time ago would still be let in, and somebody is here to serve."""
        if self.closing() or visitor.is_open == self.keyring.is_locked:
            return False
        if visitor.is_open:
            return True
        digest, now = visitor.session, self.clock.now()
        try:
            await self.keyring.holder(visitor.key.id)
            return await self.reader.kept(
                ("session", digest),
                _SESSION_SECONDS,
                lambda: self.reader.read(lambda c: sessions.find(c, digest, now) is not None),
            )
        except (CallError, StoreUnavailable):
            return False

    def note(self, tenant: str, by: str, action: str, subject: str, detail: str = "") -> AuditRow:
        """Who does what, to be kept in the transaction that does it."""
        now = self.clock.now()
        return AuditRow(self.ids.new(now), now, tenant, by, action, subject, detail)
