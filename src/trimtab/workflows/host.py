"""Hosts workflows: starts runs, drives their legs, beats, takes over what dead workers left, drains.

A run moves on only by legs: whoever raises its claim by one drives the next. `app/` constructs the host.
"""

import asyncio
import logging
import os
import socket
import threading
import uuid
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Literal

import msgspec
from langgraph.store.base import BaseStore
from msgspec.structs import replace
from sqlalchemy import Connection

from trimtab.config import HostingSettings
from trimtab.core import Clock, IdSource
from trimtab.core.errors import NotFound, StoreUnavailable
from trimtab.store import (
    Database,
    Event,
    Hosting,
    Limits,
    QuestionRow,
    WorkerRow,
    WorkflowRunRow,
    workflow_claims,
    workflow_events,
    workflow_runs,
    workflow_workers,
)
from trimtab.workflows.admission import Admitted, Doorkeeper, admit
from trimtab.workflows.batch import Batch, patiently
from trimtab.workflows.engine import Engine
from trimtab.workflows.feed import Feed, listen
from trimtab.workflows.graphs import HostedGraph
from trimtab.workflows.inbox import answers_to, questions_of
from trimtab.workflows.lease import Lease
from trimtab.workflows.leg import Leg, LegEnd
from trimtab.workflows.order import Order
from trimtab.workflows.saver import RunSaver
from trimtab.workflows.values import input_of
from trimtab.workflows.waiting import Waiting

_BEATS_A_LEASE = 4
_FORGET_LEASES = 360
_LOOK_SECONDS = 0.05
_AWAY_SECONDS = 1.0
_LET_GO_SECONDS = 5.0
_IDLE_SECONDS = 0.5
_POOL = "nodes"
_log = logging.getLogger(__name__)


Before = Callable[[Connection, WorkflowRunRow], None]


