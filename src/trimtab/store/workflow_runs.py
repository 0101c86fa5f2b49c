"""Runs of hosted workflows. A run belongs to whoever holds its latest claim: a number that only grows.

Whatever a leg writes is tested against the claim in the same transaction, so that a worker that was given up for
dead and wakes up again changes nothing.
"""

from collections.abc import Collection, Sequence
from typing import Any, Literal

import msgspec
from msgspec.structs import replace
from sqlalchemy import ColumnElement, Connection, Row, Select, func, insert, select, tuple_, update

from trimtab.store import workflow_places as places
from trimtab.store import workflow_questions
from trimtab.store import workflow_workers as workers
from trimtab.store.workflow_places import Limits
from trimtab.store.workflow_questions import QuestionRow
from trimtab.store.workflow_schema import run as table

WorkflowState = Literal["queued", "running", "waiting", "done", "failed", "cancelled", "parked"]
OVER: tuple[WorkflowState, ...] = ("done", "failed", "cancelled")
_MOST_TURNS = 200
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
    """A new run, whose place was taken (see `workflow_places.admit`)."""
    connection.execute(insert(table).values(msgspec.structs.asdict(row)))


def find(connection: Connection, id: str) -> WorkflowRunRow | None:
    """A run by its id."""
    row = connection.execute(select(table).where(table.c.id == id)).first()
    return None if row is None else _row(row)


def lock(connection: Connection, id: str) -> None:
    """Keep a run as it is until this transaction ends."""
    connection.execute(select(table.c.id).where(table.c.id == id).with_for_update())


def held(connection: Connection, ids: Collection[str]) -> set[tuple[str, int]]:
    """Runs with their latest claims; none of them can be claimed anew before this transaction ends."""
    named = select(table.c.id, table.c.claim).where(table.c.id.in_(sorted(ids)))
    rows = connection.execute(named.order_by(table.c.id).with_for_update(read=True))
    return {(row.id, row.claim) for row in rows}


def claim_lost(connection: Connection, hosting: Hosting, most: int) -> list[WorkflowRunRow]:
    """Take up to `most` runs whose worker is not heard of any more, the most urgent first.

    A run that outlived too many workers is parked instead, with the reason.
    """
    heard = workers.is_heard(table.c.owner, workers.time_now(connection) - hosting.lease_seconds)
    return _claim(connection, hosting, (table.c.state == "running") & ~heard, most)


def claim_queued(connection: Connection, hosting: Hosting, limits: Limits, most: int) -> list[WorkflowRunRow]:
    """Take up to `most` runs out of the queue: fair between tenants by weight, within each tenant's own maximum the
    most urgent first."""
    found = connection.execute(_in_turn(hosting)).all()
    if not found:
        return []
    driven = places.running(connection, {row.tenant for row in found})
    turns = []
    for row in found:
        ahead, allowed = driven[row.tenant] + row.turn, limits.of(row.tenant)
        if ahead <= allowed.running:
            turns.append((ahead / allowed.weight, row.id))
    chosen = [id for _, id in sorted(turns)[:most]]
    return _claim(connection, hosting, table.c.id.in_(chosen) & (table.c.state == "queued"), most)


def _in_turn(hosting: Hosting) -> "Select[Any]":
    """The first queued runs of each tenant, each with its turn among them."""
    order = (table.c.priority.desc(), table.c.id)
    turn = func.row_number().over(partition_by=table.c.tenant, order_by=order).label("turn")
    queued = table.c.state == "queued"
    listed = select(table.c.id, table.c.tenant, turn).where(queued, _is_hosted(hosting)).subquery()
    return select(listed).where(listed.c.turn <= _MOST_TURNS)


def claim_one(connection: Connection, hosting: Hosting, id: str) -> WorkflowRunRow | None:
    """Take a run that the caller knows nobody drives; None where somebody was quicker. Whoever asks for a run by its
    name is not held to the tenant's maximum."""
    taken = _claim(connection, hosting, table.c.id == id, 1)
    return taken[0] if taken else None


def _is_hosted(hosting: Hosting) -> ColumnElement[bool]:
    return tuple_(table.c.workflow, table.c.version).in_(sorted(hosting.graphs))


