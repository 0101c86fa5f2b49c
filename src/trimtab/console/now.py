"""The page Now: the last hour and this moment, anew every two seconds for whoever looks."""

import msgspec
from sqlalchemy import Connection
from starlette.responses import Response

from trimtab.console.charts import draw
from trimtab.console.live import stream
from trimtab.console.meters import Budget, read_budgets
from trimtab.console.premises import Premises
from trimtab.console.traffic import MINUTES, Hour, hour_of
from trimtab.console.visitor import Visitor
from trimtab.store import SpendField, SpendSelection, WorkflowState, run_pages, spend, traffic

_MOST_RUNS = 20_000
_SECONDS, _HOUR_SECONDS = 2.0, 10.0
_DAY = 86_400
_MOST_BUDGETS = 8


class _Moment(msgspec.Struct, frozen=True):
    """What the store knows of this moment."""

    states: dict[tuple[str, WorkflowState], int]
    budgets: list[Budget]
    spent: int


class _Endpoint(msgspec.Struct, frozen=True):
    """What this process knows of an endpoint."""

    name: str
    in_flight: int
    queued: int
    open: bool


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
        return stream(
            lambda: self._part(tenant, whole=whole), _SECONDS, lambda: self._premises.may_look(visitor)
        )

    async def _part(self, tenant: str | None, *, whole: bool) -> str:
        key = ("now", tenant, whole)
        return await self._premises.reader.kept(key, _SECONDS, lambda: self._made(tenant, whole=whole))

    async def _made(self, tenant: str | None, *, whole: bool) -> str:
        reader, now = self._premises.reader, self._premises.clock.now()
        hour = await self._hour(tenant, now)
        moment = await reader.read(lambda c: _moment(c, tenant, now))
        facts = {
            "hour": hour,
            "most_runs": _MOST_RUNS,
            "states": moment.states,
            "budgets": moment.budgets[:_MOST_BUDGETS],
            "more_budgets": len(moment.budgets) > _MOST_BUDGETS,
            "spent": moment.spent,
            "tenant": tenant,
            "endpoints": self._endpoints() if whole else None,
            "draw": draw,
        }
        return await reader.run(lambda: self._premises.sheets.text("now_part", facts))

    async def _hour(self, tenant: str | None, now: float) -> Hour:
        """Of whole minutes, so it is read anew less often than it is shown."""
        reader = self._premises.reader
        # The minute under way is not over, and its calls are still coming in.
        until = int(now // 60)
        key = ("hour", tenant, until)
        return await reader.kept(key, _HOUR_SECONDS, lambda: reader.read(lambda c: _hour(c, tenant, until)))

    def _endpoints(self) -> list[_Endpoint]:
        if self._premises.pool is None:
            return []
        return [
            _Endpoint(each.name, each.in_flight, each.queued, not each.available)
            for each in self._premises.pool.endpoints.values()
        ]


def _hour(connection: Connection, tenant: str | None, until: int) -> Hour:
    since = until - MINUTES
    rows = traffic.minutes(connection, tenant, since, until)
    runs = run_pages.lately(connection, tenant, since * 60.0, _MOST_RUNS)
    return hour_of(rows, runs, until, _MOST_RUNS)


def _moment(connection: Connection, tenant: str | None, now: float) -> _Moment:
    today = int(now // _DAY)
    named: dict[SpendField, str] = {} if tenant is None else {"tenant": tenant}
    total = spend.spend_sums(connection, (), SpendSelection(since=today, until=today, named=named))
    return _Moment(
        run_pages.hosted_states(connection, tenant),
        read_budgets(connection, tenant, now, _MOST_BUDGETS + 1),
        total[0].nanodollars,
    )
