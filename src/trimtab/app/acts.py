"""What people do to hosted runs at the console: by the store alone, or by a host in the same process."""

import asyncio
from functools import partial
from typing import TYPE_CHECKING, cast

from trimtab.console import RunPoint
from trimtab.core.errors import Conflict
from trimtab.store import Database, workflow_runs
from trimtab.tenants import KeyFacts
from trimtab.workflows import Forks, ForkTerms, Host, Inbox, Verb, cancel_run, points_of, retry_run

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from trimtab.workflows import Point


class StoreActs:
    """Whoever drives the runs hears of it from the store."""

    def __init__(self, database: Database, inbox: Inbox) -> None:
        self._database, self._inbox = database, inbox

    async def cancel(self, tenant: str, run: str) -> str:
        """Ask that a run ends."""
        return (await self._database.run(partial(cancel_run, tenant=tenant, id=run))).state

    async def retry(self, tenant: str, run: str) -> str:
        """Queue a parked or failed run again."""
        return (await self._database.run(partial(retry_run, tenant=tenant, id=run))).state

    async def fork(self, tenant: str, run: str, checkpoint: str, by: KeyFacts) -> str:
        """Not from here: a fork is made with its graph. Raises Conflict."""
        said = (
            "a fork begins where its graph is hosted: use the gateway's own console, or `trimtab runs fork`"
        )
        raise Conflict(said, code="graph_not_here")

    async def answer(self, tenant: str, run: str, question: str, value: bytes, by: str, verb: str) -> bool:
        """Answer a question, once."""
        return await self._inbox.answer(tenant, run, question, value, by, cast(Verb, verb))

    async def points(self, tenant: str, run: str, most: int) -> list[RunPoint]:
        """A run's checkpoints, the latest first."""

        def work(connection: "Connection") -> "list[Point]":
            row = workflow_runs.find(connection, run)
            return [] if row is None or row.tenant != tenant else points_of(connection, row, most)

        found = await asyncio.to_thread(self._database.read, work)
        return [RunPoint(point.id, point.step, point.at, point.to_come) for point in found]


class HostedActs(StoreActs):
    """The same acts as the routes of the host's doors offer."""

    def __init__(self, database: Database, inbox: Inbox, host: Host, forks: Forks) -> None:
        super().__init__(database, inbox)
        self._host, self._forks = host, forks

    async def cancel(self, tenant: str, run: str) -> str:
        """Ask that a run ends; where it is driven in this process, the call under way ends at once."""
        state = await super().cancel(tenant, run)
        if state == "running":
            await self._host.cancel(run)
        return state

    async def fork(self, tenant: str, run: str, checkpoint: str, by: KeyFacts) -> str:
        """A new run that goes on from a checkpoint."""
        return (await self._forks.fork(tenant, run, ForkTerms(checkpoint=checkpoint), by=by)).id
