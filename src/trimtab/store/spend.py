"""Ledger entries summed by day: added with the entries themselves, read by the console's costs."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import msgspec
from sqlalchemy import ColumnElement, Connection, Table, func, select

from trimtab.core import Entry
from trimtab.store.bulk import add_rows
from trimtab.store.sums_schema import spend_day, spend_step, spend_user

SpendField = Literal["day", "tenant", "user", "workflow", "step", "model", "endpoint", "kind"]
_DAY = 86_400
_GUESSED = ("estimated", "worst_case")
# The smallest first.
_TABLES: tuple[tuple[Table, tuple[str, ...]], ...] = (
    (spend_day, ("day", "tenant", "workflow", "model", "endpoint", "kind")),
    (spend_step, ("day", "tenant", "workflow", "step", "model", "kind")),
    (spend_user, ("day", "tenant", "user", "workflow", "model")),
)


class SpendSums(msgspec.Struct, frozen=True):
    """What the entries that share `fields` come to (a day is days since the epoch). Of model entries each is an
    attempt. See `CostSums` for the amounts."""

    fields: tuple[str, ...]
    entries: int
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    nanodollars: int
    estimated_nanodollars: int
    unpriced: int
    upstream_nanodollars: int
    saved_nanodollars: int


class SpendSelection(msgspec.Struct, frozen=True, kw_only=True):
    """Whole days from `since` to `until`, both included, in days since the epoch; `named` narrows by field."""

    since: int
    until: int
    named: Mapping[SpendField, str] = {}


_AMOUNTS = tuple(SpendSums.__struct_fields__[1:])


def add(connection: Connection, lines: Sequence[Entry]) -> None:
    """Add entries that are new in the store. Rows are locked in one order, whoever writes."""
    for table, keys in _TABLES:
        sums: dict[tuple[Any, ...], list[int]] = {}
        for line in lines:
            key = _key(line, keys)
            amounts, known = _amounts(line), sums.get(key)
            sums[key] = amounts if known is None else [a + b for a, b in zip(known, amounts, strict=True)]
        add_rows(connection, table, keys, _AMOUNTS, [(*key, *sums[key]) for key in sorted(sums)])


def _key(line: Entry, keys: Iterable[str]) -> tuple[object, ...]:
    return tuple([int(line.at // _DAY) if name == "day" else getattr(line, name) for name in keys])


def _amounts(line: Entry) -> list[int]:
    usage = line.usage
    return [
        1,
        usage.input_tokens,
        usage.cached_tokens,
        usage.output_tokens,
        line.nanodollars,
        line.nanodollars if line.certainty in _GUESSED else 0,
        int(line.certainty == "unpriced"),
        line.upstream_nanodollars,
        line.saved_nanodollars,
    ]


def spend_sums(
    connection: Connection, by: Sequence[SpendField], selection: SpendSelection, most: int | None = None
) -> list[SpendSums]:
    """Sums by `by`, the dearest first, at most `most`; without `by`, one line of all.

    Raises ValueError where users and steps, or either and endpoints, are asked for together: those are not summed.
    """
    table = _table_of({*by, *selection.named})
    fields = [table.c[name] for name in by]
    statement = select(*fields, *[func.sum(table.c[name]) for name in _AMOUNTS])
    statement = statement.where(
        table.c.day.between(selection.since, selection.until), *_named(table, selection)
    )
    if by:
        statement = statement.group_by(*fields).order_by(func.sum(table.c.nanodollars).desc(), *fields)
    if most is not None:
        statement = statement.limit(most)
    return [_sums(row, len(by)) for row in connection.execute(statement)]


def _table_of(names: set[SpendField]) -> Table:
    for table, fields in _TABLES:
        if names <= set(fields):
            return table
    apart = "users" if "user" in names else "steps"
    known = next(fields for _, fields in _TABLES if apart[:-1] in fields)
    raise ValueError(f"{apart} are not summed by {', '.join(sorted(names - set(known)))}")


def _named(table: Table, selection: SpendSelection) -> list[ColumnElement[bool]]:
    return [table.c[name] == value for name, value in selection.named.items()]


def _sums(row: Sequence[Any], fields: int) -> SpendSums:
    """PostgreSQL sums to decimals, and nothing sums to null."""
    return SpendSums(
        tuple(str(value) for value in row[:fields]), *[int(value or 0) for value in row[fields:]]
    )
