"""Looks at runs of hosted workflows and tells them what to do, from a process that drives none: `trimtab runs`."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from sqlalchemy import Connection

from trimtab.app.store import open_database
from trimtab.core import SystemClock
from trimtab.core.errors import ConfigError, NotFound
from trimtab.store import (
    QuestionRow,
    WorkerRow,
    WorkflowRunRow,
    workflow_questions,
    workflow_runs,
    workflow_workers,
)
from trimtab.traces import RunTree, find_run, read_tree, standing_of

if TYPE_CHECKING:
    from trimtab.workflows import Point


class RunView(msgspec.Struct, frozen=True):
    """A run as it stands: who drives it and when that worker was last heard of, what it waits for, its points, the
    latest first, and its trace; None where it made no model call."""

    run: WorkflowRunRow
    worker: WorkerRow | None
    heard_seconds: float
    questions: list[QuestionRow]
    points: "list[Point]"
    tree: RunTree | None


def view_run(config: Path | None, tenant: str | None, id: str, most_points: int) -> RunView:
    """A run. Raises ConfigError, StoreUnavailable, NotFound."""
    _require_workflows()
    from trimtab.workflows import points_of

    with open_database(config) as (settings, database):

        def work(connection: Connection) -> RunView:
            row = workflow_runs.find(connection, id)
            if row is None or tenant not in (None, row.tenant):
                raise NotFound(f"there is no hosted run {id!r}", code="run_not_found")
            worker = workflow_workers.find(connection, row.owner) if row.owner else None
            heard = 0.0 if worker is None else workflow_workers.time_now(connection) - worker.seen_at
            questions = workflow_questions.open_of_run(connection, id)
            return RunView(row, worker, heard, questions, points_of(connection, row, most_points), None)

        view = database.transact(work)
        try:
            found = find_run(database, id, view.run.tenant, standing_of(settings, SystemClock.now()))
        except NotFound:
            return view
        return msgspec.structs.replace(view, tree=read_tree(database, found))


def cancel_run(config: Path | None, tenant: str | None, id: str) -> WorkflowRunRow:
    """Ask that a run ends. Raises ConfigError, StoreUnavailable, NotFound, Conflict."""
    _require_workflows()
    from trimtab.workflows import cancel_run as cancel

    with open_database(config) as (_, database):
        return database.transact(partial(cancel, tenant=tenant, id=id))


def retry_run(config: Path | None, tenant: str | None, id: str) -> WorkflowRunRow:
    """Queue a parked or failed run again. Raises ConfigError, StoreUnavailable, NotFound, Conflict."""
    _require_workflows()
    from trimtab.workflows import retry_run as retry

    with open_database(config) as (_, database):
        return database.transact(partial(retry, tenant=tenant, id=id))


def _require_workflows() -> None:
    try:
        import trimtab.workflows  # noqa: F401
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"runs of hosted workflows need {error.name}: pip install 'trimtab[workflows]'"
        ) from error
