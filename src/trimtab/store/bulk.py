"""Many rows in one statement, without the cost of compiling each row's parameters.

SQLAlchemy's own executemany spends more on a row than SQLite does; on the hot path that is a tenth of a call.
"""

from collections.abc import Mapping, Sequence
from functools import cache

from sqlalchemy import Connection, Table

from trimtab.store.schema import without_nul


def insert_rows(connection: Connection, table: Table, rows: Sequence[Mapping[str, object]]) -> None:
    """Append rows that all have the same columns in the same order."""
    if rows:
        statement = _insert(connection.dialect.name, table.name, tuple(rows[0]))
        values = [tuple(row.values()) for row in rows]
        if connection.dialect.name != "sqlite":
            values = [tuple([without_nul(value) for value in row]) for row in values]
        connection.exec_driver_sql(statement, values)


@cache
def _insert(dialect: str, table: str, columns: tuple[str, ...]) -> str:
    mark = "?" if dialect == "sqlite" else "%s"
    names = ", ".join(f'"{name}"' for name in columns)
    return f'INSERT INTO "{table}" ({names}) VALUES ({", ".join([mark] * len(columns))})'
