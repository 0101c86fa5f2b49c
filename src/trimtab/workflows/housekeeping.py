"""Keeps the rows of hosted workflows bounded: prunes checkpoints of runs that go on, deletes what is over long enough.

Each process has the task, the worker that lives longest does the work; two of them at once would do no harm.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from functools import partial

import msgspec
from sqlalchemy import Connection

from trimtab.config import HostingSettings
from trimtab.core import Clock
from trimtab.core.errors import StoreUnavailable
from trimtab.store import (
    Database,
    WorkflowState,
    workflow_housekeeping,
    workflow_runs,
    workflow_workers,
)
from trimtab.workflows.items import sweep_items

_DAY_SECONDS = 86_400.0
_LOOK_SECONDS = 5.0
_ROUND_SECONDS = 300.0
_EVENT_SECONDS = 3600.0
_BREATH_SECONDS = 0.02
_MOST_RUNS, _MOST_THREADS, _MOST_ROWS = 50, 10, 200
_MOST_HEARD = 200
_log = logging.getLogger(__name__)


class Tidied(msgspec.Struct, frozen=True):
    """How much one round deleted."""

    runs: int = 0
    threads: int = 0
    items: int = 0


class Housekeeping:
    """Constructed by `app/`. `run` is its task; `prune` and `tidy` are what it does."""

    def __init__(self, settings: HostingSettings, database: Database, worker: str, clock: Clock) -> None:
        self._settings, self._database = settings, database
        self._worker, self._clock = worker, clock
        self._looked_at, self._events_until = clock.now() - _EVENT_SECONDS, 0.0

    async def run(self) -> None:
        """Until cancelled. A database that is away is ridden out."""
        tidied_at = time.monotonic() - _ROUND_SECONDS + _LOOK_SECONDS
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            try:
                if not await self.is_due_here():
                    continue
                await self.prune()
                if time.monotonic() - tidied_at >= _ROUND_SECONDS:
                    tidied_at = time.monotonic()
                    await self.tidy()
            except StoreUnavailable as error:
                _log.warning("nothing is tidied up: %s", error)
            except Exception:  # the task's edge: the house serves without it
                _log.exception("tidying up failed; it is tried again")

    async def is_due_here(self) -> bool:
        """Whether this process is the one to do it: no living worker is older. Raises StoreUnavailable."""
        living = await self._living()
        return bool(living) and living[0] == self._worker

    async def _living(self) -> list[str]:
        def work(connection: Connection) -> list[str]:
            since = workflow_workers.time_now(connection) - self._settings.lease_seconds
            return [worker.id for worker in workflow_workers.alive(connection, since)]

        return await self._database.run(work)

    async def prune(self) -> int:
        """Delete old checkpoints of runs that are driven or moved since the last time; returns how many.

        Raises StoreUnavailable.
        """
        keep, now = self._settings.keep_checkpoints, self._clock.now()
        if not keep:
            return 0
        crowded = partial(workflow_housekeeping.crowded, keep=keep, since=self._looked_at)
        gone = 0
        for thread in await self._database.run(crowded):
            gone += await self._database.run(
                partial(workflow_housekeeping.prune, thread_key=thread, keep=keep)
            )
            await asyncio.sleep(_BREATH_SECONDS)
        # Clocks of machines differ; to look at a thread twice costs nothing.
        self._looked_at = now - _ROUND_SECONDS
        return gone

    async def tidy(self) -> Tidied:
        """Delete what is past its time, in small parts. Raises StoreUnavailable."""
        now, days = self._clock.now(), self._settings.retention_days
        rows, store = _MOST_ROWS, workflow_housekeeping
        runs = threads = 0
        if days:
            before = now - days * _DAY_SECONDS
            runs = await self._all(partial(store.drop_runs, before=before, most=_MOST_RUNS))
            idle = partial(store.drop_idle_threads, before=before, most=_MOST_THREADS, rows=rows)
            threads = await self._all(idle)
        expired = partial(store.drop_expired_threads, now=now, most=_MOST_THREADS, rows=rows)
        threads += await self._all(expired)
        until = now - _EVENT_SECONDS
        for state in workflow_runs.OVER:
            await self._drop_events(state, until)
        self._events_until = until - _ROUND_SECONDS
        items = await sweep_items(self._database)
        tidied = Tidied(runs, threads, items)
        if tidied != Tidied():
            _log.info("tidied up: %s", tidied)
        return tidied

    async def _all(self, part: Callable[[Connection], int]) -> int:
        """Do a part again and again, with pauses in which others write, until nothing is left of it."""
        total = 0
        while done := await self._database.run(part):
            total += done
            await asyncio.sleep(_BREATH_SECONDS)
        return total

    async def _drop_events(self, state: WorkflowState, until: float) -> None:
        after: float | None = self._events_until
        while after is not None:
            part = partial(
                workflow_housekeeping.drop_events, state=state, after=after, until=until, most=_MOST_HEARD
            )
            after = await self._database.run(part)
            await asyncio.sleep(_BREATH_SECONDS)
