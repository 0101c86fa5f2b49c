"""Group commit for savers: what arrives while a commit is under way goes out in the next one, fenced run by run.

A database that is away is waited for; what was handed in stays until it is written or its run belongs to another.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TypeVar

from sqlalchemy import Connection

from trimtab.core.errors import StoreUnavailable
from trimtab.store import Database, Progress, Statements, workflow_progress

T = TypeVar("T")
_FIRST_PAUSE_SECONDS = 0.05
_LONGEST_PAUSE_SECONDS = 1.0
_log = logging.getLogger(__name__)


class LostRun(Exception):
    """The run belongs to another worker by now; whoever drives it here is to stop."""


class Batch:
    """One per process. `run` is its task."""

    def __init__(self, database: Database, statements: Statements | None = None) -> None:
        self._database, self._statements = database, statements
        self._waiting: list[tuple[Progress, asyncio.Future[None]]] = []
        self._arrived = asyncio.Event()

    async def put(self, item: Progress) -> None:
        """Return once it is durable. Raises LostRun."""
        written = asyncio.get_running_loop().create_future()
        self._waiting.append((item, written))
        self._arrived.set()
        await written

    async def run(self) -> None:
        """Commit until cancelled."""
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            taken, self._waiting = self._waiting, []
            items = [item for item, written in taken if not written.done()]
            try:
                held = await again(partial(self._commit, items))
            except Exception as error:  # the task's edge: only these runs may fail by it
                _log.exception("checkpoints cannot be written")
                _refuse(taken, error)
                continue
            for item, written in taken:
                if not written.done():
                    _answer(item, written, held)

    async def _commit(self, items: Sequence[Progress]) -> set[tuple[str, int]]:
        if self._statements is not None:
            return await workflow_progress.put_at_once(self._statements, items)
        return await self._database.run(partial(workflow_progress.put, items=items))


def _answer(item: Progress, written: "asyncio.Future[None]", held: set[tuple[str, int]]) -> None:
    if (item.run, item.claim) in held:
        written.set_result(None)
    else:
        written.set_exception(LostRun(f"run {item.run}: claim {item.claim} is not the latest any more"))


def _refuse(taken: "Sequence[tuple[Progress, asyncio.Future[None]]]", error: Exception) -> None:
    for _, written in taken:
        if not written.done():
            written.set_exception(error)


async def patiently(database: Database, work: Callable[[Connection], T]) -> T:
    """`Database.run`, again and again while the database is away; `work` must bear being done twice."""
    return await again(partial(database.run, work))


async def again(attempt: Callable[[], Awaitable[T]]) -> T:
    """What an attempt gives, made again and again while the database is away."""
    pause = _FIRST_PAUSE_SECONDS
    while True:
        try:
            return await attempt()
        except StoreUnavailable as error:
            _log.warning("the database is waited for: %s", error)
        await asyncio.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
