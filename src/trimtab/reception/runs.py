"""The doors to runs of threads and to stateless runs, as the LangGraph SDKs speak to them."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Literal

import msgspec
from sqlalchemy import Connection
from starlette.responses import Response
from starlette.routing import Route

from trimtab.core import Clock
from trimtab.core.errors import BadRequest, CallError, Conflict, NotFound, StoreUnavailable
from trimtab.gateway import is_yes, whole_of
from trimtab.reception.desk import Asked, Desk, done, said
from trimtab.reception.orders import RunBody, order_of
from trimtab.reception.outcomes import Outcome
from trimtab.reception.page import Word
from trimtab.reception.shapes import MIXED, STATES, run_json, status_of
from trimtab.reception.streams import EventStream
from trimtab.store import Database, WorkflowRunRow, WorkflowState, workflow_runs
from trimtab.workflows import Assistants, Host, Order, Threads

_NUMBER = re.compile("[0-9]{1,15}")
_LISTED, _MOST_LISTED, _MOST_OFFSET, _AT_ONCE = 10, 1_000, 1_000_000, 200
_BEGUN: tuple[WorkflowState, ...] = ("queued", "running")


class CancelMany(msgspec.Struct, frozen=True):
    """Body of `POST /runs/cancel`."""

    thread_id: Word | None = None
    run_ids: list[Word] | None = None
    status: Literal["pending", "running", "all"] | None = None


class HostedRunDoor:
    """Constructed by `app/`."""

    def __init__(
        self, host: Host, threads: Threads, assistants: Assistants, database: Database, clock: Clock
    ) -> None:
        self._host, self._threads, self._assistants = host, threads, assistants
        self._database, self._clock = database, clock

    async def create(self, asked: Asked) -> Response:
        """`POST /threads/{thread}/runs` and `POST /runs`: begin, or queue, and say which run it is."""
        row = await self._started(asked, asked.decoded(RunBody), waits=True)
        return said(run_json(row), headers=_where(row))

    async def batch(self, asked: Asked) -> Response:
        """`POST /runs/batch`: many stateless runs, all of them or, where one is refused, none."""
        bodies, begun = asked.decoded(list[RunBody]), list[WorkflowRunRow]()
        orders = [await self._order(asked, body, waits=True) for body in bodies]
        try:
            for order in orders:
                begun.append(await self._host.start(order))
        except (CallError, StoreUnavailable):
            for row in begun:
                await self._take_back(row)
            raise
        return said([run_json(row) for row in begun])

    async def stream(self, asked: Asked) -> Response:
        """`POST /threads/{thread}/runs/stream` and `POST /runs/stream`: its events as they come."""
        body = asked.decoded(RunBody)
        row = await self._started(asked, body, streams=True)
        return self._events(row, -1, cancels=body.on_disconnect == "cancel")

    async def wait(self, asked: Asked) -> Outcome:
        """`POST /threads/{thread}/runs/wait` and `POST /runs/wait`: its values, once it is over."""
        body = asked.decoded(RunBody)
        row = await self._started(asked, body)
        return self._outcome(row, cancels=body.on_disconnect == "cancel")

    async def list(self, asked: Asked) -> Response:
        """`GET /threads/{thread}/runs`, the newest first."""
        tenant, thread = asked.key.tenant, asked.path["thread"]
        await self._threads.find(tenant, thread)
        limit = min(whole_of(asked.query, "limit", _LISTED), _MOST_LISTED)
        offset = whole_of(asked.query, "offset", 0, most=_MOST_OFFSET)
        status = asked.query.get("status")
        if status is not None and status not in STATES:
            raise BadRequest(f"status is one of {', '.join(STATES)}, not {status[:40]!r}", param="status")
        rows = await self._database.run(lambda c: _page(c, tenant, thread, status, limit, offset))
        return said([run_json(row) for row in rows])

    async def get(self, asked: Asked) -> Response:
        """`GET /threads/{thread}/runs/{run}`."""
        return said(run_json(await self._found(asked)))

    async def join(self, asked: Asked) -> Outcome:
        """`GET /threads/{thread}/runs/{run}/join`: its values, once it is over."""
        row = await self._found(asked)
        return self._outcome(row, cancels=_cancels(asked))

    async def join_stream(self, asked: Asked) -> Response:
        """`GET /threads/{thread}/runs/{run}/stream`: its events after Last-Event-ID, all of them without one."""
        row = await self._found(asked)
        last = asked.headers.get("last-event-id", "-1")
        after = int(last) if _NUMBER.fullmatch(last) else -1
        return self._events(row, after, cancels=_cancels(asked))

    async def join_thread(self, asked: Asked) -> Response:
        """`GET /threads/{thread}/stream`: the events of the run that is open in the thread, or was last."""
        tenant, thread = asked.key.tenant, asked.path["thread"]
        found = await self._threads.find(tenant, thread)
        if not found.row.latest_run:
            raise NotFound(f"thread {thread!r} has had no run", code="run_not_found")
        return self._events(await self._host.find(found.row.latest_run, tenant), -1, cancels=False)

    async def cancel(self, asked: Asked) -> Response:
        """`POST /threads/{thread}/runs/{run}/cancel`: end it; `action=rollback` undoes what it did."""
        row = await self._found(asked)
        rolls_back = asked.query.get("action") == "rollback"
        if not await self._host.cancel(row.id, rolls_back=rolls_back):
            raise Conflict(f"run {row.id} is over: {row.state}", code="run_is_over")
        if is_yes(asked.query, "wait"):
            await self._until_over(row.id)
        return Response(status_code=202)

    async def cancel_many(self, asked: Asked) -> Response:
        """`POST /runs/cancel`: named runs of a thread, or all that are open in the tenant."""
        body, tenant = asked.decoded(CancelMany), asked.key.tenant
        states = STATES[body.status] if body.status in ("pending", "running") else _BEGUN
        if body.run_ids:
            rows = [await self._host.find(id, tenant) for id in body.run_ids]
        elif body.status:
            rows = await self._database.run(
                lambda c: workflow_runs.page(c, tenant, thread=body.thread_id, states=states, limit=1_000)
            )
        else:
            raise BadRequest("name run_ids, or a status", param="run_ids")
        rolls_back = asked.query.get("action") == "rollback"
        for row in rows:
            await self._host.cancel(row.id, rolls_back=rolls_back)
        return done()

    async def delete(self, asked: Asked) -> Response:
        """`DELETE /threads/{thread}/runs/{run}`. Raises Conflict while it is driven."""
        row = await self._found(asked)

        def work(connection: Connection) -> None:
            if not workflow_runs.discard(connection, row.id):
                raise Conflict(f"run {row.id} is driven; cancel it first", code="run_is_driven")

        await self._database.run(work)
        return done()

    async def _started(
        self, asked: Asked, body: RunBody, *, streams: bool = False, waits: bool = False
    ) -> WorkflowRunRow:
        order = await self._order(asked, body, streams=streams, waits=waits)
        return await self._host.start(order, self._threads.made_by if order.makes_thread else None)

    async def _order(
        self, asked: Asked, body: RunBody, *, streams: bool = False, waits: bool = False
    ) -> Order:
        assistant = await self._assistants.resolve(asked.key.tenant, body.assistant_id)
        return order_of(asked, body, assistant, self._clock.now(), streams=streams, waits=waits)

    async def _take_back(self, row: WorkflowRunRow) -> None:
        """Let nothing be left of a stateless run that was queued a moment ago."""
        try:
            await self._threads.delete(row.tenant, row.thread)
        except Conflict:  # it is driven already
            await self._host.cancel(row.id, rolls_back=True)
        except NotFound:
            return

    async def _found(self, asked: Asked) -> WorkflowRunRow:
        row = await self._host.find(asked.path["run"], asked.key.tenant)
        if asked.path.get("thread", row.thread) != row.thread:
            raise NotFound(f"thread {asked.path['thread']!r} has no run {row.id!r}", code="run_not_found")
        return row

    async def _until_over(self, id: str) -> None:
        try:
            await self._host.wait(id)
        except NotFound:  # it was rolled back
            return

    def _events(self, row: WorkflowRunRow, after: int, *, cancels: bool) -> EventStream:
        gone = self._end(row) if cancels else None
        return EventStream(self._host, row, after, _where(row, "/stream"), gone)

    def _outcome(self, row: WorkflowRunRow, *, cancels: bool) -> Outcome:
        return Outcome(self._host, row.id, _where(row, "/join"), self._end(row) if cancels else None)

    def _end(self, row: WorkflowRunRow) -> Callable[[], Awaitable[None]]:
        async def gone() -> None:
            await asyncio.shield(self._host.cancel(row.id))

        return gone


def _where(row: WorkflowRunRow, then: str = "") -> dict[str, str]:
    """The headers by which the SDKs know which run it is, and where to come again."""
    path = f"/threads/{row.thread}/runs/{row.id}"
    return {"content-location": path, "location": path + then}


def _cancels(asked: Asked) -> bool:
    """Whether the run is to end with the client. Raises BadRequest, Forbidden."""
    cancels = is_yes(asked.query, "cancel_on_disconnect")
    if cancels:
        asked.key.require("operator")
    return cancels


def _page(
    connection: Connection, tenant: str, thread: str, status: str | None, limit: int, offset: int
) -> list[WorkflowRunRow]:
    """A thread's runs of a status, the newest first. Where a state has runs of two, they are told apart one by one."""
    states = STATES[status] if status else ()
    page = partial(workflow_runs.page, connection, tenant, thread=thread, states=states)
    if status not in MIXED:
        return page(limit=limit, offset=offset)
    found, before, more = list[WorkflowRunRow](), "", True
    while more and len(found) < offset + limit:
        rows = page(before=before, limit=_AT_ONCE)
        found += [row for row in rows if status_of(row) == status]
        more, before = len(rows) == _AT_ONCE, rows[-1].id if rows else ""
    return found[offset : offset + limit]


