"""Runs whose model was drawn by lot, with what became of them: what the console's frontier compares."""

from collections.abc import Collection
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, case, func, select
from sqlalchemy.sql.base import ReadOnlyColumnCollection

from trimtab.core import CallRecord, lot_of
from trimtab.store.schema import run
from trimtab.store.selection import Selection, Standing, completed, conditions

NOTHING: dict[str, Any] = {"routed_at": None, "routed_by": "", "drawn_model": "", "drawn_weight": ""}


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


def note(row: dict[str, Any], record: CallRecord) -> None:
    """Add a call to the row of its run: the first call that says what was drawn has it; where none says so, the first
    that a policy routed names the policy."""
    decision, at = record.decision, record.call.at
    if decision is None:
        return
    lot = lot_of(decision.plan)
    if row["routed_at"] is not None and (lot is None, at) >= (not row["drawn_model"], row["routed_at"]):
        return
    model, weight = ("", "") if lot is None else (lot.model, lot.weight)
    row.update(routed_at=at, routed_by=decision.policy, drawn_model=model, drawn_weight=weight)


def merged(new: "ReadOnlyColumnCollection[str, ColumnElement[Any]]") -> dict[str, ColumnElement[Any]]:
    """The columns of a run that is there, after a `new` row of it: told by the same rule."""
    says, said = new.drawn_model != "", run.c.drawn_model != ""
    earlier = (says == said) & (new.routed_at < run.c.routed_at)
    first = new.routed_at.is_not(None) & (run.c.routed_at.is_(None) | (says & ~said) | earlier)
    return {name: case((first, new[name]), else_=run.c[name]) for name in NOTHING}


def newest(
    connection: Connection, selection: Selection, standing: Standing, policies: Collection[str], most: int
) -> list[DrawnRun]:
    """Of the newest `most` runs of a selection whose outcome is known, those that one of `policies` routed; the latest
    first."""
    columns = [run.c[name] for name in ("tenant", "id", "task", "started_at", "nanodollars", "unpriced")]
    drawn = {"policy": run.c.routed_by, "model": run.c.drawn_model, "weight": run.c.drawn_weight}
    told = completed(standing.completed_at).label("completed")
    chosen = select(*columns, *[column.label(name) for name, column in drawn.items()], told).where(
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
