"""Whether a column of JSON text holds certain facts: the same question in SQLite's and in PostgreSQL's words."""

from collections.abc import Mapping
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, and_, cast, false, func, literal, true
from sqlalchemy.dialects.postgresql import JSONB


def holds(
    connection: Connection, column: ColumnElement[str], facts: Mapping[str, Any]
) -> ColumnElement[bool]:
    """True where the object in `column` has all of `facts`; in PostgreSQL, nested objects may have more."""
    if not facts:
        return true()
    if b"\\u0000" in msgspec.json.encode(facts):
        return false()  # such a thing is never kept
    if connection.dialect.name != "sqlite":
        return cast(column, JSONB).contains(cast(literal(msgspec.json.encode(facts).decode()), JSONB))
    return and_(*[_is(column, name, value) for name, value in facts.items()])


def _is(column: ColumnElement[str], name: str, value: object) -> ColumnElement[bool]:
    path = '$."' + name.replace('"', '\\"') + '"'
    if value is None:
        return func.json_type(column, path) == "null"
    asked = func.json_extract(msgspec.json.encode({"v": value}).decode(), "$.v")
    return func.json_extract(column, path) == asked
