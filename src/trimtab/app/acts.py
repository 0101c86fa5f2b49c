"""What people do to hosted runs at the console, done by the host and its store."""

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from trimtab.console import RunPoint
from trimtab.store import Database, workflow_runs
from trimtab.tenants import KeyFacts
from trimtab.workflows import Forks, ForkTerms, Host, Inbox, cancel_run, points_of, retry_run

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from trimtab.workflows import Point


class HostedActs:
    """Constructed with the host's doors; the same acts as their routes offer."""

    def __init__(self, database: Database, host: Host, forks: Forks, inbox: Inbox) -> None:
        self._database, self._host, self._forks, self._inbox = database, host, forks, inbox

    async def cancel(self, tenant: str, run: str) -> str:
        """Ask that a run ends; where it is driven in this process, the call under way ends at once."""
        row = await self._database.run(partial(cancel_run, tenant=tenant, id=run))
        if row.state == "running":
            await self._host.cancel(row.id)
        return row.state

    async def retry(self, tenant: str, run: str) -> str:
        """Queue a parked or failed run again."""
        return (await self._database.run(partial(retry_run, tenant=tenant, id=run))).state

    async def fork(self, tenant: str, run: str, checkpoint: str, by: KeyFacts) -> str:
        """A new run that goes on from a checkpoint."""
        return (await self._forks.fork(tenant, run, ForkTerms(checkpoint=checkpoint), by=by)).id

    async def answer(self, tenant: str, run: str, question: str, value: bytes, by: str, verb: str) -> bool:
        """Answer a question, once."""
        return await self._inbox.answer(tenant, run, question, value, by, verb)  # type: ignore[arg-type]

    async def points(self, tenant: str, run: str, most: int) -> list[RunPoint]:
        """A run's checkpoints, the latest first."""

        def work(connection: "Connection") -> "list[Point]":
            row = workflow_runs.find(connection, run)
            return [] if row is None or row.tenant != tenant else points_of(connection, row, most)

        found = await asyncio.to_thread(self._database.read, work)
        return [RunPoint(point.id, point.step, point.at, point.to_come) for point in found]
