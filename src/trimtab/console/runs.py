"""The page Runs: found by what is known of them, sorted, page by page; every view of it is a URL."""

from collections.abc import Mapping

from starlette.responses import Response

from trimtab.console.filters import SORTINGS, STATES, STATUSES, kept, place_text, run_query
from trimtab.console.premises import Premises
from trimtab.console.sheets import link
from trimtab.console.visitor import Visitor
from trimtab.store import FoundRun, RunPlace, RunSorting, run_pages

_PAGE = 50


class RunsPage:
    """Constructed by the console."""

    def __init__(self, premises: Premises) -> None:
        self._premises = premises

    async def shown(self, visitor: Visitor) -> Response:
        """`GET /console/runs`: a page of runs."""
        asked = visitor.query
        query = run_query(asked, visitor.tenant, self._premises.clock.now())
        standing = self._premises.standing()
        found = await self._premises.reader.read(lambda c: run_pages.page(c, query, standing, _PAGE + 1))
        rows = found[:_PAGE]
        return self._premises.sheets.page(
            "runs",
            visitor,
            "Runs",
            rows=rows,
            asked=asked,
            query=query,
            here=kept(asked),
            further=self._further(asked, rows, query.sorting) if len(found) > _PAGE else "",
            statuses=STATUSES,
            states=STATES,
            sortings=SORTINGS,
        )

    def _further(self, asked: Mapping[str, str], rows: list[FoundRun], sorting: RunSorting) -> str:
        after = place_text(RunPlace.behind(rows[-1].run, sorting))
        return link("/runs", **kept(asked), after=after)
