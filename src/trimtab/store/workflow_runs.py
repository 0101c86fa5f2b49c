"""Runs of hosted workflows. A run belongs to whoever holds its latest claim: a number that only grows.

Whatever a leg writes is tested against the claim in the same transaction, so that a worker that was given up for
dead and wakes up again changes nothing.
"""

from collections.abc import Collection, Sequence
from typing import Any, Literal

import msgspec
from sqlalchemy import ColumnElement, Connection, Row, and_, case, delete, select, update

from trimtab.store import workflow_events, workflow_places, workflow_questions, workflow_threads
from trimtab.store import workflow_workers as workers
from trimtab.store.bulk import insert_rows
from trimtab.store.workflow_questions import QuestionRow
from trimtab.store.workflow_schema import checkpoint, write
from trimtab.store.workflow_schema import run as table
from trimtab.store.workflow_threads import key_of

WorkflowState = Literal["queued", "running", "waiting", "done", "failed", "cancelled", "parked", "superseded"]
OVER: tuple[WorkflowState, ...] = ("done", "failed", "cancelled", "superseded")
OPEN: tuple[WorkflowState, ...] = ("queued", "running")
_NEVER = 1e12
_AT_ONCE = 500


class WorkflowRunRow(msgspec.Struct, frozen=True):
    """One run. Times are epoch seconds; `input`, `terms` and `output` are JSON, `metadata` is JSON text; `owner` is a
    worker, '' if none drives it; `recoveries` counts the workers it outlived since somebody last asked for it;
    `rolls_back`: what it did to its thread is undone when it ends; `driven_seconds` sums the legs that ended."""

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
    assistant: str = ""
    partition: str = ""
    rolls_back: bool = False
    begin_at: float = 0.0
    multitask: str = "enqueue"
    origin: str = ""
    terms: bytes = b"{}"
    metadata: str = "{}"
    driven_seconds: float = 0.0
    output: bytes | None = None
    error: str = ""

    @property
    def is_fresh(self) -> bool:
        """Whether nothing can stand of it yet in its thread or in the inbox: it was claimed once, and is no fork."""
        return self.claim == 1 and not self.origin.startswith("fork:")


class _Command(msgspec.Struct, frozen=True):
    resume: Any = None


class _Terms(msgspec.Struct, frozen=True):
    on_completion: str = "keep"
    command: _Command | None = None


class RunStanding(msgspec.Struct, frozen=True):
    """A run's latest claim, and whether somebody asked that it ends."""

    id: str
    claim: int
    cancel_asked: bool


def add(connection: Connection, row: WorkflowRunRow) -> None:
    """A new run, whose place was taken (see `workflow_places.admit`)."""
    insert_rows(connection, table, [facts_of(row)])


def facts_of(row: WorkflowRunRow) -> dict[str, object]:
    """A run's columns."""
    return msgspec.structs.asdict(row) | {"urgent_by": _NEVER if row.deadline is None else row.deadline}


def find(connection: Connection, id: str) -> WorkflowRunRow | None:
    """A run by its id."""
    row = connection.execute(select(table).where(table.c.id == id)).first()
    return None if row is None else row_of(row)


def page(
    connection: Connection,
    tenant: str | None = None,
    *,
    thread: str | None = None,
    workflow: str | None = None,
    states: Sequence[WorkflowState] = (),
    before: str = "",
    limit: int = 100,
    offset: int = 0,
) -> list[WorkflowRunRow]:
    """Runs, the newest first: of a tenant, a thread of it, a workflow, in states, before one."""
    wanted = [
        None if tenant is None else table.c.tenant == tenant,
        None if thread is None else table.c.thread == thread,
        None if workflow is None else table.c.workflow == workflow,
        table.c.state.in_(states) if states else None,
        table.c.id < before if before else None,
    ]
    statement = select(table).where(*[condition for condition in wanted if condition is not None])
    rows = connection.execute(statement.order_by(table.c.id.desc()).limit(limit).offset(offset))
    return [row_of(row) for row in rows]


def standing_in(
    connection: Connection, tenant: str, thread: str, states: Sequence[WorkflowState]
) -> list[WorkflowRunRow]:
    """A thread's runs in states, the oldest first."""
    mine = and_(table.c.tenant == tenant, table.c.thread == thread, table.c.state.in_(states))
    return [row_of(row) for row in connection.execute(select(table).where(mine).order_by(table.c.id))]


def lock(connection: Connection, id: str) -> WorkflowRunRow | None:
    """A run that stays as it is until this transaction ends."""
    row = connection.execute(select(table).where(table.c.id == id).with_for_update()).first()
    return None if row is None else row_of(row)


