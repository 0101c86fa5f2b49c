"""The page of a run: how it stands, what it cost, its waterfall; each of its calls opened to why and what it said."""

import shlex
from functools import partial

import msgspec
from sqlalchemy import Connection
from starlette.responses import HTMLResponse, RedirectResponse, Response

from trimtab.console.filters import start_of
from trimtab.console.live import stream
from trimtab.console.premises import Acts, Premises, RunPoint
from trimtab.console.sheets import link
from trimtab.console.visitor import Visitor
from trimtab.console.waterfall import bar_of, falls_of
from trimtab.core import CallRecord, Entry
from trimtab.core.errors import BadRequest, NotFound
from trimtab.gateway import CALL_PATHS
from trimtab.store import (
    AuditRow,
    QuestionRow,
    RunRow,
    Selection,
    Standing,
    WorkflowRunRow,
    audit,
    calls,
    entries,
    runs,
    workflow_questions,
    workflow_runs,
)
from trimtab.traces import RunTree, tree_of

_PAGE = 150
_POINTS = 50
_AUDIT = 20
_SECONDS = 2.0
_MOST_SHOWN = 20_000
_MOST_CALLS = 5_000
_PATHS = {surface: path for path, surface in CALL_PATHS.items()}


class _Found(msgspec.Struct, frozen=True):
    """What the store has of a run; `tree` is None where it made no call, and where it made too many to draw."""

    run: RunRow | None
    tree: RunTree | None
    hosted: WorkflowRunRow | None
    questions: list[QuestionRow]
    acts: list[AuditRow]

    @property
    def goes_on(self) -> bool:
        """Whether there may be more of it soon."""
        if self.hosted is not None:
            return self.hosted.state in workflow_runs.OPEN
        return self.run is not None and self.run.status == "open"


