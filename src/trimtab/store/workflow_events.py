"""What streamed runs said, kept so that whoever lost the connection goes on where it was."""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from trimtab.store.workflow_schema import event as table

_MOST_ROWS = 500
_packed = msgspec.msgpack.Encoder()


class Event(msgspec.Struct, frozen=True, array_like=True):
    """One event. `number` grows by one from 0 in each run; `data` is JSON."""

    number: int
    name: str
    data: bytes


_events = msgspec.msgpack.Decoder(tuple[Event, ...])


def put(connection: Connection, run: str, events: Sequence[Event], now: float) -> None:
    """Keep the next events of a run; those that a worker given up for dead had kept already stay as they are."""
    row = {"run": run, "first": events[0].number, "at": now, "body": _packed.encode(events)}
    dialect: Any = sqlite if connection.dialect.name == "sqlite" else postgresql
    connection.execute(dialect.insert(table).values(row).on_conflict_do_nothing())


def after(connection: Connection, run: str, number: int) -> list[Event]:
    """A run's events after one, the first few hundred rows of them."""
    first = select(table.c.first).where(table.c.run == run, table.c.first <= number + 1)
    start = first.order_by(table.c.first.desc()).limit(1).scalar_subquery()
    rows = select(table.c.body).where(table.c.run == run, table.c.first >= start).order_by(table.c.first)
    listed = [event for body in connection.scalars(rows.limit(_MOST_ROWS)) for event in _events.decode(body)]
    return [event for event in listed if event.number > number]


def last(connection: Connection, run: str) -> int:
    """The number of a run's last event; -1 before its first."""
    body = connection.scalar(
        select(table.c.body).where(table.c.run == run).order_by(table.c.first.desc()).limit(1)
    )
    return -1 if body is None else _events.decode(body)[-1].number


def remove(connection: Connection, run: str) -> None:
    """Delete a run's events."""
    connection.execute(delete(table).where(table.c.run == run))
