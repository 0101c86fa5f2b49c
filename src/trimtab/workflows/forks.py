"""Forks: a run that goes on from a checkpoint of another one, on a thread of its own, with its own costs.

Where the other run stands, the fork has what nodes of the step under way have done already; from an earlier checkpoint
it does the whole step again.
"""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import msgspec
from langchain_core.runnables import RunnableConfig
from msgspec.structs import replace
from sqlalchemy import Connection

from trimtab.core.errors import BadRequest, CallError, Conflict, NotFound
from trimtab.store import (
    CheckpointMark,
    CheckpointRow,
    Database,
    Progress,
    WorkflowRunRow,
    WriteRow,
    key_of,
    workflow_checkpoints,
    workflow_runs,
    workflow_writes,
)
from trimtab.tenants import KeyFacts
from trimtab.workflows import points
from trimtab.workflows.graphs import Graph, HostedGraph
from trimtab.workflows.host import Before, Host
from trimtab.workflows.order import Order, RunTerms
from trimtab.workflows.points import Point, facts_of, require_nodes
from trimtab.workflows.saver import ThreadSaver

_DELTAS = b"counters_since_delta_snapshot"


class ForkTerms(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a fork begins, by a checkpoint's id or its step ('' and None: where the run stands), and what is changed
    there: `update` is written as if the node `as_node` had returned it."""

    checkpoint: str = ""
    step: int | None = None
    update: Any | msgspec.UnsetType = msgspec.UNSET
    as_node: str = ""


class Copied(msgspec.Struct, frozen=True):
    """What a fork is given of another run. `stands`: the run did not get further than this point."""

    run: WorkflowRunRow
    point: Point
    stands: bool
    checkpoints: tuple[CheckpointRow, ...]
    writes: tuple[WriteRow, ...]

    @property
    def config(self) -> RunnableConfig:
        """How LangGraph knows the point. Where the run stands, what its nodes have done counts, and no id is named."""
        place = {"thread_id": self.run.thread, "checkpoint_ns": ""}
        return {"configurable": place if self.stands else place | {"checkpoint_id": self.point.id}}

    def put(self, connection: Connection, fork: WorkflowRunRow) -> None:
        """Write it as the fork's own."""
        thread = key_of(fork.tenant, fork.thread)
        rows = [
            replace(row, thread=thread, run=fork.id, metadata=_metadata(row.metadata, fork))
            for row in self.checkpoints
        ]
        workflow_checkpoints.put(connection, rows)
        written = [replace(row, thread=thread) for row in self.writes]
        workflow_writes.put(connection, written, replace=False)


class Forks:
    """Constructed by `app/`."""

    def __init__(self, host: Host, graphs: Mapping[str, HostedGraph], database: Database) -> None:
        self._host, self._graphs, self._database = host, graphs, database
        # Only what nodes write is written again, no node is run: one thread is enough, and not begun before it is used.
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="forks")

    async def fork(
        self,
        tenant: str | None,
        run: str,
        terms: ForkTerms,
        *,
        by: KeyFacts | None = None,
        waits: bool = False,
        also: Before | None = None,
    ) -> WorkflowRunRow:
        """A new run that goes on from a checkpoint of a run (of the tenant, where one is named). What is `also` to be
        written is so in the transaction of its admission.

        Raises NotFound, Conflict, BadRequest, and what the admission of a run raises.
        """
        row = await self._host.find(run, tenant)
        if row.state in workflow_runs.OPEN:
            raise Conflict(
                f"run {run} is {row.state}; cancel it, or fork it once it is over", code="run_is_open"
            )
        hosted = self._graphs.get(row.workflow)
        if hosted is None:
            raise NotFound(f"no graph is hosted here for workflow {row.workflow!r} of run {run}")
        copied = await self._database.run(partial(copy_of, row=row, terms=terms))
        saver = _Noting(self._database, row.tenant, row.id)
        graph = hosted.copy_for(saver, self._pool)
        if terms.update is msgspec.UNSET:
            require_nodes(copied.point, hosted, row)
            await _require_more(graph, copied)
        else:
            await _update(graph, copied, terms)
        checkpoints = [row for item in saver.items for row in item.checkpoints]
        writes = [row for item in saver.items for row in (*item.kept, *item.replaced)]
        changed = replace(
            copied, checkpoints=(*copied.checkpoints, *checkpoints), writes=(*copied.writes, *writes)
        )

        def put(connection: Connection, fork: WorkflowRunRow) -> None:
            changed.put(connection, fork)
            if also is not None:
                also(connection, fork)

        return await self._host.start(_order(copied, by, waits=waits), put)


