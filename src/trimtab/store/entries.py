"""Ledger entries: insert, and sums of them."""

from collections.abc import Sequence

from sqlalchemy import Connection, func, select

from trimtab.core import Entry, Usage
from trimtab.store.bulk import insert_rows
from trimtab.store.meters import upsert
from trimtab.store.schema import entry


def row_of(line: Entry) -> dict[str, object]:
    """An entry as a row."""
    usage = line.usage
    return {
        "id": line.id,
        "call": line.call,
        "at": line.at,
        "tenant": line.tenant,
        "run": line.run,
        "user": line.user,
        "workflow": line.workflow,
        "step": line.step,
        "key": line.key,
        "kind": line.kind,
        "endpoint": line.endpoint,
        "model": line.model,
        "nanodollars": line.nanodollars,
        "certainty": line.certainty,
        "input_tokens": usage.input_tokens,
        "cached_tokens": usage.cached_tokens,
        "cache_write_tokens": usage.cache_write_tokens,
        "output_tokens": usage.output_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
        "upstream_nanodollars": line.upstream_nanodollars,
        "reason": line.reason,
        "saved_nanodollars": line.saved_nanodollars,
    }


def insert_entries(connection: Connection, lines: Sequence[Entry]) -> None:
    """Append entries known to be new."""
    insert_rows(connection, entry, [row_of(line) for line in lines])


def insert_new_entries(connection: Connection, lines: Sequence[Entry]) -> list[Entry]:
    """Append those entries whose id is not there yet; returns the ones that were appended."""
    added = []
    for line in lines:
        statement = upsert(connection, entry).values(row_of(line)).on_conflict_do_nothing()
        # RETURNING, because psycopg's row count of an INSERT does not reach us.
        if connection.scalar(statement.returning(entry.c.id)) is not None:
            added.append(line)
    return added


def which_exist(connection: Connection, ids: Sequence[str]) -> set[str]:
    """Those of `ids` that entries have."""
    return set(connection.scalars(select(entry.c.id).where(entry.c.id.in_(ids))))


def spent_by_key(connection: Connection, key: str, begin: float) -> int:
    """What was charged to a key since a moment (epoch seconds), in nanodollars; looks through all entries since."""
    mine = select(func.sum(entry.c.nanodollars)).where(entry.c.key == key, entry.c.at >= begin)
    return int(connection.scalar(mine) or 0)


def any_not_named(connection: Connection, tenant: str, run: str, prefix: str) -> bool:
    """Whether a run has entries whose ids do not begin with `prefix`."""
    mine = (entry.c.run == run) & (entry.c.tenant == tenant) & ~entry.c.id.startswith(prefix)
    return connection.scalar(select(entry.c.id).where(mine).limit(1)) is not None


def of_run(connection: Connection, tenant: str, run: str, call: str | None = None) -> list[Entry]:
    """A run's entries in order, or those of one call of it. What they charged to which meter is not stored."""
    mine = (entry.c.run == run) & (entry.c.tenant == tenant)
    if call is not None:
        mine &= entry.c.call == call
    rows = connection.execute(select(entry).where(mine).order_by(entry.c.at, entry.c.id))
    return [
        Entry(
            id=row.id, call=row.call, at=row.at, tenant=row.tenant, run=row.run, user=row.user,
            workflow=row.workflow, step=row.step, key=row.key, kind=row.kind, endpoint=row.endpoint,
            model=row.model, nanodollars=row.nanodollars, certainty=row.certainty,
            usage=Usage(
                row.input_tokens, row.output_tokens, row.cached_tokens, row.cache_write_tokens,
                reasoning_tokens=row.reasoning_tokens,
            ),
            upstream_nanodollars=row.upstream_nanodollars, reason=row.reason,
            saved_nanodollars=row.saved_nanodollars,
        )
        for row in rows
    ]  # fmt: skip
