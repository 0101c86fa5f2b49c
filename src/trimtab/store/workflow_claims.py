"""Who drives a run next: out of the queue, fair between tenants; runs whose worker is not heard of any more."""

from typing import Any

import msgspec
from msgspec.structs import replace
from sqlalchemy import ColumnElement, Connection, and_, exists, or_, select, tuple_, update

from trimtab.store import workflow_places as places
from trimtab.store import workflow_runs
from trimtab.store import workflow_workers as workers
from trimtab.store.workflow_places import Limits
from trimtab.store.workflow_runs import WorkflowRunRow
from trimtab.store.workflow_schema import run as table

_POISON = "given up after {} recoveries: its worker died each time; `trimtab runs retry` tries it again"
LATE = "the run's deadline passed"
_LATE_AT_ONCE = 100
_TURN = (table.c.priority.desc(), table.c.urgent_by, table.c.id)


class Hosting(msgspec.Struct, frozen=True):
    """What a worker may claim: the (workflow, version) pairs it hosts, of its partitions ('' is what is not pinned).
    Its lease is in seconds."""

    worker: str
    graphs: frozenset[tuple[str, str]]
    lease_seconds: float
    most_recoveries: int
    partitions: frozenset[str] = frozenset({""})


def claim_lost(connection: Connection, hosting: Hosting, most: int) -> list[WorkflowRunRow]:
    """Take up to `most` runs whose worker is not heard of any more, the most urgent first.

    A run that outlived too many workers is parked instead, with the reason.
    """
    heard = workers.is_heard(table.c.owner, workers.time_now(connection) - hosting.lease_seconds)
    return _claim(connection, hosting, and_(table.c.state == "running", ~heard), most)


def claim_dropped(
    connection: Connection, hosting: Hosting, driven: list[str], since: float
) -> list[WorkflowRunRow]:
    """Take anew what is this worker's by its row, but not among the runs it drives: admitted in a transaction whose
    outcome it never heard of, before the moment `since`."""
    dropped = and_(workflow_runs.driven_by(hosting.worker), table.c.updated_at < since)
    return _claim(connection, hosting, and_(dropped, table.c.id.not_in(driven)), len(driven) + 1)


def claim_queued(connection: Connection, hosting: Hosting, limits: Limits, most: int) -> list[WorkflowRunRow]:
    """Take up to `most` runs out of the queue: fair between tenants by weight, within each tenant's own maximum the
    most urgent first, by priority and then by deadline."""
    tenants = places.waiting(connection)
    if not tenants:
        return []
    driven, now = places.running(connection, tenants), workers.time_now(connection)
    turns = []
    for tenant in tenants:
        allowed = limits.of(tenant)
        room = min(allowed.running - driven.get(tenant, 0), most)
        if room > 0:
            found = connection.scalars(_due(hosting, tenant, now).limit(room))
            turns += [
                ((driven.get(tenant, 0) + at) / allowed.weight, id) for at, id in enumerate(found, start=1)
            ]
    chosen = [id for _, id in sorted(turns)[:most]]
    if not chosen:
        return []
    return _claim(connection, hosting, and_(table.c.id.in_(chosen), table.c.state == "queued"), most)


def fail_late(connection: Connection) -> None:
    """Runs that are still in the queue when their deadline has passed fail."""
    late = and_(table.c.state == "queued", table.c.urgent_by < workers.now_of(connection))
    for id in connection.scalars(select(table.c.id).where(late).limit(_LATE_AT_ONCE)).all():
        workflow_runs.fail_queued(connection, id, LATE)


def _due(hosting: Hosting, tenant: str, now: float) -> Any:  # noqa: ANN401 - SQLAlchemy's own
    """A tenant's runs that may begin now, the most urgent first; of a thread only its oldest, and none beside one that
    is driven."""
    mine = and_(table.c.state == "queued", table.c.tenant == tenant, table.c.begin_at <= now)
    return select(table.c.id).where(mine, _is_first(), _is_hosted(hosting)).order_by(*_TURN)


def _is_first() -> ColumnElement[bool]:
    """Whether nothing of a run's thread goes before it."""
    other = table.alias("other")
    earlier = and_(other.c.state == "queued", other.c.id < table.c.id, other.c.begin_at <= table.c.begin_at)
    ahead = or_(other.c.state == "running", earlier)
    same = and_(other.c.tenant == table.c.tenant, other.c.thread == table.c.thread, other.c.id != table.c.id)
    return ~exists().where(and_(same, ahead))


def claim_one(connection: Connection, hosting: Hosting, id: str) -> WorkflowRunRow | None:
    """Take a run that the caller knows nobody drives; None where somebody was quicker or another run of its thread
    goes first. Whoever asks for a run by its
    name is not held to the tenant's maximum."""
    everywhere = replace(hosting, partitions=hosting.partitions | {_partition(connection, id)})
    taken = _claim(connection, everywhere, and_(table.c.id == id, _is_first()), 1)
    return taken[0] if taken else None


def _partition(connection: Connection, id: str) -> str:
    return connection.scalar(select(table.c.partition).where(table.c.id == id)) or ""


def _is_hosted(hosting: Hosting) -> ColumnElement[bool]:
    hosted = tuple_(table.c.workflow, table.c.version).in_(sorted(hosting.graphs))
    return and_(hosted, table.c.partition.in_(sorted(hosting.partitions)))


def _claim(
    connection: Connection, hosting: Hosting, due: ColumnElement[bool], most: int
) -> list[WorkflowRunRow]:
    open_ = table.c.state.in_(workflow_runs.OPEN)
    chosen = select(table).where(open_, _is_hosted(hosting), due).order_by(*_TURN).limit(most)
    rows = [workflow_runs.row_of(row) for row in connection.execute(chosen.with_for_update(skip_locked=True))]
    if not rows:
        return []
    now = workers.time_now(connection)
    taken = [_taken(row, hosting, now) for row in rows]
    for row, then in zip(rows, taken, strict=True):
        connection.execute(update(table).where(table.c.id == row.id).values(_changes(then)))
        workflow_runs.shift(connection, row.tenant, row.state, then.state)
        if not row.claim:
            workflow_runs.supersede(connection, then, now)
    return [row for row in taken if row.state == "running"]


def _taken(row: WorkflowRunRow, hosting: Hosting, now: float) -> WorkflowRunRow:
    """A run as it stands once it is claimed."""
    claim = row.claim + 1
    if row.state == "queued":
        return replace(row, state="running", claim=claim, owner=hosting.worker, updated_at=now)
    if row.recoveries >= hosting.most_recoveries:
        error = _POISON.format(hosting.most_recoveries)
        return replace(row, state="parked", claim=claim, owner="", error=error, updated_at=now)
    return replace(row, claim=claim, owner=hosting.worker, recoveries=row.recoveries + 1, updated_at=now)


def _changes(row: WorkflowRunRow) -> dict[str, object]:
    return {
        name: getattr(row, name) for name in ("state", "claim", "owner", "recoveries", "error", "updated_at")
    }
