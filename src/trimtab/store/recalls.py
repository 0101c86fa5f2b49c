"""Kept replies of the exact cache, shared by all processes."""

from collections.abc import Sequence

from sqlalchemy import Connection, delete, select

from trimtab.store.journal import RecallRecord
from trimtab.store.meters import upsert
from trimtab.store.schema import recall


def keep(connection: Connection, records: Sequence[RecallRecord]) -> None:
    """Store replies; a newer one replaces an older one."""
    for record in records:
        row = {name: getattr(record, name) for name in RecallRecord.__struct_fields__}
        fresh = {name: row[name] for name in ("model", "expires_at", "reply")}
        statement = upsert(connection, recall).values(row)
        connection.execute(statement.on_conflict_do_update(index_elements=["tenant", "digest"], set_=fresh))


def find(connection: Connection, tenant: str, digest: str, now: float) -> RecallRecord | None:
    """The kept reply, unless it is gone or too old."""
    row = connection.execute(
        select(recall.c.model, recall.c.expires_at, recall.c.reply).where(
            recall.c.tenant == tenant, recall.c.digest == digest, recall.c.expires_at > now
        )
    ).first()
    return None if row is None else RecallRecord(tenant, digest, row.model, row.expires_at, row.reply)


def drop_expired(connection: Connection, now: float) -> None:
    """Delete replies past their time."""
    connection.execute(delete(recall).where(recall.c.expires_at < now))
