"""Items of the store that graphs and clients share: per tenant, namespace and key, some of them for a time only.

A namespace is its labels with a `.` between; no label has one. An item whose time is over is not there, whether or
not it was swept yet.
"""

from collections.abc import Collection, Iterator, Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, and_, case, delete, func, or_, select, true, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite

from trimtab.store.workflow_schema import item as table

_FETCHED_AT_ONCE = 200


class ItemRow(msgspec.Struct, frozen=True):
    """One item. `value` is a JSON object; `vector` are float32 vectors one after the other; times are epoch seconds;
    `ttl_seconds` is what `expires_at` is put forward by when the item is used."""

    tenant: str
    namespace: str
    key: str
    value: bytes
    vector: bytes | None
    created_at: float
    updated_at: float
    expires_at: float | None = None
    ttl_seconds: float | None = None


def put(connection: Connection, rows: Sequence[ItemRow], now: float) -> None:
    """Write items over what is there; the moment an item was made stays."""
    if not rows:
        return
    dialect: Any = sqlite if connection.dialect.name == "sqlite" else postgresql
    insert = dialect.insert(table)
    new = insert.excluded
    changed = {name: new[name] for name in ("value", "vector", "updated_at", "expires_at", "ttl_seconds")}
    made = case((table.c.expires_at <= now, new.created_at), else_=table.c.created_at)
    statement = insert.on_conflict_do_update(
        index_elements=["tenant", "namespace", "key"], set_={**changed, "created_at": made}
    )
    connection.execute(statement, [msgspec.structs.asdict(row) for row in rows])


def remove(connection: Connection, tenant: str, places: Collection[tuple[str, str]]) -> None:
    """Delete what stands at these (namespace, key)."""
    if places:
        connection.execute(delete(table).where(_at(tenant, places)))


def find(
    connection: Connection, tenant: str, places: Collection[tuple[str, str]], now: float
) -> dict[tuple[str, str], ItemRow]:
    """What stands at these (namespace, key)."""
    if not places:
        return {}
    rows = connection.execute(select(table).where(_at(tenant, places), _lives(now)))
    return {(row.namespace, row.key): ItemRow(**row._mapping) for row in rows}


def refresh(connection: Connection, tenant: str, places: Collection[tuple[str, str]], now: float) -> None:
    """Items for a time were used: their time begins anew."""
    if places:
        mine = and_(_at(tenant, places), table.c.ttl_seconds.is_not(None), _lives(now))
        connection.execute(update(table).where(mine).values(expires_at=now + table.c.ttl_seconds))


def page(
    connection: Connection, tenant: str, prefix: str, now: float, limit: int, offset: int
) -> list[ItemRow]:
    """Items in a namespace and those below it ('' is all), the last changed first."""
    rows = connection.execute(_below(tenant, prefix, now).limit(limit).offset(offset))
    return [ItemRow(**row._mapping) for row in rows]


def walk(connection: Connection, tenant: str, prefix: str, now: float) -> Iterator[ItemRow]:
    """All items of `page`, one after the other, not all in memory."""
    fetched = {"yield_per": _FETCHED_AT_ONCE}
    rows = connection.execute(_below(tenant, prefix, now), execution_options=fetched)
    try:
        for row in rows:
            yield ItemRow(**row._mapping)
    finally:
        rows.close()


def count_all(connection: Connection, tenant: str) -> int:
    """How many items a tenant has, those among them whose time is over and that were not swept yet."""
    return connection.scalar(select(func.count()).where(table.c.tenant == tenant)) or 0


def namespaces(connection: Connection, tenant: str, prefix: str, now: float) -> list[str]:
    """Where a tenant has items, in a namespace and below it ('' is all)."""
    mine = and_(table.c.tenant == tenant, _within(prefix), _lives(now))
    return list(connection.scalars(select(table.c.namespace).where(mine).distinct()))


def sweep(connection: Connection, now: float, most: int) -> int:
    """Delete up to `most` items of all tenants whose time is over; how many."""
    names = (table.c.tenant, table.c.namespace, table.c.key)
    over = select(*names).where(table.c.expires_at <= now).limit(most)
    return connection.execute(
        delete(table).where(tuple_(*names).in_(over), table.c.expires_at <= now)
    ).rowcount


def _below(tenant: str, prefix: str, now: float) -> Any:  # noqa: ANN401 - SQLAlchemy's own
    mine = and_(table.c.tenant == tenant, _within(prefix), _lives(now))
    return select(table).where(mine).order_by(table.c.updated_at.desc(), table.c.namespace, table.c.key)


def _within(prefix: str) -> ColumnElement[bool]:
    if not prefix:
        return true()
    below = func.substr(table.c.namespace, 1, len(prefix) + 1) == f"{prefix}."
    return or_(table.c.namespace == prefix, below)


def _lives(now: float) -> ColumnElement[bool]:
    return or_(table.c.expires_at.is_(None), table.c.expires_at > now)


def _at(tenant: str, places: Collection[tuple[str, str]]) -> ColumnElement[bool]:
    named = tuple_(table.c.namespace, table.c.key).in_(sorted(places))
    return and_(table.c.tenant == tenant, named)
