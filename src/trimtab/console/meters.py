"""Budgets as the pages show them: whose they are, how full, when they begin anew. Read on the caller's connection."""

import re
from urllib.parse import unquote

import msgspec
from sqlalchemy import Connection

from trimtab.budgets import is_of_keys, key_meter, quoted
from trimtab.store import MeterRow, keys, meters

_MOST_KEYS = 50

# After a limit's own label, which the settings choose, stands whose it is; clients choose only what follows the tenant.
_WHOSE = re.compile(r"\|(tenant|user|workflow|run|key):([^/|]*)(?:/([^|]*))?")


class Budget(msgspec.Struct, frozen=True):
    """A budget in one of its windows. Amounts in nanodollars; `held` is set aside by calls under way, and by processes
    for calls to come."""

    name: str
    scope: str
    tenant: str
    whose: str
    limit: int
    spent: int
    held: int
    resets_at: float | None

    @property
    def full(self) -> float:
        """The part that is spent, from 0 on."""
        return self.spent / self.limit if self.limit else 1.0


def read_budgets(connection: Connection, tenant: str | None, now: float, limit: int) -> list[Budget]:
    """The budgets that count now, of a tenant (its good keys' too) or of all, the fullest first, at most `limit`."""
    whose = None
    if tenant is not None:
        name = quoted(tenant)
        good = [f"key:{key.id}" for key in keys.everyone(connection, tenant) if key.revoked_at is None]
        whose = [f"tenant:{name}", f"user:{name}/", f"workflow:{name}/", *good[-_MOST_KEYS:]]
    limits = keys.limits(connection)
    in_force = {key_meter(id, each, now).id for id, each in limits.items()}
    rows = [
        row
        for row in meters.current(connection, now, whose, limit)
        if row.id in in_force or not is_of_keys(row.id)
    ]
    rows += meters.of_keys_ever(connection, tenant, limit)
    return sorted([_budget(row) for row in rows], key=lambda each: -each.full)[:limit]


def _budget(row: MeterRow) -> Budget:
    match = _WHOSE.search(row.id)
    scope, first, rest = match.groups() if match else ("", "", "")
    tenant = "" if scope == "key" else unquote(first)
    whose = first if scope == "key" else unquote(rest or "")
    return Budget(row.name, scope, tenant, whose, row.limit_amount, row.settled, row.leased, row.resets_at)
