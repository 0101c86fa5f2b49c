"""What a worker does again and again: beats, heeds what became of its runs elsewhere, takes what waits or was left."""

import asyncio
import logging
import os
import socket
from contextlib import suppress
from functools import partial

from sqlalchemy import Connection

from trimtab.config import HostingSettings
from trimtab.core import Clock
from trimtab.core.errors import StoreUnavailable
from trimtab.store import (
    Database,
    Hosting,
    Limits,
    WorkerRow,
    WorkflowRunRow,
    workflow_claims,
    workflow_runs,
    workflow_workers,
)
from trimtab.workflows.driver import Driver
from trimtab.workflows.lease import Lease

_BEATS_A_LEASE = 4
_FORGET_LEASES = 360
_LOOK_SECONDS = 0.05
_AWAY_SECONDS = 1.0
_log = logging.getLogger(__name__)


class Rounds:
    """Constructed by the host. `open`, then `beat_on` and `take_on` as tasks. `takes`: whether runs that nobody drives
    are taken over at all."""

    def __init__(
        self,
        settings: HostingSettings,
        limits: Limits,
        hosting: Hosting,
        database: Database,
        driver: Driver,
        lease: Lease,
        clock: Clock,
        crowd: "Crowd",
    ) -> None:
        self._settings, self._limits, self._hosting, self._database = settings, limits, hosting, database
        self._driver, self._lease, self._clock, self._crowd = driver, lease, clock, crowd
        self.takes = False

    async def open(self) -> None:
        """The first beat. Raises StoreUnavailable."""
        since = self._lease.now()
        await self._beat()
        self._lease.renew(since)

    async def beat_on(self) -> None:
        """Beat until cancelled."""
        while True:
            await asyncio.sleep(self._settings.lease_seconds / _BEATS_A_LEASE)
            since = self._lease.now()
            try:
                await self._beat()
                await self._heed()
                self._lease.renew(since)
                await self._database.run(workflow_claims.fail_late)
                if self.takes and not self._driver.drains and self._lease.is_steady:
                    await self._take_lost()
            except StoreUnavailable as error:
                _log.warning("no beat: %s", error)
            except Exception:  # the task's edge: without beats every run here would be taken away
                _log.exception("a beat failed; the next one follows")

    async def _beat(self) -> None:
        old = _FORGET_LEASES * self._settings.lease_seconds
        me = WorkerRow(
            self._hosting.worker,
            socket.gethostname(),
            os.getpid(),
            0.0,
            self._driver.drains or not self.takes,
            " ".join(sorted(self._hosting.partitions)),
            len(self._driver.driven),
        )

        def work(connection: Connection) -> None:
            now = workflow_workers.beat(connection, me)
            workflow_workers.forget(connection, now - old)

        await self._database.run(work)

    async def _heed(self) -> None:
        """Stop legs whose runs were taken over while this process slept, or whose end somebody asked for."""
        driven = self._driver.driven
        if not driven:
            return
        for run in await self._database.run(lambda connection: workflow_runs.standing(connection, driven)):
            leg = self._driver.leg(run.id)
            if leg is None:
                continue
            if leg.row.claim < run.claim:
                leg.stop("lost")
            elif run.cancel_asked:
                leg.stop("cancelled")

    async def take_on(self) -> None:
        """Drive what is queued; looked for when something changed here, and in any case again and again."""
        while True:
            await self._crowd.changed(_LOOK_SECONDS)
            try:
                if self.takes and self._driver.room > 0:
                    await self._take_queued()
            except StoreUnavailable:
                await asyncio.sleep(_AWAY_SECONDS)
            except Exception:  # the task's edge: nothing queued would ever begin without it
                _log.exception("the queue cannot be read; it is tried again")
                await asyncio.sleep(_AWAY_SECONDS)

    async def _take_queued(self) -> None:
        claim = partial(
            workflow_claims.claim_queued, hosting=self._hosting, limits=self._limits, most=self._driver.room
        )
        rows = await self._database.run(claim)
        self._crowd.waits = bool(rows)
        for row in rows:
            self._driver.begin(row)

    async def _take_lost(self) -> None:
        room, driven = self._driver.room, self._driver.driven
        before = self._clock.now() - self._settings.lease_seconds

        def work(connection: Connection) -> list[WorkflowRunRow]:
            lost = workflow_claims.claim_lost(connection, self._hosting, room) if room > 0 else []
            return lost + workflow_claims.claim_dropped(connection, self._hosting, driven, before)

        for row in await self._database.run(work):
            _log.info("run %s goes on here (claim %d)", row.id, row.claim)
            self._driver.begin(row)


class Crowd:
    """Whether somebody may be waiting for a place, and the bell that says something changed."""

    def __init__(self) -> None:
        self.waits = True
        self._bell = asyncio.Event()

    def came(self) -> None:
        """A run waits from now on."""
        self.waits = True
        self._bell.set()

    def left(self) -> None:
        """A run left its place."""
        if self.waits:
            self._bell.set()

    async def changed(self, seconds: float) -> None:
        """Return once the bell was rung, at the latest after `seconds`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._bell.wait()
        self._bell.clear()
