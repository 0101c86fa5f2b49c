"""Where the money went, and what a completed run costs. Reads the ledger; called by the CLI and the console.

Amounts are exact integers of nanodollars. Estimated, unpriced and upstream money is shown apart, because sums
that hide it would look more certain than they are.
"""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from functools import partial

import msgspec
from sqlalchemy import Connection

from trimtab.store import (
    CompletionField,
    CompletionSums,
    CostField,
    CostSums,
    Database,
    Selection,
    Standing,
    completion_sums,
    cost_sums,
)

_EPOCH = date(1970, 1, 1)


class CostReport(msgspec.Struct, frozen=True):
    """Sums by the fields `by`, the dearest first (days in order), and the sums of everything selected."""

    by: tuple[CostField, ...]
    rows: tuple[CostSums, ...]
    total: CostSums


class CompletionLine(msgspec.Struct, frozen=True):
    """Runs that share `fields`. `nanodollars` is the cost of the runs with a known outcome.

    `unpriced` of those have a cost that is not wholly known; `unknown_nanodollars` is the cost of the others.
    """

    fields: tuple[str, ...]
    runs: int
    known: int
    completed: int
    unknown: int
    nanodollars: int
    upstream_nanodollars: int
    unpriced: int
    unknown_nanodollars: int
    nanodollars_per_completed: int | None


class CompletionReport(msgspec.Struct, frozen=True):
    """Runs by the fields `by`, and all that were selected."""

    by: tuple[CompletionField, ...]
    rows: tuple[CompletionLine, ...]
    total: CompletionLine


def cost_report(database: Database, by: tuple[CostField, ...], selection: Selection) -> CostReport:
    """Sums of the entries `selection` names. Raises StoreUnavailable."""

    def work(connection: Connection) -> tuple[list[CostSums], list[CostSums]]:
        return cost_sums(connection, by, selection), cost_sums(connection, (), selection)

    rows, total = database.read(work)
    if "day" in by:
        rows.sort(key=lambda row: int(row.fields[by.index("day")]))
    dated = tuple(msgspec.structs.replace(row, fields=_dated(by, row.fields)) for row in rows)
    return CostReport(by, dated, total[0])


def completion_report(
    database: Database,
    by: tuple[CompletionField, ...],
    selection: Selection,
    completed_at: Mapping[str, float],
) -> CompletionReport:
    """Runs that began in the selection's time, by outcome; `completed_at` is the reward by workflow from
    which a run counts as completed (1.0 where it names none). Raises StoreUnavailable."""
    read = partial(completion_sums, selection=selection, standing=Standing(completed_at))

    def work(connection: Connection) -> tuple[list[CompletionSums], list[CompletionSums]]:
        return read(connection, by), read(connection, ())

    rows, total = database.read(work)
    if "day" in by:
        rows.sort(key=lambda row: int(row.fields[by.index("day")]))
    return CompletionReport(by, tuple(_line(row, by) for row in rows), _line(total[0], ()))


def _line(sums: CompletionSums, by: tuple[CompletionField, ...]) -> CompletionLine:
    return CompletionLine(
        fields=_dated(by, sums.fields),
        runs=sums.runs,
        known=sums.known,
        completed=sums.completed,
        unknown=sums.runs - sums.known,
        nanodollars=sums.nanodollars,
        upstream_nanodollars=sums.upstream_nanodollars,
        unpriced=sums.unpriced,
        unknown_nanodollars=sums.unknown_nanodollars,
        nanodollars_per_completed=_per_completed(sums),
    )


def _per_completed(sums: CompletionSums) -> int | None:
    """Runs that failed are paid for by those that were completed; rounded up to a nanodollar."""
    return -(-sums.nanodollars // sums.completed) if sums.completed else None


def _dated(by: Sequence[str], fields: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(
        (_EPOCH + timedelta(days=int(value))).isoformat() if name == "day" else value
        for name, value in zip(by, fields, strict=True)
    )