def held(connection: Connection, ids: Collection[str]) -> set[tuple[str, int]]:
    """Runs with their latest claims; none of them can be claimed anew before this transaction ends."""
    mark, lock = ("?", "") if connection.dialect.name == "sqlite" else ("%s", " FOR SHARE")
    marks = ", ".join([mark] * len(ids))
    statement = f"SELECT id, claim FROM {table.name} WHERE id IN ({marks}) ORDER BY id{lock}"
    return {(id, claim) for id, claim in connection.exec_driver_sql(statement, tuple(sorted(ids)))}


def end_leg(
    connection: Connection,
    row: WorkflowRunRow,
    state: WorkflowState,
    output: bytes | None = None,
    error: str = "",
    questions: Sequence[QuestionRow] = (),
) -> WorkflowRunRow | None:
    """Let a claimed run go in a state, with what it asks; as it stands then, None where it belongs to somebody else by
    now."""
    mine = and_(table.c.id == row.id, table.c.claim == row.claim, table.c.state == "running")
    ends = case((table.c.cancel_asked, "cancelled"), else_=state) if state in ("waiting", "queued") else state
    now = workers.now_of(connection)
    lasted = case((table.c.updated_at < now, now - table.c.updated_at), else_=0.0)
    changes: dict[str, object] = {
        "state": ends,
        "owner": "",
        "error": error,
        "updated_at": now,
        "driven_seconds": table.c.driven_seconds + lasted,
    }
    if output is not None:
        changes["output"] = output
    told = connection.execute(update(table).where(mine).values(changes).returning(table)).first()
    if told is None:
        return None
    shift(connection, row.tenant, "running", told.state)
    if told.state == "waiting":
        workflow_questions.ask(connection, questions)
    if told.state in OVER:
        _over(connection, row, rolls_back=told.rolls_back)
    return row_of(told)


def reopen(connection: Connection, id: str, states: Sequence[WorkflowState]) -> bool:
    """Queue a run again that stands in one of `states`; its recoveries are forgiven. False where it does not, or where
    its thread is gone or has gone on with another run."""
    row = lock(connection, id)
    if row is None or row.state not in states or not _is_latest(connection, row):
        return False
    if row.state == "failed" and workflow_threads.lock(connection, row.tenant, row.thread) is None:
        return False
    now = workers.time_now(connection)
    changes = {"state": "queued", "recoveries": 0, "error": "", "cancel_asked": False, "updated_at": now}
    connection.execute(update(table).where(table.c.id == id).values(changes))
    shift(connection, row.tenant, row.state, "queued")
    return True


def _is_latest(connection: Connection, row: WorkflowRunRow) -> bool:
    mine = and_(table.c.tenant == row.tenant, table.c.thread == row.thread)
    later = and_(mine, table.c.id > row.id, table.c.claim > 0)
    return connection.scalar(select(table.c.id).where(later).limit(1)) is None


def ask_cancel(connection: Connection, id: str, *, rolls_back: bool = False) -> bool:
    """Ask that a run ends; at once where nobody drives it. False where it is over, or there is none."""
    row = _lock_queued(connection, id)
    if row is None or row.state in OVER:
        return False
    changes: dict[str, object] = {"cancel_asked": True, "rolls_back": row.rolls_back or rolls_back}
    if row.state != "running":
        changes |= {"state": "cancelled", "updated_at": workers.now_of(connection)}
    connection.execute(update(table).where(table.c.id == id).values(changes))
    if row.state != "running":
        shift(connection, row.tenant, row.state, "cancelled")
        _over(connection, row, rolls_back=row.rolls_back or rolls_back)
    return True


def fail_queued(connection: Connection, id: str, error: str) -> None:
    """End a run that nobody drives yet."""
    row = _lock_queued(connection, id)
    if row is None or row.state != "queued":
        return
    changes = {"state": "failed", "error": error, "updated_at": workers.now_of(connection)}
    connection.execute(update(table).where(table.c.id == row.id).values(changes))
    shift(connection, row.tenant, row.state, "failed")
    _over(connection, row, rolls_back=row.rolls_back)


def discard(connection: Connection, id: str) -> bool:
    """Delete a run that nobody drives; False where somebody does."""
    row = _lock_queued(connection, id)
    if row is not None and row.state == "running":
        return False
    if row is not None:
        if row.state == "queued" and not row.claim:
            _ask_again(connection, row)
        shift(connection, row.tenant, row.state, "cancelled")
        remove(connection, id)
    return True


