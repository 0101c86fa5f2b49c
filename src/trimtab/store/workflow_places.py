"""How many runs of each tenant wait and are driven: counters that change in the transaction that changes the run."""

from collections.abc import Collection, Mapping
from typing import Any, Literal

import msgspec
from sqlalchemy import Connection, case, select, update
from sqlalchemy.dialects import postgresql, sqlite

from trimtab.store.workflow_schema import place as table


class PlaceLimits(msgspec.Struct, frozen=True):
    """What one tenant may have at once; `weight` is its share when tenants compete for workers; `a_minute` bounds how
    many runs may be asked for, 0 does not; `partition` names the workers that drive them, '' all that are not pinned.
    """

    running: int
    queued: int
    weight: float = 1.0
    a_minute: int = 0
    partition: str = ""


class Limits(msgspec.Struct, frozen=True):
    """Limits by tenant, and those of all others."""

    others: PlaceLimits
    tenants: Mapping[str, PlaceLimits] = msgspec.field(default_factory=dict)

    def of(self, tenant: str) -> PlaceLimits:
        """A tenant's limits."""
        return self.tenants.get(tenant, self.others)


def admit(
    connection: Connection, tenant: str, limits: PlaceLimits, *, at_once: bool
) -> Literal["running", "queued"] | None:
    """Take a place for a new run: among the driven where it may begin `at_once` and there is room, else in the
    queue; None where that is full."""
    found = _admitted(connection, tenant, limits, at_once=at_once)
    if found is None:
        _lay(connection, tenant)
        found = _admitted(connection, tenant, limits, at_once=at_once)
    return found


def _admitted(
    connection: Connection, tenant: str, limits: PlaceLimits, *, at_once: bool
) -> Literal["running", "queued"] | None:
    mine = table.c.tenant == tenant
    if at_once:
        drive = update(table).where(mine, table.c.running < limits.running)
        if connection.execute(drive.values(running=table.c.running + 1)).rowcount:
            return "running"
    wait = update(table).where(mine, table.c.queued < limits.queued)
    if connection.execute(wait.values(queued=table.c.queued + 1)).rowcount:
        return "queued"
    return None


def take_turn(connection: Connection, tenant: str, limits: PlaceLimits, now: float) -> float:
    """Count a run against the tenant's rate, a bucket of a minute's runs; the seconds to wait, 0 where it may come."""
    if not limits.a_minute:
        return 0.0
    _lay(connection, tenant)
    second = limits.a_minute / 60
    full = table.c.tokens + (now - table.c.tokens_at) * second
    left = case((full < limits.a_minute, full), else_=float(limits.a_minute))
    taken = update(table).where(table.c.tenant == tenant, left >= 1).values(tokens=left - 1, tokens_at=now)
    if connection.execute(taken).rowcount:
        return 0.0
    lacks = connection.scalar(select(1 - left).where(table.c.tenant == tenant))
    return float(lacks or 1.0) / second


def waiting(connection: Connection) -> list[str]:
    """Tenants that have runs in the queue."""
    return list(connection.scalars(select(table.c.tenant).where(table.c.queued > 0)))


def shift(connection: Connection, tenant: str, *, queued: int = 0, running: int = 0) -> None:
    """Note that runs moved."""
    if queued or running:
        changes = {"queued": table.c.queued + queued, "running": table.c.running + running}
        moved = update(table).where(table.c.tenant == tenant).values(changes)
        if not connection.execute(moved).rowcount:
            _lay(connection, tenant)
            connection.execute(moved)


def running(connection: Connection, tenants: Collection[str]) -> dict[str, int]:
    """How many runs of tenants are driven; the counters stand still until this transaction ends."""
    named = select(table.c.tenant, table.c.running).where(table.c.tenant.in_(sorted(tenants)))
    rows = connection.execute(named.order_by(table.c.tenant).with_for_update())
    return {row.tenant: row.running for row in rows}


def everyone(connection: Connection) -> dict[str, tuple[int, int]]:
    """Queued and driven runs by tenant."""
    rows = connection.execute(select(table.c.tenant, table.c.queued, table.c.running))
    return {row.tenant: (row.queued, row.running) for row in rows}


def _lay(connection: Connection, tenant: str) -> None:
    insert: Any = (sqlite if connection.dialect.name == "sqlite" else postgresql).insert(table)
    row = {"tenant": tenant, "queued": 0, "running": 0, "tokens": 0.0, "tokens_at": 0.0}
    connection.execute(insert.values(row).on_conflict_do_nothing())
