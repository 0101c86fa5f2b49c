"""Crons: runs that begin by the clock. Of all who see that one is due, whoever moves its `next_at` starts the run."""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec
from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    and_,
    delete,
    func,
    insert,
    nulls_last,
    select,
    tuple_,
    update,
)

from trimtab.store.facts import holds
from trimtab.store.workflow_schema import cron as table

CronSort = Literal[
    "cron_id", "assistant_id", "thread_id", "created_at", "updated_at", "next_run_date", "end_time"
]
_COLUMNS: Mapping[str, ColumnElement[Any]] = {
    "cron_id": table.c.id,
    "assistant_id": table.c.assistant,
    "thread_id": table.c.thread,
    "created_at": table.c.created_at,
    "updated_at": table.c.updated_at,
    "next_run_date": table.c.next_at,
    "end_time": table.c.end_at,
}


class CronRow(msgspec.Struct, frozen=True):
    """One cron. `thread` is '' for runs on threads of their own, kept or deleted then by `on_completed`; `timezone`
    is '' for UTC; `payload` and `metadata` are JSON; `next_at` is None where it will not be due again."""

    id: str
    tenant: str
    user: str
    key: str
    assistant: str
    thread: str
    schedule: str
    timezone: str
    payload: bytes
    metadata: str
    enabled: bool
    on_completed: Literal["delete", "keep"]
    end_at: float | None
    next_at: float | None
    created_at: float
    updated_at: float


class CronQuery(msgspec.Struct, frozen=True):
    """What a list is narrowed to, and how it is ordered."""

    assistant: str | None = None
    thread: str | None = None
    enabled: bool | None = None
    metadata: Mapping[str, Any] = {}
    limit: int = 10
    offset: int = 0
    sort_by: CronSort = "created_at"
    ascending: bool = False


def add(connection: Connection, row: CronRow) -> None:
    """A new cron."""
    connection.execute(insert(table).values(msgspec.structs.asdict(row)))


def find(connection: Connection, tenant: str, id: str) -> CronRow | None:
    """A cron of a tenant, which stays as it is until this transaction ends."""
    row = connection.execute(select(table).where(_named(tenant, id)).with_for_update()).first()
    return None if row is None else CronRow(**row._mapping)


def change(connection: Connection, row: CronRow) -> None:
    """Write a cron over."""
    values = msgspec.structs.asdict(row)
    connection.execute(update(table).where(_named(row.tenant, row.id)).values(values))


def remove(connection: Connection, tenant: str, id: str) -> bool:
    """Delete a cron; False where there is none."""
    return connection.execute(delete(table).where(_named(tenant, id))).rowcount == 1


def remove_of_thread(connection: Connection, tenant: str, thread: str) -> None:
    """Delete the crons of a thread that goes."""
    connection.execute(delete(table).where(table.c.tenant == tenant, table.c.thread == thread))


def search(connection: Connection, tenant: str, query: CronQuery) -> list[CronRow]:
    """Crons of a tenant."""
    column = _COLUMNS[query.sort_by]
    order = nulls_last(column.asc() if query.ascending else column.desc())
    statement = _narrowed(connection, select(table), tenant, query).order_by(order, table.c.id)
    rows = connection.execute(statement.limit(query.limit).offset(query.offset))
    return [CronRow(**row._mapping) for row in rows]


def count(connection: Connection, tenant: str, query: CronQuery) -> int:
    """How many `search` finds on all its pages."""
    counted = select(func.count()).select_from(table)
    return connection.scalar(_narrowed(connection, counted, tenant, query)) or 0


def count_all(connection: Connection, tenant: str) -> int:
    """How many crons a tenant has."""
    return connection.scalar(select(func.count()).where(table.c.tenant == tenant)) or 0


def due(connection: Connection, now: float, after: tuple[float, str], limit: int) -> list[CronRow]:
    """Crons of all tenants that are due, the longest due first, behind the (next_at, id) `after`."""
    ready = and_(table.c.enabled, table.c.next_at <= now, tuple_(table.c.next_at, table.c.id) > after)
    rows = connection.execute(select(table).where(ready).order_by(table.c.next_at, table.c.id).limit(limit))
    return [CronRow(**row._mapping) for row in rows]


def move(connection: Connection, row: CronRow, next_at: float | None) -> bool:
    """Take a due cron and say when it is due again, None for never; False where somebody else took or changed it."""
    mine = and_(table.c.id == row.id, table.c.enabled, table.c.next_at == row.next_at)
    values = {"next_at": next_at, "enabled": next_at is not None}
    return connection.execute(update(table).where(mine).values(values)).rowcount == 1


def _named(tenant: str, id: str) -> ColumnElement[bool]:
    return and_(table.c.tenant == tenant, table.c.id == id)


def _narrowed(
    connection: Connection, statement: "Select[Any]", tenant: str, query: CronQuery
) -> "Select[Any]":
    statement = statement.where(table.c.tenant == tenant, holds(connection, table.c.metadata, query.metadata))
    for column, value in (
        (table.c.assistant, query.assistant),
        (table.c.thread, query.thread),
        (table.c.enabled, query.enabled),
    ):
        if value is not None:
            statement = statement.where(column == value)
    return statement
