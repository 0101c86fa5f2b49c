"""The page Costs: where the money went, narrowed by click; what prompts are made of; what was saved. Also as CSV."""

import asyncio
from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec
from markupsafe import Markup
from sqlalchemy import Connection
from starlette.responses import Response

from trimtab.console.charts import Chart, Line, bar, columns
from trimtab.console.filters import one_of
from trimtab.console.overhead import Overhead, read_overhead
from trimtab.console.premises import Premises
from trimtab.console.prompts import PARTS
from trimtab.console.savings import ModelSpend, instead, spared, token_prices
from trimtab.console.spending import NARROWINGS, RANGES, CostQuery, cost_query, day_text
from trimtab.console.spreadsheet import sheet_of
from trimtab.console.visitor import Visitor
from trimtab.console.words import usd
from trimtab.core import Price
from trimtab.store import SpendField, SpendSelection, SpendSums, spend

_ROWS = 100
_CSV_ROWS = 100_000
_MODELS = 5_000
_IDLE_TOOLS = 30
_PRICE_SECONDS = 600.0
_OVERHEAD_SECONDS = 60.0
_SUMS_SECONDS = 15.0
T = TypeVar("T")


class CostRow(msgspec.Struct, frozen=True):
    """A line of the table: its name, where it leads to, and to which runs ('' where these are not found by it)."""

    name: str
    address: str
    runs: str
    sums: SpendSums


class CostsPage:
    """Constructed by the console."""

    def __init__(self, premises: Premises) -> None:
        self._premises = premises

    async def shown(self, visitor: Visitor) -> Response:
        """`GET /console/costs`: the sums, the sample of prompts, the estimate of what was saved."""
        query = self._query(visitor)
        prices = await self._prices()
        one_of({"against": query.against}, "against", tuple(prices))
        rows, days, models, overhead = await asyncio.gather(
            self._read("rows", query, lambda c: _rows(c, query, _ROWS + 1)),
            self._read("days", query, lambda c: spend.spend_sums(c, ("day",), query.selection)),
            self._read("models", query, lambda c: _models(c, query)),
            self._overhead(query),
        )
        known = {model for endpoint in self._premises.loaded.settings.endpoint for model in endpoint.models}
        return self._premises.sheets.page(
            "costs",
            visitor,
            "Costs",
            query=query,
            total=total_of(days),
            rows=[_row(query, sums) for sums in rows[:_ROWS]],
            more=len(rows) > _ROWS,
            names={name: _name(name) for name in query.offered},
            narrowed=_narrowed(query),
            ranges=list(RANGES),
            span=f"{day_text(query.since)} to {day_text(query.until)}",
            chart=_chart(query, days),
            overhead=overhead,
            parts=PARTS,
            idle_most=_IDLE_TOOLS,
            spared=spared(models, known),
            by_user="user" in query.named,
            counterfactual=instead(models, prices, query.against),
            prices=list(prices),
            bar=bar,
            name_of=_name,
        )

    async def csv(self, visitor: Visitor) -> Response:
        """`GET /console/costs.csv`: the same lines, with exact amounts."""
        query = self._query(visitor)

        def work(connection: Connection) -> str:
            rows = _rows(connection, query, _CSV_ROWS)
            return sheet_of(query.by, [_shown(query.by, row.fields[0]) for row in rows], rows)

        text = await self._premises.reader.read(work)
        name = f"costs-by-{query.by}-{day_text(query.since)}-{day_text(query.until)}.csv"
        headers = {"content-disposition": f'attachment; filename="{name}"'}
        return Response(text, media_type="text/csv", headers=headers)

    def _query(self, visitor: Visitor) -> CostQuery:
        now = self._premises.clock.now()
        return cost_query(visitor.query, visitor.tenant, now, own=not visitor.is_admin)

    async def _read(self, what: str, query: CostQuery, work: Callable[[Connection], T]) -> T:
        """Sums of days change slowly, and people go to and fro."""
        reader = self._premises.reader
        key = (what, query.by, query.since, query.until, *sorted(query.named.items()))
        return await reader.kept(key, _SUMS_SECONDS, lambda: reader.read(work))

    async def _prices(self) -> dict[str, Price]:
        """Published prices are looked up in a list that takes a while to read."""
        reader, settings = self._premises.reader, self._premises.loaded.settings
        return await reader.kept("prices", _PRICE_SECONDS, lambda: reader.run(lambda: token_prices(settings)))

    async def _overhead(self, query: CostQuery) -> Overhead:
        """Looked at anew each minute."""
        reader, standing = self._premises.reader, self._premises.standing()
        selection, named = query.of_runs, query.of_calls
        key = ("overhead", query.since, query.until, *sorted(query.named.items()))
        return await reader.kept(
            key,
            _OVERHEAD_SECONDS,
            lambda: reader.read(lambda c: read_overhead(c, selection, named, standing)),
        )


def total_of(rows: Sequence[SpendSums]) -> SpendSums:
    """All lines as one."""
    amounts = SpendSums.__struct_fields__[1:]
    return SpendSums((), *[sum(getattr(row, name) for row in rows) for name in amounts])


def _rows(connection: Connection, query: CostQuery, most: int) -> list[SpendSums]:
    """The dearest first; days the newest first."""
    rows = spend.spend_sums(connection, (query.by,), query.selection, most)
    return sorted(rows, key=lambda row: -int(row.fields[0])) if query.by == "day" else rows


def _models(connection: Connection, query: CostQuery) -> list[ModelSpend]:
    """By model and endpoint, tools left out; users' and steps' sums have models only, users' tools too."""
    whole = query.selection
    named: dict[SpendField, str] = {**whole.named, "kind": "model"}
    selection = (
        whole if "user" in whole.named else SpendSelection(since=whole.since, until=whole.until, named=named)
    )
    if "user" in whole.named or "step" in whole.named:
        rows = spend.spend_sums(connection, ("model",), selection, _MODELS)
        return [ModelSpend(row.fields[0], None, row) for row in rows]
    rows = spend.spend_sums(connection, ("model", "endpoint"), selection, _MODELS)
    return [ModelSpend(row.fields[0], row.fields[1], row) for row in rows]


def _row(query: CostQuery, sums: SpendSums) -> CostRow:
    value = sums.fields[0]
    address = query.narrowed(query.by, value).address()
    return CostRow(_shown(query.by, value), address, query.runs(query.by, value), sums)


def _shown(field: SpendField, value: str) -> str:
    return day_text(int(value)) if field == "day" else value


def _name(field: SpendField) -> str:
    return field.capitalize()


def _narrowed(query: CostQuery) -> list[tuple[str, str, str]]:
    """What the page is narrowed to: a field, its value, the address without it."""
    return [
        (name, query.named[name], query.widened(name).address())
        for name in NARROWINGS
        if name in query.named and not (query.own and name == "tenant")
    ]


def _chart(query: CostQuery, days: Sequence[SpendSums]) -> Markup:
    """The cost of each day; nothing for a single one."""
    if query.since == query.until:
        return Markup("")
    spent = {int(row.fields[0]): row.nanodollars for row in days}
    values = [spent.get(day, 0) for day in range(query.since, query.until + 1)]
    line = Line("spent", [float(value) for value in values])
    title, now = "Spent a day", f"{usd(values[-1])} on the last"
    first, last = day_text(query.since), day_text(query.until)
    return columns(Chart(title, [line], first, last, now, usd(max(values))))
