"""The events of streamed runs: said by the leg that drives, kept in the store, told to whoever listens,
in any process."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from functools import partial

from sqlalchemy import Connection

from trimtab.core import Clock
from trimtab.core.errors import StoreUnavailable
from trimtab.store import Database, Event, workflow_events, workflow_runs
from trimtab.workflows.batch import patiently

_KEEP_SECONDS = 0.05
_LOOK_SECONDS = 0.1
_MOST_IN_MEMORY = 2_000
_log = logging.getLogger(__name__)


class Feed:
    """What one run says in this process. A task of its own keeps it; `close` returns once all is kept."""

    def __init__(self, database: Database, clock: Clock, run: str, first: int) -> None:
        self._database, self._clock, self._run, self._next = database, clock, run, first
        self._recent: list[Event] = []
        self._unkept: list[Event] = []
        self._said, self._closed = asyncio.Event(), False
        self._task = asyncio.create_task(self._keep_on())

    def say(self, name: str, data: bytes) -> None:
        """One more event; `data` is JSON."""
        event = Event(self._next, name, data)
        self._next += 1
        self._recent.append(event)
        self._unkept.append(event)
        if len(self._recent) > 2 * _MOST_IN_MEMORY:
            del self._recent[:_MOST_IN_MEMORY]
        self._wake()

    def after(self, number: int) -> list[Event] | None:
        """The events after one; None where they are not in memory (any more)."""
        first = self._next - len(self._recent)
        return None if number + 1 < first else self._recent[number + 1 - first :]

    async def more(self, number: int) -> None:
        """Return once there is an event after `number`, or all is said and kept."""
        while self._next <= number + 1 and not self._closed:
            await self._said.wait()
        if self._next <= number + 1:
            await asyncio.wait((self._task,))

    async def close(self) -> None:
        """Keep what was said; nothing more is."""
        self._closed = True
        self._wake()
        await self._task

    def _wake(self) -> None:
        self._said.set()
        self._said = asyncio.Event()

    async def _keep_on(self) -> None:
        """Batches grow while a commit is under way. A database that is away is waited for, so that no event is lost."""
        while not (self._closed and not self._unkept):
            if not self._unkept:
                await self._said.wait()
                await asyncio.sleep(0 if self._closed else _KEEP_SECONDS)
            events, self._unkept = self._unkept, []
            if events:
                work = partial(workflow_events.put, run=self._run, events=events, now=self._clock.now())
                try:
                    await patiently(self._database, work)
                except Exception:  # the task's edge: listeners here have heard these
                    _log.exception("events of run %s cannot be kept", self._run)


async def listen(
    database: Database, feed_of: Callable[[str], Feed | None], run: str, number: int
) -> AsyncGenerator[Event, None]:
    """A run's events after one, until it is neither queued nor driven and all are told."""
    while True:
        feed = feed_of(run)
        events = None if feed is None else feed.after(number)
        if feed is not None and events is not None:
            for event in events:
                yield event
                number = event.number
            await feed.more(number)
            continue
        over, kept = await _kept(database, run, number)
        for event in kept:
            yield event
            number = event.number
        if over and not kept:
            return
        if not kept:
            await asyncio.sleep(_LOOK_SECONDS)


async def _kept(database: Database, run: str, number: int) -> tuple[bool, list[Event]]:
    def work(connection: Connection) -> tuple[bool, list[Event]]:
        row = workflow_runs.find(connection, run)
        over = row is None or row.state not in workflow_runs.OPEN
        return over, workflow_events.after(connection, run, number)

    try:
        return await database.run(work)
    except StoreUnavailable:
        return False, []
