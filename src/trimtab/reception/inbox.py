"""The inbox over HTTP: what runs of the caller's tenant ask of people, and the answers that let them go on."""

from collections.abc import Mapping
from contextlib import suppress
from math import isfinite
from typing import Annotated, Any, Literal

import msgspec
from starlette.responses import Response
from starlette.routing import Route

from trimtab.core.errors import BadRequest
from trimtab.gateway import is_yes, limit_of
from trimtab.reception.desk import Asked, Desk, said
from trimtab.store import AskedRow, QuestionPlace, QuestionQuery
from trimtab.traces import asked_json
from trimtab.workflows import Inbox

_LIMIT = 100
_MOST_LISTED = 1_000
_json = msgspec.json.Encoder()
Reason = Annotated[str, msgspec.Meta(max_length=10_000)]


class Reply(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of an answer: `value` alone is what `interrupt()` returns; with a `decision` it returns the table of what
    is given here."""

    value: Any = msgspec.UNSET
    decision: Literal["approve", "edit", "reject"] | msgspec.UnsetType = msgspec.UNSET
    reason: Reason | msgspec.UnsetType = msgspec.UNSET


def inbox_routes(desk: Desk, inbox: Inbox) -> list[Route]:
    """The routes of the inbox."""
    door, one = _Door(inbox), "/v1/inbox/{run}/{question}"
    return [
        Route("/v1/inbox", desk.door(door.listed), methods=["GET"]),
        Route(one, desk.door(door.shown), methods=["GET"]),
        Route(f"{one}/answer", desk.door(door.answered), methods=["POST"]),
    ]


class _Door:
    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox

    async def listed(self, asked: Asked) -> Response:
        """`GET /v1/inbox?workflow=&asked_of=&overdue=1&limit=&after=`: open questions, the longest waiting first.

        `next`, where there may be more, is the `after` of the next page.
        """
        limit = limit_of(asked.query, _LIMIT, _MOST_LISTED)
        query = QuestionQuery(
            asked.key.tenant,
            asked.query.get("workflow"),
            asked.query.get("asked_of"),
            after=_place_of(asked.query.get("after", "")),
        )
        overdue = is_yes(asked.query, "overdue")
        found = await (self._inbox.overdue if overdue else self._inbox.page)(query, limit)
        last = _told(found[-1]) if len(found) == limit else None
        return said({"questions": [_shown(row) for row in found], "next": last})

    async def shown(self, asked: Asked) -> Response:
        """`GET /v1/inbox/{run}/{question}`: a question, with its answer once it has one."""
        return said(_shown(await self._find(asked)))

    async def answered(self, asked: Asked) -> Response:
        """`POST /v1/inbox/{run}/{question}/answer`: 200 for the one answer that counts, 409 for any other."""
        reply = asked.decoded(Reply)
        value, verb = _answer_of(reply)
        run, question = asked.path["run"], asked.path["question"]
        by = asked.key.user or asked.key.id or "anonymous"
        goes_on = await self._inbox.answer(asked.key.tenant, run, question, value, by, verb)
        return said({"run": run, "question": question, "answered_by": by, "goes_on": goes_on})

    async def _find(self, asked: Asked) -> AskedRow:
        return await self._inbox.find(asked.key.tenant, asked.path["run"], asked.path["question"])


def _answer_of(reply: Reply) -> tuple[bytes, Literal["", "approve", "edit", "reject"]]:
    if reply.decision is not msgspec.UNSET:
        given = {"decision": reply.decision, "value": reply.value, "reason": reply.reason}
        return _json.encode({name: value for name, value in given.items() if value is not msgspec.UNSET}), (
            reply.decision
        )
    if reply.reason is not msgspec.UNSET:
        raise BadRequest("a reason goes with a decision: approve, edit or reject", param="decision")
    if reply.value is msgspec.UNSET:
        raise BadRequest("an answer needs `value`, or `decision`: approve, edit or reject", param="value")
    return _json.encode(reply.value), ""


def _told(row: AskedRow) -> str:
    question = row.question
    return f"{question.asked_at!r}~{question.run}~{question.id}"


def _place_of(text: str) -> QuestionPlace | None:
    """Where a page ended, as `next` told it. Raises BadRequest."""
    if not text:
        return None
    at, _, rest = text.partition("~")
    run, _, id = rest.rpartition("~")
    with suppress(ValueError):
        if isfinite(asked_at := float(at)):
            return QuestionPlace(asked_at, run, id)
    raise BadRequest(f"`after` is what `next` of the page before says, not {text[:80]!r}", param="after")


def _shown(row: AskedRow) -> Mapping[str, object]:
    asked = row.question
    shown: dict[str, object] = {
        "run": asked.run,
        "question": asked.id,
        "thread": row.thread,
        "workflow": asked.workflow,
        "state": asked.state,
        **asked_json(asked),
    }
    if asked.state == "answered":
        shown |= {
            "answer": msgspec.Raw(asked.answer or b"null"),
            "decision": asked.decision,
            "answered_at": asked.answered_at,
            "answered_by": asked.answered_by,
        }
    return shown
