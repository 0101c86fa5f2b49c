"""A run as a what-if: what its calls would have cost, and where they would have gone, under another policy."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from starlette.responses import Response

from trimtab.console.premises import Premises
from trimtab.console.visitor import Visitor
from trimtab.core.errors import BadRequest, ConfigError, NotFound
from trimtab.simulation.whatif import (
    LATENCY_COLUMNS,
    MOVE_COLUMNS,
    SUMS_COLUMNS,
    WhatIf,
    completion_lines,
    latency_cells,
    move_cells,
    sums_cells,
)
from trimtab.store import RunRow, Selection, runs

_SHIPPED = ("cheapest", "fastest", "pinned")
_MOST_MOVES = 50
_MOST_CALLS = 2_000


class WhatIfPage:
    """Constructed by the console."""

    def __init__(self, premises: Premises) -> None:
        self._premises = premises
        self._turn = asyncio.Lock()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="whatif")

    async def shown(self, visitor: Visitor) -> Response:
        """`GET /console/whatif?tenant=&id=&policy=`: a run under one policy for all its calls."""
        tenant = visitor.owner(visitor.query.get("tenant") or visitor.key.tenant)
        id, policy = visitor.query.get("id", ""), visitor.query.get("policy", "")
        policies = sorted({*_SHIPPED, *self._premises.loaded.settings.policy})
        if policy and policy not in policies:
            raise BadRequest(f"policy is one of {', '.join(policies)}, not {policy[:60]!r}", param="policy")
        await self._premises.fresh()
        run = await self._run(tenant, id)
        report = await self._tried(run, policy) if policy else None
        return self._premises.sheets.page(
            "whatif",
            visitor,
            f"What if: run {id[:40]}",
            run=run,
            policies=policies,
            policy=policy,
            report=report,
            tables=[] if report is None else _tables(report),
            completions=[] if report is None else completion_lines(report.completions),
            can_try=self._premises.trial is not None,
        )

    async def _run(self, tenant: str, id: str) -> RunRow:
        standing = self._premises.standing()
        chosen = Selection(tenant=tenant, run=id)
        found = await self._premises.reader.read(lambda c: runs.newest(c, chosen, standing, None, 1))
        if not found:
            raise NotFound(f"tenant {tenant!r} has no run {id!r} that made calls", code="run_not_found")
        return found[0]

    async def _tried(self, run: RunRow, policy: str) -> WhatIf:
        trial = self._premises.trial
        if trial is None:
            raise BadRequest(
                "no endpoint is configured here, so there is nothing to try; see `trimtab whatif`"
            )
        if run.calls > _MOST_CALLS:
            raise BadRequest(
                f"this run has {run.calls:,} calls, at most {_MOST_CALLS:,} are tried here; see `trimtab whatif`"
            )
        # Bounded in time, so that what was recorded before and after is not looked through.
        chosen = Selection(tenant=run.tenant, run=run.id, since=run.started_at - 1, until=run.last_at + 1)
        async with self._turn:
            try:
                return await asyncio.get_running_loop().run_in_executor(self._thread, trial, chosen, policy)
            except ConfigError as error:
                raise BadRequest(f"policy {policy} cannot be tried: {error}", param="policy") from error


def _tables(report: WhatIf) -> list[tuple[str, tuple[str, ...], list[list[str]]]]:
    """Captions, columns and cells."""
    steps = [list(sums_cells(line)) for line in report.by["step"]]
    moves = [list(move_cells(line)) for line in report.moves[:_MOST_MOVES]]
    paces = [
        ["recorded", *latency_cells(report.latency_recorded)],
        ["new", *latency_cells(report.latency_new)],
    ]
    tables = [
        ("All calls", ("", *SUMS_COLUMNS), [list(sums_cells(report.total))]),
        ("By step", ("step", *SUMS_COLUMNS), steps),
        ("Moved calls", MOVE_COLUMNS, moves),
        ("Latency of calls", LATENCY_COLUMNS, paces),
    ]
    return [table for table in tables if table[2]]
