"""Runs page by page: filtered, sorted by when they began, what they cost or how long they took. Read by the console."""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec
from sqlalchemy import ColumnElement, Connection, and_, case, func, literal, select, tuple_

from trimtab.store.runs import OF_RUN, RunRow, RunStatus, status_of
from trimtab.store.schema import run
from trimtab.store.selection import Selection, Standing
from trimtab.store.workflow_runs import OVER, WorkflowState
from trimtab.store.workflow_schema import run as hosted

RunOrder = Literal["started_at", "nanodollars", "seconds"]
RunSorting = Literal["newest", "oldest", "dearest", "cheapest", "slowest", "fastest"]
_ORDERS: dict[RunSorting, tuple[RunOrder, bool]] = {
    "newest": ("started_at", True),
    "oldest": ("started_at", False),
    "dearest": ("nanodollars", True),
    "cheapest": ("nanodollars", False),
    "slowest": ("seconds", True),
    "fastest": ("seconds", False),
}


class RunPlace(msgspec.Struct, frozen=True, array_like=True):
    """Where a page ended: what the last run's order was, and which it is."""

    value: float | int
    tenant: str
    id: str

    @classmethod
    def behind(cls, last: RunRow, sorting: RunSorting) -> "RunPlace":
        """The place that a page begins at which follows a run."""
        return cls(getattr(last, _ORDERS[sorting][0]), last.tenant, last.id)


class RunQuery(msgspec.Struct, frozen=True, kw_only=True):
    """What runs are asked for. None means all; costs in nanodollars, seconds from the first call to the last."""

    selection: Selection = Selection()
    status: RunStatus | None = None
    state: WorkflowState | None = None
    least_nanodollars: int | None = None
    most_nanodollars: int | None = None
    least_seconds: float | None = None
    most_seconds: float | None = None
    sorting: RunSorting = "newest"
    after: RunPlace | None = None


class FoundRun(msgspec.Struct, frozen=True):
    """A run, and its state where it is hosted."""

    run: RunRow
    state: WorkflowState | None


def page(connection: Connection, query: RunQuery, standing: Standing, limit: int) -> list[FoundRun]:
    """The next `limit` runs of a query. Where a state is asked for, hosted runs that have made no call yet too."""
    order, falls = _ORDERS[query.sorting]
    whole = _traced(standing) if query.state is None else _hosted(standing)
    columns = (whole[order], whole["tenant"], whole["id"])
    statement = select(*[column.label(name) for name, column in whole.items()], hosted.c.state.label("state"))
    both = and_(hosted.c.id == run.c.id, hosted.c.tenant == run.c.tenant)
    tables = run.outerjoin(hosted, both) if query.state is None else hosted.outerjoin(run, both)
    statement = statement.select_from(tables).where(*_asked(query, whole))
    if query.after is not None:
        statement = statement.where(_behind(columns, query.after, falls=falls))
    statement = statement.order_by(*[column.desc() if falls else column.asc() for column in columns])
    return [_found(dict(row._mapping)) for row in connection.execute(statement.limit(limit))]


def _traced(standing: Standing) -> dict[str, ColumnElement[Any]]:
    """Of a run that made calls."""
    return {column.name: column for column in OF_RUN} | {"status": status_of(standing)}


def _hosted(standing: Standing) -> dict[str, ColumnElement[Any]]:
    """Of a hosted run, whether it made calls or not."""
    over = hosted.c.state.in_(OVER)
    own = {
        "tenant": hosted.c.tenant,
        "id": hosted.c.id,
        "user": hosted.c.user,
        "workflow": hosted.c.workflow,
        "task": func.coalesce(run.c.task, ""),
        "agent": func.coalesce(run.c.agent, ""),
        "started_at": hosted.c.created_at,
        "last_at": func.coalesce(run.c.last_at, hosted.c.updated_at),
        "ended": func.coalesce(run.c.ended, over),
        "status": case((run.c.id.is_not(None), status_of(standing)), (over, "unknown"), else_="open"),
    }
    counted = ("calls", "nanodollars", "upstream_nanodollars", "unpriced", "seconds")
    rest = {name: run.c[name] for name in ("reward", "outcome_at", "outcome_by", "outcome_reason")}
    return own | rest | {name: func.coalesce(run.c[name], 0) for name in counted}


def _behind(columns: tuple[Any, ...], place: RunPlace, *, falls: bool) -> ColumnElement[bool]:
    there = tuple_(literal(place.value), literal(place.tenant), literal(place.id))
    here = tuple_(*columns)
    return here < there if falls else here > there


def _asked(query: RunQuery, whole: Mapping[str, ColumnElement[Any]]) -> list[ColumnElement[bool]]:
    chosen = query.selection
    named = {"tenant": chosen.tenant, "user": chosen.user, "workflow": chosen.workflow, "id": chosen.run}
    asked = [
        whole[name] == value
        for name, value in (named | {"status": query.status}).items()
        if value is not None
    ]
    if query.state is not None:
        asked.append(hosted.c.state == query.state)
    bounds = (
        ("started_at", chosen.since, None),
        ("nanodollars", query.least_nanodollars, query.most_nanodollars),
        ("seconds", query.least_seconds, query.most_seconds),
    )
    asked += [whole[name] >= least for name, least, _ in bounds if least is not None]
    asked += [whole[name] <= most for name, _, most in bounds if most is not None]
    return asked if chosen.until is None else [*asked, whole["started_at"] < chosen.until]


def _found(values: dict[str, Any]) -> FoundRun:
    state = values.pop("state")
    return FoundRun(RunRow(**values), state)


class RunTimes(msgspec.Struct, frozen=True):
    """Runs that began lately, the newest first: when (epoch seconds), and how long each took so far."""

    started_at: tuple[float, ...]
    seconds: tuple[float, ...]


def lately(connection: Connection, tenant: str | None, since: float, most: int) -> RunTimes:
    """The newest runs that began since a moment, at most `most`."""
    statement = select(run.c.started_at, run.c.seconds).where(run.c.started_at >= since)
    if tenant is not None:
        statement = statement.where(run.c.tenant == tenant)
    rows = connection.execute(statement.order_by(run.c.started_at.desc()).limit(most)).all()
    return RunTimes(tuple(row.started_at for row in rows), tuple(row.seconds for row in rows))


def hosted_states(connection: Connection, tenant: str | None) -> dict[tuple[str, WorkflowState], int]:
    """How many hosted runs stand in each state that is not over, by workflow."""
    standing = hosted.c.state.in_(("queued", "running", "waiting", "parked"))
    statement = select(hosted.c.workflow, hosted.c.state, func.count()).where(standing)
    if tenant is not None:
        statement = statement.where(hosted.c.tenant == tenant)
    rows = connection.execute(statement.group_by(hosted.c.workflow, hosted.c.state))
    return {(row[0], row[1]): row[2] for row in rows}