class RunPage:
    """Constructed by the console."""

    def __init__(self, premises: Premises) -> None:
        self._premises = premises

    async def shown(self, visitor: Visitor) -> Response:
        """`GET /console/run?tenant=&id=`: a run."""
        tenant, id = _named(visitor)
        begin = start_of(visitor.query)
        found, part = await self._made(tenant, id, begin, whole=visitor.is_admin)
        acts = self._premises.acts
        return self._premises.sheets.page(
            "run",
            visitor,
            f"Run {id[:40]}",
            tenant=tenant,
            id=id,
            part=part,
            hosted=found.hosted,
            run=found.run,
            points=await self._points(found.hosted),
            can_fork=acts is not None and acts.forks,
            acts=found.acts,
            live=found.goes_on and begin == 0,
            can_act=acts is not None and visitor.may_act,
        )

    async def told(self, visitor: Visitor) -> Response:
        """`GET /console/live/run`: the page's changing part, until the run is over."""
        tenant, id = _named(visitor)
        over, whole = [False], visitor.is_admin

        async def part() -> str | None:
            if over[0]:
                return None
            goes_on, text = await self._premises.reader.kept(
                ("run", tenant, id, whole), _SECONDS / 2, lambda: self._told(tenant, id, whole=whole)
            )
            over[0] = not goes_on
            return text

        return stream(part, _SECONDS, lambda: self._premises.may_look(visitor))

    async def _told(self, tenant: str, id: str, *, whole: bool) -> tuple[bool, str]:
        """Whether there may be more of it, and the part: not the run itself, which may be large, for it is kept."""
        found, text = await self._made(tenant, id, 0, whole=whole)
        return found.goes_on, text

    async def _made(self, tenant: str, id: str, begin: int, *, whole: bool) -> tuple[_Found, str]:
        await self._premises.fresh()
        standing = self._premises.standing()
        found = await self._premises.reader.read(lambda c: _find(c, tenant, id, standing))
        if found.run is None and found.hosted is None:
            raise NotFound(f"tenant {tenant!r} has no run {id!r}", code="run_not_found")
        return found, await self._premises.reader.run(lambda: self._part(found, begin, whole=whole))

    def _part(self, found: _Found, begin: int, *, whole: bool) -> str:
        falls = [] if found.tree is None else falls_of(found.tree)
        length = max((fall.begin + fall.seconds for fall in falls), default=0.0)
        return self._premises.sheets.text(
            "run_part",
            {
                "whole": whole,
                "run": found.run,
                "hosted": found.hosted,
                "questions": found.questions,
                "falls": falls[begin : begin + _PAGE],
                "bar_of": partial(bar_of, whole=length),
                "length": length,
                "critical": sum(fall.seconds for fall in falls if fall.critical and fall.node),
                "begin": begin,
                "further": begin + _PAGE if len(falls) > begin + _PAGE else 0,
                "lines": len(falls),
                "most_calls": _MOST_CALLS,
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
        await acts.cancel(tenant, id, self._premises.note(tenant, visitor.name, "cancel a run", id))
        return RedirectResponse(link("/run", tenant=tenant, id=id), 303)

    async def retried(self, visitor: Visitor) -> Response:
        """`POST /console/run/retry`."""
        tenant, id, acts = self._acting(visitor)
        await acts.retry(tenant, id, self._premises.note(tenant, visitor.name, "retry a run", id))
        return RedirectResponse(link("/run", tenant=tenant, id=id), 303)

    async def forked(self, visitor: Visitor) -> Response:
        """`POST /console/run/fork`: to the new run."""
        tenant, id, acts = self._acting(visitor)
        note = self._premises.note(tenant, visitor.name, "fork a run", id)
        fork = await acts.fork(tenant, id, visitor.form.get("checkpoint", ""), visitor.key, note)
        return RedirectResponse(link("/run", tenant=tenant, id=fork), 303)

    def _acting(self, visitor: Visitor) -> tuple[str, str, Acts]:
        if self._premises.acts is None:
            raise BadRequest("no workflow is hosted here; only hosted runs can be acted on")
        return visitor.owner(visitor.asked("tenant")), visitor.asked("id"), self._premises.acts

    async def _points(self, hosted: WorkflowRunRow | None) -> list[RunPoint]:
        if hosted is None or self._premises.acts is None or hosted.state in workflow_runs.OPEN:
            return []
        return await self._premises.acts.points(hosted.tenant, hosted.id, _POINTS)

    def _curl(self, record: CallRecord) -> str:
        """The call as a command, in a run of its own; the key is the reader's."""
        server, call = self._premises.loaded.settings.server, record.call
        headers = {
            "content-type": "application/json",
            "x-trimtab-run": f"{call.who.run}-again",
            "x-trimtab-step": call.who.step,
            "x-trimtab-workflow": call.who.workflow,
        }
        parts = ["curl", f"http://{server.host}:{server.port}{_PATHS[call.surface]}"]
        parts += ['-H "authorization: Bearer $TRIMTAB_API_KEY"']
        parts += [f"-H {shlex.quote(f'{name}: {text}')}" for name, text in headers.items() if text]
        body = _text(record.request)
        if 0 < len(body) <= _MOST_SHOWN // 2:
            parts.append(f"-d {shlex.quote(body)}")
        else:
            parts.append(
                f"-d @request.json  # the request {'is too long to show' if body else 'was not kept'}"
            )
        return " \\\n  ".join([" ".join(parts[:2]), *parts[2:]])


def _named(visitor: Visitor, run: str = "id") -> tuple[str, str]:
    """Tenant and run of the query. Raises BadRequest, Forbidden."""
    id = visitor.query.get(run, "")
    if not id:
        raise BadRequest(f"{run} is missing: which run?", param=run)
    return visitor.owner(visitor.query.get("tenant") or visitor.key.tenant), id


def _find(connection: Connection, tenant: str, id: str, standing: Standing) -> _Found:
    rows = runs.newest(connection, Selection(tenant=tenant, run=id), standing, None, 1)
    row = workflow_runs.find(connection, id)
    row = row if row is not None and row.tenant == tenant else None
    asked = [] if row is None else workflow_questions.open_of_run(connection, id)
    acts = audit.latest(connection, tenant, _AUDIT, subject=id)
    if not rows:
        return _Found(None, None, row, asked, acts)
    tree: RunTree | None = None
    if rows[0].calls <= _MOST_CALLS:
        made = calls.of_run(connection, tenant, id)
        tree = tree_of(rows[0], made, entries.of_run(connection, tenant, id))
    return _Found(rows[0], tree, row, asked, acts)


def _call(connection: Connection, tenant: str, run: str, id: str) -> tuple[CallRecord | None, list[Entry]]:
    record = calls.find_with_content(connection, tenant, run, id)
    lines = entries.of_run(connection, tenant, run, id) if record else []
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
