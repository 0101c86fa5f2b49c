"""Checkpoints of runs: one row each, written only by whoever holds the run's claim (see `workflow_runs.held`)."""

from collections.abc import Sequence

import msgspec
from sqlalchemy import Connection, and_, delete, func, select, true

from trimtab.store.bulk import put_rows
from trimtab.store.workflow_schema import checkpoint as table

# In the namespace of a subgraph that begins anew in each step, as LangGraph writes it: "node:task|inner:task".
STEP_MARK = ":"
KEY = ("thread", "namespace", "id")
CHANGED = ("kind", "body", "metadata")


class CheckpointRow(msgspec.Struct, frozen=True):
    """One checkpoint of a thread. `namespace` is '' but in subgraphs; `kind` says how `body` is to be read;
    `parent` is the checkpoint before it, '' for the first; `metadata` is JSON."""

    thread: str
    namespace: str
    id: str
    run: str
    parent: str
    kind: str
    body: bytes
    metadata: bytes


class CheckpointMark(msgspec.Struct, frozen=True):
    """A checkpoint without what it holds."""

    namespace: str
    id: str
    run: str
    metadata: bytes


def put(connection: Connection, rows: Sequence[CheckpointRow]) -> None:
    """Write checkpoints; one that is there is overwritten."""
    put_rows(connection, table, rows, KEY, CHANGED)


def find(connection: Connection, thread: str, namespace: str, id: str = "") -> CheckpointRow | None:
    """A checkpoint; the latest where none is named."""
    found = history(connection, thread, namespace, limit=1, id=id)
    return found[0] if found else None


def is_of(connection: Connection, thread: str, run: str) -> bool:
    """Whether a thread has a checkpoint that a run wrote."""
    mine = select(table.c.id).where(table.c.thread == thread, table.c.namespace == "", table.c.run == run)
    return connection.execute(mine.limit(1)).first() is not None


def history(
    connection: Connection,
    thread: str,
    namespace: str | None = None,
    *,
    id: str = "",
    before: str = "",
    limit: int | None = None,
) -> list[CheckpointRow]:
    """A thread's checkpoints, the latest first; those before one where it is named, in all namespaces or in one."""
    statement = select(table).where(table.c.thread == thread)
    if namespace is not None:
        statement = statement.where(table.c.namespace == namespace)
    if id:
        statement = statement.where(table.c.id == id)
    if before:
        statement = statement.where(table.c.id < before)
    rows = connection.execute(statement.order_by(table.c.id.desc()).limit(limit))
    return [CheckpointRow(*row) for row in rows]


def remove(connection: Connection, thread: str) -> None:
    """Delete a thread's checkpoints."""
    connection.execute(delete(table).where(table.c.thread == thread))


def marks(
    connection: Connection,
    thread: str,
    namespace: str | None = None,
    *,
    since: str = "",
    limit: int | None = None,
) -> list[CheckpointMark]:
    """A thread's checkpoints without what they hold, the latest first; from one on where it is named."""
    columns = [table.c[name] for name in CheckpointMark.__struct_fields__]
    statement = select(*columns).where(table.c.thread == thread, table.c.id >= since)
    if namespace is not None:
        statement = statement.where(table.c.namespace == namespace)
    rows = connection.execute(statement.order_by(table.c.id.desc()).limit(limit))
    return [CheckpointMark(*row) for row in rows]


def oldest_kept(connection: Connection, thread: str, keep: int) -> dict[str, str]:
    """The oldest of the newest `keep` checkpoints of each namespace that has as many."""
    place = func.row_number().over(partition_by=table.c.namespace, order_by=table.c.id.desc()).label("place")
    placed = select(table.c.namespace, table.c.id, place).where(table.c.thread == thread).subquery()
    rows = connection.execute(select(placed.c.namespace, placed.c.id).where(placed.c.place == keep))
    return {row.namespace: row.id for row in rows}


def before_run(connection: Connection, thread: str) -> str:
    """Where the run began that wrote a thread's latest checkpoint: the last one of another run, '' for none."""
    mine = and_(table.c.thread == thread, table.c.namespace == "")
    latest = select(table.c.run).where(mine).order_by(table.c.id.desc()).limit(1).scalar_subquery()
    others = select(table.c.id).where(mine, table.c.run != latest).order_by(table.c.id.desc())
    return connection.scalar(others.limit(1)) or ""


def oldest_after(connection: Connection, thread: str, count: int) -> str:
    """The checkpoint that follows a thread's `count` oldest ones; '' where it has no more than those."""
    ids = select(table.c.id).where(table.c.thread == thread).order_by(table.c.id)
    return connection.scalar(ids.offset(count).limit(1)) or ""


def remove_before(
    connection: Connection, thread: str, id: str, namespace: str | None = None, *, but: str = ""
) -> int:
    """Delete a thread's checkpoints before one, in all namespaces or in one, `but` stays; returns how many."""
    mine = and_(table.c.thread == thread, table.c.id < id, table.c.id != but)
    which = true() if namespace is None else table.c.namespace == namespace
    return connection.execute(delete(table).where(mine, which)).rowcount


def remove_steps_before(connection: Connection, thread: str, id: str) -> int:
    """Delete what subgraphs kept of single steps before a checkpoint; returns how many."""
    mine = and_(table.c.thread == thread, table.c.id < id, table.c.namespace.contains(STEP_MARK))
    return connection.execute(delete(table).where(mine)).rowcount
