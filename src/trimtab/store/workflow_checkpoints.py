"""Checkpoints of runs: one row each, written only by whoever holds the run's claim (see `workflow_runs.held`)."""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from trimtab.store.workflow_schema import checkpoint as table


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


def put(connection: Connection, rows: Sequence[CheckpointRow]) -> None:
    """Write checkpoints; one that is there is overwritten."""
    if not rows:
        return
    insert: Any = (sqlite if connection.dialect.name == "sqlite" else postgresql).insert(table)
    changed = {name: insert.excluded[name] for name in ("kind", "body", "metadata")}
    statement = insert.on_conflict_do_update(index_elements=["thread", "namespace", "id"], set_=changed)
    connection.execute(statement, [msgspec.structs.asdict(row) for row in rows])


def find(connection: Connection, thread: str, namespace: str, id: str = "") -> CheckpointRow | None:
    """A checkpoint; the latest where none is named."""
    found = history(connection, thread, namespace, limit=1, id=id)
    return found[0] if found else None


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
