"""The admission of a run, in one transaction: its tenant's rate and places, its thread, what else goes on there."""

import time
from collections.abc import Awaitable, Callable, Sequence

import msgspec
from msgspec.structs import replace
from sqlalchemy import Connection

from trimtab.core.errors import BadRequest, Conflict, NotFound, QueueFull, RateLimited
from trimtab.store import (
    PlaceLimits,
    QuestionRow,
    Statements,
    ThreadRow,
    WorkflowRunRow,
    key_of,
    workflow_checkpoints,
    workflow_places,
    workflow_progress,
    workflow_questions,
    workflow_runs,
    workflow_threads,
)
from trimtab.workflows.order import CommandTerms, Order

_RETRY_SECONDS = 5.0
_REFUSED_SECONDS = 0.05
_json = msgspec.json.Encoder()


class Admitted(msgspec.Struct, frozen=True):
    """A run that was let in, and the runs of its thread that are asked to end for it."""

    row: WorkflowRunRow
    displaced: tuple[str, ...] = ()


class Doorkeeper:
    """Remembers for a moment who was refused for want of room, so that a flood costs the store next to nothing."""

    def __init__(self) -> None:
        self._refused: dict[str, tuple[float, QueueFull | RateLimited]] = {}

    async def let_in(self, tenant: str, ask: Callable[[], Awaitable[Admitted]]) -> Admitted:
        """What `ask` admits. Raises what it raises; within the next moment again, without asking."""
        until, error = self._refused.get(tenant, (0.0, None))
        if error is not None and time.monotonic() < until:
            raise error.with_traceback(None)
        try:
            return await ask()
        except (QueueFull, RateLimited) as refused:
            self._refused[tenant] = (time.monotonic() + _REFUSED_SECONDS, refused)
            raise


def admit(
    connection: Connection, order: Order, row: WorkflowRunRow, limits: PlaceLimits, *, at_once: bool
) -> Admitted:
    """Let a run in; `at_once`: it may be driven right away, by its `owner`.

    Raises RateLimited, QueueFull, Conflict, NotFound, BadRequest; then nothing of it is left.
    """
    wait = workflow_places.take_turn(connection, row.tenant, limits, row.created_at)
    if wait:
        said = (
            f"tenant {row.tenant!r} may ask for {limits.a_minute} runs a minute ([[tenant]] runs_per_minute)"
        )
        raise RateLimited(said, retry_after_seconds=wait)
    displaced: tuple[str, ...] = ()
    if order.thread:
        row, busy = _enter(connection, order, row)
        displaced = _displace(connection, order, busy)
        at_once = at_once and not busy
    else:
        workflow_threads.lay(connection, _thread(row))
    state = workflow_places.admit(connection, row.tenant, limits, at_once=at_once)
    if state is None:
        raise QueueFull(
            f"tenant {row.tenant!r} has {limits.queued} runs waiting, as many as it may "
            "([[tenant]] max_queued_runs)",
            retry_after_seconds=_RETRY_SECONDS,
        )
    row = replace(row, state=state, claim=1) if state == "running" else replace(row, owner="")
    workflow_runs.add(connection, row)
    return Admitted(row, displaced)


async def admit_at_once(
    statements: Statements, order: Order, row: WorkflowRunRow, limits: PlaceLimits
) -> Admitted | None:
    """`admit` in one statement, for a run of a new thread that may be driven right away; None where it is not as simple
    as that, then nothing is written. Raises StoreUnavailable."""
    if order.thread or limits.a_minute:
        return None
    begun = replace(row, state="running", claim=1)
    admitted = await workflow_progress.begin_at_once(statements, begun, _thread(row), limits.running)
    return Admitted(begun) if admitted else None


def _thread(row: WorkflowRunRow) -> ThreadRow:
    facts = msgspec.json.encode({"graph_id": row.workflow, "assistant_id": row.assistant}).decode()
    now = row.created_at
    return ThreadRow(row.tenant, row.thread, row.workflow, facts, row.id, now, now)


def _enter(
    connection: Connection, order: Order, row: WorkflowRunRow
) -> tuple[WorkflowRunRow, list[WorkflowRunRow]]:
    """Go on with a thread: what it waited for is answered or withdrawn. The runs that are open in it."""
    if order.makes_thread:
        workflow_threads.add(connection, _thread(row))
    known = workflow_threads.lock(connection, row.tenant, order.thread)
    if known is None:
        raise NotFound(f"there is no thread {order.thread!r}", code="thread_not_found")
    at, thread = order.terms.checkpoint, key_of(row.tenant, order.thread)
    if at and workflow_checkpoints.find(connection, thread, "", at) is None:
        raise NotFound(f"thread {order.thread!r} has no checkpoint {at!r} (any more)", param="checkpoint_id")
    busy = workflow_runs.standing_in(connection, row.tenant, order.thread, workflow_runs.OPEN)
    if busy and order.multitask == "reject":
        raise Conflict(f"thread {order.thread!r} is busy with run {busy[0].id}", code="thread_busy")
    command = order.terms.command
    if command is not None and order.resumes:
        row = _resume(connection, order, row, command)
    if not busy:
        workflow_runs.supersede(connection, row, row.created_at)
    workflow_threads.enter(connection, row.tenant, order.thread, row.id, row.workflow, row.created_at)
    return row, busy


def _displace(connection: Connection, order: Order, busy: Sequence[WorkflowRunRow]) -> tuple[str, ...]:
    if order.multitask not in ("interrupt", "rollback"):
        return ()
    back = order.multitask == "rollback"
    return tuple(run.id for run in busy if workflow_runs.ask_cancel(connection, run.id, rolls_back=back))


def _resume(
    connection: Connection, order: Order, row: WorkflowRunRow, command: CommandTerms
) -> WorkflowRunRow:
    """Answer what the thread waits for, once and for all; the run that names the answers by question."""
    waiting = workflow_runs.standing_in(connection, row.tenant, order.thread, ("waiting",))
    for run in waiting:
        workflow_runs.lock(connection, run.id)
    questions = [asked for run in waiting for asked in workflow_questions.open_of_run(connection, run.id)]
    answers = _answers(questions, command.resume, order.thread)
    _give(connection, questions, answers, row)
    terms = replace(order.terms, command=replace(command, resume=answers))
    return replace(row, terms=_json.encode(terms))


def _answers(questions: Sequence[QuestionRow], resume: object, thread: str) -> dict[str, object]:
    """Answers by question; a plain value answers the only one."""
    asked = {question.id for question in questions}
    if not asked:
        raise Conflict(f"thread {thread!r} waits for no answer", code="nothing_to_resume")
    if isinstance(resume, dict) and resume and asked.issuperset(resume):
        return resume
    if len(asked) > 1:
        said = f"thread {thread!r} waits for {len(asked)} answers; name them: {', '.join(sorted(asked))}"
        raise BadRequest(said, param="command.resume")
    return {asked.pop(): resume}


def _give(
    connection: Connection, questions: Sequence[QuestionRow], answers: dict[str, object], row: WorkflowRunRow
) -> None:
    by = row.user or row.key
    for question in questions:
        if question.id in answers:
            value = _json.encode(answers[question.id])
            given = workflow_questions.answer(
                connection, question.run, question.id, value, by, row.created_at
            )
            if not given:
                raise Conflict(f"question {question.id!r} is answered already", code="already_answered")
