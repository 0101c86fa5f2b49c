"""Sums of money and tokens over entries, and of runs by outcome. Only reads; `traces/` makes reports of them.

Sums are integers of nanodollars on both databases. What another gateway charged is summed apart.
"""

from collections.abc import Sequence
from typing import Any, Literal

import msgspec
from sqlalchemy import ColumnElement, Connection, case, func, select

from trimtab.store.schema import entry, run
from trimtab.store.selection import Selection, Standing, completed, conditions, day_number

CostField = Literal[
    "tenant", "user", "key", "workflow", "run", "step", "model", "endpoint", "kind", "certainty", "day"
]
CompletionField = Literal["tenant", "user", "workflow", "agent", "task", "day"]
_SEPARATOR = "\x1f"


class CostSums(msgspec.Struct, frozen=True):
    """Sums over the entries that share `fields` (in the order asked for; a day is days since the epoch).

    `estimated_nanodollars` is the part of `nanodollars` whose usage was not told by the endpoint;
    `upstream_nanodollars` is what other gateways charged and is no part of it. `unpriced` counts entries
    whose price nobody knows. `saved_nanodollars` estimates what models would have cost that were not needed.
    """

    fields: tuple[str, ...]
    calls: int
    runs: int
    entries: int
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    nanodollars: int
    estimated_nanodollars: int
    unpriced: int
    upstream_nanodollars: int
    saved_nanodollars: int = 0


class CompletionSums(msgspec.Struct, frozen=True):
    """Runs that share `fields`. `known` have an outcome; amounts are of those, `unknown_nanodollars` of the
    others. `unpriced` counts runs with an outcome of whose cost a part is not known."""

    fields: tuple[str, ...]
    runs: int
    known: int
    completed: int
    nanodollars: int
    upstream_nanodollars: int
    unpriced: int
    unknown_nanodollars: int


def cost_sums(connection: Connection, by: Sequence[CostField], selection: Selection) -> list[CostSums]:
    """Sums by `by`, dearest first; without `by`, one line of all."""
    fields = [day_number(connection, entry.c.at) if name == "day" else entry.c[name] for name in by]
    statement = (
        select(*fields, *_cost_columns())
        .where(*conditions(entry, "at", "run", selection))
        .group_by(*fields)
        .order_by(func.sum(entry.c.nanodollars).desc(), *fields)
    )
    return [CostSums(*_split(row, len(by))) for row in connection.execute(statement)]


def _cost_columns() -> list[ColumnElement[int]]:
    guessed = entry.c.certainty.in_(("estimated", "worst_case"))
    return [
        func.count(func.distinct(func.nullif(entry.c.call, ""))),
        func.count(func.distinct(entry.c.tenant + _SEPARATOR + entry.c.run)),
        func.count(),
        func.sum(entry.c.input_tokens),
        func.sum(entry.c.cached_tokens),
        func.sum(entry.c.output_tokens),
        func.sum(entry.c.nanodollars),
        func.sum(case((guessed, entry.c.nanodollars), else_=0)),
        func.sum(case((entry.c.certainty == "unpriced", 1), else_=0)),
        func.sum(entry.c.upstream_nanodollars),
        func.sum(entry.c.saved_nanodollars),
    ]


def completion_sums(
    connection: Connection, by: Sequence[CompletionField], selection: Selection, standing: Standing
) -> list[CompletionSums]:
    """Runs that began in the selection's time, by outcome, with all they ever cost; most runs first."""
    fields = [day_number(connection, run.c.started_at) if name == "day" else run.c[name] for name in by]
    done = case((completed(standing.completed_at), 1), else_=0)
    inner = (
        select(
            *[field.label(f"field{index}") for index, field in enumerate(fields)],
            case((run.c.reward.is_(None), 0), else_=1).label("known"),
            done.label("done"),
            run.c.nanodollars.label("spent"),
            run.c.upstream_nanodollars.label("upstream"),
            case((run.c.unpriced > 0, 1), else_=0).label("unpriced"),
        )
        .where(*conditions(run, "started_at", "id", selection))
        .subquery()
    )
    one = inner.c
    groups = [one[f"field{index}"] for index in range(len(by))]
    statement = select(
        *groups,
        func.count(),
        func.sum(one.known),
        func.sum(one.done),
        func.sum(one.spent * one.known),
        func.sum(one.upstream * one.known),
        func.sum(one.unpriced * one.known),
        func.sum(one.spent * (1 - one.known)),
    )
    rows = connection.execute(statement.group_by(*groups).order_by(func.count().desc(), *groups))
    return [CompletionSums(*_split(row, len(by))) for row in rows]


def _split(row: Sequence[Any], fields: int) -> tuple[Any, ...]:
    """PostgreSQL sums to decimals, and nothing sums to null."""
    return (tuple(str(value) for value in row[:fields]), *[int(value or 0) for value in row[fields:]])
