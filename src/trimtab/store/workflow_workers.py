"""The workers that drive runs: when each was last heard of, by the database's own time."""

from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Float, case, cast, delete, func, literal_column, select
from sqlalchemy.dialects import postgresql, sqlite

from trimtab.store.workflow_schema import worker as table

_UNIX_DAY = 2_440_587.5
_SQLITE_NOW = literal_column(f"(julianday('now') - {_UNIX_DAY}) * 86400.0", Float)
_PG_NOW = cast(func.extract("epoch", func.clock_timestamp()), Float)


class WorkerRow(msgspec.Struct, frozen=True):
    """A worker. `seen_at` is epoch seconds; a draining one takes no more runs; `partitions` are separated by blanks;
    `driven` counts the runs it drives."""

    id: str
    host: str
    pid: int
    seen_at: float
    draining: bool
    partitions: str = ""
    driven: int = 0


def time_now(connection: Connection) -> float:
    """The database's epoch seconds: what leases are measured by, so that machines' clocks may differ."""
    return float(connection.scalar(select(now_of(connection))) or 0.0)


def now_of(connection: Connection) -> ColumnElement[float]:
    """`time_now`, to be asked for within a statement."""
    return _SQLITE_NOW if connection.dialect.name == "sqlite" else _PG_NOW


def beat(connection: Connection, worker: WorkerRow) -> float:
    """Say that a worker lives; the database's time, which is what is noted as `seen_at`."""
    now = time_now(connection)
    insert: Any = (sqlite if connection.dialect.name == "sqlite" else postgresql).insert(table)
    row = msgspec.structs.asdict(worker) | {"seen_at": now}
    changed = {name: row[name] for name in ("seen_at", "draining", "driven")}
    connection.execute(insert.values(row).on_conflict_do_update(index_elements=["id"], set_=changed))
    return now


def alive(connection: Connection, since: float) -> list[WorkerRow]:
    """The workers heard of since a moment."""
    rows = connection.execute(select(table).where(table.c.seen_at >= since).order_by(table.c.id))
    return [WorkerRow(**row._mapping) for row in rows]


def leave(connection: Connection, id: str) -> None:
    """A worker goes: what it still held may be taken at once."""
    connection.execute(delete(table).where(table.c.id == id))


def find(connection: Connection, id: str) -> WorkerRow | None:
    """A worker by its id."""
    row = connection.execute(select(table).where(table.c.id == id)).first()
    return None if row is None else WorkerRow(**row._mapping)


def forget(connection: Connection, before: float) -> int:
    """Delete workers not heard of since a moment; returns how many."""
    return connection.execute(delete(table).where(table.c.seen_at < before)).rowcount


def is_heard(owner: ColumnElement[str], since: float) -> ColumnElement[bool]:
    """Whether the worker a column names was heard of since a moment."""
    mine = (table.c.id == owner) & (table.c.seen_at >= since)
    return case((select(table.c.id).where(mine).exists(), True), else_=False)
