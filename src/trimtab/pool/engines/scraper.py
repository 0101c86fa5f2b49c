"""Asks engines how they are, each at its own interval, beside the calls. The report of a silent one ages."""

import asyncio
from collections.abc import Callable, Mapping

import msgspec

from trimtab.config import EndpointSettings, engine_root, metrics_page
from trimtab.core import Clock
from trimtab.core.errors import UpstreamError
from trimtab.pool.endpoint import Endpoint
from trimtab.pool.engines.door import EngineDoor
from trimtab.pool.engines.pages import Page, Reader
from trimtab.pool.engines.registry import READERS
from trimtab.pool.engines.report import EngineReport

_STALE_INTERVALS = 3.0
_LEAST_SECONDS, _LONGEST_SECONDS = 1.0, 5.0
_SPREAD_SECONDS = 0.2
_JITTER = 0.1


class Scraper:
    """`unit` draws from [0, 1): processes must not ask all at the same moment. `heed` is told of every report."""

    def __init__(
        self,
        door: EngineDoor,
        endpoints: Mapping[str, Endpoint],
        clock: Clock,
        unit: Callable[[], float],
        heed: Callable[[str, EngineReport], None] = lambda name, report: None,
    ) -> None:
        self._door, self._clock, self._unit, self._heed = door, clock, unit, heed
        self._asked = {
            name: one
            for name, one in endpoints.items()
            if one.settings.engine and one.settings.scrape_seconds
        }
        self._reports: dict[str, EngineReport] = {}
        self.failures: dict[str, str] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """The endpoints that are asked."""
        return tuple(self._asked)

    def latest(self, name: str) -> EngineReport | None:
        """The last report of an endpoint, however old."""
        return self._reports.get(name)

    def fresh(self, name: str) -> EngineReport | None:
        """The last report, unless three intervals have passed since: then nothing is known."""
        report = self._reports.get(name)
        if report is None:
            return None
        age = self._clock.monotonic() - report.at
        return report if age <= _STALE_INTERVALS * self._asked[name].settings.scrape_seconds else None

    async def run(self) -> None:
        """Ask until cancelled."""
        async with asyncio.TaskGroup() as group:
            for endpoint in self._asked.values():
                group.create_task(self._ask_on(endpoint))

    async def scrape(self, name: str) -> EngineReport:
        """One report now. Raises UpstreamError."""
        endpoint = self._asked[name]
        settings = endpoint.settings
        reader = READERS[settings.engine]
        seconds = min(_LONGEST_SECONDS, max(_LEAST_SECONDS, _STALE_INTERVALS * settings.scrape_seconds))
        at = self._clock.monotonic()
        pages = await self._pages(endpoint, reader, seconds)
        try:
            report = reader.report(pages, at).following(self._reports.get(name))
        except (ValueError, RecursionError, msgspec.MsgspecError) as error:
            raise UpstreamError(
                f"endpoint {name} does not speak as {settings.engine} does: {error}; mend `engine` or `metrics_url`",
                endpoint=name,
                code="engine_unreadable",
                billable=False,
            ) from error
        self._reports[name] = report
        self._heed(name, report)
        return report

    async def _ask_on(self, endpoint: Endpoint) -> None:
        interval = endpoint.settings.scrape_seconds
        await asyncio.sleep(self._unit() * min(interval, _SPREAD_SECONDS))
        while True:
            try:
                await self.scrape(endpoint.name)
                self.failures.pop(endpoint.name, None)
            except UpstreamError as error:
                self.failures[endpoint.name] = error.message
            await asyncio.sleep(interval * (1.0 + _JITTER * (2.0 * self._unit() - 1.0)))

    async def _pages(self, endpoint: Endpoint, reader: Reader, seconds: float) -> dict[str, bytes]:
        pages: dict[str, bytes] = {}
        for page in reader.pages:
            if page.unless in pages or not page.wanted(endpoint.settings):
                continue
            answer = await self._door.get(endpoint, _url(page, endpoint.settings), seconds)
            if answer is not None:
                pages[page.name] = answer
            elif page.needed:
                raise UpstreamError(
                    f"the engine of endpoint {endpoint.name} has no {_url(page, endpoint.settings)}; mend `engine`",
                    endpoint=endpoint.name,
                    code="engine_unreadable",
                    billable=False,
                )
        return pages


def _url(page: Page, settings: EndpointSettings) -> str:
    return engine_root(settings) + page.path if page.path else metrics_page(settings)
