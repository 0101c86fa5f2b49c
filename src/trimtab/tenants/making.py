"""Keys made and limited by hand. A secret is shown once; the store keeps its digest."""

import secrets
from collections.abc import Callable
from functools import partial

import msgspec
from sqlalchemy import Connection

from trimtab.budgets import KeyLimit, key_meter, window_at
from trimtab.core import Clock, IdSource, Meter, Role
from trimtab.store import Database, entries, keys, meters
from trimtab.tenants.keyring import digest_of

KEY_PREFIX = "tt-"
_HINT_LENGTH = 10


def create_key(
    database: Database,
    clock: Clock,
    tenant: str,
    user: str,
    role: Role,
    models: tuple[str, ...] = (),
    expires_at: float | None = None,
    note: str = "",
    *,
    limit: KeyLimit | None = None,
    also: Callable[[Connection, keys.KeyRow], None] | None = None,
) -> tuple[str, keys.KeyRow]:
    """Make a key: the secret (shown once, never stored) and its row. `expires_at` in epoch seconds. What is `also` to
    be written is so in the same transaction. Raises StoreUnavailable."""
    secret = KEY_PREFIX + secrets.token_urlsafe(32)
    now = clock.now()
    row = keys.KeyRow(
        id=IdSource().new(now),
        digest=digest_of(secret),
        hint=secret[:_HINT_LENGTH],
        tenant=tenant,
        user=user,
        role=role,
        models=models,
        note=note,
        created_at=now,
        expires_at=expires_at,
        limit_nanodollars=None if limit is None else limit.nanodollars,
        limit_window="" if limit is None else limit.window,
    )

    def work(connection: Connection) -> None:
        keys.add(connection, row)
        if also is not None:
            also(connection, row)

    database.transact(work)
    return secret, row


def limit_key(
    database: Database,
    clock: Clock,
    id: str,
    limit: KeyLimit | None,
    *,
    also: Callable[[Connection, keys.KeyRow], None] | None = None,
) -> bool:
    """Limit what the calls of a key may cost from now on, or take its limit away; False where there is no such key, or
    it is revoked. What was charged to it in the window before counts, as far as it is in the store. What is `also` to
    be written is so in the same transaction. Raises StoreUnavailable."""
    while True:
        # Before the transaction: it may look through all entries, and others are to go on writing.
        found = database.read(partial(_found, id=id, limit=limit, now=clock.now()))
        if found is None:
            return False
        # Whoever limits it at the same time counts what was charged before as well, but not twice.
        if database.transact(partial(_limit, found=found, limit=limit, also=also)):
            return True


class _Found(msgspec.Struct, frozen=True):
    """A key, the meter of its new limit, and what was charged to the key in that window without the meter."""

    row: keys.KeyRow
    meter: Meter | None = None
    uncounted: int = 0


def _found(connection: Connection, id: str, limit: KeyLimit | None, now: float) -> _Found | None:
    row = keys.by_id(connection, id)
    if row is None or row.revoked_at is not None:
        return None
    if limit is None:
        return _Found(row)
    meter = key_meter(id, limit, now)
    known = meters.settled(connection, [meter.id]).get(meter.id, 0)
    spent = entries.spent_by_key(connection, id, window_at(limit.window, now).starts_at)
    return _Found(row, meter, max(0, spent - known))


def _limit(
    connection: Connection,
    found: _Found,
    limit: KeyLimit | None,
    also: Callable[[Connection, keys.KeyRow], None] | None,
) -> bool:
    if not keys.set_limit(connection, found.row, limit):
        return False
    if found.meter is not None:
        meters.count(connection, found.meter, found.uncounted)
    if also is not None:
        also(connection, found.row)
    return True
