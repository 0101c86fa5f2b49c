"""What a run writes on its way. In a transaction (`put`), and on PostgreSQL each as one statement that tests the claim
and writes: beginning, progress and end."""

from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec
from sqlalchemy import Boolean, Connection, Float, Integer, LargeBinary, Table

from trimtab.store import workflow_checkpoints, workflow_runs, workflow_writes
from trimtab.store.bulk import on_conflict
from trimtab.store.schema import without_nul
from trimtab.store.statements import Statements
from trimtab.store.workflow_checkpoints import CheckpointRow
from trimtab.store.workflow_runs import WorkflowRunRow
from trimtab.store.workflow_schema import checkpoint, run, thread, write
from trimtab.store.workflow_threads import ThreadRow
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
    """Write what was handed in for runs that are still held under their claims; the claims that hold."""
    held = workflow_runs.held(connection, {item.run for item in items})
    mine = [item for item in items if (item.run, item.claim) in held]
    workflow_checkpoints.put(connection, [row for item in mine for row in item.checkpoints])
    workflow_writes.put(connection, [row for item in mine for row in item.kept], replace=False)
    workflow_writes.put(connection, [row for item in mine for row in item.replaced], replace=True)
    return held


async def put_at_once(statements: Statements, items: Sequence[Progress]) -> set[tuple[str, int]]:
    """`put`. Raises StoreUnavailable."""
    claims: dict[str, int] = {}
    for item in items:
        claims[item.run] = max(item.claim, claims.get(item.run, 0))
    # What an older claim wrote cannot hold, and must not stand in the way of what may.
    latest = [item for item in items if item.claim == claims[item.run]]
    checkpoints = {_place(row): (item, row) for item in latest for row in item.checkpoints}
    replaced = {_place(row): (item, row) for item in latest for row in item.replaced}
    kept: dict[tuple[object, ...], tuple[Progress, WriteRow]] = {}
    for item in latest:
        for row in item.kept:
            if _place(row) not in replaced:
                kept.setdefault(_place(row), (item, row))
    parameters: dict[str, object] = {"runs": sorted({item.run for item in items})}
    parts = [_HELD]
    for name, write_them, owned in (
        ("checkpoints", _CHECKPOINTS, list(checkpoints.values())),
        ("kept", _KEPT, list(kept.values())),
        ("replaced", _REPLACED, list(replaced.values())),
    ):
        if owned:
            parts.append(f"{name} AS ({write_them})")
            parameters |= _arrays(name, owned)
    statement = f"WITH {', '.join(parts)} SELECT held_run, held_claim FROM held"
    return {(id, claim) for id, claim in await statements.run(statement, parameters)}


async def begin_at_once(statements: Statements, row: WorkflowRunRow, new: ThreadRow, most: int) -> bool:
    """Add a run that is driven from now on, and its thread, where its tenant drives fewer than `most`. False where it
    does not, or was never heard of: then nothing is written. Raises StoreUnavailable."""
    values = {"tenant": row.tenant, "most": most}
    values |= _given("run", workflow_runs.facts_of(row)) | _given("thread", msgspec.structs.asdict(new))
    return bool(await statements.run(_BEGIN, values))


async def end_at_once(
    statements: Statements,
    row: WorkflowRunRow,
    state: Literal["done", "failed"],
    output: bytes | None,
    error: str,
) -> WorkflowRunRow | None:
    """End a claimed run; as it stands then. None where it belongs to somebody else by now, or where what it did is to
    be taken back: then nothing is written. Raises StoreUnavailable."""
    values = {"id": row.id, "claim": row.claim, "state": state, "output": output, "error": without_nul(error)}
    found = await statements.run(_END, values)
    return WorkflowRunRow(**dict(zip(_RUN_FIELDS, found[0], strict=True))) if found else None


