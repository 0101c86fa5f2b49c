"""Runs whose model was drawn by lot, with what became of them: what the console's frontier compares."""

from collections.abc import Collection

import msgspec
from sqlalchemy import Connection, func, select

from trimtab.store.schema import call, run
from trimtab.store.selection import Selection, Standing, completed, conditions


class DrawnRun(msgspec.Struct, frozen=True):
    """A run with a known outcome that made a call under one of the policies that draw. `decision` is that call's, as
    JSON; `unpriced` counts costs that nobody knows."""

    tenant: str
    id: str
    task: str
    started_at: float
    completed: bool
    nanodollars: int
    unpriced: int
    policy: str
    decision: bytes


def newest(
    connection: Connection, selection: Selection, standing: Standing, policies: Collection[str], most: int
) -> list[DrawnRun]:
    """Of the newest `most` runs of a selection whose outcome is known, those that one of `policies` routed; the latest
    first."""
    told = completed(standing.completed_at).label("completed")
    columns = [run.c[name] for name in ("tenant", "id", "task", "started_at", "nanodollars", "unpriced")]
    chosen = select(*columns, told).where(
        *conditions(run, "started_at", "id", selection), run.c.reward.is_not(None)
    )
    ours = chosen.order_by(run.c.started_at.desc()).limit(most).cte("ours")
    mine = (call.c.run == ours.c.id) & (call.c.tenant == ours.c.tenant) & call.c.policy.in_(policies)
    # The lot is drawn for the run; where several policies drew for its calls, the first of them has it.
    earliest = select(call.c.id).where(mine, call.c.decision.is_not(None))
    first = earliest.order_by(call.c.at, call.c.id).limit(1).scalar_subquery()
    found = select(ours, first.label("call")).cte("found")
    statement = select(*[found.c[name] for name in _OF_RUN], call.c.policy, call.c.decision)
    statement = statement.join(call, call.c.id == found.c.call).order_by(
        found.c.started_at.desc(), found.c.id
    )
    return [DrawnRun(**row._mapping) for row in connection.execute(statement)]


def workflows(connection: Connection, tenant: str | None, since: float, most: int) -> list[str]:
    """The workflows of the newest `most` runs since a moment, of a tenant or of all; those with most runs first."""
    chosen = select(run.c.workflow).where(
        *conditions(run, "started_at", "id", Selection(tenant=tenant, since=since))
    )
    latest = chosen.order_by(run.c.started_at.desc()).limit(most).subquery()
    named = select(latest.c.workflow).where(latest.c.workflow != "").group_by(latest.c.workflow)
    return list(connection.scalars(named.order_by(func.count().desc(), latest.c.workflow)))


_OF_RUN = DrawnRun.__struct_fields__[:-2]
