"""Recorded calls in the order they were made, page by page, each with what is known of its run. Only reads.

Pages are found by key, so that a report over millions of calls holds one page of them at a time. Ids that this house
gave sort by time; imported calls are ordered by their recorded moment.
"""

from collections.abc import Sequence
from typing import Any, Literal

import msgspec
from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    and_,
    func,
    literal,
    or_,
    select,
    tuple_,
)

from trimtab.core import IdSource
from trimtab.store.schema import call, entry, run
from trimtab.store.selection import Selection, conditions

Lane = Literal["served", "imported", "foreign"]
_IMPORTED, _BEHIND_IMPORTED = "im", "in"
_TIME_LETTERS = 10
_OF_CALL = 15
_THEIRS = and_(run.c.tenant == call.c.tenant, run.c.id == call.c.run)


class HistoryRow(msgspec.Struct, frozen=True, gc=False):
    """A call and its run as their rows tell them. `decision`, `attempts` and `controllers` are JSON. What begins with
    `run_`, and the reward, is None for a call whose run is not known."""

    id: str
    at: float
    model: str
    endpoint: str
    status: str
    code: str
    seconds: float
    answered_by: str
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    nanodollars: int
    decision: bytes | None
    attempts: bytes | None
    controllers: bytes | None
    run_task: str | None
    run_started_at: float | None
    run_last_at: float | None
    reward: float | None


class FactsRow(msgspec.Struct, frozen=True, gc=False):
    """What else is known of a call whose decision does not tell it. `request_bytes` is None where none was kept."""

    id: str
    tenant: str
    run: str
    user: str
    key: str
    workflow: str
    step: str
    parent: str
    surface: str
    asked_model: str
    stream: bool
    request_bytes: int | None
    task: str | None
    agent: str | None


class Place(msgspec.Struct, frozen=True):
    """The place behind a call."""

    at: float
    id: str


class SpentRow(msgspec.Struct, frozen=True):
    """What was spent by one tenant, user, key, workflow and run."""

    tenant: str
    user: str
    key: str
    workflow: str
    run: str
    nanodollars: int


class OtherRow(msgspec.Struct, frozen=True):
    """A ledger line that belongs to no model call: a tool, compute, the rest of an imported run. The last two are
    of its run, None where that is not known."""

    at: float
    tenant: str
    run: str
    user: str
    key: str
    workflow: str
    step: str
    nanodollars: int
    run_started_at: float | None
    reward: float | None


def page(
    connection: Connection, lane: Lane, selection: Selection, after: Place | None, limit: int
) -> list[HistoryRow]:
    """The calls of a lane that follow `after`, the earliest first."""
    columns = [call.c[name] for name in HistoryRow.__struct_fields__[:_OF_CALL]]
    statement = (
        select(*columns, run.c.task, run.c.started_at, run.c.last_at, run.c.reward)
        .select_from(call.outerjoin(run, _THEIRS))
        .where(*_of_lane(lane), *conditions(call, "at", "run", selection))
    )
    result = connection.execute(_in_order(statement, lane, selection, after).limit(limit))
    # The rows as the driver gives them: a million of them pass here, and each costs half as much.
    assert result.cursor is not None
    return [HistoryRow(*row) for row in result.cursor.fetchall()]


def facts(connection: Connection, ids: Sequence[str]) -> dict[str, FactsRow]:
    """By id, what the rows of calls tell of what was asked."""
    columns = [call.c[name] for name in FactsRow.__struct_fields__[:11]]
    told = select(*columns, func.length(call.c.request), run.c.task, run.c.agent)
    statement = told.select_from(call.outerjoin(run, _THEIRS)).where(call.c.id.in_(ids))
    return {row.id: FactsRow(*tuple(row)) for row in connection.execute(statement)}


def count(connection: Connection, since: float | None) -> int:
    """About how many calls there are from a moment on: imported ones are counted whatever their time."""
    statement = select(func.count()).select_from(call)
    if since is not None:
        statement = statement.where(call.c.id >= _first_id(since))
    return int(connection.scalar(statement) or 0)


def others(connection: Connection, begin: float, end: float, selection: Selection) -> list[OtherRow]:
    """Ledger lines of no model call, from `begin` up to `end`, in order."""
    mine = conditions(entry, "at", "run", msgspec.structs.replace(selection, since=begin, until=end))
    loose = or_(entry.c.kind != "model", entry.c.call == "")
    columns = [entry.c[name] for name in OtherRow.__struct_fields__[:8]]
    theirs = and_(run.c.tenant == entry.c.tenant, run.c.id == entry.c.run)
    statement = select(*columns, run.c.started_at, run.c.reward).select_from(entry.outerjoin(run, theirs))
    rows = connection.execute(statement.where(loose, *mine).order_by(entry.c.at, entry.c.id))
    return [OtherRow(*tuple(row)) for row in rows]


def spent(connection: Connection, begin: float, end: float) -> list[SpentRow]:
    """All that was spent from `begin` up to `end`, by whose it was and the run."""
    return _spent(connection, entry.c.at >= begin, entry.c.at < end)


def spent_by_open_runs(connection: Connection, moment: float) -> list[SpentRow]:
    """What the runs that went on after a moment had spent before."""
    opened = (run.c.started_at < moment) & (run.c.last_at >= moment)
    mine = select(literal(1)).where(run.c.tenant == entry.c.tenant, run.c.id == entry.c.run, opened)
    return _spent(connection, entry.c.at < moment, mine.exists())


def _spent(connection: Connection, *which: ColumnElement[bool]) -> list[SpentRow]:
    fields = [entry.c[name] for name in SpentRow.__struct_fields__[:-1]]
    statement = select(*fields, func.sum(entry.c.nanodollars)).group_by(*fields)
    rows = connection.execute(statement.where(*which))
    return [SpentRow(row.tenant, row.user, row.key, row.workflow, row.run, int(row[-1])) for row in rows]


def _of_lane(lane: Lane) -> Sequence[ColumnElement[bool]]:
    if lane == "served":
        return (call.c.id < _IMPORTED,)
    if lane == "foreign":
        return (call.c.id >= _BEHIND_IMPORTED,)
    return (call.c.id >= _IMPORTED, call.c.id < _BEHIND_IMPORTED)


def _in_order(
    statement: "Select[Any]", lane: Lane, selection: Selection, after: Place | None
) -> "Select[Any]":
    if lane == "imported":
        if after is not None:
            here = tuple_(literal(after.at), literal(after.id))
            statement = statement.where(tuple_(call.c.at, call.c.id) > here)
        return statement.order_by(call.c.at, call.c.id)
    if after is not None:
        statement = statement.where(call.c.id > after.id)
    elif selection.since is not None:
        statement = statement.where(call.c.id >= _first_id(selection.since))
    return statement.order_by(call.c.id)


def _first_id(moment: float) -> str:
    """What the ids of a moment begin with; ids of later ones are greater."""
    return IdSource().new(moment)[:_TIME_LETTERS]
