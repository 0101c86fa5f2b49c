"""The page Budgets & keys: how full budgets are, what limits are set; for admins, who may come in."""

from collections.abc import Sequence

import msgspec
from sqlalchemy import Connection
from starlette.responses import Response

from trimtab.budgets import KEY_WINDOWS
from trimtab.console.charts import bar
from trimtab.console.limits import limits_of
from trimtab.console.meters import Budget, read_budgets
from trimtab.console.premises import Premises
from trimtab.console.sheets import link
from trimtab.console.visitor import Visitor
from trimtab.store import AuditRow, KeyRow, audit, keys

MADE, REVOKED, LIMITED = "make a key", "revoke a key", "limit a key"
_MOST_BUDGETS = 100
_MOST_LIMITS = 100
_KEYS = 50
_ACTS = 20


class _Read(msgspec.Struct, frozen=True):
    """What the store knows; `keys` and `acts` are for admins."""

    budgets: list[Budget]
    keys: Sequence[KeyRow]
    acts: list[AuditRow]


class BudgetsPage:
    """Constructed by the console."""

    def __init__(self, premises: Premises) -> None:
        self._premises = premises

    async def shown(self, visitor: Visitor) -> Response:
        """`GET /console/budgets`: budgets and limits of whoever looks, and the keys."""
        tenant, is_admin = visitor.tenant, visitor.is_admin
        now, before = self._premises.clock.now(), visitor.query.get("before", "")

        def work(connection: Connection) -> _Read:
            budgets = read_budgets(connection, tenant, now, _MOST_BUDGETS + 1)
            if not is_admin:
                return _Read(budgets, (), [])
            found = keys.page(connection, tenant, _KEYS + 1, before)
            return _Read(
                budgets, found, audit.latest(connection, tenant, _ACTS, actions=(MADE, REVOKED, LIMITED))
            )

        read = await self._premises.reader.read(work)
        limits = limits_of(self._premises.loaded, tenant)
        return self._premises.sheets.page(
            "budgets",
            visitor,
            "Budgets & keys",
            tenant=tenant,
            budgets=read.budgets[:_MOST_BUDGETS],
            more_budgets=len(read.budgets) > _MOST_BUDGETS,
            limits=limits[:_MOST_LIMITS],
            more_limits=max(0, len(limits) - _MOST_LIMITS),
            file=self._premises.loaded.source.file,
            keys=read.keys[:_KEYS],
            acts=read.acts,
            before=before,
            further=_further(tenant, read.keys),
            now=now,
            bar=bar,
            windows=KEY_WINDOWS,
        )


def _further(tenant: str | None, found: Sequence[KeyRow]) -> str:
    return link("/budgets", tenant=tenant, before=found[_KEYS - 1].id) if len(found) > _KEYS else ""
