"""Runs of hosted workflows. A run belongs to whoever holds its latest claim: a number that only grows.

Whatever a leg writes is tested against the claim in the same transaction, so that a worker that was given up for
dead and wakes up again changes nothing.
"""

from collections.abc import Collection, Sequence
from typing import Any, Literal

import msgspec
from sqlalchemy import ColumnElement, Connection, Row, case, insert, select, tuple_, update

from trimtab.store import workflow_questions
from trimtab.store import workflow_workers as workers
from trimtab.store.schema import workflow_run
from trimtab.store.workflow_questions import QuestionRow

WorkflowState = Literal["queued", "running", "waiting", "done", "failed", "cancelled", "parked"]
OVER: tuple[WorkflowState, ...] = ("done", "failed", "cancelled")
_LATE = "given up after {} recoveries: its worker died each time"


class WorkflowRunRow(msgspec.Struct, frozen=True):
    """One run. Times are epoch seconds; `input` and `output` are JSON; `owner` is a worker, '' if none drives it;
    `recoveries` counts the workers it outlived since somebody last asked for it."""

    id: str
    tenant: str
    user: str
    key: str
    workflow: str
    version: str
    thread: str
    state: WorkflowState
    claim: int
    owner: str
    recoveries: int
    cancel_asked: bool
    priority: int
    deadline: float | None
    created_at: float
    updated_at: float
    input: bytes
    output: bytes | None = None
    error: str = ""


class RunStanding(msgspec.Struct, frozen=True):
    """A run's latest claim, and whether somebody asked that it ends."""

    id: str
    claim: int
    cancel_asked: bool


class Hosting(msgspec.Struct, frozen=True):
    """What a worker may claim: the (workflow, version) pairs it hosts. Its lease is in seconds."""

    worker: str
    graphs: frozenset[tuple[str, str]]
    lease_seconds: float
    most_recoveries: int


def add(connection: Connection, row: WorkflowRunRow) -> None:
    """A new run."""
    connection.execute(insert(workflow_run).values(msgspec.structs.asdict(row)))


def find(connection: Connection, id: str) -> WorkflowRunRow | None:
    """A run by its id."""
    row = connection.execute(select(workflow_run).where(workflow_run.c.id == id)).first()
    return None if row is None else _row(row)


def lock(connection: Connection, id: str) -> None:
    """Keep a run as it is until this transaction ends."""
    connection.execute(select(workflow_run.c.id).where(workflow_run.c.id == id).with_for_update())


def held(connection: Connection, ids: Collection[str]) -> set[tuple[str, int]]:
    """Runs with their latest claims; none of them can be claimed anew before this transaction ends."""
    named = select(workflow_run.c.id, workflow_run.c.claim).where(workflow_run.c.id.in_(sorted(ids)))
    rows = connection.execute(named.order_by(workflow_run.c.id).with_for_update(read=True))
    return {(row.id, row.claim) for row in rows}


def claim_due(connection: Connection, hosting: Hosting, most: int) -> list[WorkflowRunRow]:
    """Take up to `most` runs that wait or whose worker is not heard of any more, the most urgent first.

    A run that outlived too many workers is parked instead, with the reason.
    """
    heard = workers.is_heard(workflow_run.c.owner, workers.time_now(connection) - hosting.lease_seconds)
    lost = (workflow_run.c.state == "running") & ~heard
    due = (workflow_run.c.state == "queued") | lost
    return _claim(connection, hosting, due, most)


def claim_one(connection: Connection, hosting: Hosting, id: str) -> WorkflowRunRow | None:
    """Take a run that the caller knows nobody drives; None where somebody was quicker."""
    taken = _claim(connection, hosting, workflow_run.c.id == id, 1)
    return taken[0] if taken else None


def _claim(
    connection: Connection, hosting: Hosting, due: ColumnElement[bool], most: int
) -> list[WorkflowRunRow]:
    hosted = tuple_(workflow_run.c.workflow, workflow_run.c.version).in_(sorted(hosting.graphs))
    open_ = workflow_run.c.state.in_(("queued", "running"))
    order = (workflow_run.c.priority.desc(), workflow_run.c.id)
    chosen = select(workflow_run.c.id).where(open_, hosted, due).order_by(*order).limit(most)
    ids = list(connection.scalars(chosen.with_for_update(skip_locked=True)))
    if not ids:
        return []
    now = workers.time_now(connection)
    was_driven = workflow_run.c.state == "running"
    too_often = was_driven & (workflow_run.c.recoveries >= hosting.most_recoveries)
    changes = {
        "claim": workflow_run.c.claim + 1,
        "owner": case((too_often, ""), else_=hosting.worker),
        "recoveries": workflow_run.c.recoveries + case((was_driven & ~too_often, 1), else_=0),
        "error": case((too_often, _LATE.format(hosting.most_recoveries)), else_=workflow_run.c.error),
        "state": case((too_often, "parked"), else_="running"),
        "updated_at": now,
    }
    connection.execute(update(workflow_run).where(workflow_run.c.id.in_(ids)).values(changes))
    rows = connection.execute(select(workflow_run).where(workflow_run.c.id.in_(ids)).order_by(*order))
    return [row for row in map(_row, rows) if row.state == "running"]


def end_leg(
    connection: Connection,
    id: str,
    claim: int,
    state: WorkflowState,
    output: bytes | None = None,
    error: str = "",
    questions: Sequence[QuestionRow] = (),
) -> bool:
    """Let a run go in a state, with what it asks; False where it belongs to somebody else by now."""
    mine = (workflow_run.c.id == id) & (workflow_run.c.claim == claim) & (workflow_run.c.state == "running")
    values: dict[str, object] = {
        "state": state,
        "owner": "",
        "error": error,
        "updated_at": workers.time_now(connection),
    }
    if output is not None:
        values["output"] = output
    if connection.execute(update(workflow_run).where(mine).values(values)).rowcount != 1:
        return False
    workflow_questions.ask(connection, questions)
    if state in OVER:
        workflow_questions.withdraw(connection, id)
    return True


def reopen(connection: Connection, id: str, states: Sequence[WorkflowState]) -> bool:
    """Queue a run again that stands in one of `states`; its recoveries are forgiven."""
    mine = (workflow_run.c.id == id) & workflow_run.c.state.in_(states)
    values = {"state": "queued", "recoveries": 0, "error": "", "cancel_asked": False}
    return connection.execute(update(workflow_run).where(mine).values(values)).rowcount == 1


def ask_cancel(connection: Connection, id: str) -> bool:
    """Ask that a run ends; at once where nobody drives it. False where it is over, or there is none."""
    mine = (workflow_run.c.id == id) & workflow_run.c.state.not_in(OVER)
    state = case((workflow_run.c.state == "running", "running"), else_="cancelled")
    values = {"cancel_asked": True, "state": state, "updated_at": workers.time_now(connection)}
    if connection.execute(update(workflow_run).where(mine).values(values)).rowcount != 1:
        return False
    still = select(workflow_run.c.state).where(workflow_run.c.id == id)
    if connection.scalar(still) == "cancelled":
        workflow_questions.withdraw(connection, id)
    return True


def standing(connection: Connection, ids: Collection[str]) -> list[RunStanding]:
    """What whoever drives runs must heed of them."""
    told = select(workflow_run.c.id, workflow_run.c.claim, workflow_run.c.cancel_asked)
    rows = connection.execute(told.where(workflow_run.c.id.in_(sorted(ids))))
    return [RunStanding(row.id, row.claim, row.cancel_asked) for row in rows]


def _row(row: Row[Any]) -> WorkflowRunRow:
    return WorkflowRunRow(**row._mapping)
