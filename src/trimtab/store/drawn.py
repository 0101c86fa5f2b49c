"""Runs whose model was drawn by lot, with what became of them: what the console's frontier compares."""

from collections.abc import Collection

import msgspec
from sqlalchemy import Connection, func, select

from trimtab.store.schema import run
from trimtab.store.selection import Selection, Standing, completed, conditions


class DrawnRun(msgspec.Struct, frozen=True):
    """A run with a known outcome and one of the policies that draw. `model` and its `weight`, as the plan said it, are
    "" where no plan says what was drawn; `unpriced` counts costs that nobody knows."""

    tenant: str
    id: str
    task: str
    started_at: float
    completed: bool
    nanodollars: int
    unpriced: int
    policy: str
    model: str
    weight: str


def newest(
    connection: Connection, selection: Selection, standing: Standing, policies: Collection[str], most: int
) -> list[DrawnRun]:
    """Of the newest `most` runs of a selection whose outcome is known, those that one of `policies` routed; the latest
    first."""
    columns = [run.c[name] for name in ("tenant", "id", "task", "started_at", "nanodollars", "unpriced")]
    drawn = [run.c[f"drawn_{name}"].label(name) for name in ("policy", "model", "weight")]
    told = completed(standing.completed_at).label("completed")
    chosen = select(*columns, *drawn, told).where(
        *conditions(run, "started_at", "id", selection), run.c.reward.is_not(None)
    )
    rows = connection.execute(chosen.order_by(run.c.started_at.desc(), run.c.id).limit(most))
    return [DrawnRun(**row._mapping) for row in rows if row.policy in policies]


def workflows(connection: Connection, tenant: str | None, since: float, most: int) -> list[str]:
    """The workflows of the newest `most` runs since a moment, of a tenant or of all; those with most runs first."""
    chosen = select(run.c.workflow).where(
        *conditions(run, "started_at", "id", Selection(tenant=tenant, since=since))
    )
    latest = chosen.order_by(run.c.started_at.desc()).limit(most).subquery()
    named = select(latest.c.workflow).where(latest.c.workflow != "").group_by(latest.c.workflow)
    return list(connection.scalars(named.order_by(func.count().desc(), latest.c.workflow)))
