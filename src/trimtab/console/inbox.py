"""The pages of the inbox: what runs ask of people, by due time; one question with all that goes with it; its answer."""

import msgspec
from sqlalchemy import Connection
from starlette.responses import RedirectResponse, Response

from trimtab.console.filters import place_of, place_text
from trimtab.console.premises import Premises
from trimtab.console.sheets import link
from trimtab.console.visitor import Visitor
from trimtab.core.errors import BadRequest, NotFound
from trimtab.store import (
    AskedRow,
    AuditRow,
    DuePlace,
    WorkflowRunRow,
    audit,
    workflow_questions,
    workflow_runs,
)

_PAGE = 50
_ANSWER = "answer a question"
_VERBS = {"approve": "approve", "edit": "edit", "reject": "reject", "answer": ""}
_LONGEST_REASON = 10_000


class InboxPage:
    """Constructed by the console."""

    def __init__(self, premises: Premises) -> None:
        self._premises = premises

    async def shown(self, visitor: Visitor) -> Response:
        """`GET /console/inbox`: open questions, the soonest due first."""
        after = place_of(visitor.query.get("after", ""), DuePlace)
        tenant = visitor.tenant

        def work(connection: Connection) -> tuple[list[AskedRow], list[AuditRow]]:
            asked = workflow_questions.due_first(connection, tenant, _PAGE + 1, after)
            return asked, audit.latest(connection, tenant, _PAGE, actions=(_ANSWER,))

        found, acts = await self._premises.reader.read(work)
        rows = [row.question for row in found[:_PAGE]]
        further = place_text(DuePlace.behind(rows[-1])) if len(found) > _PAGE else ""
        now = self._premises.clock.now()
        return self._premises.sheets.page(
            "inbox", visitor, "Inbox", rows=rows, acts=acts, now=now, further=further, preview=_preview
        )

    async def question(self, visitor: Visitor) -> Response:
        """`GET /console/question?tenant=&run=&id=`: what is asked, and the form that answers."""
        tenant = visitor.owner(visitor.query.get("tenant") or visitor.key.tenant)
        run, id = visitor.query.get("run", ""), visitor.query.get("id", "")

        def work(connection: Connection) -> tuple[AskedRow | None, WorkflowRunRow | None]:
            return workflow_questions.find_asked(connection, run, id), workflow_runs.find(connection, run)

        asked, row = await self._premises.reader.read(work)
        if asked is None or asked.question.tenant != tenant:
            raise NotFound(f"run {run!r} has asked no {id!r}", code="question_not_found")
        return self._premises.sheets.page(
            "question",
            visitor,
            "Question",
            asked=asked.question,
            run=row,
            value=_pretty(asked.question.value),
            given=_pretty(asked.question.answer or b"null"),
            input=_pretty(b"null" if row is None else row.input),
            now=self._premises.clock.now(),
            can_act=visitor.may_act and self._premises.acts is not None,
        )

    async def answered(self, visitor: Visitor) -> Response:
        """`POST /console/question`: approve, edit, reject, or an answer as it is."""
        if self._premises.acts is None:
            raise BadRequest("no workflow is hosted here, so nobody asks")
        tenant = visitor.owner(visitor.asked("tenant"))
        run, id, decision = visitor.asked("run"), visitor.asked("id"), visitor.asked("decision")
        value, reason = _answer(decision, visitor.form.get("value", ""), visitor.form.get("reason", ""))
        detail = f"of run {run}: {decision}" + (f", {reason}" if reason else "")
        note = self._premises.note(tenant, visitor.name, _ANSWER, id, detail)
        await self._premises.acts.answer(tenant, run, id, value, _VERBS[decision], note)
        return RedirectResponse(link("/question", tenant=tenant, run=run, id=id), 303)


def _answer(decision: str, text: str, reason: str) -> tuple[bytes, str]:
    """The answer's JSON, as `POST /v1/inbox/.../answer` would give it, and the reason. Raises BadRequest."""
    if decision not in _VERBS:
        raise BadRequest(f"decision is one of {', '.join(_VERBS)}", param="decision")
    reason = reason.strip()
    if len(reason) > _LONGEST_REASON:
        raise BadRequest(f"the reason is longer than {_LONGEST_REASON} characters", param="reason")
    try:
        value = msgspec.json.decode(text) if text.strip() else msgspec.UNSET
    except msgspec.DecodeError as error:
        raise BadRequest(f"the value is not JSON ({error}); text goes in quotes", param="value") from error
    if decision in ("edit", "answer") and value is msgspec.UNSET:
        raise BadRequest(f"to {decision}, give a value", param="value")
    if decision == "answer":
        return msgspec.json.encode(value), reason
    given = {"decision": decision, "value": value, "reason": reason or msgspec.UNSET}
    return msgspec.json.encode(
        {name: each for name, each in given.items() if each is not msgspec.UNSET}
    ), reason


def _pretty(value: bytes) -> str:
    try:
        return msgspec.json.format(value, indent=2).decode("utf-8", "replace")
    except msgspec.DecodeError:
        return value.decode("utf-8", "replace")


def _preview(value: bytes) -> str:
    text = value.decode("utf-8", "replace")
    return text if len(text) <= 160 else f"{text[:159]}…"