def _over(connection: Connection, row: WorkflowRunRow, *, rolls_back: bool) -> None:
    """Nothing more comes of a run: what it asked, what it is to take back, what goes with it."""
    if not (row.is_fresh and row.state == "running"):
        workflow_questions.withdraw(connection, row.id)
    if rolls_back:
        undo(connection, row)
    if not row.claim:
        _ask_again(connection, row)
    if forgets(row):
        workflow_threads.forget(connection, row.tenant, row.thread)


def _ask_again(connection: Connection, row: WorkflowRunRow) -> None:
    """What a run would have answered that never began is open again, and whoever asked it waits."""
    for id in workflow_questions.answered_in(connection, row.tenant, row.thread, _answered(row)):
        asked = lock(connection, id)
        if asked is not None and asked.state == "superseded" and _is_latest(connection, asked):
            workflow_questions.ask_again(connection, id, _answered(row))
            connection.execute(update(table).where(table.c.id == id).values(state="waiting"))
            workflow_threads.wait_again(connection, row.tenant, row.thread, row.id, id)


def _answered(row: WorkflowRunRow) -> dict[str, Any]:
    """The answers a run was asked for with, by question."""
    command = msgspec.json.decode(row.terms, type=_Terms).command
    return command.resume if command is not None and isinstance(command.resume, dict) else {}


def _lock_queued(connection: Connection, id: str) -> WorkflowRunRow | None:
    """`lock`; the thread first where ending the run may change it, as whoever enters a thread does."""
    row = find(connection, id)
    if row is not None and not row.claim and _answered(row):
        workflow_threads.lock(connection, row.tenant, row.thread)
    return lock(connection, id)


def forgets(row: WorkflowRunRow) -> bool:
    """Whether its thread goes with the run."""
    return msgspec.json.decode(row.terms, type=_Terms).on_completion == "delete"


def change_version(connection: Connection, id: str, version: str) -> None:
    """Let a run that nobody drives go on under another version of its graph."""
    connection.execute(update(table).where(table.c.id == id).values(version=version))


def supersede(connection: Connection, row: WorkflowRunRow, now: float) -> None:
    """A run's thread goes on in it: nothing more comes of the runs that wait there."""
    others = and_(table.c.tenant == row.tenant, table.c.thread == row.thread, table.c.state == "waiting")
    changes = {"state": "superseded", "updated_at": now}
    changed = update(table).where(others, table.c.id != row.id).values(changes).returning(table.c.id)
    for id in connection.scalars(changed).all():
        workflow_questions.withdraw(connection, id)


def undo(connection: Connection, row: WorkflowRunRow) -> None:
    """Delete a run with all it did to its thread."""
    thread = key_of(row.tenant, row.thread)
    its = and_(checkpoint.c.thread == thread, checkpoint.c.run == row.id)
    after = write.c.checkpoint.in_(select(checkpoint.c.id).where(its))
    connection.execute(delete(write).where(write.c.thread == thread, after))
    connection.execute(delete(checkpoint).where(its))
    remove(connection, row.id)


def remove(connection: Connection, id: str) -> None:
    """Delete a run with its questions and events; its thread's checkpoints stay."""
    workflow_questions.remove(connection, id)
    workflow_events.remove(connection, id)
    connection.execute(delete(table).where(table.c.id == id))


def shift(connection: Connection, tenant: str, was: WorkflowState, now: WorkflowState) -> None:
    """Move the tenant's counters with a run."""
    queued = (now == "queued") - (was == "queued")
    running = (now == "running") - (was == "running")
    workflow_places.shift(connection, tenant, queued=queued, running=running)


def open_among(connection: Connection, ids: Sequence[str]) -> set[str]:
    """Those of the runs that are queued or driven."""
    found: set[str] = set()
    for at in range(0, len(ids), _AT_ONCE):
        named = and_(table.c.id.in_(ids[at : at + _AT_ONCE]), table.c.state.in_(OPEN))
        found.update(connection.scalars(select(table.c.id).where(named)))
    return found


def standing(connection: Connection, ids: Collection[str]) -> list[RunStanding]:
    """What whoever drives runs must heed of them."""
    told = select(table.c.id, table.c.claim, table.c.cancel_asked)
    rows = connection.execute(told.where(table.c.id.in_(sorted(ids))))
    return [RunStanding(row.id, row.claim, row.cancel_asked) for row in rows]


def driven_by(worker: str) -> ColumnElement[bool]:
    """Runs that a worker drives, or ought to."""
    return and_(table.c.state == "running", table.c.owner == worker)


def row_of(row: "Row[Any]") -> WorkflowRunRow:
    """A row as it is selected."""
    facts = dict(row._mapping)
    del facts["urgent_by"]
    return WorkflowRunRow(**facts)
