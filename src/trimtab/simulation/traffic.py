"""The driver: plays many runs at once through the gateway's door, posts outcomes, measures what it sees.

A run is anything with an identity that can be played at a desk: `demo.py` and `replay.py` have one each.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Literal, Protocol

import msgspec

from trimtab.core import Clock, SystemClock
from trimtab.simulation.chat import ChatBody, Reply
from trimtab.simulation.door import Door, Identity, streamed
from trimtab.simulation.report import CallMeasure, Ending, RunMeasure, TrafficReport, summarise

Mode = Literal["plain", "stream", "mixed"]

_log = logging.getLogger(__name__)


class Finish(msgspec.Struct, frozen=True):
    """How a run went: whether it did its job, who says so and why; replies that differ from the record."""

    reward: float | None
    by: str
    reason: str
    altered_replies: int = 0


class Desk:
    """Where one run makes its calls; each is measured."""

    def __init__(self, door: Door, who: Identity, mode: Mode) -> None:
        self._door = door
        self._who = who
        self._mode = mode
        self.measures: list[CallMeasure] = []

    async def ask(self, step: str, body: ChatBody) -> Reply | None:
        """Makes the next call. None: it was refused or failed, and the run should end."""
        index = len(self.measures)
        if self._mode == "stream" or (self._mode == "mixed" and index % 2):
            body = streamed(body)
        reply, measure = await self._door.call(self._who, step, index, body)
        self.measures.append(measure)
        return reply


class PlannedRun(Protocol):
    """A run to play."""

    @property
    def identity(self) -> Identity:
        """Whose run it is."""
        ...

    async def play(self, desk: Desk) -> Finish | None:
        """Makes the run's calls; None where a call was refused or failed."""
        ...


class Traffic:
    """One drive of runs at `base_url`, `concurrency` at once. `on_progress` gets runs ended, runs in all."""

    def __init__(
        self,
        base_url: str,
        *,
        concurrency: int = 16,
        mode: Mode = "mixed",
        deadline_seconds: float = 120.0,
        on_progress: Callable[[int, int], None] | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._base_url = base_url
        self._concurrency = concurrency
        self._mode: Mode = mode
        self._deadline_seconds = deadline_seconds
        self._on_progress = on_progress
        self._clock: Clock = clock or SystemClock()
        self._began = self._ended = 0.0
        self._runs: list[RunMeasure] = []
        self._calls: list[CallMeasure] = []

    async def drive(self, runs: Iterable[PlannedRun], total: int) -> TrafficReport:
        """Plays all runs. Cancelled, it ends them at once; `report` then tells what was measured so far."""
        from aiohttp import ClientSession, TCPConnector

        self._began = self._clock.monotonic()
        waiting = iter(runs)
        try:
            async with (
                ClientSession(connector=TCPConnector(limit=0)) as client,
                asyncio.TaskGroup() as group,
            ):
                door = Door(client, self._base_url, self._clock, self._deadline_seconds)
                for _ in range(self._concurrency):
                    group.create_task(self._work(door, waiting, total))
        finally:
            self._ended = self._clock.monotonic()
        return self.report()

    def report(self) -> TrafficReport:
        """What was measured so far."""
        return summarise(self._runs, self._calls, (self._ended or self._clock.monotonic()) - self._began)

    async def _work(self, door: Door, waiting: Iterator[PlannedRun], total: int) -> None:
        task = asyncio.current_task()
        assert task is not None
        for planned in waiting:
            await self._play(door, planned)
            if self._on_progress is not None:
                self._on_progress(len(self._runs), total)
            # A cancellation that a library swallowed is one all the same.
            if task.cancelling():
                return

    async def _play(self, door: Door, planned: PlannedRun) -> None:
        who = planned.identity
        desk = Desk(door, who, self._mode)
        began = self._clock.monotonic()
        finish: Finish | None = None
        ending: Ending = "cancelled"
        status: int | None = None
        ended = 0.0
        try:
            finish = await planned.play(desk)
            ended = self._clock.monotonic()
            finish, ending = _settle(finish, desk.measures)
            if finish is not None and finish.reward is not None:
                status = await door.outcome(who, finish.reward, finish.by, finish.reason)
        except Exception:  # the edge of one run: another's must go on
            _log.exception("run %s failed", who.run)
            ending = "failed"
        finally:
            seconds = (ended or self._clock.monotonic()) - began
            self._calls += desk.measures
            self._runs.append(_measure(who, desk, finish, ending, seconds, status))


def _settle(finish: Finish | None, calls: list[CallMeasure]) -> tuple[Finish | None, Ending]:
    """A run that ran out of budget did not do its job; of one that failed nobody knows."""
    if finish is not None:
        return finish, "done"
    if calls and calls[-1].status == 402:
        return Finish(0.0, "traffic", "refused by budget"), "refused"
    return None, "failed"


def _measure(
    who: Identity, desk: Desk, finish: Finish | None, ending: Ending, seconds: float, status: int | None
) -> RunMeasure:
    last = desk.measures[-1].fault if desk.measures else ""
    return RunMeasure(
        run=who.run,
        workflow=who.workflow,
        tenant=who.tenant,
        user=who.user,
        calls=len(desk.measures),
        seconds=seconds,
        ending=ending,
        reward=finish.reward if finish else None,
        reason=finish.reason if finish else last,
        altered_replies=finish.altered_replies if finish else 0,
        outcome_status=status,
        agent=who.agent or (desk.measures[0].model if desk.measures else ""),
    )