def _place(row: CheckpointRow | WriteRow) -> tuple[object, ...]:
    if isinstance(row, CheckpointRow):
        return row.thread, row.namespace, row.id
    return row.thread, row.namespace, row.checkpoint, row.task, row.position


def _arrays(name: str, owned: Iterable[tuple[Progress, CheckpointRow | WriteRow]]) -> dict[str, object]:
    """A list for each column, the run and its claim first."""
    rows = [(item.run, item.claim, *msgspec.structs.astuple(row)) for item, row in owned]
    columns = zip(*rows, strict=True)
    return {f"{name}_{at}": [without_nul(value) for value in column] for at, column in enumerate(columns)}


def _given(name: str, facts: dict[str, object]) -> dict[str, object]:
    return {f"{name}_{column}": without_nul(value) for column, value in facts.items()}


def _put(name: str, table: Table, keys: tuple[str, ...], changed: tuple[str, ...]) -> str:
    """An INSERT of the rows in a part's arrays whose run is held."""
    types = ["text", "bigint", *(_type(column.type) for column in table.columns)]
    arrays = ", ".join(f"%({name}_{at})s::{type}[]" for at, type in enumerate(types))
    given = f"unnest({arrays}) AS given (of_run, of_claim, {_columns(table)})"
    chosen = f"SELECT {_columns(table)} FROM {given} JOIN held ON held_run = of_run AND held_claim = of_claim"
    return f'INSERT INTO "{table.name}" ({_columns(table)}) {chosen} {on_conflict(keys, changed)}'


def _add(name: str, table: Table) -> str:
    """An INSERT of one row, where its place was taken."""
    values = ", ".join(f"%({name}_{column.name})s::{_type(column.type)}" for column in table.columns)
    return f'INSERT INTO "{table.name}" ({_columns(table)}) SELECT {values} FROM place'


def _columns(table: Table) -> str:
    return _names(column.name for column in table.columns)


def _names(columns: Iterable[str]) -> str:
    return ", ".join(f'"{column}"' for column in columns)


def _type(type: object) -> str:
    names = ((LargeBinary, "bytea"), (Boolean, "boolean"), (Integer, "bigint"), (Float, "double precision"))
    return next((name for kind, name in names if isinstance(type, kind)), "text")


# Rows of `workflow_run` are locked against a new claim until the statement's end.
_HELD = (
    "held AS MATERIALIZED (SELECT id AS held_run, claim AS held_claim FROM workflow_run "
    "WHERE id = ANY(%(runs)s) ORDER BY id FOR SHARE)"
)
_CHECKPOINTS = _put("checkpoints", checkpoint, workflow_checkpoints.KEY, workflow_checkpoints.CHANGED)
_KEPT = _put("kept", write, workflow_writes.KEY, ())
_REPLACED = _put("replaced", write, workflow_writes.KEY, workflow_writes.CHANGED)
_BEGIN = (
    "WITH place AS (UPDATE workflow_place SET running = running + 1 "
    "WHERE tenant = %(tenant)s AND running < %(most)s RETURNING tenant), "
    f"begun AS ({_add('thread', thread)}) {_add('run', run)} RETURNING id"
)
_RUN_FIELDS = WorkflowRunRow.__struct_fields__
_END = (
    "WITH time AS MATERIALIZED (SELECT EXTRACT(epoch FROM clock_timestamp())::double precision AS now), "
    "ended AS (UPDATE workflow_run SET state = %(state)s, owner = '', error = %(error)s, updated_at = now, "
    "driven_seconds = driven_seconds + greatest(now - updated_at, 0), output = coalesce(%(output)s, output) "
    "FROM time WHERE id = %(id)s AND claim = %(claim)s AND state = 'running' AND NOT rolls_back "
    "RETURNING workflow_run.*), "
    "place AS (UPDATE workflow_place SET running = running - 1 FROM ended WHERE workflow_place.tenant = ended.tenant) "
    f"SELECT {_names(_RUN_FIELDS)} FROM ended"
)
