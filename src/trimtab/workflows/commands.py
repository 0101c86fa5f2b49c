"""What people tell runs to do, from any process of the house: end, be tried again, go on under the version hosted now.

Each function is the work of one transaction. A tenant of None is whoever's; another tenant's run is not there.
"""

from sqlalchemy import Connection

from trimtab.core.errors import Conflict, NotFound
from trimtab.store import (
    WorkflowRunRow,
    WorkflowState,
    key_of,
    workflow_checkpoints,
    workflow_runs,
    workflow_workers,
)
from trimtab.workflows import points
from trimtab.workflows.graphs import HostedGraph
from trimtab.workflows.points import require_nodes

_RETRIED: tuple[WorkflowState, ...] = ("parked", "failed")
_MOVED = ("queued", "running", "waiting", "parked", "failed")


def cancel_run(connection: Connection, tenant: str | None, id: str) -> WorkflowRunRow:
    """Ask that a run ends; the run as it stands then: `running` still where a worker is to hear of it first.

    Raises NotFound, Conflict where it is over.
    """
    row = _locked(connection, tenant, id)
    if not workflow_runs.ask_cancel(connection, id):
        raise Conflict(f"run {id} is over: {row.state}", code="run_is_over")
    return _locked(connection, tenant, id)


def retry_run(connection: Connection, tenant: str | None, id: str) -> WorkflowRunRow:
    """Queue a parked or failed run again; it goes on where it failed, its recoveries are forgiven.

    Raises NotFound, Conflict where it is in another state or its thread has gone on without it.
    """
    row = _locked(connection, tenant, id)
    if row.state not in _RETRIED:
        raise Conflict(
            f"run {id} is {row.state}; only a parked or failed run is retried", code="not_retryable"
        )
    marks = workflow_checkpoints.marks(connection, key_of(row.tenant, row.thread), "")
    if marks and marks[0].run != id and any(mark.run == id for mark in marks):
        raise Conflict(
            f"thread {row.thread} has gone on since run {id}; fork the run instead", code="thread_has_gone_on"
        )
    if not workflow_runs.reopen(connection, id, _RETRIED):
        raise Conflict(f"the thread of run {id} is gone or has gone on", code="thread_has_gone_on")
    return _locked(connection, tenant, id)


def move_run(
    connection: Connection, tenant: str | None, id: str, hosted: HostedGraph, lease_seconds: float
) -> WorkflowRunRow:
    """Let a run that nobody drives go on under another version of its graph.

    Raises NotFound, Conflict where it is driven or over, or where the graph lacks a node that is to come.
    """
    row = _locked(connection, tenant, id)
    if row.state not in _MOVED:
        raise Conflict(f"run {id} is {row.state}; there is nothing of it to move", code="run_is_over")
    worker = workflow_workers.find(connection, row.owner) if row.state == "running" else None
    if worker is not None and worker.seen_at >= workflow_workers.time_now(connection) - lease_seconds:
        said = f"run {id} is driven by worker {worker.id} on {worker.host}; stop it first, or cancel the run"
        raise Conflict(said, code="run_is_driven")
    found = points.points_of(connection, row, 1)
    if found:
        require_nodes(found[0], hosted, row)
    workflow_runs.change_version(connection, id, hosted.version)
    return _locked(connection, tenant, id)


def _locked(connection: Connection, tenant: str | None, id: str) -> WorkflowRunRow:
    row = workflow_runs.lock(connection, id)
    if row is None or tenant not in (None, row.tenant):
        raise NotFound(f"there is no hosted run {id!r}", code="run_not_found")
    return row
