"""Deletes old traces: calls with what was said and decided, and their runs. Never a ledger entry.

`Retention` is the server's task; `prune` is the command's.
"""

import asyncio
import logging
from collections.abc import Callable

import msgspec
from sqlalchemy import Connection

from trimtab.core import Clock
from trimtab.core.errors import StoreUnavailable
from trimtab.store import Database, calls, runs

_log = logging.getLogger(__name__)
_DAY_SECONDS = 86_400.0
_ROUND_SECONDS = 3600.0
_FIRST_SECONDS = 60.0
_BREATH_SECONDS = 0.05
_MOST_CALLS, _MOST_RUNS = 200, 100


class Pruned(msgspec.Struct, frozen=True):
    """What was deleted."""

    calls: int = 0
    runs: int = 0

    def plus(self, other: "Pruned") -> "Pruned":
        """Both together."""
        return Pruned(self.calls + other.calls, self.runs + other.runs)


class Pruning:
    """One passage through everything from before a moment, in small transactions.

    Runs that are over go whole; of a run that still has calls, the old ones go.
    """

    def __init__(self, before: float) -> None:
        self._before = before
        self._lasting: list[tuple[str, str]] | None = None

    @property
    def done(self) -> bool:
        """Nothing is left to delete."""
        return self._lasting == []

    def step(self, connection: Connection) -> Pruned:
        """Delete a bounded part."""
        if self._lasting is None:
            part = self._drop_over(connection)
            if part == Pruned():
                self._lasting = runs.lasting(connection, self._before)
            return part
        return self._trim_lasting(connection, self._lasting)

    def _drop_over(self, connection: Connection) -> Pruned:
        dropped, deleted = [], 0
        for tenant, run in runs.over(connection, self._before, _MOST_RUNS):
            most = _MOST_CALLS - deleted
            deleted += calls.delete_of_run(connection, tenant, run, self._before, most)
            if deleted >= _MOST_CALLS:
                break
            dropped.append((tenant, run))
        runs.remove(connection, dropped, self._before)
        return Pruned(deleted, len(dropped))

    def _trim_lasting(self, connection: Connection, left: list[tuple[str, str]]) -> Pruned:
        deleted = 0
        for _ in range(min(_MOST_RUNS, len(left))):
            tenant, run = left[-1]
            deleted += calls.delete_of_run(connection, tenant, run, self._before, _MOST_CALLS - deleted)
            if deleted >= _MOST_CALLS:
                break
            left.pop()
        return Pruned(deleted)


def prune(database: Database, before: float, progress: Callable[[Pruned], None] = lambda _: None) -> Pruned:
    """Delete traces from before a moment (epoch seconds). Safe to break off. Raises StoreUnavailable."""
    pruning, total = Pruning(before), Pruned()
    while not pruning.done:
        total = total.plus(database.transact(pruning.step))
        progress(total)
    return total


class Retention:
    """Prunes hourly what is older than `days`; 0 keeps everything."""

    def __init__(self, database: Database, clock: Clock, days: int) -> None:
        self._database, self._clock, self._days = database, clock, days

    async def run(self) -> None:
        """Until cancelled; at once done where everything is kept. A database that is away is ridden out."""
        if not self._days:
            return
        await asyncio.sleep(_FIRST_SECONDS)
        while True:
            try:
                await self.prune()
            except StoreUnavailable as error:
                _log.warning("old traces are not deleted yet: %s", error)
            await asyncio.sleep(_ROUND_SECONDS)

    async def prune(self) -> Pruned:
        """One passage, with pauses in which others write. Raises StoreUnavailable."""
        pruning, total = Pruning(self._clock.now() - self._days * _DAY_SECONDS), Pruned()
        while not pruning.done:
            total = total.plus(await self._database.run(pruning.step))
            await asyncio.sleep(_BREATH_SECONDS)
        if total != Pruned():
            _log.info("deleted %d calls and %d runs older than %d days", total.calls, total.runs, self._days)
        return total
