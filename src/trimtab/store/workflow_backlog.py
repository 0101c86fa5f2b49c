"""How much work of hosted workflows waits, and who is there to do it; nothing here changes anything."""

import msgspec
from sqlalchemy import Connection, and_, case, func, or_, select

from trimtab.store import workflow_workers
from trimtab.store.workflow_schema import run as table
from trimtab.store.workflow_workers import WorkerRow

_RECENT = 500


class WaitingRow(msgspec.Struct, frozen=True):
    """Runs of a workflow in a partition: queued ones that may begin by now, and driven ones. `oldest_at`: since when
    the first of the queued waits, epoch seconds."""

    workflow: str
    partition: str
    queued: int
    running: int
    oldest_at: float | None


class BacklogRows(msgspec.Struct, frozen=True):
    """What waits at a moment, how many seconds recently finished runs were driven in the mean by workflow, and the
    workers that were heard of."""

    at: float
    waiting: tuple[WaitingRow, ...]
    mean_seconds: dict[str, float]
    workers: tuple[WorkerRow, ...]


def read(connection: Connection, lease_seconds: float) -> BacklogRows:
    """All of it, at the database's own time."""
    now = workflow_workers.time_now(connection)
    workers = workflow_workers.alive(connection, now - lease_seconds)
    return BacklogRows(now, _waiting(connection, now), _means(connection), tuple(workers))


def _waiting(connection: Connection, now: float) -> tuple[WaitingRow, ...]:
    is_queued = table.c.state == "queued"
    since = case((table.c.begin_at > table.c.updated_at, table.c.begin_at), else_=table.c.updated_at)
    counted = select(
        table.c.workflow,
        table.c.partition,
        func.count(case((is_queued, 1))).label("queued"),
        func.count(case((is_queued, None), else_=1)).label("running"),
        func.min(case((is_queued, since))).label("oldest_at"),
    ).where(or_(table.c.state == "running", and_(is_queued, table.c.begin_at <= now)))
    rows = connection.execute(counted.group_by(table.c.workflow, table.c.partition))
    return tuple(WaitingRow(*row) for row in rows)


def _means(connection: Connection) -> dict[str, float]:
    """Of the latest finished runs, so that it costs the same however many are kept."""
    lasted: dict[str, list[float]] = {}
    for state in ("done", "failed"):
        recent = select(table.c.workflow, table.c.driven_seconds).where(table.c.state == state)
        for row in connection.execute(recent.order_by(table.c.updated_at.desc()).limit(_RECENT)):
            lasted.setdefault(row.workflow, []).append(row.driven_seconds)
    return {workflow: sum(seconds) / len(seconds) for workflow, seconds in lasted.items()}
