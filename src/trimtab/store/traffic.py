"""Calls summed by minute: how many, how they ended, how long they took. The last two days are kept."""

from bisect import bisect_left
from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, delete, func, select

from trimtab.core import CallRecord
from trimtab.store.bulk import add_rows
from trimtab.store.sums_schema import call_minute

# A bucket's upper bound in seconds: each a fifth above the one before, from a millisecond to half an hour.
BOUNDS = tuple(0.001 * 1.2**step for step in range(80))
KEPT_MINUTES = 48 * 60
_KEYS = ("minute", "tenant", "endpoint", "status", "code", "answered_by", "bucket")
_SUMS = ("calls", "nanodollars", "input_tokens", "cached_tokens", "output_tokens")


class MinuteSums(msgspec.Struct, frozen=True):
    """Calls of a minute that ended alike and took about as long (see `BOUNDS`)."""

    minute: int
    endpoint: str
    status: str
    code: str
    answered_by: str
    bucket: int
    calls: int
    nanodollars: int
    input_tokens: int
    cached_tokens: int
    output_tokens: int


def add(connection: Connection, records: Sequence[CallRecord]) -> None:
    """Add calls that are new in the store. Rows are locked in one order, whoever writes."""
    sums: dict[tuple[Any, ...], list[int]] = {}
    for record in records:
        key = _key(record)
        usage, known = record.usage, sums.get(key)
        if known is None:
            known = sums[key] = [0] * len(_SUMS)
        known[0] += 1
        known[1] += record.nanodollars
        known[2] += usage.input_tokens
        known[3] += usage.cached_tokens
        known[4] += usage.output_tokens
    add_rows(connection, call_minute, _KEYS, _SUMS, [(*key, *sums[key]) for key in sorted(sums)])


def _key(record: CallRecord) -> tuple[object, ...]:
    """Only our own refusals have codes of a closed set; endpoints' are theirs to choose."""
    call, refused = record.call, record.status == "refused"
    return (
        int((call.at + record.seconds) // 60),
        call.who.tenant,
        record.endpoint,
        record.status,
        record.code if refused else "",
        record.answered_by,
        min(bisect_left(BOUNDS, record.seconds), len(BOUNDS) - 1),
    )


def minutes(connection: Connection, tenant: str | None, since: int, until: int) -> list[MinuteSums]:
    """Calls that ended in the minutes from `since` to before `until`; of one tenant or of all together."""
    columns = [call_minute.c[name] for name in _KEYS if name != "tenant"]
    statement = select(*columns, *[func.sum(call_minute.c[name]) for name in _SUMS])
    statement = statement.where(*_within(tenant, since, until)).group_by(*columns).order_by(*columns)
    return [MinuteSums(*[*row[:6], *map(int, row[6:])]) for row in connection.execute(statement)]


def drop(connection: Connection, before: int) -> None:
    """Forget minutes before one."""
    connection.execute(delete(call_minute).where(call_minute.c.minute < before))


def _within(tenant: str | None, since: int, until: int) -> list[ColumnElement[bool]]:
    found = [call_minute.c.minute >= since, call_minute.c.minute < until]
    return found if tenant is None else [*found, call_minute.c.tenant == tenant]
