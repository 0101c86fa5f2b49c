"""The doors that show runs: any run of a tenant as a tree of steps and calls, hosted ones with how they stand."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import get_args

import msgspec
from sqlalchemy import Connection
from starlette.datastructures import QueryParams
from starlette.types import Receive, Scope, Send

from trimtab.core.errors import BadRequest, Forbidden, LedgerUnavailable, NotFound, StoreUnavailable
from trimtab.dispatch import bounded
from trimtab.gateway.asgi import send_bytes
from trimtab.gateway.calls import is_loopback
from trimtab.gateway.hints import hints_of
from trimtab.gateway.query import limit_of
from trimtab.store import (
    Database,
    QuestionRow,
    RunRow,
    Selection,
    Standing,
    WorkflowRunRow,
    WorkflowState,
    Writer,
    workflow_questions,
    workflow_runs,
)
from trimtab.tenants import Keyring
from trimtab.traces import RunTree, asked_json, list_runs, read_tree, standing_json, tree_json

_STATES: tuple[WorkflowState, ...] = get_args(WorkflowState)
_LIMIT, _MOST_LISTED = 50, 1_000
_AWAY_SECONDS = 2.0
_json = msgspec.json.Encoder()


class TreeDoor:
    """Constructed by `app/`; `standing` tells what a run's status is told by now."""

    def __init__(
        self, keyring: Keyring, writer: Writer, database: Database, standing: Callable[[], Standing]
    ) -> None:
        self._keyring, self._writer, self._database, self._standing = keyring, writer, database, standing

    async def listed(self, scope: Scope, receive: Receive, send: Send) -> None:
        """`GET /v1/runs?workflow=&state=&limit=&after=`: hosted runs, the newest first.

        `state` may name several, with commas between; `next`, where there may be more, is the `after` of the next
        page.
        """
        tenant, query = await self._open(scope)
        limit = limit_of(query, _LIMIT, _MOST_LISTED)
        page = partial(
            workflow_runs.page,
            tenant=tenant,
            workflow=bounded(query["workflow"]) if "workflow" in query else None,
            states=_states_of(query.get("state", "")),
            before=bounded(query.get("after", "")),
            limit=limit,
        )
        try:
            rows = await self._database.run(page)
        except StoreUnavailable as error:
            raise _away(error) from error
        last = rows[-1].id if len(rows) == limit else None
        shown = {"runs": [_about(row) | standing_json(row) for row in rows], "next": last}
        await send_bytes(send, 200, _json.encode(shown), {})

    async def shown(self, scope: Scope, receive: Receive, send: Send) -> None:
        """`GET /v1/runs/{run}`: a run's facts, its steps with their calls, and how it stands where it is hosted."""
        tenant, _ = await self._open(scope)
        run = bounded(scope["path_params"]["run"])
        try:
            await self._writer.flush()
            tree = await asyncio.to_thread(self._read, tenant, run)
            hosted = await self._database.run(partial(_find, tenant, run))
        except StoreUnavailable as error:
            raise _away(error) from error
        if tree is None and hosted is None:
            raise NotFound(f"tenant {tenant!r} has no run {run!r}", code="run_not_found")
        told: dict[str, object] = {"hosted": None}
        if hosted is not None:
            row, questions = hosted
            tree = tree or _untouched(row)
            asked = [{"id": each.id, **asked_json(each)} for each in questions]
            told["hosted"] = standing_json(row) | {"questions": asked}
        assert tree is not None
        await send_bytes(send, 200, _json.encode(tree_json(tree) | told), {})

    def _read(self, tenant: str, run: str) -> RunTree | None:
        found = list_runs(self._database, Selection(tenant=tenant, run=run), self._standing(), None, 1)
        return read_tree(self._database, found[0]) if found else None

    async def _open(self, scope: Scope) -> tuple[str, QueryParams]:
        """Whose runs are asked for. Raises Unauthenticated, Forbidden."""
        _, presented = hints_of(scope["headers"])
        key = await self._keyring.open(presented, loopback=is_loopback(scope))
        query = QueryParams(scope["query_string"])
        tenant = query.get("tenant", key.tenant)
        if tenant != key.tenant and key.role != "admin":
            raise Forbidden("only an admin key may see another tenant's runs", param="tenant")
        return bounded(tenant), query


def _find(tenant: str, run: str, connection: Connection) -> tuple[WorkflowRunRow, list[QuestionRow]] | None:
    row = workflow_runs.find(connection, run)
    if row is None or row.tenant != tenant:
        return None
    return row, workflow_questions.open_of_run(connection, run)


def _untouched(row: WorkflowRunRow) -> RunTree:
    """The tree of a hosted run that has made no call yet."""
    run = RunRow(
        tenant=row.tenant,
        id=row.id,
        user=row.user,
        workflow=row.workflow,
        task="",
        agent="",
        started_at=row.created_at,
        last_at=row.updated_at,
        calls=0,
        ended=row.state in workflow_runs.OVER,
        reward=None,
        outcome_at=None,
        outcome_by=None,
        outcome_reason=None,
        status="unknown" if row.state in workflow_runs.OVER else "open",
        nanodollars=0,
        upstream_nanodollars=0,
        unpriced=0,
    )
    return RunTree(run, ())


def _about(row: WorkflowRunRow) -> dict[str, object]:
    return {"id": row.id, "tenant": row.tenant, "user": row.user, "workflow": row.workflow}


def _states_of(text: str) -> tuple[WorkflowState, ...]:
    asked = [each for each in text.split(",") if each]
    if unknown := [each for each in asked if each not in _STATES]:
        raise BadRequest(
            f"there is no state {unknown[0][:40]!r}; there are {', '.join(_STATES)}", param="state"
        )
    return tuple(state for state in _STATES if state in asked)


def _away(error: StoreUnavailable) -> LedgerUnavailable:
    return LedgerUnavailable(str(error), code="store_unavailable", retry_after_seconds=_AWAY_SECONDS)
