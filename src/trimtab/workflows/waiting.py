"""Whoever waits for runs that other processes drive, or nobody yet: one look at all of them every now and then."""

import asyncio
import logging
from collections import Counter

from trimtab.core.errors import StoreUnavailable
from trimtab.store import Database, workflow_runs

_LOOK_SECONDS = 0.05
_AWAY_SECONDS = 0.5
_log = logging.getLogger(__name__)


class Waiting:
    """One per process. `run` is its task."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._wanted: Counter[str] = Counter()
        self._over: dict[str, asyncio.Event] = {}
        self._asked = asyncio.Event()

    async def over(self, run: str) -> None:
        """Return once a run is neither queued nor driven, or gone."""
        self._wanted[run] += 1
        over = self._over.setdefault(run, asyncio.Event())
        self._asked.set()
        try:
            await over.wait()
        finally:
            self._wanted[run] -= 1
            if not self._wanted[run]:
                del self._wanted[run]
                self._over.pop(run, None)

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            if not self._wanted:
                self._asked.clear()
                await self._asked.wait()
            try:
                await self._look()
                await asyncio.sleep(_LOOK_SECONDS)
            except StoreUnavailable:
                await asyncio.sleep(_AWAY_SECONDS)
            except Exception:  # the task's edge: whoever waits would wait for ever
                _log.exception("runs that are waited for cannot be read; it is tried again")
                await asyncio.sleep(_AWAY_SECONDS)

    async def _look(self) -> None:
        ids = list(self._wanted)
        open_ = await self._database.run(lambda connection: workflow_runs.open_among(connection, ids))
        for id in ids:
            if id not in open_ and id in self._over:
                self._over[id].set()
