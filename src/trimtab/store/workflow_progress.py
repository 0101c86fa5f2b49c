"""What the savers of runs hand in, written under the claims that still hold: many runs at once.

On PostgreSQL one statement that tests the claims and writes: it is a transaction of its own, and a single round trip.
"""

from collections.abc import Iterable, Sequence

import msgspec
from sqlalchemy import Connection, Integer, LargeBinary, Table

from trimtab.store import workflow_checkpoints, workflow_runs, workflow_writes
from trimtab.store.bulk import on_conflict
from trimtab.store.schema import without_nul
from trimtab.store.workflow_checkpoints import CheckpointRow
from trimtab.store.workflow_schema import checkpoint, write
from trimtab.store.workflow_writes import WriteRow


class Progress(msgspec.Struct, frozen=True):
    """What one saver hands in at once. Of `kept` writes that are there already the old stay; `replaced` ones are
    overwritten."""

    run: str
    claim: int
    checkpoints: tuple[CheckpointRow, ...] = ()
    kept: tuple[WriteRow, ...] = ()
    replaced: tuple[WriteRow, ...] = ()


def put(connection: Connection, items: Sequence[Progress]) -> set[tuple[str, int]]:
    """Write what was handed in for runs that are still held under their claims; the claims that hold.

    Fit for `Database.state`.
    """
    if connection.dialect.name == "sqlite":
        return _put_in_turn(connection, items)
    return _put_at_once(connection, items)


def _put_in_turn(connection: Connection, items: Sequence[Progress]) -> set[tuple[str, int]]:
    held = workflow_runs.held(connection, {item.run for item in items})
    mine = [item for item in items if (item.run, item.claim) in held]
    workflow_checkpoints.put(connection, [row for item in mine for row in item.checkpoints])
    workflow_writes.put(connection, [row for item in mine for row in item.kept], replace=False)
    workflow_writes.put(connection, [row for item in mine for row in item.replaced], replace=True)
    return held


def _put_at_once(connection: Connection, items: Sequence[Progress]) -> set[tuple[str, int]]:
    checkpoints = {_place(row): (item, row) for item in items for row in item.checkpoints}
    replaced = {_place(row): (item, row) for item in items for row in item.replaced}
    kept = [(item, row) for item in items for row in item.kept if _place(row) not in replaced]
    parameters: dict[str, object] = {"runs": sorted({item.run for item in items})}
    parts = [_HELD]
    for name, write_them, owned in (
        ("checkpoints", _CHECKPOINTS, list(checkpoints.values())),
        ("kept", _KEPT, kept),
        ("replaced", _REPLACED, list(replaced.values())),
    ):
        if owned:
            parts.append(f"{name} AS ({write_them})")
            parameters |= _arrays(name, owned)
    statement = f"WITH {', '.join(parts)} SELECT held_run, held_claim FROM held"
    return {(id, claim) for id, claim in connection.exec_driver_sql(statement, parameters)}


def _place(row: CheckpointRow | WriteRow) -> tuple[object, ...]:
    if isinstance(row, CheckpointRow):
        return row.thread, row.namespace, row.id
    return row.thread, row.namespace, row.checkpoint, row.task, row.position


def _arrays(name: str, owned: Iterable[tuple[Progress, CheckpointRow | WriteRow]]) -> dict[str, object]:
    """A list for each column, the run and its claim first."""
    rows = [(item.run, item.claim, *msgspec.structs.astuple(row)) for item, row in owned]
    columns = zip(*rows, strict=True)
    return {f"{name}_{at}": [without_nul(value) for value in column] for at, column in enumerate(columns)}


def _insert(name: str, table: Table, keys: tuple[str, ...], changed: tuple[str, ...]) -> str:
    """An INSERT of the rows in a part's arrays whose run is held."""
    types = ["text", "bigint", *(_type(column.type) for column in table.columns)]
    arrays = ", ".join(f"%({name}_{at})s::{type}[]" for at, type in enumerate(types))
    columns = ", ".join(f'"{column.name}"' for column in table.columns)
    given = f"unnest({arrays}) AS given (of_run, of_claim, {columns})"
    chosen = f"SELECT {columns} FROM {given} JOIN held ON held_run = of_run AND held_claim = of_claim"
    return f'INSERT INTO "{table.name}" ({columns}) {chosen} {on_conflict(keys, changed)}'


def _type(type: object) -> str:
    if isinstance(type, LargeBinary):
        return "bytea"
    return "bigint" if isinstance(type, Integer) else "text"


# Rows of `workflow_run` are locked against a new claim until the statement's end.
_HELD = (
    "held AS MATERIALIZED (SELECT id AS held_run, claim AS held_claim FROM workflow_run "
    "WHERE id = ANY(%(runs)s) ORDER BY id FOR SHARE)"
)
_CHECKPOINTS = _insert("checkpoints", checkpoint, workflow_checkpoints.KEY, workflow_checkpoints.CHANGED)
_KEPT = _insert("kept", write, workflow_writes.KEY, ())
_REPLACED = _insert("replaced", write, workflow_writes.KEY, workflow_writes.CHANGED)
