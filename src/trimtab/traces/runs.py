"""Runs as lists and by name, with what their status is told by. Read by the CLI and the console."""

from trimtab.config import Settings
from trimtab.core.errors import NotFound
from trimtab.store import Database, RunRow, RunStatus, Selection, Standing, runs


def completed_at(settings: Settings) -> dict[str, float]:
    """The reward by workflow from which a run counts as completed; 1.0 where it names none."""
    return {name: workflow.completed_at for name, workflow in settings.workflow.items()}


def standing_of(settings: Settings, now: float) -> Standing:
    """What the settings say of a run's status at `now` (epoch seconds)."""
    return Standing(completed_at(settings), now - settings.traces.idle_minutes * 60)


def list_runs(
    database: Database, selection: Selection, standing: Standing, status: RunStatus | None, limit: int
) -> list[RunRow]:
    """Runs that began in the selection's time, the latest first. Raises StoreUnavailable."""
    return database.read(lambda connection: runs.newest(connection, selection, standing, status, limit))


def find_run(database: Database, id: str, tenant: str | None, standing: Standing) -> RunRow:
    """The run of this id. Raises NotFound, also where several tenants have one and none is named."""
    selection = Selection(tenant=tenant, run=id)
    found = list_runs(database, selection, standing, None, 20)
    if not found:
        whose = f" of tenant {tenant!r}" if tenant is not None else ""
        raise NotFound(
            f"there is no run {id!r}{whose}; `trimtab traces list` shows runs", code="run_not_found"
        )
    if len(found) > 1:
        owners = ", ".join(sorted(run.tenant for run in found))
        raise NotFound(f"several tenants have a run {id!r} ({owners}): name one", code="run_ambiguous")
    return found[0]
