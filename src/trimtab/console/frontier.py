"""The page Frontier: what a completed run costs against how many are completed, from where policies can be compared."""

from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import msgspec
from sqlalchemy import Connection
from starlette.responses import Response

from trimtab.console.arms import Arm, Experiment, experiments_of, mixture_of, points_of
from trimtab.console.premises import Premises
from trimtab.console.reports import KeptReport, Shelf, read_shelf
from trimtab.console.visitor import Visitor
from trimtab.console.words import usd
from trimtab.core import NANODOLLARS_PER_USD
from trimtab.core.errors import NotFound
from trimtab.evaluation import Line, Plane, PlanePoint, draw_plane, shown
from trimtab.store import DrawnRun, Selection, drawn

DAYS, MOST_RUNS = 30, 2_000
_DAY = 86_400
_SECONDS = 60.0
_MOST_WORKFLOWS, _MOST_SEEN = 50, 5_000
_PROBED, _SURELY = 20, 200
_COST_AXIS = "USD per completed run"


class Found(msgspec.Struct, frozen=True):
    """What is known of a workflow: the experiments in its runs. `offered` are workflows one may ask for, `compared`
    those of them in which a model was drawn by lot lately."""

    workflow: str
    offered: tuple[str, ...]
    compared: tuple[str, ...]
    experiments: tuple[Experiment, ...]


class FrontierPage:
    """Constructed by the console."""

    def __init__(self, premises: Premises) -> None:
        self._premises = premises
        settings = premises.loaded.settings
        self._folder = Path(settings.console.reports or Path(settings.server.data) / "reports")
        self._policies = tuple(
            sorted(name for name, policy in settings.policy.items() if policy.kind == "weighted")
        )

    async def shown(self, visitor: Visitor) -> Response:
        """`GET /console/frontier?workflow=&report=`."""
        found, shelf = await self._find(visitor), await self._shelf(visitor)
        kept = self._kept(visitor, shelf)
        return self._premises.sheets.page(
            "frontier",
            visitor,
            "Frontier",
            found=found,
            shelf=shelf,
            kept=kept,
            experiment=found.experiments[0] if found.experiments else None,
            others=found.experiments[1:],
            policies=self._policies,
            tenant=visitor.query.get("tenant"),
            days=DAYS,
            most=_SURELY,
            told=_told(found.experiments[0]) if found.experiments else "",
            told_of_report=_told_of(kept.report.lines) if kept else "",
            shown=shown,
            usd_of=_usd,
        )

    async def drawn(self, visitor: Visitor) -> Response:
        """`GET /console/frontier.svg?workflow=&report=`: the drawing, as a document of its own."""
        if visitor.query.get("report"):
            kept = self._kept(visitor, await self._shelf(visitor))
            plane = None if kept is None else plane_of_report(kept)
        else:
            found = await self._find(visitor)
            plane = plane_of(found.workflow, found.experiments[0]) if found.experiments else None
        if plane is None:
            raise NotFound("there is nothing to draw: no point can be compared with another")
        drawing = draw_plane(plane)
        return Response(drawing, media_type="image/svg+xml", headers=_own_style(drawing))

    async def _find(self, visitor: Visitor) -> Found:
        tenant, workflow = visitor.tenant, visitor.query.get("workflow", "")
        key = ("frontier", tenant, workflow)
        return await self._premises.reader.kept(key, _SECONDS, lambda: self._made(tenant, workflow))

    async def _made(self, tenant: str | None, workflow: str) -> Found:
        def work(connection: Connection) -> Found:
            since = self._premises.clock.now() - DAYS * _DAY
            offered = tuple(drawn.workflows(connection, tenant, since, _MOST_SEEN)[:_MOST_WORKFLOWS])
            compared = tuple(name for name in offered if self._runs(connection, tenant, name, _PROBED))
            chosen = workflow or next(iter((*compared, *offered)), "")
            # A lot that is not among so many is not drawn often enough to have points.
            is_drawn = bool(chosen and self._runs(connection, tenant, chosen, _SURELY))
            runs = self._runs(connection, tenant, chosen, MOST_RUNS) if is_drawn else []
            return Found(chosen, offered, compared, tuple(experiments_of(runs)))

        return await self._premises.reader.read(work)

    def _runs(self, connection: Connection, tenant: str | None, workflow: str, most: int) -> list[DrawnRun]:
        if not self._policies:
            return []
        since = self._premises.clock.now() - DAYS * _DAY
        selection = Selection(tenant=tenant, workflow=workflow, since=since)
        return drawn.newest(connection, selection, self._premises.standing(), self._policies, most)

    async def _shelf(self, visitor: Visitor) -> Shelf:
        """Reports are about anybody's runs, so they are the house's own."""
        if not visitor.is_admin:
            return Shelf()

        async def read() -> Shelf:
            return await self._premises.reader.run(lambda: read_shelf(self._folder))

        return await self._premises.reader.kept(("frontier", "reports"), _SECONDS / 6, read)

    def _kept(self, visitor: Visitor, shelf: Shelf) -> KeptReport | None:
        """The report that is asked for, else the first. Raises NotFound."""
        name = visitor.query.get("report", "")
        if not name:
            return shelf.reports[0] if shelf.reports else None
        kept = shelf.find(name)
        if kept is None:
            raise NotFound(f"there is no evaluation report {name[:60]!r} here")
        return kept


