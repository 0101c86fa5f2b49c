"""Threads as their tenants see them: made, listed, looked at, changed, copied, deleted.

A thread's state is its graph's: the graph of the workflow that ran in it last, where it is hosted here.
"""

import re
import uuid
from collections.abc import AsyncIterator, Iterable, Mapping
from functools import partial
from typing import Any

import msgspec
from langchain_core.runnables import RunnableConfig
from langgraph.types import StateSnapshot
from sqlalchemy import Connection

from trimtab.core import Clock
from trimtab.core.errors import BadRequest, Conflict, NotFound
from trimtab.store import (
    Database,
    FoundThread,
    ThreadQuery,
    ThreadRow,
    WorkflowRunRow,
    workflow_runs,
    workflow_threads,
)
from trimtab.workflows.allowance import AllowanceOf, Room
from trimtab.workflows.graphs import Graph, HostedGraph
from trimtab.workflows.saver import StateSaver
from trimtab.workflows.values import facts_text

_NAME = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_MOST_HISTORY = 1_000


class Changed(msgspec.Struct, frozen=True):
    """A change of a thread's state from outside; `as_node`: as if this node had made it."""

    values: Any
    as_node: str | None = None
    checkpoint: str = ""


class Threads:
    """Constructed by `app/`. Every method raises StoreUnavailable, and NotFound for another tenant's thread."""

    def __init__(
        self,
        database: Database,
        graphs: Mapping[str, HostedGraph],
        clock: Clock,
        allowance_of: AllowanceOf,
    ) -> None:
        self._database, self._graphs, self._clock = database, graphs, clock
        self._room = Room("threads", workflow_threads.count_all, allowance_of)

    def made_by(self, connection: Connection, run: WorkflowRunRow) -> None:
        """A run is let in that makes its thread where it is not there. Raises Conflict where it did and there is no
        room for it."""
        thread = workflow_threads.find(connection, run.tenant, run.thread)
        if thread is not None and thread.row.created_at == run.created_at:
            self._room.require(connection, run.tenant)

    async def create(
        self,
        tenant: str,
        id: str = "",
        metadata: Mapping[str, Any] | None = None,
        minutes: float | None = None,
    ) -> tuple[FoundThread, bool]:
        """A new thread, kept for `minutes`; or the one of that name, and False.

        Raises BadRequest, Conflict where the tenant has as many as it may.
        """
        id = thread_name(id or str(uuid.uuid4()))
        now, facts = self._clock.now(), facts_text(metadata or {})
        row = ThreadRow(tenant, id, "", facts, "", now, now, _end(now, minutes))

        def work(connection: Connection) -> bool:
            is_new = workflow_threads.add(connection, row)
            if is_new:
                self._room.require(connection, tenant)
            return is_new

        is_new = await self._database.run(work)
        return await self.find(tenant, id), is_new

    async def find(self, tenant: str, id: str) -> FoundThread:
        """A thread."""
        found = await self._database.run(lambda connection: workflow_threads.find(connection, tenant, id))
        if found is None:
            raise NotFound(f"there is no thread {id!r}", code="thread_not_found")
        return found

    async def search(self, tenant: str, query: ThreadQuery) -> list[FoundThread]:
        """A tenant's threads."""
        return await self._database.run(lambda c: workflow_threads.search(c, tenant, query))

    async def count(self, tenant: str, query: ThreadQuery) -> int:
        """How many `search` finds."""
        return await self._database.run(lambda c: workflow_threads.count(c, tenant, query))

    async def update(
        self, tenant: str, id: str, metadata: Mapping[str, Any], minutes: float | None = None
    ) -> FoundThread:
        """Add to a thread's metadata. Raises BadRequest."""
        now = self._clock.now()

        def work(connection: Connection) -> None:
            row = workflow_threads.lock(connection, tenant, id)
            if row is not None:
                facts = facts_text(msgspec.json.decode(row.metadata) | dict(metadata))
                end = row.expires_at if minutes is None else _end(now, minutes)
                workflow_threads.change(connection, tenant, id, now, metadata=facts, expires_at=end)

        await self._database.run(work)
        return await self.find(tenant, id)

    async def delete(self, tenant: str, id: str) -> None:
        """Delete a thread with all that is kept of it. Raises Conflict while a run is driven in it."""
        await self.find(tenant, id)

        def work(connection: Connection) -> None:
            workflow_threads.lock(connection, tenant, id)
            for run in workflow_runs.standing_in(connection, tenant, id, workflow_runs.OPEN):
                if not workflow_runs.discard(connection, run.id):
                    raise Conflict(f"run {run.id} is driven in thread {id!r}; cancel it first")
            workflow_threads.remove(connection, tenant, id)

        await self._database.run(work)

    async def prune(self, tenant: str, ids: Iterable[str]) -> tuple[int, list[str]]:
        """Delete those of the threads that are there and in which no run is driven; how many, and which are busy."""
        deleted, busy = 0, []
        for id in ids:
            try:
                await self.delete(tenant, id)
                deleted += 1
            except NotFound:
                continue
            except Conflict:
                busy.append(id)
        return deleted, busy

    async def delete_of(self, tenant: str, assistant: str) -> None:
        """Delete the threads that an assistant made. Raises Conflict while a run is driven in one."""
        query = ThreadQuery(metadata={"assistant_id": assistant}, limit=_MOST_HISTORY)
        while found := await self.search(tenant, query):
            for one in found:
                await self.delete(tenant, one.row.id)

    async def copy(self, tenant: str, id: str) -> FoundThread:
        """A new thread with the same past. Raises Conflict while a run is driven in the old one, and where the tenant
        has as many threads as it may."""
        old, new = await self.find(tenant, id), str(uuid.uuid4())
        row = msgspec.structs.replace(
            old.row, id=new, latest_run="", created_at=self._clock.now(), updated_at=self._clock.now()
        )

        def work(connection: Connection) -> None:
            workflow_threads.lock(connection, tenant, id)
            if workflow_runs.standing_in(connection, tenant, id, ("running",)):
                raise Conflict(f"thread {id!r} is busy; copy it when its run is over")
            workflow_threads.lay(connection, row)
            self._room.require(connection, tenant)
            workflow_threads.copy_past(connection, tenant, id, new)

        await self._database.run(work)
        return await self.find(tenant, new)

    async def state(
        self, tenant: str, id: str, checkpoint: str = "", *, subgraphs: bool = False, namespace: str = ""
    ) -> StateSnapshot | None:
        """A thread's state, now or at a checkpoint; None before its first run, or where its graph is not hosted."""
        graph = await self._graph(tenant, id)
        if graph is None:
            return None
        return await graph.aget_state(_at(id, checkpoint, namespace), subgraphs=subgraphs)

    async def history(
        self,
        tenant: str,
        id: str,
        limit: int,
        before: str = "",
        metadata: Mapping[str, Any] | None = None,
        namespace: str = "",
    ) -> list[StateSnapshot]:
        """A thread's states, the latest first."""
        graph = await self._graph(tenant, id)
        if graph is None:
            return []
        states: AsyncIterator[StateSnapshot] = graph.aget_state_history(
            _at(id, "", namespace),
            filter=dict(metadata) if metadata else None,
            before=_at(id, before, namespace) if before else None,
            limit=min(limit, _MOST_HISTORY),
        )
        return [state async for state in states]

    async def change(self, tenant: str, id: str, changed: Changed) -> RunnableConfig:
        """Change a thread's state; the new checkpoint. Raises BadRequest, Conflict while a run is open in it."""
        graph = await self._graph(tenant, id)
        if graph is None:
            raise BadRequest(f"thread {id!r} has no graph yet: its first run says which", param="thread_id")
        try:
            config: RunnableConfig = await graph.aupdate_state(
                _at(id, changed.checkpoint, ""), changed.values, as_node=changed.as_node
            )
        except (
            Exception
        ) as error:  # the user's own reducers run here, and LangGraph says what it does not take
            if isinstance(error, Conflict):
                raise
            raise BadRequest(f"{type(error).__name__}: {error}", param="values") from error
        touch = partial(workflow_threads.touch, tenant=tenant, id=id, now=self._clock.now())
        await self._database.run(touch)
        return config

    async def _graph(self, tenant: str, id: str) -> Graph | None:
        found = await self.find(tenant, id)
        hosted = self._graphs.get(found.row.workflow)
        if hosted is None:
            return None
        return hosted.graph.copy(update={"checkpointer": StateSaver(self._database, tenant, id)})


def thread_name(id: str) -> str:
    """The id, where it may be a thread's. Raises BadRequest."""
    if not _NAME.fullmatch(id):
        raise BadRequest(
            f"a thread's id is up to 128 of A-Z a-z 0-9 . _ : -, not {id[:40]!r}", param="thread_id"
        )
    return id


def _at(thread: str, checkpoint: str, namespace: str) -> RunnableConfig:
    place = {"thread_id": thread, "checkpoint_ns": namespace}
    return {"configurable": place | ({"checkpoint_id": checkpoint} if checkpoint else {})}


def _end(now: float, minutes: float | None) -> float | None:
    return None if minutes is None else now + 60 * minutes