def hosted_run_routes(desk: Desk, door: HostedRunDoor) -> list[Route]:
    """The paths of runs."""
    of_thread, one = "/threads/{thread}/runs", "/threads/{thread}/runs/{run}"
    routes = [
        Route("/runs/batch", desk.door(door.batch), methods=["POST"]),
        Route("/runs/cancel", desk.door(door.cancel_many), methods=["POST"]),
        Route(of_thread, desk.door(door.list), methods=["GET"]),
        Route("/threads/{thread}/stream", desk.door(door.join_thread), methods=["GET"]),
        Route("/runs/{run}/stream", desk.door(door.join_stream), methods=["GET"]),
    ]
    for path in ("/runs", of_thread):
        routes += [
            Route(path, desk.door(door.create), methods=["POST"]),
            Route(f"{path}/stream", desk.door(door.stream), methods=["POST"]),
            Route(f"{path}/wait", desk.door(door.wait), methods=["POST"]),
        ]
    return [
        *routes,
        Route(one, desk.door(door.get), methods=["GET"]),
        Route(one, desk.door(door.delete), methods=["DELETE"]),
        Route(f"{one}/join", desk.door(door.join), methods=["GET"]),
        Route(f"{one}/stream", desk.door(door.join_stream), methods=["GET"]),
        Route(f"{one}/cancel", desk.door(door.cancel), methods=["POST"]),
    ]
