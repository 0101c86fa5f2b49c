"""What runs ask of people: an `interrupt()` as a question, and its one answer, which lets the run go on.

A run goes on once all it asked is answered: nodes that asked side by side end their step together in any case.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from functools import partial
from math import isfinite
from typing import Any, Literal, TypeGuard

import msgspec
from sqlalchemy import Connection

from trimtab.core.errors import Conflict, NotFound, StoreUnavailable
from trimtab.store import (
    AskedRow,
    Database,
    QuestionQuery,
    QuestionRow,
    WorkflowRunRow,
    workflow_questions,
    workflow_runs,
    workflow_workers,
)
from trimtab.workflows.batch import patiently
from trimtab.workflows.values import input_of, json_of

Verb = Literal["", "approve", "edit", "reject"]
_MOST_LISTED = 1_000
_MOST_AT_ONCE = 100
_log = logging.getLogger(__name__)


class Inbox:
    """Constructed by `app/`; any process of the house may answer. `run` is its task: it passes on what is due.

    `escalated` counts the questions that this process passed on.
    """

    def __init__(self, database: Database, look_seconds: float = 1.0) -> None:
        self._database, self._look_seconds = database, look_seconds
        self.escalated = 0

    async def page(self, query: QuestionQuery, limit: int = 100) -> list[AskedRow]:
        """What a tenant's runs wait for, the longest waiting first. Raises StoreUnavailable."""
        most = min(limit, _MOST_LISTED)
        return await self._database.run(lambda c: workflow_questions.open_of(c, query, most))

    async def overdue(self, query: QuestionQuery, limit: int = 100) -> list[AskedRow]:
        """As `page`, of what is due by now."""
        most = min(limit, _MOST_LISTED)

        def work(connection: Connection) -> list[AskedRow]:
            now = workflow_workers.time_now(connection)
            due = msgspec.structs.replace(query, due_before=now)
            return workflow_questions.open_of(connection, due, most)

        return await self._database.run(work)

    async def open_of(self, run: str) -> list[QuestionRow]:
        """What a run waits for. Raises StoreUnavailable."""
        return await self._database.run(lambda c: workflow_questions.open_of_run(c, run))

    async def find(self, tenant: str, run: str, question: str) -> AskedRow:
        """A question, open or not. Raises NotFound (another tenant's is not there either), StoreUnavailable."""
        return await self._database.run(lambda c: _found(c, tenant, run, question))

    async def answer(
        self,
        tenant: str,
        run: str,
        question: str,
        value: bytes,
        by: str = "",
        decision: Verb = "",
        also: Callable[[Connection], None] | None = None,
    ) -> bool:
        """Answer a question with JSON; True where the run goes on by that, False where it has asked more. What
        is `also` to be written is so in the same transaction.

        Raises NotFound (another tenant's is not there either), Conflict where it is answered or withdrawn,
        BadRequest.
        """
        input_of(value)
        given = partial(_answer, tenant=tenant, run=run, question=question, value=value, by=by, verb=decision)

        def work(connection: Connection) -> bool:
            goes_on = given(connection)
            if also is not None:
                also(connection)
            return goes_on

        return await self._database.run(work)

    async def escalate(self) -> list[QuestionRow]:
        """Pass on what is due, each question once whoever looks; as they stand then. Raises StoreUnavailable."""
        passed = await self._database.run(
            lambda c: workflow_questions.escalate(c, workflow_workers.time_now(c), _MOST_AT_ONCE)
        )
        self.escalated += len(passed)
        for each in passed:
            _log.warning(
                "question %s of run %s (tenant %s) is overdue%s",
                each.id,
                each.run,
                each.tenant,
                f", {each.escalate_to} is asked now" if each.escalate_to else "",
            )
        return passed

    async def run(self) -> None:
        """Pass questions on as they fall due, until cancelled."""
        while True:
            try:
                passed = await self.escalate()
            except StoreUnavailable as error:
                _log.warning("questions that are due wait: %s", error)
                passed = []
            except Exception:  # the task's edge: nothing due would ever be passed on without it
                _log.exception("questions that are due cannot be passed on; it is tried again")
                passed = []
            if len(passed) < _MOST_AT_ONCE:
                await asyncio.sleep(self._look_seconds)


def _found(connection: Connection, tenant: str, run: str, question: str) -> AskedRow:
    known = workflow_questions.find_asked(connection, run, question)
    if known is None or known.question.tenant != tenant:
        raise NotFound(f"run {run!r} has asked no {question!r}", code="question_not_found")
    return known


def _answer(
    connection: Connection, tenant: str, run: str, question: str, value: bytes, by: str, verb: str
) -> bool:
    _found(connection, tenant, run, question)
    # The run's row is locked first, so that two last answers see each other.
    workflow_runs.lock(connection, run)
    now = workflow_workers.time_now(connection)
    if not workflow_questions.answer(connection, run, question, value, by, now, verb):
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
        asked_of=_named(said.get("asked_of")),
        due_at=now + seconds if _is_number(seconds) else None,
        escalate_to=_named(said.get("escalate_to")),
        value=json_of(value),
    )


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)


def _named(who: object) -> str:
    return "" if who is None else str(who).replace("\x00", "")


async def answers_to(database: Database, run: str) -> dict[str, object]:
    """What was answered to a run so far, by question."""
    found = await patiently(database, lambda connection: workflow_questions.answers(connection, run))
    return {id: msgspec.json.decode(value) for id, value in found.items()}
