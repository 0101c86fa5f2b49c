"""Drives the legs of this process's runs: a task for each, ended with what the run's row says then."""

import asyncio
import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import Context
from functools import partial
from typing import Literal

import msgspec
from langgraph.store.base import BaseStore
from sqlalchemy import Connection

from trimtab.core import Clock
from trimtab.store import (
    Database,
    QuestionRow,
    Statements,
    WorkflowRunRow,
    workflow_events,
    workflow_progress,
    workflow_runs,
    workflow_workers,
)
from trimtab.workflows.batch import Batch, again, patiently
from trimtab.workflows.feed import Feed
from trimtab.workflows.graphs import HostedGraph
from trimtab.workflows.inbox import answers_to, questions_of
from trimtab.workflows.lease import Lease
from trimtab.workflows.leg import Leg, LegEnd
from trimtab.workflows.saver import RunSaver
from trimtab.workflows.values import failure_of

_LET_GO_SECONDS = 5.0
_IDLE_SECONDS = 0.5
_NODES = "nodes"
_log = logging.getLogger(__name__)


class Driver:
    """Constructed by the host. Drives `most` legs at once, plain functions of nodes on `threads`; `left` hears that a
    place is free."""

    def __init__(
        self,
        graphs: Mapping[str, HostedGraph],
        database: Database,
        statements: Statements | None,
        clock: Clock,
        lease: Lease,
        store_of: Callable[[str], BaseStore],
        *,
        most: int,
        threads: int,
        left: Callable[[], None],
    ) -> None:
        self._graphs, self._clock, self._lease = graphs, clock, lease
        self._database, self._statements = database, statements
        self._store_of, self._most, self._left = store_of, most, left
        self._batch = Batch(database, statements)
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=_NODES)
        self._legs: dict[str, Leg] = {}
        self._feeds: dict[str, Feed] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.drains = False

    async def run(self) -> None:
        """Commit checkpoints until cancelled."""
        await self._batch.run()

    @property
    def driven(self) -> list[str]:
        """The runs whose legs are under way here."""
        return list(self._legs)

    @property
    def room(self) -> int:
        """How many legs more may begin."""
        return 0 if self.drains else self._most - len(self._legs)

    def leg(self, run: str) -> Leg | None:
        """A run's leg here."""
        return self._legs.get(run)

    def feed(self, run: str) -> Feed | None:
        """What a streamed run says here."""
        return self._feeds.get(run)

    def begin(self, row: WorkflowRunRow) -> None:
        """Begin the leg of a run that was claimed for this process."""
        leg = self._legs[row.id] = Leg(row, self._lease.sure)
        # Out of whatever context it was asked for in.
        task = asyncio.get_running_loop().create_task(self._drive(leg), context=Context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def stop(self, runs: Iterable[str], why: Literal["cancelled", "lost"]) -> None:
        """End the legs of these runs that are driven here."""
        for run in runs:
            leg = self._legs.get(run)
            if leg is not None:
                leg.stop(why)

    async def _drive(self, leg: Leg) -> None:
        row = leg.row
        feed: Feed | None = None
        try:
            feed = await self._open(leg)
            end = await self._driven(leg, feed)
            if end.state not in ("queued", "lost") and leg.place.occupied:
                # The run keeps its place as long as a thread of it is at work, which nobody can end.
                await asyncio.wait([asyncio.wrap_future(work) for work in leg.place.occupied])
            leg.outcome = await self._end(row, end)
        except Exception:  # the task's edge: whoever takes runs over goes on with this one
            _log.exception("the leg of run %s was dropped", row.id)
        finally:
            if feed is not None:
                await feed.close()
                if self._feeds.get(row.id) is feed:
                    del self._feeds[row.id]
            if self._legs.get(row.id) is leg:
                del self._legs[row.id]
            leg.ended.set()
            self._left()

    async def _open(self, leg: Leg) -> Feed | None:
        if not leg.terms.streamed:
            return None
        row = leg.row
        last = await patiently(self._database, lambda connection: workflow_events.last(connection, row.id))
        feed = self._feeds[row.id] = Feed(self._database, self._clock, row.id, last + 1)
        feed.say("metadata", msgspec.json.encode({"run_id": row.id, "attempt": row.claim}))
        return feed

    async def _driven(self, leg: Leg, feed: Feed | None) -> LegEnd:
        row, tell = leg.row, None if feed is None else feed.say
        try:
            saver = RunSaver(self._database, self._batch, row, new_thread=leg.terms.new_thread)
            answers = {} if row.is_fresh else await answers_to(self._database, row.id)
            graph = self._graphs[row.workflow].copy_for(saver, self._pool, self._store_of(row.tenant))
            end = await leg.drive(graph, saver, self._clock, answers, tell)
        except Exception as error:
            # A fault of ours ends the run, visibly, instead of leaving it driven by nobody.
            _log.exception("run %s failed by a fault of ours", row.id)
            end = LegEnd("failed", error=f"a fault of the house: {type(error).__name__}: {error}")
        if feed is not None and end.state == "failed":
            feed.say("error", msgspec.json.encode(failure_of(end.error)))
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

        return await again(partial(self._end_at_once, row, end)) or await patiently(self._database, work)

    async def _end_at_once(self, row: WorkflowRunRow, end: LegEnd) -> WorkflowRunRow | None:
        """The end in one statement, where the store knows it and nothing goes with it."""
        if self._statements is None or end.state not in ("done", "failed"):
            return None
        if not row.is_fresh or workflow_runs.forgets(row):
            return None
        return await workflow_progress.end_at_once(self._statements, row, end.state, end.output, end.error)

    async def drain(self, seconds: float) -> None:
        """End the legs after the steps under way, at the latest after `seconds`; others go on with the runs."""
        self.drains = True
        for leg in self._legs.values():
            leg.drain()
        await self._ended(seconds)
        for leg in self._legs.values():
            leg.stop("queued")
        await self._ended(_LET_GO_SECONDS)
        if self._legs:
            _log.warning("%d runs do not end; they are left to whoever takes them over", len(self._legs))

    async def _ended(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await asyncio.gather(*[leg.ended.wait() for leg in self._legs.values()])

    @property
    def is_stuck(self) -> bool:
        """Once closed: whether something goes on here that cannot be ended but with the process."""
        return bool(self._legs) or _at_work()

    async def close(self) -> None:
        """Leave the threads, once drained."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        with suppress(TimeoutError):
            async with asyncio.timeout(_IDLE_SECONDS):
                while _at_work():
                    await asyncio.sleep(0.005)


def _at_work() -> bool:
    return any(thread.name.startswith(_NODES) for thread in threading.enumerate())