class Host:
    """`open`, then `run` as a task, then `drain` and `close`."""

    def __init__(
        self,
        settings: HostingSettings,
        limits: Limits,
        graphs: Mapping[str, HostedGraph],
        database: Database,
        engine: Engine,
        worker: str,
        clock: Clock,
        ids: IdSource,
        store_of: Callable[[str], BaseStore],
    ) -> None:
        self._limits, self._asked, self._store_of = limits, asyncio.Event(), store_of
        self._settings, self._graphs, self._database, self._engine = settings, graphs, database, engine
        self.worker, self._clock, self._ids = worker, clock, ids
        versions = frozenset((name, graph.version) for name, graph in graphs.items())
        self._hosting = Hosting(
            worker,
            versions,
            settings.lease_seconds,
            settings.most_recoveries,
            frozenset(settings.partitions or ("",)),
        )
        self._batch = Batch(database)
        self._pool = ThreadPoolExecutor(settings.threads, thread_name_prefix=_POOL)
        self._doorkeeper, self._lease = Doorkeeper(), Lease(settings.lease_seconds)
        self._legs: dict[str, Leg] = {}
        self._feeds: dict[str, Feed] = {}
        self._waiting = Waiting(database)
        self._begins, self._takes, self._draining = True, False, False
        # Whether somebody may be waiting for the place that a run leaves; looked at every now and then in any case.
        self._crowded = True

    async def open(self) -> None:
        """Take our place among the workers. Raises StoreUnavailable."""
        since = self._lease.now()
        await self._beat()
        self._lease.renew(since)
        self._engine.launch(self._drive)

    def version(self, workflow: str) -> str:
        """The version of a workflow's graph that is hosted here; '' for none."""
        graph = self._graphs.get(workflow)
        return "" if graph is None else graph.version

    def take_runs(self) -> None:
        """From now on take over what waits, and what dead workers left."""
        self._takes = True

    def leave_runs(self) -> None:
        """Drive nothing: what is started here is queued for workers."""
        self._begins = False

    async def run(self) -> None:
        """Commit checkpoints, beat and take runs, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._batch.run())
            group.create_task(self._beat_on())
            group.create_task(self._take_on())
            group.create_task(self._waiting.run())

    async def start(self, order: Order, before: Before | None = None) -> WorkflowRunRow:
        """A new run: driven here at once where its tenant has a place for it, queued else. `before` it stands, in the
        transaction of its admission, more may be written.

        Raises NotFound, BadRequest, Conflict, RateLimited, QueueFull (then nothing of it is left), StoreUnavailable.
        """
        graph = self._graphs.get(order.workflow)
        if graph is None:
            hosted = ", ".join(sorted(self._graphs)) or "none"
            raise NotFound(f"no workflow {order.workflow!r} is hosted here (hosted: {hosted})")
        input_of(order.input)
        limits, now = self._limits.of(order.tenant), self._clock.now()
        row = self._row(order, graph.version, limits.partition, now)
        at_once = self._begins_now(order, limits.partition, now)

        def work(connection: Connection) -> Admitted:
            admitted = admit(connection, order, row, limits, at_once=at_once)
            if before is not None:
                before(connection, admitted.row)
            return admitted

        admitted = await self._doorkeeper.let_in(order.tenant, partial(self._database.run, work))
        self._stop(admitted.displaced, "cancelled")
        if admitted.row.state == "running":
            await self._begin(admitted.row)
        else:
            self._crowded = True
            self._asked.set()
        return admitted.row

    def _begins_now(self, order: Order, partition: str, now: float) -> bool:
        if order.waits or order.begin_at > now or self._draining or not self._begins:
            return False
        return partition in self._hosting.partitions and len(self._legs) < self._settings.runs

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

    def _stop(self, runs: Iterable[str], why: Literal["cancelled", "lost"]) -> None:
        for run in runs:
            leg = self._legs.get(run)
            if leg is not None:
                leg.stop(why)

    async def wait(self, id: str) -> WorkflowRunRow:
        """The run, once it is neither queued nor driven, here or elsewhere. Raises NotFound."""
        while True:
            leg = self._legs.get(id)
            if leg is not None:
                await leg.ended.wait()
                if leg.outcome is not None and leg.outcome.state != "queued":
                    return leg.outcome
            row = await patiently(self._database, lambda connection: workflow_runs.find(connection, id))
            if row is None:
                raise _unknown(id)
            if row.state not in workflow_runs.OPEN:
                return row
            if id not in self._legs:
                await self._waiting.over(id)

    async def find(self, id: str, tenant: str | None = None) -> WorkflowRunRow:
        """A run; of a tenant, where one is named. Raises NotFound, StoreUnavailable."""
        row = await self._database.run(lambda connection: workflow_runs.find(connection, id))
        if row is None or tenant not in (None, row.tenant):
            raise _unknown(id)
        return row

    def listen(self, id: str, after: int = -1) -> AsyncGenerator[Event, None]:
        """A run's events after one, as they come, until it is neither queued nor driven."""
        return listen(self._database, self._feeds.get, id, after)

    async def take(self, id: str) -> WorkflowRunRow | None:
        """Go on with a run that no living worker drives; None where one does. Raises NotFound."""
        row = await patiently(self._database, lambda connection: self._claim(connection, id))
        if row is not None:
            await self._go_on(row)
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
            self._stop((id,), "cancelled")
        else:
            await self.find(id)
        return asked

    async def _begin(self, row: WorkflowRunRow) -> None:
        leg = self._legs[row.id] = Leg(row, self._lease.sure)
        try:
            await self._engine.begin(row.id, row.claim)
        except BaseException:
            self._legs.pop(row.id, None)
            leg.ended.set()
            await self._end(row, LegEnd("queued"))
            raise

    async def _go_on(self, row: WorkflowRunRow) -> None:
        await self._engine.write_off(row.id, row.claim - 1)
        await self._begin(row)

    async def _drive(self, run: str, claim: int) -> str:
        """What the engine does for a leg."""
        leg = self._legs.get(run)
        if leg is None or leg.row.claim != claim:
            return "lost"
        graph = self._graphs[leg.row.workflow]
        saver = RunSaver(self._database, self._batch, leg.row, new_thread=leg.terms.new_thread)
        feed = await self._feed(leg)
        try:
            end = await self._driven(leg, graph, saver, feed)
            if end.state not in ("queued", "lost") and leg.place.occupied:
                # The run keeps its place as long as a thread of it is at work, which nobody can end.
                await asyncio.wait([asyncio.wrap_future(work) for work in leg.place.occupied])
            leg.outcome = await self._end(leg.row, end)
            return "lost" if leg.outcome is None else leg.outcome.state
        finally:
            await self._close(run, feed)
            self._legs.pop(run, None)
            leg.ended.set()
            if self._crowded:
                self._asked.set()

    async def _feed(self, leg: Leg) -> Feed | None:
        if not leg.terms.streamed:
            return None
        row = leg.row
        last = await patiently(self._database, lambda connection: workflow_events.last(connection, row.id))
        feed = self._feeds[row.id] = Feed(self._database, self._clock, row.id, last + 1)
        feed.say("metadata", msgspec.json.encode({"run_id": row.id, "attempt": row.claim}))
        return feed

    async def _close(self, run: str, feed: Feed | None) -> None:
        if feed is not None:
            await feed.close()
            self._feeds.pop(run, None)

    async def _driven(self, leg: Leg, graph: HostedGraph, saver: RunSaver, feed: Feed | None) -> LegEnd:
        tell = None if feed is None else feed.say
        try:
            answers = {} if leg.row.is_fresh else await answers_to(self._database, leg.row.id)
            copied = graph.copy_for(saver, self._pool, self._store_of(leg.row.tenant))
            end = await leg.drive(copied, saver, self._clock, answers, tell)
        except (
            Exception
        ) as error:  # a fault of ours ends the run, visibly, instead of leaving it driven by nobody
            _log.exception("run %s failed by a fault of ours", leg.row.id)
            end = LegEnd("failed", error=f"a fault of the house: {type(error).__name__}: {error}")
        if feed is not None and end.state == "failed":
            kind, _, message = end.error.partition(": ")
            feed.say("error", msgspec.json.encode({"error": kind, "message": message or kind}))
        return end

    async def _end(self, row: WorkflowRunRow, end: LegEnd) -> WorkflowRunRow | None:
        """The run as it stands then; None where it is another worker's."""
        state = end.state
        if state == "lost":
            _log.warning("run %s is another worker's by now; this one stops driving it", row.id)
            return None

        def work(connection: Connection) -> WorkflowRunRow | None:
            questions: list[QuestionRow] = []
            if end.interrupts:
                questions = questions_of(row, end.interrupts, workflow_workers.time_now(connection))
            return workflow_runs.end_leg(connection, row, state, end.output, end.error, questions)

        return await patiently(self._database, work)

    async def _beat_on(self) -> None:
        while True:
            await asyncio.sleep(self._settings.lease_seconds / _BEATS_A_LEASE)
            since = self._lease.now()
            try:
                await self._beat()
                await self._heed()
                self._lease.renew(since)
                await self._database.run(workflow_claims.fail_late)
                if self._takes and not self._draining and self._lease.is_steady:
                    await self._take_lost()
            except StoreUnavailable as error:
                _log.warning("no beat: %s", error)
            except Exception:  # the task's edge: without beats every run here would be taken away
                _log.exception("a beat failed; the next one follows")

    async def _beat(self) -> None:
        old = _FORGET_LEASES * self._settings.lease_seconds
        partitions = " ".join(sorted(self._hosting.partitions))
        me = WorkerRow(
            self.worker,
            socket.gethostname(),
            os.getpid(),
            0.0,
            self._draining or not self._takes,
            partitions,
            len(self._legs),
        )

        def work(connection: Connection) -> None:
            now = workflow_workers.beat(connection, me)
            workflow_workers.forget(connection, now - old)

        await self._database.run(work)

    async def _heed(self) -> None:
        """Stop legs whose runs were taken over while this process slept, or whose end somebody asked for."""
        if not self._legs:
            return
        for run in await self._database.run(lambda c: workflow_runs.standing(c, list(self._legs))):
            leg = self._legs.get(run.id)
            if leg is None:
                continue
            if leg.row.claim < run.claim:
                leg.stop("lost")
            elif run.cancel_asked:
                leg.stop("cancelled")

    async def _take_on(self) -> None:
        """Drive what is queued; looked for when something changed here, and in any case again and again."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_SECONDS):
                    await self._asked.wait()
            self._asked.clear()
            try:
                if self._takes and not self._draining:
                    await self._take_queued()
            except StoreUnavailable:
                await asyncio.sleep(_AWAY_SECONDS)
            except Exception:  # the task's edge: nothing queued would ever begin without it
                _log.exception("the queue cannot be read; it is tried again")
                await asyncio.sleep(_AWAY_SECONDS)

    async def _take_queued(self) -> None:
        room = self._settings.runs - len(self._legs)
        if room > 0:
            claim = partial(
                workflow_claims.claim_queued, hosting=self._hosting, limits=self._limits, most=room
            )
            rows = await self._database.run(claim)
            self._crowded = bool(rows)
            for row in rows:
                await self._begin(row)

    async def _take_lost(self) -> None:
        room = self._settings.runs - len(self._legs)
        driven = list(self._legs)
        before = self._clock.now() - self._settings.lease_seconds

        def work(connection: Connection) -> list[WorkflowRunRow]:
            lost = workflow_claims.claim_lost(connection, self._hosting, room) if room > 0 else []
            return lost + workflow_claims.claim_dropped(connection, self._hosting, driven, before)

        for row in await self._database.run(work):
            _log.info("run %s goes on here (claim %d)", row.id, row.claim)
            await self._go_on(row)

    async def drain(self, seconds: float) -> None:
        """End the legs after the steps under way, at the latest after `seconds`; others go on with the runs."""
        self._draining = True
        legs = list(self._legs.values())
        for leg in legs:
            leg.drain()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await asyncio.gather(*[leg.ended.wait() for leg in legs])
        for leg in self._legs.values():
            leg.stop("queued")
        with suppress(TimeoutError):
            async with asyncio.timeout(_LET_GO_SECONDS):
                await asyncio.gather(*[leg.ended.wait() for leg in list(self._legs.values())])
        if self._legs:
            _log.warning("%d runs do not end; they are left to whoever takes them over", len(self._legs))

    def retire(self) -> None:
        """Take nothing more; what is started here is queued for others."""
        self._draining = True

    @property
    def is_stuck(self) -> bool:
        """Once closed: whether something goes on here that cannot be ended but with the process."""
        return bool(self._legs) or _nodes_threads()

    async def close(self) -> None:
        """Leave, once drained."""
        await self._engine.close(_LET_GO_SECONDS)
        with suppress(StoreUnavailable):
            await self._database.run(lambda connection: workflow_workers.leave(connection, self.worker))
        self._pool.shutdown(wait=False, cancel_futures=True)
        with suppress(TimeoutError):
            async with asyncio.timeout(_IDLE_SECONDS):
                while _nodes_threads():
                    await asyncio.sleep(0.005)


def _nodes_threads() -> bool:
    return any(thread.name.startswith(_POOL) for thread in threading.enumerate())


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
