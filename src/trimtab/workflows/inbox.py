"""What runs ask of people: an `interrupt()` as a question, and its one answer, which lets the run go on.

A run goes on once all it asked is answered: nodes that asked side by side end their step together in any case.
"""

from collections.abc import Iterable
from functools import partial
from typing import Any

import msgspec
from sqlalchemy import Connection

from trimtab.core.errors import Conflict, NotFound
from trimtab.store import (
    Database,
    QuestionRow,
    WorkflowRunRow,
    workflow_questions,
    workflow_runs,
    workflow_workers,
)
from trimtab.workflows.batch import patiently
from trimtab.workflows.values import input_of, json_of

_MOST_LISTED = 1_000


class Inbox:
    """Constructed by `app/`; any process of the house may answer."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def open_questions(self, tenant: str, limit: int = 100) -> list[QuestionRow]:
        """What a tenant's runs wait for, the longest waiting first. Raises StoreUnavailable."""
        most = min(limit, _MOST_LISTED)
        return await self._database.run(lambda c: workflow_questions.open_of(c, tenant, most))

    async def open_of(self, run: str) -> list[QuestionRow]:
        """What a run waits for. Raises StoreUnavailable."""
        return await self._database.run(lambda c: workflow_questions.open_of_run(c, run))

    async def answer(self, tenant: str, run: str, question: str, value: bytes, by: str = "") -> bool:
        """Answer a question with JSON; True where the run goes on by that, False where it has asked more.

        Raises NotFound (another tenant's is not there either), Conflict where it is answered or withdrawn,
        BadRequest.
        """
        input_of(value)
        return await self._database.run(partial(_answer, tenant, run, question, value, by))


def _answer(tenant: str, run: str, question: str, value: bytes, by: str, connection: Connection) -> bool:
    known = workflow_questions.find(connection, run, question)
    if known is None or known.tenant != tenant:
        raise NotFound(f"run {run!r} has asked no {question!r}", code="question_not_found")
    # The run's row is locked first, so that two last answers see each other.
    workflow_runs.lock(connection, run)
    now = workflow_workers.time_now(connection)
    if not workflow_questions.answer(connection, run, question, value, by, now):
        raise Conflict(f"question {question!r} of run {run!r} is not open any more", code="already_answered")
    if workflow_questions.open_count(connection, run):
        return False
    return workflow_runs.reopen(connection, run, ("waiting",))


def questions_of(row: WorkflowRunRow, interrupts: Iterable[Any], now: float) -> list[QuestionRow]:
    """Interrupts as they stand in the inbox.

    Where an interrupt's value is a table, `asked_of`, `due_seconds` and `escalate_to` in it say of whom, until when,
    and who is next.
    """
    return [_question(row, interrupted.id, interrupted.value, now) for interrupted in interrupts]


def _question(row: WorkflowRunRow, id: str, value: object, now: float) -> QuestionRow:
    said = value if isinstance(value, dict) else {}
    seconds = said.get("due_seconds")
    return QuestionRow(
        run=row.id,
        id=id,
        tenant=row.tenant,
        workflow=row.workflow,
        asked_at=now,
        asked_of=str(said.get("asked_of", "")),
        due_at=now + seconds if isinstance(seconds, int | float) else None,
        escalate_to=str(said.get("escalate_to", "")),
        value=json_of(value),
    )


async def answers_to(database: Database, run: str) -> dict[str, object]:
    """What was answered to a run so far, by question."""
    found = await patiently(database, lambda connection: workflow_questions.answers(connection, run))
    return {id: msgspec.json.decode(value) for id, value in found.items()}
