"""The ledger's background work: heartbeat, giving slices back, settling the dead, deleting what is over."""

import asyncio
import logging
from pathlib import Path

from sqlalchemy import Connection

from trimtab.config import LedgerSettings
from trimtab.core import Clock
from trimtab.core.errors import ConfigError, StoreUnavailable
from trimtab.ledger.teller import Teller
from trimtab.store import (
    Database,
    Fenced,
    Writer,
    bury_silent,
    meters,
    processes,
    recalls,
    recover_journals,
)

_log = logging.getLogger(__name__)
_BEAT_SECONDS = 0.5
_IDLE_SECONDS = 30.0
_SWEEP_BEATS = 20


class Keeper:
    """One per process; `run` is its task."""

    def __init__(
        self,
        database: Database,
        writer: Writer,
        teller: Teller,
        clock: Clock,
        settings: LedgerSettings,
        root: Path,
    ) -> None:
        self._database, self._writer, self._teller = database, writer, teller
        self._clock, self._settings, self._root = clock, settings, root

    async def run(self) -> None:
        """Beat until cancelled; a database that is away is ridden out."""
        beats = 0
        while True:
            await asyncio.sleep(_BEAT_SECONDS)
            beats += 1
            try:
                await self._beat()
                if beats % _SWEEP_BEATS == 0:
                    await self._sweep()
            except StoreUnavailable:
                continue
            except Fenced:
                _log.debug("fenced: the writer takes this process up again")
                await self._rejoin()
            except ConfigError as error:
                _log.error("%s", error)

    async def _beat(self) -> None:
        process, now = self._writer.process, self._clock.now()

        def work(connection: Connection) -> tuple[int, set[str]]:
            return processes.beat(connection, process, now), meters.wanted(connection, process, now)

        self._teller.sharers, wanted = await self._database.run(work)
        back = self._teller.slices.idle(now - _IDLE_SECONDS, wanted)
        if back:
            await self._database.run(lambda connection: meters.give_back(connection, process, back))

    async def _rejoin(self) -> None:
        try:
            await self._writer.rejoin()
        except StoreUnavailable:
            return

    async def _sweep(self) -> None:
        now = self._clock.now()
        await asyncio.to_thread(recover_journals, self._database, self._root, now)

        def work(connection: Connection) -> None:
            bury_silent(connection, now - self._settings.lease_seconds, now)
            meters.drop_expired(connection, now)
            recalls.drop_expired(connection, now)

        await self._database.run(work)
