"""Threads: the conversations that runs go on with. What a thread remembers is its checkpoints'."""

from collections.abc import Collection, Mapping
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
    insert,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from trimtab.store import workflow_checkpoints, workflow_crons, workflow_writes
from trimtab.store.bulk import insert_rows
from trimtab.store.facts import holds
from trimtab.store.workflow_schema import checkpoint, event, question, run, write
from trimtab.store.workflow_schema import thread as table

ThreadStatus = Literal["idle", "busy", "interrupted", "error"]
_BUSY, _WAITING, _FAILED = ("queued", "running"), ("waiting",), ("failed", "parked")


class ThreadRow(msgspec.Struct, frozen=True):
    """One thread. `metadata` is JSON text, times are epoch seconds; `workflow` and `latest_run` are '' before its
    first run."""

    tenant: str
    id: str
    workflow: str
    metadata: str
    latest_run: str
    created_at: float
    updated_at: float
    expires_at: float | None = None


class FoundThread(msgspec.Struct, frozen=True):
    """A thread as a list shows it."""

    row: ThreadRow
    status: ThreadStatus
    output: bytes | None


class ThreadQuery(msgspec.Struct, frozen=True):
    """What a list is narrowed to, and how it is ordered."""

    metadata: Mapping[str, Any] = {}
    ids: Collection[str] = ()
    status: ThreadStatus | None = None
    limit: int = 10
    offset: int = 0
    sort_by: Literal["thread_id", "status", "created_at", "updated_at"] = "updated_at"
    ascending: bool = False


def key_of(tenant: str, thread: str) -> str:
    """How checkpoints and writes know a thread."""
    return f"{tenant}/{thread}"


def add(connection: Connection, row: ThreadRow) -> bool:
    """A new thread; False where there is one of that name."""
    dialect: Any = sqlite if connection.dialect.name == "sqlite" else postgresql
    statement = dialect.insert(table).values(msgspec.structs.asdict(row)).on_conflict_do_nothing()
    return connection.execute(statement.returning(table.c.id)).first() is not None


def lay(connection: Connection, row: ThreadRow) -> None:
    """A new thread that nobody else can have the name of."""
    insert_rows(connection, table, [msgspec.structs.asdict(row)])


def lock(connection: Connection, tenant: str, id: str) -> ThreadRow | None:
    """A thread that stays as it is until this transaction ends."""
    row = connection.execute(select(table).where(_named(tenant, id)).with_for_update()).first()
    return None if row is None else ThreadRow(**row._mapping)


def enter(connection: Connection, tenant: str, id: str, run_id: str, workflow: str, now: float) -> None:
    """Note a thread's latest run."""
    values = {"latest_run": run_id, "workflow": workflow, "updated_at": now}
    connection.execute(update(table).where(_named(tenant, id)).values(values))


def wait_again(connection: Connection, tenant: str, id: str, latest: str, run_id: str) -> None:
    """Where a run that never began was a thread's latest, the one before it is again."""
    mine = and_(_named(tenant, id), table.c.latest_run == latest)
    connection.execute(update(table).where(mine).values(latest_run=run_id))


def change(
    connection: Connection, tenant: str, id: str, now: float, *, metadata: str, expires_at: float | None
) -> None:
    """Give a thread other metadata and another end."""
    values = {"metadata": metadata, "expires_at": expires_at, "updated_at": now}
    connection.execute(update(table).where(_named(tenant, id)).values(values))


def find(connection: Connection, tenant: str, id: str) -> FoundThread | None:
    """A thread of a tenant."""
    row = connection.execute(_listed().where(_named(tenant, id))).first()
    return None if row is None else _found(row)


def search(connection: Connection, tenant: str, query: ThreadQuery) -> list[FoundThread]:
    """Threads of a tenant."""
    status = _status()
    columns: dict[str, ColumnElement[Any]] = {"thread_id": table.c.id, "status": status}
    column = columns.get(query.sort_by, table.c.get(query.sort_by, table.c.updated_at))
    order = column.asc() if query.ascending else column.desc()
    statement = _narrowed(connection, _listed(), tenant, query).order_by(order, table.c.id)
    return [_found(row) for row in connection.execute(statement.limit(query.limit).offset(query.offset))]


def count(connection: Connection, tenant: str, query: ThreadQuery) -> int:
    """How many `search` finds."""
    counted = select(func.count()).select_from(_joined())
    return connection.scalar(_narrowed(connection, counted, tenant, query)) or 0


def count_all(connection: Connection, tenant: str) -> int:
    """How many threads a tenant has."""
    return connection.scalar(select(func.count()).where(table.c.tenant == tenant)) or 0


def touch(connection: Connection, tenant: str, id: str, now: float) -> None:
    """Note that a thread changed."""
    connection.execute(update(table).where(_named(tenant, id)).values(updated_at=now))


def copy_past(connection: Connection, tenant: str, old: str, new: str) -> None:
    """Give a thread the checkpoints and writes of another one."""
    for kept in (checkpoint, write):
        columns = [column for column in kept.c if column.name != "thread"]
        chosen = select(literal(key_of(tenant, new)), *columns).where(kept.c.thread == key_of(tenant, old))
        names = ["thread", *[column.name for column in columns]]
        connection.execute(insert(kept).from_select(names, chosen))


def forget(connection: Connection, tenant: str, id: str) -> None:
    """Delete a thread, its past and its crons; its runs stay, with what they cost."""
    workflow_crons.remove_of_thread(connection, tenant, id)
    workflow_checkpoints.remove(connection, key_of(tenant, id))
    workflow_writes.remove(connection, key_of(tenant, id))
    connection.execute(delete(table).where(_named(tenant, id)))


def remove(connection: Connection, tenant: str, id: str) -> None:
    """Delete a thread with its runs, checkpoints, questions and events."""
    mine = and_(run.c.tenant == tenant, run.c.thread == id)
    for of_run in (question, event):
        connection.execute(delete(of_run).where(of_run.c.run.in_(select(run.c.id).where(mine))))
    connection.execute(delete(run).where(mine))
    forget(connection, tenant, id)


def _named(tenant: str, id: str) -> ColumnElement[bool]:
    return and_(table.c.tenant == tenant, table.c.id == id)


def _joined() -> Any:  # noqa: ANN401 - SQLAlchemy's own
    return table.outerjoin(run, run.c.id == table.c.latest_run)


def _status() -> ColumnElement[str]:
    return case(
        (run.c.state.in_(_BUSY), "busy"),
        (run.c.state.in_(_WAITING), "interrupted"),
        (run.c.state.in_(_FAILED), "error"),
        else_="idle",
    )


def _listed() -> "Select[Any]":
    shown = select(table, _status().label("status"), run.c.output.label("output"))
    return shown.select_from(_joined())


def _narrowed(
    connection: Connection, statement: "Select[Any]", tenant: str, query: ThreadQuery
) -> "Select[Any]":
    statement = statement.where(table.c.tenant == tenant, holds(connection, table.c.metadata, query.metadata))
    if query.ids:
        statement = statement.where(or_(*[table.c.id == id for id in query.ids]))
    return statement if query.status is None else statement.where(_status() == query.status)


def _found(row: Any) -> FoundThread:  # noqa: ANN401 - SQLAlchemy's row
    facts = dict(row._mapping)
    status, output = facts.pop("status"), facts.pop("output")
    return FoundThread(ThreadRow(**facts), status, output)
