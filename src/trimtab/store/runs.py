"""Runs: made by their first call or cost, closed by an outcome, an end header or silence."""

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any, Literal

import msgspec
from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    and_,
    case,
    delete,
    func,
    literal,
    or_,
    select,
    true,
    tuple_,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from trimtab.core import Attribution, CallRecord, Entry, OutcomeRecord
from trimtab.store import drawn
from trimtab.store.journal import EndRecord
from trimtab.store.meters import upsert, upsert_of
from trimtab.store.schema import entry, run
from trimtab.store.selection import Selection, Standing, completed, conditions

_Insert = postgresql.Insert | sqlite.Insert
RunStatus = Literal["completed", "not completed", "unknown", "open"]
_AMOUNTS = ("nanodollars", "upstream_nanodollars", "unpriced")


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


OF_RUN = tuple(run.c[name] for name in RunRow.__struct_fields__ if name != "status")


class Cursor(msgspec.Struct, frozen=True):
    """The place behind a run, in the order of their beginnings."""

    started_at: float
    tenant: str
    id: str


def touch(
    connection: Connection,
    records: Iterable[CallRecord],
    lines: Iterable[Entry] = (),
    said: Iterable[tuple[Attribution, float]] = (),
) -> None:
    """Create or update the runs of finished calls and of entries that are new in the store; a run may be known by its
    cost first. All runs a transaction writes to, those too of which something is `said` after, are locked here, in one
    order: several processes may serve a run."""
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for record in records:
        _add_call(rows, record)
    called = set(rows)
    for line in lines:
        _add_cost(rows, line)
    charged = [key for key in rows if key not in called]
    known = _which(connection, charged)
    for who, at in said:
        rows.setdefault((who.tenant, who.run), _new(who, at, at, 0))
    if rows:
        statement = _touching(connection.dialect.name)
        connection.execute(statement, [rows[key] for key in sorted(rows)])
    # Those made by a cost may have had others, if they were there before and were deleted.
    sum_up(connection, sorted(set(charged) - known))


def _add_call(rows: dict[tuple[str, str], dict[str, Any]], record: CallRecord) -> None:
    who, at = record.call.who, record.call.at
    row = rows.get((who.tenant, who.run))
    if row is None:
        row = rows[who.tenant, who.run] = _new(who, at, at + record.seconds, 1)
    else:
        row["calls"] += 1
        row["last_at"] = max(row["last_at"], at + record.seconds)
        row["started_at"] = min(row["started_at"], at)
        row["seconds"] = row["last_at"] - row["started_at"]
    drawn.note(row, record)


def _add_cost(rows: dict[tuple[str, str], dict[str, Any]], line: Entry) -> None:
    row = rows.get((line.tenant, line.run))
    if row is None:
        who = Attribution(line.tenant, line.run, line.user, workflow=line.workflow)
        row = rows[line.tenant, line.run] = _new(who, line.at, line.at, 0)
    row["nanodollars"] += line.nanodollars
    row["upstream_nanodollars"] += line.upstream_nanodollars
    row["unpriced"] += line.certainty == "unpriced"


def _which(connection: Connection, keys: Sequence[tuple[str, str]]) -> set[tuple[str, str]]:
    if not keys:
        return set()
    found = select(run.c.tenant, run.c.id).where(tuple_(run.c.tenant, run.c.id).in_(keys))
    return {(row.tenant, row.id) for row in connection.execute(found)}


def sum_up(connection: Connection, keys: Sequence[tuple[str, str]]) -> None:
    """Tell anew what runs cost, by all their entries: these outlive runs, and stand before a run that is made again."""
    if not keys:
        return
    mine = and_(entry.c.run == run.c.id, entry.c.tenant == run.c.tenant)
    amounts = {
        "nanodollars": entry.c.nanodollars,
        "upstream_nanodollars": entry.c.upstream_nanodollars,
        "unpriced": case((entry.c.certainty == "unpriced", 1), else_=0),
    }
    sums = {
        name: select(func.coalesce(func.sum(amount), 0)).where(mine).scalar_subquery()
        for name, amount in amounts.items()
    }
    connection.execute(update(run).where(tuple_(run.c.tenant, run.c.id).in_(keys)).values(sums))


def lay(connection: Connection, who: Attribution, started_at: float, last_at: float) -> None:
    """Make or stretch a run without a call of its own: one that was recorded elsewhere."""
    connection.execute(_stretching(connection.dialect.name), [_new(who, started_at, last_at, 0)])


def _new(who: Attribution, started_at: float, last_at: float, calls: int) -> dict[str, Any]:
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
        "nanodollars": 0,
        "upstream_nanodollars": 0,
        "unpriced": 0,
        **drawn.NOTHING,
    }


@cache
def _touching(dialect: str) -> _Insert:
    """Only calls stretch a run that is there: what is charged or said late does not."""
    statement = upsert_of(dialect, run)
    return _merging(statement, statement.excluded.calls > 0)


@cache
def _stretching(dialect: str) -> _Insert:
    return _merging(upsert_of(dialect, run), true())


def _merging(statement: _Insert, longer: ColumnElement[bool]) -> _Insert:
    """Made once a dialect: to put it together takes longer than to run it."""
    new = statement.excluded
    kept = {
        name: case((run.c[name] == "", new[name]), else_=run.c[name])
        for name in ("user", "workflow", "task", "agent")
    }
    started_at = case((longer & (new.started_at < run.c.started_at), new.started_at), else_=run.c.started_at)
    last_at = case((longer & (new.last_at > run.c.last_at), new.last_at), else_=run.c.last_at)
    times = {"started_at": started_at, "last_at": last_at, "seconds": last_at - started_at}
    sums = {name: run.c[name] + new[name] for name in ("calls", *_AMOUNTS)}
    changed = kept | times | sums | drawn.merged(new)
    return statement.on_conflict_do_update(index_elements=["tenant", "id"], set_=changed)


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
    return select(*OF_RUN, status_of(standing).label("status")).where(
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
