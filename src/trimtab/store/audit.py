"""Who did what by hand: one line an act, never changed."""

from collections.abc import Sequence

import msgspec
from sqlalchemy import Connection, insert, select

from trimtab.store.schema import audit as table


class AuditRow(msgspec.Struct, frozen=True):
    """An act. `tenant` is whose matter it was, `by` the user or key who did it, `subject` what it was done to."""

    id: str
    at: float
    tenant: str
    by: str
    action: str
    subject: str
    detail: str = ""


def add(connection: Connection, row: AuditRow) -> None:
    """Note an act, in the transaction that does it."""
    connection.execute(insert(table), [msgspec.structs.asdict(row)])


def latest(
    connection: Connection,
    tenant: str | None,
    limit: int,
    actions: Sequence[str] = (),
    subject: str = "",
) -> list[AuditRow]:
    """Acts, the newest first: of a tenant or of all, of some kinds, done to something."""
    statement = select(table).order_by(table.c.id.desc()).limit(limit)
    if tenant is not None:
        statement = statement.where(table.c.tenant == tenant)
    if actions:
        statement = statement.where(table.c.action.in_(actions))
    if subject:
        statement = statement.where(table.c.subject == subject)
    return [AuditRow(*row) for row in connection.execute(statement)]
