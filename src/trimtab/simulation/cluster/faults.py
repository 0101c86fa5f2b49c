"""Servers that fail and come back, by chance. Calls that were there begin anew once somebody has noticed."""

import random

from trimtab.scheduling import Standing
from trimtab.simulation.cluster.agenda import Agenda
from trimtab.simulation.cluster.job import Job
from trimtab.simulation.cluster.pool import Pool
from trimtab.simulation.cluster.settings import FaultSettings

_HOUR = 3600.0


class Faults:
    """`watch` every server; failures of one are exponential in time, until the time `until`."""

    def __init__(
        self, settings: FaultSettings, pool: Pool, agenda: Agenda, rng: random.Random, until: float
    ) -> None:
        self._settings, self._pool, self._agenda, self._rng, self._until = settings, pool, agenda, rng, until
        self.failures = 0

    def watch(self, standing: Standing, now: float) -> None:
        """When it fails next."""
        if self._settings.hours_between:
            when = now + self._rng.expovariate(1.0 / (_HOUR * self._settings.hours_between))
            if when < self._until:
                self._agenda.at(when, self._fail, standing)

    def _fail(self, standing: Standing, now: float) -> None:
        if not standing.available:
            return
        self.failures += 1
        for job in self._pool.fail(standing, now):
            self._agenda.at(now + self._settings.notice_seconds, self._again, job)
        self._agenda.at(now + self._settings.repair_seconds, self._repaired, standing)

    def _again(self, job: Job, now: float) -> None:
        self._pool.take(job, now)

    def _repaired(self, standing: Standing, now: float) -> None:
        self._pool.turn(standing, now, available=True)
        self.watch(standing, now)
