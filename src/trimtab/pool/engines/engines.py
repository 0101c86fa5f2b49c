"""The engines behind a pool's endpoints, as one thing for `app/`: their reports, what they have loaded, one task."""

from collections.abc import Callable, Mapping

from trimtab.core import Clock
from trimtab.pool.endpoint import Endpoint
from trimtab.pool.engines.door import EngineDoor
from trimtab.pool.engines.report import EngineReport
from trimtab.pool.engines.residence import Residence
from trimtab.pool.engines.scraper import Scraper


class Engines:
    """Constructed by `app/`, which runs `run` as long as the house stands. `unit` draws from [0, 1)."""

    def __init__(self, endpoints: Mapping[str, Endpoint], clock: Clock, unit: Callable[[], float]) -> None:
        self._door = EngineDoor()
        self.residence = Residence(self._door, endpoints, clock)
        self.scraper = Scraper(self._door, endpoints, clock, unit, self.residence.heed)
        self._clock = clock

    async def run(self) -> None:
        """Ask engines for reports until cancelled."""
        await self.scraper.run()

    async def close(self) -> None:
        """Close all connections."""
        await self._door.close()

    @property
    def reports(self) -> Mapping[str, EngineReport | None]:
        """By endpoint that is asked: its last report, unless it is too old to say anything."""
        return {name: self.scraper.fresh(name) for name in self.scraper.names}

    @property
    def ages(self) -> Mapping[str, float]:
        """Seconds since the last report, by endpoint that ever gave one."""
        now = self._clock.monotonic()
        latest = {name: self.scraper.latest(name) for name in self.scraper.names}
        return {name: now - report.at for name, report in latest.items() if report is not None}
