"""What people do to hosted runs at the console: by the store alone, or by a host in the same process."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, cast

from msgspec.structs import replace
from sqlalchemy import Connection

from trimtab.console import RunPoint
from trimtab.core.errors import Conflict
from trimtab.store import AuditRow, Database, WorkflowRunRow, audit, workflow_runs
from trimtab.tenants import KeyFacts
from trimtab.workflows import Forks, ForkTerms, Host, Inbox, Verb, cancel_run, points_of, retry_run

if TYPE_CHECKING:
    from trimtab.workflows import Point


class StoreActs:
    """Whoever drives the runs hears of it from the store."""

    forks = False

    def __init__(self, database: Database, inbox: Inbox) -> None:
        self._database, self._inbox = database, inbox

    async def cancel(self, tenant: str, run: str, note: AuditRow) -> str:
        """Ask that a run ends."""
        return await self._done(partial(cancel_run, tenant=tenant, id=run), note)

    async def retry(self, tenant: str, run: str, note: AuditRow) -> str:
        """Queue a parked or failed run again."""
        return await self._done(partial(retry_run, tenant=tenant, id=run), note)

    async def _done(self, act: Callable[[Connection], WorkflowRunRow], note: AuditRow) -> str:
        def work(connection: Connection) -> str:
            state = act(connection).state
            audit.add(connection, replace(note, detail=f"then {state}"))
            return state

        return await self._database.run(work)

    async def fork(self, tenant: str, run: str, checkpoint: str, by: KeyFacts, note: AuditRow) -> str:
        """Not from here: a fork is made with its graph. Raises Conflict."""
        said = (
            "a fork begins where its graph is hosted: use the gateway's own console, or `trimtab runs fork`"
        )
        raise Conflict(said, code="graph_not_here")

    async def answer(
        self, tenant: str, run: str, question: str, value: bytes, verb: str, note: AuditRow
    ) -> bool:
        """Answer a question, once."""
        kept = partial(audit.add, row=note)
        return await self._inbox.answer(tenant, run, question, value, note.by, cast(Verb, verb), kept)

    async def points(self, tenant: str, run: str, most: int) -> list[RunPoint]:
        """A run's checkpoints, the latest first."""

        def work(connection: Connection) -> "list[Point]":
            row = workflow_runs.find(connection, run)
            return [] if row is None or row.tenant != tenant else points_of(connection, row, most)

        found = await asyncio.to_thread(self._database.read, work)
        return [RunPoint(point.id, point.step, point.at, point.to_come) for point in found]


class HostedActs(StoreActs):
    """The same acts as the routes of the host's doors offer."""

    forks = True

    def __init__(self, database: Database, inbox: Inbox, host: Host, forks: Forks) -> None:
        super().__init__(database, inbox)
        self._host, self._forks = host, forks

    async def cancel(self, tenant: str, run: str, note: AuditRow) -> str:
        """Ask that a run ends; where it is driven in this process, the call under way ends at once."""
        state = await super().cancel(tenant, run, note)
        if state == "running":
            await self._host.cancel(run)
        return state

    async def fork(self, tenant: str, run: str, checkpoint: str, by: KeyFacts, note: AuditRow) -> str:
        """A new run that goes on from a checkpoint."""

        def kept(connection: Connection, fork: WorkflowRunRow) -> None:
            said = f"to {fork.id}, from {checkpoint or 'where it stands'}"
            audit.add(connection, replace(note, detail=said))

        terms = ForkTerms(checkpoint=checkpoint)
        return (await self._forks.fork(tenant, run, terms, by=by, also=kept)).id
