"""The page of a run: how it stands, what it cost, its waterfall; each of its calls opened to why and what it said."""

import shlex
from functools import partial
from typing import Any

import msgspec
from sqlalchemy import Connection
from starlette.responses import HTMLResponse, RedirectResponse, Response

from trimtab.console.live import stream
from trimtab.console.premises import Premises, RunPoint
from trimtab.console.sheets import link
from trimtab.console.visitor import Visitor
from trimtab.console.waterfall import Fall, bar_of, falls_of
from trimtab.core import CallRecord, Entry
from trimtab.core.errors import BadRequest, NotFound
from trimtab.gateway import CALL_PATHS
from trimtab.store import (
    AuditRow,
    QuestionRow,
    RunRow,
    Selection,
    WorkflowRunRow,
    audit,
    calls,
    entries,
    runs,
    workflow_questions,
    workflow_runs,
)
from trimtab.traces import RunTree, read_tree

_PAGE = 150
_POINTS = 50
_AUDIT = 20
_SECONDS = 2.0
_MOST_SHOWN = 20_000
_PATHS = {surface: path for path, surface in CALL_PATHS.items()}


class _Found(msgspec.Struct, frozen=True):
    """What the store has of a run; `tree` is None where it made no call."""

    tree: RunTree | None
    hosted: WorkflowRunRow | None
    questions: list[QuestionRow]
    acts: list[AuditRow]