class _Noting(ThreadSaver):
    """Reads the other run's thread; what is changed of it is noted, for the fork."""

    def __init__(self, database: Database, tenant: str, run: str) -> None:
        super().__init__(database, tenant, run)
        self.items: list[Progress] = []

    async def _keep(self, item: Progress) -> None:
        self.items.append(item)


def copy_of(connection: Connection, row: WorkflowRunRow, terms: ForkTerms) -> Copied:
    """What a fork needs of a run. Raises NotFound, BadRequest."""
    mark = points.chosen(row, points.marks_of(connection, row), terms.checkpoint, terms.step)
    if _DELTAS in mark.metadata:
        raise BadRequest(f"run {row.id} keeps its state as differences (delta channels); it cannot be forked")
    key = key_of(row.tenant, row.thread)
    marks = workflow_checkpoints.marks(connection, key)
    stands = mark.id == next(known.id for known in marks if not known.namespace)
    checkpoints, writes = [], []
    for known in (mark, *_inner(marks, mark, stands=stands)):
        found = workflow_checkpoints.find(connection, key, known.namespace, known.id)
        assert found is not None
        checkpoints.append(found)
        if stands:
            writes += workflow_writes.of_checkpoint(connection, key, known.namespace, known.id)
    point = points.point_of(checkpoints[0])
    checkpoints[0] = replace(checkpoints[0], parent="")
    return Copied(row, point, stands, tuple(checkpoints), tuple(writes))


def _inner(
    marks: Sequence[CheckpointMark], mark: CheckpointMark, *, stands: bool
) -> Iterator[CheckpointMark]:
    """The latest checkpoints of subgraphs as of a point: of those that the step under way is in, and of those that
    remember."""
    seen = set()
    for known in marks:
        if not known.namespace or known.namespace in seen:
            continue
        if workflow_checkpoints.STEP_MARK in known.namespace:
            belongs = stands and facts_of(known.metadata).parents.get("") == mark.id
        else:
            belongs = stands or known.id < mark.id
        if belongs:
            seen.add(known.namespace)
            yield known


async def _require_more(graph: Graph, copied: Copied) -> None:
    state = await graph.aget_state(copied.config)
    if not state.next:
        raise BadRequest(
            f"run {copied.run.id} is at its end at step {copied.point.step}; fork it from an earlier one, or with an "
            "update as a node",
            param="step",
        )


async def _update(graph: Graph, copied: Copied, terms: ForkTerms) -> None:
    try:
        await graph.aupdate_state(copied.config, terms.update, terms.as_node or None)
    except CallError:
        raise
    except Exception as error:  # the user's own reducers run here
        said = f"the update cannot be made: {type(error).__name__}: {error}"
        raise BadRequest(said, param="as_node" if "as_node" in str(error) else "update") from error


def _order(copied: Copied, by: KeyFacts | None, *, waits: bool) -> Order:
    run, point = copied.run, copied.point
    told = msgspec.json.decode(run.metadata, type=dict[str, Any])
    told["forked_from"] = {"run_id": run.id, "checkpoint_id": point.id, "step": point.step}
    terms = msgspec.json.decode(run.terms, type=RunTerms)
    models = terms.models if by is None else by.models
    return Order(
        workflow=run.workflow,
        input=run.input,
        tenant=run.tenant,
        user=run.user,
        key=run.key if by is None else by.id,
        priority=run.priority,
        waits=waits,
        assistant=run.assistant,
        terms=replace(terms, command=None, checkpoint="", on_completion="keep", models=models),
        metadata=msgspec.json.encode(told),
        origin=f"fork:{run.id}:{point.id}",
    )


def _metadata(metadata: bytes, fork: WorkflowRunRow) -> bytes:
    """A checkpoint's metadata, of the fork instead of the run."""
    told = msgspec.json.decode(metadata, type=dict[str, Any])
    own = {"run_id": fork.id, "thread_id": fork.thread}
    return msgspec.json.encode(told | {name: value for name, value in own.items() if name in told})
