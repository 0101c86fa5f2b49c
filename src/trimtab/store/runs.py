"""Runs: made by their first call, closed by an outcome, an end header or silence."""

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, case, select

from trimtab.core import Attribution, CallRecord, OutcomeRecord
from trimtab.store.journal import EndRecord
from trimtab.store.meters import upsert
from trimtab.store.schema import run


def touch(connection: Connection, records: Iterable[CallRecord]) -> None:
    """Create or update the runs of finished calls."""
    rows: dict[tuple[str, str], dict[str, object]] = {}
    for record in records:
        who, at = record.call.who, record.call.at
        row = rows.get((who.tenant, who.run))
        if row is None:
            rows[who.tenant, who.run] = _new(who, at, at + record.seconds, 1)
            continue
        row["calls"] = int(str(row["calls"])) + 1
        row["last_at"] = max(float(str(row["last_at"])), at + record.seconds)
        row["started_at"] = min(float(str(row["started_at"])), at)
    if rows:
        _upsert(connection, list(rows.values()))


def _new(who: Attribution, started_at: float, last_at: float, calls: int) -> dict[str, object]:
    return {
        "tenant": who.tenant,
        "id": who.run,
        "user": who.user,
        "workflow": who.workflow,
        "task": who.task,
        "agent": who.agent,
        "started_at": started_at,
        "last_at": last_at,
        "calls": calls,
        "ended": False,
    }


def _upsert(connection: Connection, rows: list[dict[str, object]]) -> None:
    statement = upsert(connection, run)
    new = statement.excluded
    kept = {
        name: case((run.c[name] == "", new[name]), else_=run.c[name])
        for name in ("user", "workflow", "task", "agent")
    }
    times = {
        "started_at": case((new.started_at < run.c.started_at, new.started_at), else_=run.c.started_at),
        "last_at": case((new.last_at > run.c.last_at, new.last_at), else_=run.c.last_at),
        "calls": run.c.calls + new.calls,
    }
    connection.execute(
        statement.on_conflict_do_update(index_elements=["tenant", "id"], set_=kept | times), rows
    )


def record_outcomes(connection: Connection, outcomes: Sequence[OutcomeRecord]) -> None:
    """Note outcomes; the latest one given stands."""
    for outcome in outcomes:
        blank = _new(Attribution(tenant=outcome.tenant, run=outcome.run), outcome.at, outcome.at, 0)
        said = {
            "reward": outcome.reward,
            "outcome_at": outcome.at,
            "outcome_by": outcome.by,
            "outcome_reason": outcome.reason,
        }
        statement = upsert(connection, run).values(blank | said)
        connection.execute(statement.on_conflict_do_update(index_elements=["tenant", "id"], set_=said))


def end(connection: Connection, ends: Sequence[EndRecord]) -> None:
    """Note that clients said their runs are over."""
    for record in ends:
        blank = _new(Attribution(tenant=record.tenant, run=record.run), record.at, record.at, 0)
        statement = upsert(connection, run).values(blank | {"ended": True})
        connection.execute(
            statement.on_conflict_do_update(index_elements=["tenant", "id"], set_={"ended": True})
        )


def exists(connection: Connection, tenant: str, id: str) -> bool:
    """Whether a tenant has this run."""
    found = connection.scalar(select(run.c.id).where(run.c.tenant == tenant, run.c.id == id))
    return found is not None
