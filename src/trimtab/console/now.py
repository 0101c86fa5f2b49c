"""The page Now: the last hour and this moment, anew every two seconds for whoever looks."""

from typing import Any

import msgspec
from sqlalchemy import Connection
from starlette.responses import Response

from trimtab.console.charts import draw
from trimtab.console.live import stream
from trimtab.console.meters import Budget, read_budgets
from trimtab.console.premises import Premises
from trimtab.console.traffic import MINUTES, hour_of
from trimtab.console.visitor import Visitor
from trimtab.store import MinuteSums, RunTimes, SpendSelection, run_pages, spend, traffic

_MOST_RUNS = 20_000
_SECONDS = 2.0
_DAY = 86_400
_MOST_BUDGETS = 8


class _Read(msgspec.Struct, frozen=True):
    """What the store knows."""

    minutes: list[MinuteSums]
    runs: RunTimes
    states: dict[tuple[str, Any], int]
    budgets: list[Budget]
    spent: int


class NowPage:
    """Constructed by the console."""

    def __init__(self, premises: Premises) -> None:
        self._premises = premises

    async def shown(self, visitor: Visitor) -> Response:
        """`GET /console`: what goes on."""
        part = await self._part(visitor.tenant, whole=visitor.is_admin)
        return self._premises.sheets.page("now", visitor, "Now", part=part, tenant=visitor.tenant)

    async def told(self, visitor: Visitor) -> Response:
        """`GET /console/live/now`: the page's changing part, again and again."""
        tenant, whole = visitor.tenant, visitor.is_admin
        return stream(lambda: self._part(tenant, whole=whole), _SECONDS, self._premises.closing)

    async def _part(self, tenant: str | None, *, whole: bool) -> str:
        key = ("now", tenant, whole)
        return await self._premises.reader.kept(key, _SECONDS, lambda: self._made(tenant, whole=whole))

    async def _made(self, tenant: str | None, *, whole: bool) -> str:
        now = self._premises.clock.now()
        # The minute under way is not over, and its calls are still coming in.
        until = int(now // 60)
        read = await self._premises.reader.read(lambda c: _read(c, tenant, until, now))
        facts = {
            "hour": hour_of(read.minutes, read.runs, until, _MOST_RUNS),
            "most_runs": _MOST_RUNS,
            "states": read.states,
            "budgets": read.budgets[:_MOST_BUDGETS],
            "more_budgets": len(read.budgets) > _MOST_BUDGETS,
            "spent": read.spent,
            "tenant": tenant,
            "endpoints": self._endpoints() if whole else None,
            "draw": draw,
            "now": now,
        }
        return self._premises.sheets.text("now_part", facts)

    def _endpoints(self) -> list[dict[str, object]]:
        """What this process knows of its endpoints."""
        if self._premises.pool is None:
            return []
        return [
            {
                "name": each.name,
                "in_flight": each.in_flight,
                "queued": each.queued,
                "open": not each.available,
                "models": each.settings.models,
            }
            for each in self._premises.pool.endpoints.values()
        ]


def _read(connection: Connection, tenant: str | None, until: int, now: float) -> _Read:
    since, today = until - MINUTES, int(now // _DAY)
    named: dict[Any, str] = {} if tenant is None else {"tenant": tenant}
    total = spend.spend_sums(connection, (), SpendSelection(since=today, until=today, named=named))
    return _Read(
        traffic.minutes(connection, tenant, since, until),
        run_pages.lately(connection, tenant, since * 60.0, _MOST_RUNS),
        run_pages.hosted_states(connection, tenant),
        read_budgets(connection, tenant, now, _MOST_BUDGETS + 1),
        total[0].nanodollars,
    )
