"""Keys made and limited by hand. A secret is shown once; the store keeps its digest."""

import secrets
from collections.abc import Callable

from sqlalchemy import Connection

from trimtab.budgets import KeyLimit, key_meter, window_at
from trimtab.core import Clock, IdSource, Role
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
    also: Callable[[Connection, keys.KeyRow], None] | None = None,
    limit: KeyLimit | None = None,
) -> tuple[str, keys.KeyRow]:
    """Make a key: the secret (shown once, never stored) and its row. What is `also` to be written is so in the same
    transaction. Raises StoreUnavailable."""
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
    also: Callable[[Connection, keys.KeyRow], None] | None = None,
) -> bool:
    """Limit what the calls of a key may cost from now on, or take its limit away; False where there is no such key, or
    it is revoked. What they cost in the window before counts. What is `also` to be written is so in the same
    transaction. Raises StoreUnavailable."""
    now, meter, spent = clock.now(), None, 0
    if limit is not None:
        meter = key_meter(id, limit, now)
        begin = window_at(limit.window, now).starts_at
        # Before the transaction: it may look through all entries, and others are to go on writing.
        spent = database.read(lambda connection: entries.spent_by_key(connection, id, begin))

    def work(connection: Connection) -> bool:
        row = keys.by_id(connection, id)
        if row is None or not keys.set_limit(connection, id, limit):
            return False
        if meter is not None:
            meters.begin(connection, meter, spent)
        if also is not None:
            also(connection, row)
        return True

    return database.transact(work)
