"""What the nodes of a step wrote before the step's checkpoint: a finished node is known by them and not run again."""

from collections.abc import Sequence

import msgspec
from sqlalchemy import Connection, and_, delete, select, true

from trimtab.store.bulk import put_rows
from trimtab.store.workflow_checkpoints import STEP_MARK
from trimtab.store.workflow_schema import write as table

KEY = ("thread", "namespace", "checkpoint", "task", "position")
CHANGED = ("path", "channel", "kind", "body")


class WriteRow(msgspec.Struct, frozen=True):
    """One value a task wrote to a channel after a checkpoint. `position` is below 0 for the engine's own channels."""

    thread: str
    namespace: str
    checkpoint: str
    task: str
    position: int
    path: str
    channel: str
    kind: str
    body: bytes


def put(connection: Connection, rows: Sequence[WriteRow], *, replace: bool) -> None:
    """Write values; of one that is there the old stays, or the new where `replace` is asked for."""
    put_rows(connection, table, rows, KEY, CHANGED if replace else ())


def of_checkpoint(connection: Connection, thread: str, namespace: str, checkpoint: str) -> list[WriteRow]:
    """The values written after a checkpoint, in the order the engine reads them."""
    mine = (table.c.thread == thread) & (table.c.namespace == namespace) & (table.c.checkpoint == checkpoint)
    order = (table.c.path, table.c.task, table.c.position)
    return [WriteRow(*row) for row in connection.execute(select(table).where(mine).order_by(*order))]


def remove(connection: Connection, thread: str) -> None:
    """Delete a thread's writes."""
    connection.execute(delete(table).where(table.c.thread == thread))


def remove_before(
    connection: Connection, thread: str, id: str, namespace: str | None = None, *, but: str = ""
) -> None:
    """Delete what was written after a thread's checkpoints before one, but not what was after `but`."""
    mine = and_(table.c.thread == thread, table.c.checkpoint < id, table.c.checkpoint != but)
    which = true() if namespace is None else table.c.namespace == namespace
    connection.execute(delete(table).where(mine, which))


def remove_steps_before(connection: Connection, thread: str, id: str) -> None:
    """Delete what subgraphs wrote in single steps before a checkpoint."""
    mine = and_(table.c.thread == thread, table.c.checkpoint < id, table.c.namespace.contains(STEP_MARK))
    connection.execute(delete(table).where(mine))
