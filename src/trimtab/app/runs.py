"""Looks at runs of hosted workflows and tells them what to do, from a process that drives none: `trimtab runs`."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from sqlalchemy import Connection

from trimtab.app.hosting import load_graphs
from trimtab.app.store import load_config, open_database
from trimtab.core import SystemClock
from trimtab.core.errors import ConfigError, Conflict, NotFound
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


def move_run(config: Path | None, tenant: str | None, id: str, version: str) -> WorkflowRunRow:
    """Move a run that nobody drives to the version of its graph that the settings host; it must be `version`, where one
    is named. Raises ConfigError, StoreUnavailable, NotFound, Conflict."""
    _require_workflows()
    from trimtab.workflows import in_process_urls
    from trimtab.workflows import move_run as move

    loaded = load_config(config)
    with open_database(config) as (settings, database):
        row = database.transact(partial(workflow_runs.find, id=id))
        if row is None or tenant not in (None, row.tenant):
            raise NotFound(f"there is no hosted run {id!r}", code="run_not_found")
        hosted = load_graphs(loaded).get(row.workflow)
        if hosted is None:
            raise NotFound(f"no graph is hosted here for workflow {row.workflow!r} of run {id}")
        if version not in ("", hosted.version):
            raise Conflict(f"version {hosted.version} of {row.workflow!r} is hosted here, not {version}")
        lease = settings.hosting.lease_seconds
        return database.transact(partial(move, tenant=tenant, id=id, hosted=hosted, lease_seconds=lease))


def _require_workflows() -> None:
    try:
        import trimtab.workflows  # noqa: F401
    except ModuleNotFoundError as error:
        raise ConfigError(f"runs of hosted workflows need {error.name}: pip install 'trimtab[workflows]'") from error
