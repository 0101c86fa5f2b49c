"""Runs: made by their first call or cost, closed by an outcome, an end header or silence."""

from collections.abc import Iterable, Sequence
from typing import Any, Literal

import msgspec
from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    case,
    delete,
    literal,
    or_,
    select,
    tuple_,
)

from trimtab.core import Attribution, CallRecord, Entry, OutcomeRecord
from trimtab.store.bulk import add_rows
from trimtab.store.journal import EndRecord
from trimtab.store.meters import upsert
from trimtab.store.schema import run
from trimtab.store.selection import Selection, Standing, completed, conditions

RunStatus = Literal["completed", "not completed", "unknown", "open"]
_AMOUNTS = ("nanodollars", "upstream_nanodollars", "unpriced")
_FACTS = ("user", "workflow", "task", "agent", "started_at", "last_at", "calls", "ended")


class RunRow(msgspec.Struct, frozen=True):
    """A run with what it cost so far. `open` runs may still go on; `unknown` ones are over without an
    outcome. `unpriced` counts entries whose price nobody knows."""

    tenant: str
    id: str
    user: str
    workflow: str
    task: str
    agent: str
    started_at: float
    last_at: float
    calls: int
    ended: bool
    reward: float | None
    outcome_at: float | None
    outcome_by: str | None
    outcome_reason: str | None
    status: RunStatus
    nanodollars: int
    upstream_nanodollars: int
    unpriced: int
    seconds: float = 0.0


class Cursor(msgspec.Struct, frozen=True):
    """The place behind a run, in the order of their beginnings."""

    started_at: float
    tenant: str
    id: str


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
        # In one order, whoever writes: two processes may serve a run.
        _upsert(connection, [rows[key] for key in sorted(rows)])


def charge(connection: Connection, lines: Iterable[Entry]) -> None:
    """Add entries that are new in the store to what their runs cost; a run may be known by its cost first."""
    found: dict[tuple[str, str], list[int]] = {}
    first: dict[tuple[str, str], Entry] = {}
    for line in lines:
        sums = found.setdefault((line.tenant, line.run), [0, 0, 0])
        first.setdefault((line.tenant, line.run), line)
        sums[0] += line.nanodollars
        sums[1] += line.upstream_nanodollars
        sums[2] += line.certainty == "unpriced"
    rows = [(*key, *found[key], *_facts(first[key])) for key in sorted(found)]
    add_rows(connection, run, ("tenant", "id"), _AMOUNTS, rows, _FACTS)


def _facts(line: Entry) -> tuple[object, ...]:
    return (line.user, line.workflow, "", "", line.at, line.at, 0, False)


def lay(connection: Connection, who: Attribution, started_at: float, last_at: float) -> None:
    """Make or stretch a run without a call of its own: one that was recorded elsewhere."""
    _upsert(connection, [_new(who, started_at, last_at, 0)])


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
        "seconds": last_at - started_at,
    }


def _upsert(connection: Connection, rows: list[dict[str, object]]) -> None:
    statement = upsert(connection, run)
    new = statement.excluded
    kept = {
        name: case((run.c[name] == "", new[name]), else_=run.c[name])
        for name in ("user", "workflow", "task", "agent")
    }
    started_at = case((new.started_at < run.c.started_at, new.started_at), else_=run.c.started_at)
    last_at = case((new.last_at > run.c.last_at, new.last_at), else_=run.c.last_at)
    times = {
        "started_at": started_at,
        "last_at": last_at,
        "seconds": last_at - started_at,
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


def newest(
    connection: Connection, selection: Selection, standing: Standing, status: RunStatus | None, limit: int
) -> list[RunRow]:
    """Runs that began in the selection's time, the latest first."""
    statement = _rows(selection, standing)
    if status is not None:
        statement = statement.where(status_of(standing) == status)
    return _read(connection, statement.order_by(run.c.started_at.desc(), run.c.id.desc()).limit(limit))


def following(
    connection: Connection, selection: Selection, standing: Standing, after: Cursor | None, limit: int
) -> list[RunRow]:
    """Runs in the order they began, from `after` on."""
    statement = _rows(selection, standing)
    order = (run.c.started_at, run.c.tenant, run.c.id)
    if after is not None:
        place = tuple_(literal(after.started_at), literal(after.tenant), literal(after.id))
        statement = statement.where(run.c.started_at >= after.started_at, tuple_(*order) > place)
    return _read(connection, statement.order_by(*order).limit(limit))


def over(connection: Connection, before: float, limit: int) -> list[tuple[str, str]]:
    """Tenant and id of runs whose last call was before a moment, the oldest first."""
    statement = select(run.c.tenant, run.c.id).where(run.c.started_at < before, run.c.last_at < before)
    rows = connection.execute(statement.order_by(run.c.started_at).limit(limit))
    return [(row.tenant, row.id) for row in rows]


def lasting(connection: Connection, before: float) -> list[tuple[str, str]]:
    """Tenant and id of runs that began before a moment and had calls since."""
    statement = select(run.c.tenant, run.c.id).where(run.c.started_at < before, run.c.last_at >= before)
    return [(row.tenant, row.id) for row in connection.execute(statement)]


def remove(connection: Connection, keys: Sequence[tuple[str, str]], before: float) -> None:
    """Delete runs by tenant and id, but none that had a call since `before`. Their entries stay."""
    if keys:
        named = tuple_(run.c.tenant, run.c.id).in_(keys)
        connection.execute(delete(run).where(named, run.c.last_at < before))


def _rows(selection: Selection, standing: Standing) -> "Select[Any]":
    return select(*run.c, status_of(standing).label("status")).where(
        *conditions(run, "started_at", "id", selection)
    )


def status_of(standing: Standing) -> ColumnElement[str]:
    """A run's status, as `RunStatus` has it."""
    return case(
        (completed(standing.completed_at), "completed"),
        (run.c.reward.is_not(None), "not completed"),
        (or_(run.c.ended, run.c.last_at < standing.open_since), "unknown"),
        else_="open",
    )


def _read(connection: Connection, statement: "Select[Any]") -> list[RunRow]:
    return [RunRow(**row._mapping) for row in connection.execute(statement)]
