"""The load test: users who play runs one after another at a live gateway, for a bounded time."""

import asyncio
import contextlib
import uuid
from collections.abc import Callable, Iterator
from itertools import cycle, islice
from pathlib import Path

import msgspec

from trimtab.core.errors import ConfigError, DataError
from trimtab.simulation.loading.client import Client
from trimtab.simulation.loading.playing import Allowance, Playing, Terms
from trimtab.simulation.loading.steps import PlayedRun, read_played
from trimtab.simulation.loading.tally import Ending, LoadReport, Tally

_MOST_RUNS = 2000
_MOST_NAMED = 12
_COSTING_SECONDS = 10.0
_AFTER_FAULT_SECONDS = 1.0
_AT_ONCE = 16
_TICK_SECONDS = 0.25


class LoadOrder(msgspec.Struct, frozen=True):
    """What is asked of a load test. Users begin evenly over `ramp_seconds`; after `seconds` open calls are cut off.

    `scale` times the recorded sizes; `speed` divides recorded pauses (0: none at all).
    """

    traces: Path
    url: str
    users: int
    seconds: float = 60.0
    ramp_seconds: float = 0.0
    key: str = ""
    model: str = ""
    workflow: str = ""
    max_requests: int | None = None
    speed: float = 1.0
    scale: float = 1.0
    call_seconds: float = 300.0


class Load:
    """One load test. `on_progress` gets the tally and the users at work, four times a second."""

    def __init__(self, order: LoadOrder, on_progress: Callable[[Tally, int], None] | None = None) -> None:
        self._order, self._on_progress = order, on_progress
        self._url = base_url(order.url)
        self._tally = Tally(self._url, order.traces.name, order.users)
        self._allowance = Allowance(order.max_requests)
        self._stem = f"load-{uuid.uuid4().hex[:8]}"
        self._begun = self._at_work = 0
        self._unpriced: list[Playing] = []

    async def drive(self) -> LoadReport:
        """Plays until the time or the requests are used up; cancelled, it closes its runs and tells what there is.

        Raises ConfigError where the gateway cannot be loaded, DataError for the traces.
        """
        from aiohttp import ClientSession, TCPConnector

        runs = list(islice(read_played(self._order.traces, self._order.scale), _MOST_RUNS))
        async with ClientSession(connector=TCPConnector(limit=0)) as session:
            client = Client(session, self._url, self._order.key, self._order.call_seconds)
            terms = await self._terms(client, runs)
            self._tally = Tally(self._url, self._order.traces.name, self._order.users)
            interrupted = False
            try:
                await self._crowd(client, terms, cycle(runs))
            except asyncio.CancelledError:
                interrupted = True
            seconds = self._tally.seconds
            busy = self._tally.client_busy
            await self._ask_costs(client)
        return self._tally.report(interrupted=interrupted, seconds=seconds, client_busy=busy)

    async def _terms(self, client: Client, runs: list[PlayedRun]) -> Terms:
        """Which model is asked for, if the gateway serves it. Raises ConfigError, DataError."""
        if not runs:
            raise DataError(
                "no run in it has a call", file=str(self._order.traces), remedy="name another file"
            )
        served = await client.models()
        recorded = {step.model for run in runs for step in run.steps}
        if not self._order.model and recorded <= set(served):
            return Terms(self._order.speed, "", self._order.workflow)
        model = self._order.model or (served[0] if len(served) == 1 else "")
        if model not in served:
            there = ", ".join(served[:_MOST_NAMED]) or "none"
            missing = sorted(recorded - {*served, ""})
            named = (
                f"{model!r} is not served"
                if model
                else f"{missing[0]!r} is not served"
                if missing
                else "name one"
            )
            raise ConfigError(f"{named}; {self._url} serves {there}", key="--model")
        return Terms(self._order.speed, model, self._order.workflow)

    async def _crowd(self, client: Client, terms: Terms, runs: Iterator[PlayedRun]) -> None:
        """All users at once, until the time is over."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._order.seconds), asyncio.TaskGroup() as group:
                telling = group.create_task(self._tell())
                numbers = range(self._order.users)
                users = [group.create_task(self._user(client, terms, number, runs)) for number in numbers]
                await asyncio.wait(users)
                telling.cancel()

    async def _user(self, client: Client, terms: Terms, number: int, runs: Iterator[PlayedRun]) -> None:
        await asyncio.sleep(self._order.ramp_seconds * number / self._order.users)
        self._at_work += 1
        while not self._allowance.spent:
            ending = await self._play(client, terms, f"load-user-{number}", next(runs))
            # A refusal comes back at once: nobody would ask again as fast as that.
            await asyncio.sleep(_AFTER_FAULT_SECONDS if ending in ("refused", "failed") else 0)

    async def _play(self, client: Client, terms: Terms, user: str, run: PlayedRun) -> Ending:
        self._begun += 1
        playing = Playing(
            client, self._tally, self._allowance, terms, run, f"{self._stem}-{self._begun}", user
        )
        began = self._tally.seconds
        ending: Ending = "cut off"
        try:
            ending = await playing.play()
        finally:
            if playing.sent:
                self._tally.run(ending, self._tally.seconds - began)
                if playing.unpriced:
                    self._unpriced.append(playing)
                self._tally.left_open += not await playing.close(ending)
        return ending

    async def _tell(self) -> None:
        while True:
            if self._on_progress is not None:
                self._on_progress(self._tally, self._at_work)
            await asyncio.sleep(_TICK_SECONDS)

    async def _ask_costs(self, client: Client) -> None:
        """No header tells what a stream cost: the gateway is asked for those runs, for a bounded time."""
        waiting = iter(self._unpriced)

        async def ask() -> None:
            for playing in waiting:
                cost = await client.cost(playing.id)
                if cost is not None:
                    self._tally.priced(cost - playing.nanodollars, playing.unpriced)

        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_COSTING_SECONDS), asyncio.TaskGroup() as group:
                for _ in range(_AT_ONCE):
                    group.create_task(ask())


def base_url(url: str) -> str:
    """The gateway's address without a slash at its end and without /v1. Raises ConfigError."""
    base = url.strip().rstrip("/").removesuffix("/v1").rstrip("/")
    if not base.startswith(("http://", "https://")) or not base.partition("://")[2]:
        raise ConfigError(f"{url!r} is no URL; write http://HOST:PORT", key="--url")
    return base
