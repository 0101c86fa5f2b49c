"""API keys: only their digests are stored."""

from collections.abc import Sequence

import msgspec
from sqlalchemy import Connection, func, insert, select, update

from trimtab.budgets import KeyLimit, stored_limit
from trimtab.store.schema import api_key


class KeyRow(msgspec.Struct, frozen=True):
    """A key as stored. `hint` is its first characters, `models` empty means all; times are epoch seconds."""

    id: str
    digest: str
    hint: str
    tenant: str
    user: str
    role: str
    models: tuple[str, ...]
    note: str
    created_at: float
    expires_at: float | None = None
    revoked_at: float | None = None
    limit_nanodollars: int | None = None
    limit_window: str = ""

    @property
    def limit(self) -> KeyLimit | None:
        """What its calls may cost."""
        return stored_limit(self.limit_nanodollars, self.limit_window)


def add(connection: Connection, row: KeyRow) -> None:
    """Store a new key."""
    values = {name: getattr(row, name) for name in KeyRow.__struct_fields__}
    connection.execute(insert(api_key), [values | {"models": "\n".join(row.models)}])


def everyone(connection: Connection, tenant: str | None = None) -> Sequence[KeyRow]:
    """All keys, newest last; of one tenant if named."""
    statement = select(*[api_key.c[name] for name in KeyRow.__struct_fields__]).order_by(api_key.c.id)
    if tenant is not None:
        statement = statement.where(api_key.c.tenant == tenant)
    return [_key(tuple(row)) for row in connection.execute(statement)]


def page(connection: Connection, tenant: str | None, limit: int, before: str = "") -> Sequence[KeyRow]:
    """At most `limit` keys, newest first: of a tenant or of all, before one by its id."""
    statement = select(*[api_key.c[name] for name in KeyRow.__struct_fields__]).order_by(api_key.c.id.desc())
    if tenant is not None:
        statement = statement.where(api_key.c.tenant == tenant)
    if before:
        statement = statement.where(api_key.c.id < before)
    return [_key(tuple(row)) for row in connection.execute(statement.limit(limit))]


def by_digest(connection: Connection, digest: str) -> KeyRow | None:
    """The key with this digest."""
    columns = [api_key.c[name] for name in KeyRow.__struct_fields__]
    row = connection.execute(select(*columns).where(api_key.c.digest == digest)).first()
    return None if row is None else _key(tuple(row))


def by_id(connection: Connection, id: str) -> KeyRow | None:
    """The key with this id."""
    columns = [api_key.c[name] for name in KeyRow.__struct_fields__]
    row = connection.execute(select(*columns).where(api_key.c.id == id)).first()
    return None if row is None else _key(tuple(row))


def set_limit(connection: Connection, row: KeyRow, limit: KeyLimit | None) -> bool:
    """Limit what the calls of a key may cost from now on, or take the limit away; False where it was limited or revoked
    since `row` was read."""
    values: dict[str, object] = {"limit_nanodollars": None, "limit_window": ""}
    if limit is not None:
        values = {"limit_nanodollars": limit.nanodollars, "limit_window": limit.window}
    as_read = (
        api_key.c.limit_nanodollars.is_not_distinct_from(row.limit_nanodollars),
        api_key.c.limit_window == row.limit_window,
        api_key.c.revoked_at.is_(None),
    )
    done = connection.execute(update(api_key).where(api_key.c.id == row.id, *as_read).values(values))
    return done.rowcount == 1


def limits(connection: Connection) -> dict[str, KeyLimit]:
    """The limits of all keys that have one, by id; of revoked ones too, whose runs may go on."""
    rows = connection.execute(
        select(api_key.c.id, api_key.c.limit_nanodollars, api_key.c.limit_window).where(
            api_key.c.limit_nanodollars.is_not(None)
        )
    )
    return {id: limit for id, *kept in rows if (limit := stored_limit(*kept)) is not None}


def count(connection: Connection) -> int:
    """How many keys were ever made (revoked ones too: a door once locked stays locked)."""
    return connection.scalar(select(func.count()).select_from(api_key)) or 0


def revoke(connection: Connection, id: str, now: float) -> bool:
    """Revoke a key; False when there is none of this id that was still good."""
    done = connection.execute(
        update(api_key).where(api_key.c.id == id, api_key.c.revoked_at.is_(None)).values(revoked_at=now)
    )
    return done.rowcount == 1


def _key(values: tuple[object, ...]) -> KeyRow:
    row = dict(zip(KeyRow.__struct_fields__, values, strict=True))
    models = str(row["models"])
    return msgspec.convert(row | {"models": tuple(models.split("\n")) if models else ()}, KeyRow)
