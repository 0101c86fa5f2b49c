"""How many seconds of queued work stand before each place: what workers are scaled by.

    work_seconds    = queued runs x mean seconds that recently finished runs of their workflow were driven
    backlog_seconds = work_seconds / places, places = living workers that do not drain x `[hosting] runs`

Where no run of a workflow has finished lately the mean of all workflows stands in, one second where none has at all;
where no worker lives one place is reckoned with, so that the figure is there to begin the first one by.
"""

import asyncio
from collections.abc import Collection, Iterable

import msgspec

from trimtab.config import HostingSettings
from trimtab.core import Clock
from trimtab.core.errors import StoreUnavailable
from trimtab.store import BacklogRows, Database, WaitingRow, WorkerRow, workflow_backlog

OTHER = "other"
_FRESH_SECONDS = 1.0
_UNKNOWN_SECONDS = 1.0


class WorkflowBacklog(msgspec.Struct, frozen=True):
    """One workflow's part."""

    workflow: str
    queued: int
    running: int
    oldest_queued_seconds: float
    mean_seconds: float
    work_seconds: float
    backlog_seconds: float


class Backlog(msgspec.Struct, frozen=True):
    """All workflows together, and each."""

    workers: int
    places: int
    queued: int
    running: int
    oldest_queued_seconds: float
    work_seconds: float
    backlog_seconds: float
    workflows: tuple[WorkflowBacklog, ...]


class BacklogReader:
    """Constructed by `app/`. Reads the store at most once a second, however often it is asked; `workflows` are those
    told of by name, whatever else waits is `other`."""

    def __init__(
        self, database: Database, settings: HostingSettings, workflows: Collection[str], clock: Clock
    ) -> None:
        self._database, self._settings, self._clock = database, settings, clock
        self._workflows = tuple(sorted(workflows))
        self._lock = asyncio.Lock()
        self._read_at = float("-inf")
        self._rows: BacklogRows | StoreUnavailable | None = None

    async def read(self, partition: str | None = None) -> Backlog:
        """The backlog, of one partition where it is named. Raises StoreUnavailable within a second."""
        async with self._lock:
            if self._rows is None or self._clock.monotonic() - self._read_at >= _FRESH_SECONDS:
                self._rows = await self._read()
                self._read_at = self._clock.monotonic()
            rows = self._rows
        if isinstance(rows, StoreUnavailable):
            raise StoreUnavailable(str(rows))
        return estimate(rows, self._settings.runs, self._workflows, partition)

    async def _read(self) -> BacklogRows | StoreUnavailable:
        lease = self._settings.lease_seconds
        try:
            return await self._database.run(lambda c: workflow_backlog.read(c, lease), _FRESH_SECONDS)
        except StoreUnavailable as error:
            return error


def estimate(
    rows: BacklogRows, runs_a_worker: int, workflows: Iterable[str], partition: str | None = None
) -> Backlog:
    """The backlog of what waits; the module says how it is reckoned."""
    workers = [each for each in rows.workers if not each.draining and _drives(each, partition)]
    places = len(workers) * runs_a_worker
    known = {name: _part(name, (), rows, places) for name in workflows}
    by_name: dict[str, list[WaitingRow]] = {}
    for row in rows.waiting:
        if partition is None or row.partition == partition:
            by_name.setdefault(row.workflow if row.workflow in known else OTHER, []).append(row)
    parts = known | {name: _part(name, waiting, rows, places) for name, waiting in by_name.items()}
    listed = tuple(parts[name] for name in sorted(parts))
    return Backlog(
        workers=len(workers),
        places=places,
        queued=sum(part.queued for part in listed),
        running=sum(part.running for part in listed),
        oldest_queued_seconds=max((part.oldest_queued_seconds for part in listed), default=0.0),
        work_seconds=sum(part.work_seconds for part in listed),
        backlog_seconds=sum(part.backlog_seconds for part in listed),
        workflows=listed,
    )


def _drives(worker: WorkerRow, partition: str | None) -> bool:
    return partition is None or partition in worker.partitions.split(" ")


def _part(name: str, waiting: Iterable[WaitingRow], rows: BacklogRows, places: int) -> WorkflowBacklog:
    counted = list(waiting)
    means = rows.mean_seconds
    usual = sum(means.values()) / len(means) if means else _UNKNOWN_SECONDS
    work = sum(row.queued * means.get(row.workflow, usual) for row in counted)
    since = [row.oldest_at for row in counted if row.oldest_at is not None]
    return WorkflowBacklog(
        workflow=name,
        queued=sum(row.queued for row in counted),
        running=sum(row.running for row in counted),
        oldest_queued_seconds=max(0.0, rows.at - min(since)) if since else 0.0,
        mean_seconds=means.get(name, usual),
        work_seconds=work,
        backlog_seconds=work / max(1, places),
    )