def _own_style(drawing: str) -> dict[str, str]:
    """The drawing's colours stand in it, and nothing else may."""
    style = drawing.partition("<style>")[2].partition("</style>")[0]
    digest = b64encode(sha256(style.encode()).digest()).decode()
    return {
        "content-security-policy": f"default-src 'none'; style-src 'sha256-{digest}'; frame-ancestors 'none'"
    }


def plane_of(workflow: str, experiment: Experiment) -> Plane | None:
    """The drawing of randomised runs; None where no arm has runs enough."""
    singles = [arm for arm in experiment.arms if arm.drawn]
    if not singles:
        return None
    shown_arms = [*singles, experiment.ceiling] if experiment.ceiling is not None else singles
    mixture = mixture_of([(arm.cost.value, arm.completions.value) for arm in singles])
    return Plane(_title(workflow, experiment), points_of(shown_arms), mixture, (), _COST_AXIS)


def plane_of_report(kept: KeptReport) -> Plane | None:
    """The drawing of an evaluation: its policies, ceilings and single models by cost per completed run."""
    points = tuple(
        PlanePoint(
            line.name,
            line.cost_per_completed.value,
            line.completions.value,
            line.mark,
            line.completions.low if line.mark == "policy" else None,
            line.completions.high if line.mark == "policy" else None,
        )
        for line in kept.report.lines
        if line.cost_per_completed is not None
    )
    singles = [
        (line.cost.value, line.completions.value) for line in kept.report.lines if line.mark == "single"
    ]
    return Plane(kept.report.title, points, mixture_of(singles), (), _COST_AXIS) if points else None


def _title(workflow: str, experiment: Experiment) -> str:
    runs = sum(arm.runs for arm in experiment.arms)
    return f"{workflow}: {runs:,} runs whose model was drawn by {experiment.policy}"


def _told(experiment: Experiment) -> str:
    """The drawing in words."""
    return "; ".join(_in_words(arm) for arm in experiment.arms if arm.drawn)


def _told_of(lines: Sequence[Line]) -> str:
    return "; ".join(_in_words(line) for line in lines[:12])


def _in_words(one: Arm | Line) -> str:
    cost = one.cost_per_completed
    return (
        f"{one.name} {one.completions.value:.1%} at {'no known cost' if cost is None else _usd(cost.value)}"
    )


def _usd(dollars: float) -> str:
    return usd(round(dollars * NANODOLLARS_PER_USD))