def _claim(
    connection: Connection, hosting: Hosting, due: ColumnElement[bool], most: int
) -> list[WorkflowRunRow]:
    open_ = table.c.state.in_(("queued", "running"))
    order = (table.c.priority.desc(), table.c.id)
    chosen = select(table).where(open_, _is_hosted(hosting), due).order_by(*order).limit(most)
    rows = [_row(row) for row in connection.execute(chosen.with_for_update(skip_locked=True))]
    if not rows:
        return []
    now = workers.time_now(connection)
    taken = [_taken(row, hosting, now) for row in rows]
    for row, then in zip(rows, taken, strict=True):
        connection.execute(update(table).where(table.c.id == row.id).values(_changes(then)))
        _shift(connection, row.tenant, row.state, then.state)
    return [row for row in taken if row.state == "running"]


def _taken(row: WorkflowRunRow, hosting: Hosting, now: float) -> WorkflowRunRow:
    """A run as it stands once it is claimed."""
    claim = row.claim + 1
    if row.state == "queued":
        return replace(row, state="running", claim=claim, owner=hosting.worker, updated_at=now)
    if row.recoveries >= hosting.most_recoveries:
        error = _LATE.format(hosting.most_recoveries)
        return replace(row, state="parked", claim=claim, owner="", error=error, updated_at=now)
    return replace(row, claim=claim, owner=hosting.worker, recoveries=row.recoveries + 1, updated_at=now)


def _changes(row: WorkflowRunRow) -> dict[str, object]:
    return {
        name: getattr(row, name) for name in ("state", "claim", "owner", "recoveries", "error", "updated_at")
    }


def _shift(connection: Connection, tenant: str, was: WorkflowState, now: WorkflowState) -> None:
    """Move the tenant's counters with a run."""
    queued = (now == "queued") - (was == "queued")
    running = (now == "running") - (was == "running")
    places.shift(connection, tenant, queued=queued, running=running)


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
    mine = (table.c.id == id) & (table.c.claim == claim) & (table.c.state == "running")
    values: dict[str, object] = {
        "state": state,
        "owner": "",
        "error": error,
        "updated_at": workers.time_now(connection),
    }
    if output is not None:
        values["output"] = output
    if connection.execute(update(table).where(mine).values(values)).rowcount != 1:
        return False
    _shift(connection, _tenant(connection, id), "running", state)
    workflow_questions.ask(connection, questions)
    if state in OVER:
        workflow_questions.withdraw(connection, id)
    return True


def reopen(connection: Connection, id: str, states: Sequence[WorkflowState]) -> bool:
    """Queue a run again that stands in one of `states`; its recoveries are forgiven."""
    row = _locked(connection, id)
    if row is None or row.state not in states:
        return False
    values = {"state": "queued", "recoveries": 0, "error": "", "cancel_asked": False}
    connection.execute(update(table).where(table.c.id == id).values(values))
    _shift(connection, row.tenant, row.state, "queued")
    return True


def ask_cancel(connection: Connection, id: str) -> bool:
    """Ask that a run ends; at once where nobody drives it. False where it is over, or there is none."""
    row = _locked(connection, id)
    if row is None or row.state in OVER:
        return False
    state: WorkflowState = "running" if row.state == "running" else "cancelled"
    values = {"cancel_asked": True, "state": state, "updated_at": workers.time_now(connection)}
    connection.execute(update(table).where(table.c.id == id).values(values))
    _shift(connection, row.tenant, row.state, state)
    if state == "cancelled":
        workflow_questions.withdraw(connection, id)
    return True


def _locked(connection: Connection, id: str) -> WorkflowRunRow | None:
    row = connection.execute(select(table).where(table.c.id == id).with_for_update()).first()
    return None if row is None else _row(row)


def _tenant(connection: Connection, id: str) -> str:
    return connection.scalar(select(table.c.tenant).where(table.c.id == id)) or ""


def standing(connection: Connection, ids: Collection[str]) -> list[RunStanding]:
    """What whoever drives runs must heed of them."""
    told = select(table.c.id, table.c.claim, table.c.cancel_asked)
    rows = connection.execute(told.where(table.c.id.in_(sorted(ids))))
    return [RunStanding(row.id, row.claim, row.cancel_asked) for row in rows]


def _row(row: Row[Any]) -> WorkflowRunRow:
    return WorkflowRunRow(**row._mapping)
