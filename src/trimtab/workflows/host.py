"""Hosts workflows: starts runs here or queues them, finds, waits for and ends them, goes on with what nobody drives.

A run moves on only by legs: whoever raises its claim by one drives the next. `app/` constructs the host.
"""

import asyncio
import os
import socket
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import suppress
from functools import partial

import msgspec
from langgraph.store.base import BaseStore
from msgspec.structs import replace
from sqlalchemy import Connection

from trimtab.config import HostingSettings
from trimtab.core import Attribution, Clock, IdSource
from trimtab.core.errors import NotFound, StoreUnavailable
from trimtab.store import (
    Database,
    Event,
    Hosting,
    Limits,
    PlaceLimits,
    Statements,
    WorkflowRunRow,
    workflow_claims,
    workflow_runs,
    workflow_workers,
)
from trimtab.workflows.admission import Admitted, Doorkeeper, admit, admit_at_once
from trimtab.workflows.batch import patiently
from trimtab.workflows.driver import Driver
from trimtab.workflows.feed import listen
from trimtab.workflows.graphs import HostedGraph
from trimtab.workflows.lease import Lease
from trimtab.workflows.order import Order
from trimtab.workflows.rounds import Crowd, Rounds
from trimtab.workflows.values import input_of
from trimtab.workflows.waiting import Waiting

Before = Callable[[Connection, WorkflowRunRow], None]
Require = Callable[[Attribution], Awaitable[None]]


