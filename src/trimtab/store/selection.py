"""Which runs and ledger lines a report is about, and the SQL that several tables' queries share."""

from collections.abc import Mapping

import msgspec
from sqlalchemy import BigInteger, ColumnElement, Connection, Table, case, cast, func, literal, literal_column

from trimtab.store.schema import run

_COMPLETED_AT = 1.0


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """None means all. `since` is included, `until` is not; both are epoch seconds."""

    since: float | None = None
    until: float | None = None
    tenant: str | None = None
    user: str | None = None
    workflow: str | None = None
    run: str | None = None


class Standing(msgspec.Struct, frozen=True):
    """What a run's status is told by: the reward from which runs of a workflow count as completed (1.0 where
    it names none), and the moment since which a run without outcome must have had a call to be open."""

    completed_at: Mapping[str, float] = {}
    open_since: float = float("inf")


def conditions(table: Table, time: str, run_id: str, selection: Selection) -> list[ColumnElement[bool]]:
    """`selection` on a table whose columns `time` and `run_id` are the moment and the run."""
    columns = table.c
    named = ((name, getattr(selection, name)) for name in ("tenant", "user", "workflow"))
    found = [columns[name] == value for name, value in named if value is not None]
    if selection.run is not None:
        found.append(columns[run_id] == selection.run)
    if selection.since is not None:
        found.append(columns[time] >= selection.since)
    if selection.until is not None:
        found.append(columns[time] < selection.until)
    return found


def day_number(connection: Connection, moment: ColumnElement[float]) -> ColumnElement[int]:
    """Days since the epoch, in UTC."""
    days = moment / literal_column("86400.0")
    return cast(days if connection.dialect.name == "sqlite" else func.floor(days), BigInteger)


def completed(completed_at: Mapping[str, float]) -> ColumnElement[bool]:
    """Whether a run's reward reaches what its workflow asks; null where there is no outcome."""
    if not completed_at:
        return run.c.reward >= literal(_COMPLETED_AT)
    asked = case(dict(completed_at), value=run.c.workflow, else_=_COMPLETED_AT)
    return run.c.reward >= asked
