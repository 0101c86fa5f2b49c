"""The ledger's background work: heartbeat, giving slices back, settling the dead, deleting what is over."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

from sqlalchemy import Connection

from trimtab.config import LedgerSettings
from trimtab.core import Clock, Meter
from trimtab.core.errors import ConfigError, StoreUnavailable
from trimtab.ledger.teller import Teller
from trimtab.ledger.vigil import Vigil
from trimtab.store import (
    Database,
    Fenced,
    Writer,
    bury_silent,
    meters,
    processes,
    recalls,
    recover_journals,
    traffic,
)

_log = logging.getLogger(__name__)
_BEAT_SECONDS = 0.5
_IDLE_SECONDS = 30.0
_SWEEP_SECONDS = 10.0


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
        self._clock, self._root = clock, root
        self._vigil = Vigil(settings.lease_seconds)
        self._beat_at = clock.monotonic()

    async def run(self) -> None:
        """Beat and sweep until cancelled; a database that is away is ridden out."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._every(_BEAT_SECONDS, self._beat))
            group.create_task(self._every(_SWEEP_SECONDS, self._sweep))

    async def _every(self, seconds: float, motion: Callable[[], Awaitable[None]]) -> None:
        while True:
            await asyncio.sleep(seconds)
            try:
                await motion()
            except StoreUnavailable:
                continue
            except ConfigError as error:
                _log.error("%s", error)
            except Exception:
                # The task's edge: a process whose heart stops is buried by the others.
                _log.exception("the ledger's background work failed; it is tried again")

    async def _beat(self) -> None:
        process, now, heard_at = self._writer.process, self._clock.now(), self._clock.monotonic()

        def work(connection: Connection) -> tuple[dict[str, float], set[str]]:
            return processes.beat(connection, process, now), meters.wanted(connection, process, now)

        try:
            beats, wanted = await self._database.run(work)
        except Fenced:
            await self._writer.rejoin()
            return
        self._teller.renew(heard_at)
        self._teller.sharers = len(beats)
        await self._bury_silent(beats, heard_at)
        await self._give_back(self._teller.slices.idle(now - _IDLE_SECONDS, wanted))
        seconds, self._beat_at = heard_at - self._beat_at, heard_at
        await self._teller.top_up(max(seconds, _BEAT_SECONDS / 2), wanted)
        await self._teller.level(self._writer)

    async def _bury_silent(self, beats: dict[str, float], now: float) -> None:
        beats.pop(self._writer.process, None)
        for process, beat_at in self._vigil.look(beats, now).items():
            await self._database.run(
                partial(bury_silent, process=process, beat_at=beat_at, now=self._clock.now())
            )

    async def _give_back(self, back: list[tuple[Meter, int]]) -> None:
        if not back:
            return
        process, amounts = self._writer.process, {meter.id: 0 for meter, _ in back}
        for meter, amount in back:
            amounts[meter.id] += amount

        def work(connection: Connection) -> None:
            processes.require_live(connection, process)
            meters.give_back(connection, process, amounts)

        try:
            await self._database.run(work)
        except Fenced:
            return
        except BaseException:
            self._teller.doubt(meter for meter, _ in back)
            raise

    async def _sweep(self) -> None:
        now = self._clock.now()

        def work(connection: Connection) -> None:
            meters.drop_expired(connection, now)
            recalls.drop_expired(connection, now)
            traffic.drop(connection, int(now // 60) - traffic.KEPT_MINUTES)

        await self._database.run(work)
        await asyncio.to_thread(recover_journals, self._database, self._root, now)