class Host:
    """`open`, then `run` as a task, then `drain` and `close`. `require` raises BudgetExceeded where money lacks."""

    def __init__(
        self,
        settings: HostingSettings,
        limits: Limits,
        graphs: Mapping[str, HostedGraph],
        database: Database,
        worker: str,
        clock: Clock,
        ids: IdSource,
        store_of: Callable[[str], BaseStore],
        require: Require,
    ) -> None:
        self._require = require
        self._settings, self._limits, self._graphs, self._database = settings, limits, graphs, database
        self.worker, self._clock, self._ids = worker, clock, ids
        self._hosting = Hosting(
            worker,
            frozenset((name, graph.version) for name, graph in graphs.items()),
            settings.lease_seconds,
            settings.most_recoveries,
            frozenset(settings.partitions or ("",)),
        )
        self._statements = None if database.sqlite else Statements(database.url)
        self._doorkeeper, self._crowd, lease = Doorkeeper(), Crowd(), Lease(settings.lease_seconds)
        self._driver = Driver(
            graphs,
            database,
            self._statements,
            clock,
            lease,
            store_of,
            most=settings.runs,
            threads=settings.threads,
            left=self._crowd.left,
        )
        self._rounds = Rounds(
            settings, limits, self._hosting, database, self._driver, lease, clock, self._crowd
        )
        self._waiting, self._begins = Waiting(database), True

    async def open(self) -> None:
        """Take our place among the workers. Raises StoreUnavailable."""
        await self._rounds.open()

    def version(self, workflow: str) -> str:
        """The version of a workflow's graph that is hosted here; '' for none."""
        graph = self._graphs.get(workflow)
        return "" if graph is None else graph.version

    def take_runs(self) -> None:
        """From now on take over what waits, and what dead workers left."""
        self._rounds.takes = True

    def leave_runs(self) -> None:
        """Drive nothing: what is started here is queued for workers."""
        self._begins = False

    async def run(self) -> None:
        """Commit checkpoints, beat and take runs, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._driver.run())
            group.create_task(self._rounds.beat_on())
            group.create_task(self._rounds.take_on())
            group.create_task(self._waiting.run())

    async def start(self, order: Order, before: Before | None = None) -> WorkflowRunRow:
        """A new run: driven here at once where its tenant has a place for it, queued else. `before` it stands, in the
        transaction of its admission, more may be written.

        Raises NotFound, BadRequest, Conflict, RateLimited, QueueFull, BudgetExceeded (then nothing of it is left),
        LedgerUnavailable, StoreUnavailable.
        """
        graph = self._graphs.get(order.workflow)
        if graph is None:
            hosted = ", ".join(sorted(self._graphs)) or "none"
            raise NotFound(f"no workflow {order.workflow!r} is hosted here (hosted: {hosted})")
        input_of(order.input)
        limits, now = self._limits.of(order.tenant), self._clock.now()
        row = self._row(order, graph.version, limits.partition, now)
        if not order.resumes:
            await self._require(_attribution(row))
        at_once = self._begins_now(order, limits.partition, now)
        let_in = partial(self._let_in, order, row, limits, before, at_once=at_once)
        admitted = await self._doorkeeper.let_in(order.tenant, let_in)
        self._driver.stop(admitted.displaced, "cancelled")
        if admitted.row.state == "running":
            self._driver.begin(admitted.row)
        else:
            self._crowd.came()
        return admitted.row

    async def _let_in(
        self, order: Order, row: WorkflowRunRow, limits: PlaceLimits, before: Before | None, *, at_once: bool
    ) -> Admitted:
        if self._statements is not None and at_once and before is None:
            admitted = await admit_at_once(self._statements, order, row, limits)
            if admitted is not None:
                return admitted

        def work(connection: Connection) -> Admitted:
            admitted = admit(connection, order, row, limits, at_once=at_once)
            if before is not None:
                before(connection, admitted.row)
            return admitted

        return await self._database.run(work)

    def _begins_now(self, order: Order, partition: str, now: float) -> bool:
        if order.waits or order.begin_at > now or not self._begins:
            return False
        return partition in self._hosting.partitions and self._driver.room > 0

    def _row(self, order: Order, version: str, partition: str, now: float) -> WorkflowRunRow:
        return WorkflowRunRow(
            id=self._ids.new(now),
            tenant=order.tenant,
            user=order.user,
            key=order.key,
            workflow=order.workflow,
            version=version,
            assistant=order.assistant,
            thread=order.thread or str(uuid.uuid4()),
            partition=partition,
            state="queued",
            claim=0,
            owner=self.worker,
            recoveries=0,
            cancel_asked=False,
            priority=order.priority,
            deadline=order.deadline,
            begin_at=order.begin_at,
            created_at=now,
            updated_at=now,
            multitask=order.multitask,
            origin=order.origin,
            input=order.input,
            terms=msgspec.json.encode(replace(order.terms, new_thread=not order.thread)),
            metadata=order.metadata.decode(),
        )

    async def wait(self, id: str) -> WorkflowRunRow:
        """The run, once it is neither queued nor driven, here or elsewhere. Raises NotFound."""
        while True:
            leg = self._driver.leg(id)
            if leg is not None:
                await leg.ended.wait()
                if leg.outcome is not None and leg.outcome.state != "queued":
                    return leg.outcome
            row = await patiently(self._database, lambda connection: workflow_runs.find(connection, id))
            if row is None:
                raise _unknown(id)
            if row.state not in workflow_runs.OPEN:
                return row
            if self._driver.leg(id) is None:
                await self._waiting.over(id)

    async def find(self, id: str, tenant: str | None = None) -> WorkflowRunRow:
        """A run; of a tenant, where one is named. Raises NotFound, StoreUnavailable."""
        row = await self._database.run(lambda connection: workflow_runs.find(connection, id))
        if row is None or tenant not in (None, row.tenant):
            raise _unknown(id)
        return row

    def listen(self, id: str, after: int = -1) -> AsyncGenerator[Event, None]:
        """A run's events after one, as they come, until it is neither queued nor driven."""
        return listen(self._database, self._driver.feed, id, after)

    async def take(self, id: str) -> WorkflowRunRow | None:
        """Go on with a run that no living worker drives; None where one does. Raises NotFound."""
        row = await patiently(self._database, lambda connection: self._claim(connection, id))
        if row is not None:
            self._driver.begin(row)
        return row

    def _claim(self, connection: Connection, id: str) -> WorkflowRunRow | None:
        row = workflow_runs.find(connection, id)
        if row is None:
            raise _unknown(id)
        if row.state == "running" and self._is_alive(connection, row.owner):
            return None
        workflow_runs.reopen(connection, id, ("parked", "failed"))
        return workflow_claims.claim_one(connection, self._hosting, id)

    def _is_alive(self, connection: Connection, worker: str) -> bool:
        known = workflow_workers.find(connection, worker)
        if known is None:
            return False
        if known.host == socket.gethostname() and not _is_process(known.pid):
            return False
        return known.seen_at >= workflow_workers.time_now(connection) - self._settings.lease_seconds

    async def cancel(self, id: str, *, rolls_back: bool = False) -> bool:
        """Ask that a run ends; the call under way is ended too; `rolls_back`: it and what it did are deleted then.

        False where it is over already. Raises NotFound, StoreUnavailable.
        """
        work = partial(workflow_runs.ask_cancel, id=id, rolls_back=rolls_back)
        asked = await self._database.run(work)
        if asked:
            self._driver.stop((id,), "cancelled")
        else:
            await self.find(id)
        return asked

    async def drain(self, seconds: float) -> None:
        """End the legs after the steps under way, at the latest after `seconds`; others go on with the runs."""
        await self._driver.drain(seconds)

    def retire(self) -> None:
        """Take nothing more; what is started here is queued for others."""
        self._driver.drains = True

    @property
    def is_stuck(self) -> bool:
        """Once closed: whether something goes on here that cannot be ended but with the process."""
        return self._driver.is_stuck

    async def close(self) -> None:
        """Leave, once drained."""
        with suppress(StoreUnavailable):
            await self._database.run(lambda connection: workflow_workers.leave(connection, self.worker))
        await self._driver.close()
        if self._statements is not None:
            await self._statements.aclose()


def _attribution(row: WorkflowRunRow) -> Attribution:
    return Attribution(row.tenant, row.id, row.user, row.key, row.workflow, source="hosted")


def _unknown(id: str) -> NotFound:
    return NotFound(f"there is no hosted run {id!r}", code="run_not_found")


def _is_process(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
