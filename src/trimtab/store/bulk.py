"""Many rows in one statement, without the cost of compiling each row's parameters.

SQLAlchemy's own executemany spends more on a row than SQLite does; on the hot path that is a tenth of a call.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import TypeAlias

import msgspec
from sqlalchemy import Connection, Table

from trimtab.store.schema import without_nul

Row: TypeAlias = msgspec.Struct


def insert_rows(connection: Connection, table: Table, rows: Sequence[Mapping[str, object]]) -> None:
    """Append rows that all have the same columns in the same order."""
    if rows:
        statement = _insert(connection.dialect.name, table.name, tuple(rows[0]))
        _execute(connection, statement, [tuple(row.values()) for row in rows])


def put_rows(
    connection: Connection, table: Table, rows: Sequence[Row], keys: tuple[str, ...], changed: tuple[str, ...]
) -> None:
    """Write structs whose fields are the table's columns; of one whose `keys` are there already only `changed` are
    written, nothing where that is empty."""
    if rows:
        fields = rows[0].__struct_fields__
        statement = _insert(connection.dialect.name, table.name, fields) + on_conflict(keys, changed)
        _execute(connection, statement, [msgspec.structs.astuple(row) for row in rows])


def _execute(connection: Connection, statement: str, values: list[tuple[object, ...]]) -> None:
    if connection.dialect.name != "sqlite":
        values = [tuple([without_nul(value) for value in row]) for row in values]
    connection.exec_driver_sql(statement, values)


@cache
def _insert(dialect: str, table: str, columns: tuple[str, ...]) -> str:
    mark = "?" if dialect == "sqlite" else "%s"
    names = ", ".join(f'"{name}"' for name in columns)
    return f'INSERT INTO "{table}" ({names}) VALUES ({", ".join([mark] * len(columns))})'


@cache
def on_conflict(keys: tuple[str, ...], changed: tuple[str, ...]) -> str:
    """What becomes of a row whose `keys` are there: its `changed` columns are written, nothing where there are none."""
    names = ", ".join(f'"{name}"' for name in keys)
    sets = ", ".join(f'"{name}" = excluded."{name}"' for name in changed)
    return f" ON CONFLICT ({names}) DO " + (f"UPDATE SET {sets}" if changed else "NOTHING")


def add_rows(
    connection: Connection,
    table: Table,
    keys: tuple[str, ...],
    sums: tuple[str, ...],
    rows: Sequence[tuple[object, ...]],
) -> None:
    """Add amounts: the columns of a row are `keys` and `sums`; where the keys are there, the sums are added to what
    stands."""
    if rows:
        statement = _insert(connection.dialect.name, table.name, (*keys, *sums))
        _execute(connection, statement + _on_sum(table.name, keys, sums), list(rows))


@cache
def _on_sum(table: str, keys: tuple[str, ...], sums: tuple[str, ...]) -> str:
    names = ", ".join(f'"{name}"' for name in keys)
    sets = ", ".join(f'"{name}" = "{table}"."{name}" + excluded."{name}"' for name in sums)
    return f" ON CONFLICT ({names}) DO UPDATE SET {sets}"