class RunPage:
    """Constructed by the console."""

    def __init__(self, premises: Premises) -> None:
        self._premises = premises

    async def shown(self, visitor: Visitor) -> Response:
        """`GET /console/run?tenant=&id=`: a run."""
        tenant, id = _named(visitor)
        found = await self._find(tenant, id)
        falls = [] if found.tree is None else falls_of(found.tree)
        begin = _whole(visitor.query.get("from", ""))
        part = self._part(visitor, found, falls, begin)
        return self._premises.sheets.page(
            "run",
            visitor,
            f"Run {id[:40]}",
            tenant=tenant,
            id=id,
            part=part,
            hosted=found.hosted,
            run=None if found.tree is None else found.tree.run,
            points=await self._points(found.hosted),
            acts=found.acts,
            live=self._goes_on(found) and begin == 0,
            can_act=self._premises.acts is not None and visitor.may_act,
        )

    async def told(self, visitor: Visitor) -> Response:
        """`GET /console/live/run`: the page's changing part, until the run is over."""
        tenant, id = _named(visitor)
        over = [False]

        async def part() -> str | None:
            if over[0]:
                return None
            found = await self._find(tenant, id)
            over[0] = not self._goes_on(found)
            return self._part(visitor, found, [] if found.tree is None else falls_of(found.tree), 0)

        return stream(part, _SECONDS, self._premises.closing)

    def _part(self, visitor: Visitor, found: _Found, falls: list[Fall], begin: int) -> str:
        whole = max((fall.begin + fall.seconds for fall in falls), default=0.0)
        page = falls[begin : begin + _PAGE]
        return self._premises.sheets.text(
            "run_part",
            {
                "visitor": visitor,
                "run": None if found.tree is None else found.tree.run,
                "hosted": found.hosted,
                "questions": found.questions,
                "falls": page,
                "bar_of": partial(bar_of, whole=whole),
                "whole": whole,
                "critical": sum(fall.seconds for fall in falls if fall.critical and fall.node),
                "begin": begin,
                "further": begin + _PAGE if len(falls) > begin + _PAGE else 0,
                "lines": len(falls),
            },
        )

    async def called(self, visitor: Visitor) -> Response:
        """`GET /console/call?tenant=&run=&id=&part=`: a call, alone or as a part of its run's page."""
        tenant, run = _named(visitor, "run")
        id = visitor.query.get("id", "")
        record, lines = await self._premises.reader.read(lambda c: _call(c, tenant, run, id))
        if record is None:
            raise NotFound(f"run {run!r} has no call {id!r} (any more)", code="call_not_found")
        facts: dict[str, object] = {
            "record": record,
            "entries": lines,
            "held": _held(record),
            "request": _text(record.request),
            "reply": _text(record.reply),
            "curl": self._curl(record),
            "most": _MOST_SHOWN,
        }
        if visitor.query.get("part"):
            return HTMLResponse(self._premises.sheets.text("call_part", facts))
        return self._premises.sheets.page("call", visitor, f"Call {id}", tenant=tenant, run=run, **facts)

    async def cancelled(self, visitor: Visitor) -> Response:
        """`POST /console/run/cancel`."""
        tenant, id, acts = self._acting(visitor)
        state = await acts.cancel(tenant, id)
        return await self._noted(visitor, tenant, id, "cancel a run", state)

    async def retried(self, visitor: Visitor) -> Response:
        """`POST /console/run/retry`."""
        tenant, id, acts = self._acting(visitor)
        state = await acts.retry(tenant, id)
        return await self._noted(visitor, tenant, id, "retry a run", state)

    async def forked(self, visitor: Visitor) -> Response:
        """`POST /console/run/fork`: to the new run."""
        tenant, id, acts = self._acting(visitor)
        checkpoint = visitor.form.get("checkpoint", "")
        fork = await acts.fork(tenant, id, checkpoint, visitor.key)
        detail = f"to {fork}, checkpoint {checkpoint or 'latest'}"
        await self._premises.note(tenant, visitor.name, "fork a run", id, detail)
        return RedirectResponse(link("/run", tenant=tenant, id=fork), 303)

    def _acting(self, visitor: Visitor) -> tuple[str, str, Any]:
        if self._premises.acts is None:
            raise BadRequest("no workflow is hosted here; only hosted runs can be acted on")
        return visitor.owner(visitor.asked("tenant")), visitor.asked("id"), self._premises.acts

    async def _noted(self, visitor: Visitor, tenant: str, id: str, action: str, state: str) -> Response:
        await self._premises.note(tenant, visitor.name, action, id, f"then {state}")
        return RedirectResponse(link("/run", tenant=tenant, id=id), 303)

    async def _find(self, tenant: str, id: str) -> _Found:
        """Raises NotFound, StoreUnavailable."""
        await self._premises.fresh()
        standing = self._premises.standing()

        def work(connection: Connection) -> tuple[list[RunRow], _Found]:
            rows = runs.newest(connection, Selection(tenant=tenant, run=id), standing, None, 1)
            row = workflow_runs.find(connection, id)
            row = row if row is not None and row.tenant == tenant else None
            asked = [] if row is None else workflow_questions.open_of_run(connection, id)
            acts = audit.latest(connection, tenant, _AUDIT, subject=id)
            return rows, _Found(None, row, asked, acts)

        rows, found = await self._premises.reader.read(work)
        if not rows and found.hosted is None:
            raise NotFound(f"tenant {tenant!r} has no run {id!r}", code="run_not_found")
        if not rows:
            return found
        tree = await self._premises.reader.run(lambda: read_tree(self._premises.database, rows[0]))
        return msgspec.structs.replace(found, tree=tree)

    async def _points(self, hosted: WorkflowRunRow | None) -> list[RunPoint]:
        if hosted is None or self._premises.acts is None or hosted.state in workflow_runs.OPEN:
            return []
        return await self._premises.acts.points(hosted.tenant, hosted.id, _POINTS)

    def _goes_on(self, found: _Found) -> bool:
        if found.hosted is not None:
            return found.hosted.state in workflow_runs.OPEN
        return found.tree is not None and found.tree.run.status == "open"

    def _curl(self, record: CallRecord) -> str:
        """The call as a command; the key is the reader's own."""
        server, call = self._premises.loaded.settings.server, record.call
        headers = {
            "content-type": "application/json",
            "x-trimtab-run": call.who.run,
            "x-trimtab-step": call.who.step,
            "x-trimtab-workflow": call.who.workflow,
        }
        parts = ["curl", f"http://{server.host}:{server.port}{_PATHS[call.surface]}"]
        parts += ['-H "authorization: Bearer $TRIMTAB_API_KEY"']
        parts += [f"-H {shlex.quote(f'{name}: {text}')}" for name, text in headers.items() if text]
        body = _text(record.request)
        parts.append(f"-d {shlex.quote(body)}" if body else "-d @request.json  # the request was not kept")
        return " \\\n  ".join([" ".join(parts[:2]), *parts[2:]])


def _named(visitor: Visitor, run: str = "id") -> tuple[str, str]:
    """Tenant and run of the query. Raises BadRequest, Forbidden."""
    id = visitor.query.get(run, "")
    if not id:
        raise BadRequest(f"{run} is missing: which run?", param=run)
    return visitor.owner(visitor.query.get("tenant") or visitor.key.tenant), id


def _whole(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) < 10 else 0


def _call(connection: Connection, tenant: str, run: str, id: str) -> tuple[CallRecord | None, list[Entry]]:
    record = calls.find_with_content(connection, tenant, run, id)
    lines = [line for line in entries.of_run(connection, tenant, run) if line.call == id] if record else []
    return record, lines


def _held(record: CallRecord) -> dict[str, int]:
    """What was set aside for each attempt: its offer's worst case."""
    if record.decision is None:
        return {}
    offers = {(offer.endpoint, offer.model): offer.worst_nanodollars for offer in record.decision.offers}
    return {
        attempt.id: offers[attempt.endpoint, attempt.model]
        for attempt in record.attempts
        if (attempt.endpoint, attempt.model) in offers
    }


def _text(content: bytes) -> str:
    return content.decode("utf-8", "replace")
