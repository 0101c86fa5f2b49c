"""`trimtab runs list|show|cancel|retry|fork|move`: runs of hosted workflows, whichever process drives them."""

import sys
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from trimtab.cli.options import Config, Json

if TYPE_CHECKING:
    from trimtab.store import WorkflowRunRow

app = typer.Typer(
    help="Runs of hosted workflows: what they stand at, and what to do with them.", no_args_is_help=True
)
Run = Annotated[str, typer.Argument(help="Id of the run (see list).")]
Tenant = Annotated[str | None, typer.Option(help="Only of this tenant.")]


@app.command("list")
def list_runs(
    tenant: Tenant = None,
    workflow: Annotated[str | None, typer.Option(help="Only of this workflow.")] = None,
    state: Annotated[
        str,
        typer.Option(
            help="queued, running, waiting, done, failed, cancelled, parked, superseded; or several, with commas."
        ),
    ] = "",
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many, the newest.")] = 50,
    after: Annotated[
        str, typer.Option(help="Only runs older than this one: the last of the page before.")
    ] = "",
    config: Config = None,
    json: Json = False,
) -> None:
    """List runs, the newest first."""
    from typing import get_args

    import msgspec

    from trimtab.app import open_database
    from trimtab.core.errors import ConfigError
    from trimtab.store import WorkflowState, workflow_runs

    states: tuple[WorkflowState, ...] = tuple(name.strip() for name in state.split(",") if name.strip())  # type: ignore[misc]
    unknown = sorted(set(states) - set(get_args(WorkflowState)))
    if unknown:
        raise ConfigError(
            f"{', '.join(unknown)} is none of {', '.join(get_args(WorkflowState))}", key="--state"
        )
    page = partial(
        workflow_runs.page, tenant=tenant, workflow=workflow, states=states, before=after, limit=limit
    )
    with open_database(config) as (_, database):
        rows = database.transact(page)
    if json:
        from trimtab.traces import facts_json

        typer.echo(msgspec.json.encode([facts_json(row) for row in rows]).decode())
        return
    _print_runs(rows)
    if len(rows) == limit:
        typer.echo(f"older ones: --after {rows[-1].id}", err=True)


def _print_runs(rows: "list[WorkflowRunRow]") -> None:
    from rich.table import Table

    from trimtab.cli.tables import plain, print_wide
    from trimtab.core import shown_time

    table = Table("run", "tenant", "workflow", "state", "began (UTC)", "last change", "thread", "why")
    for row in rows:
        times = (shown_time(row.created_at), shown_time(row.updated_at))
        names = (plain(name) for name in (row.id, row.tenant, row.workflow, row.state))
        why = row.error.splitlines()[0] if row.error else row.origin
        table.add_row(*names, *times, plain(row.thread), plain(why))
    print_wide(table)


@app.command()
def show(
    run: Run,
    tenant: Tenant = None,
    points: Annotated[int, typer.Option(min=0, help="Show so many checkpoints, the newest.")] = 50,
    config: Config = None,
    json: Json = False,
) -> None:
    """Show a run: what it stands at, what it waits for, what its steps cost, and where it can be forked."""
    from trimtab.app.runs import view_run
    from trimtab.cli.run_view import print_view, view_json

    view = view_run(config, tenant, run, points)
    if json:
        typer.echo(view_json(view))
    else:
        print_view(view)


@app.command()
def cancel(run: Run, tenant: Tenant = None, config: Config = None, json: Json = False) -> None:
    """End a run, with the calls under way; what its steps did stays."""
    from trimtab.app.runs import cancel_run

    row = cancel_run(config, tenant, run)
    told = "is asked to end; its worker hears of it" if row.state == "running" else "is cancelled"
    _say(row, f"run {row.id} {told}", json=json)


@app.command()
def retry(run: Run, tenant: Tenant = None, config: Config = None, json: Json = False) -> None:
    """Queue a parked or failed run again: it goes on with the step it failed in."""
    from trimtab.app.runs import retry_run

    row = retry_run(config, tenant, run)
    _say(
        row, f"run {row.id} is queued: a worker goes on with it, or trimtab run --resume {row.id}", json=json
    )


@app.command()
def fork(
    run: Run,
    checkpoint: Annotated[str, typer.Option("--from", help="The checkpoint to begin at (see show).")] = "",
    step: Annotated[
        int | None, typer.Option(help="The same by its step; default where the run stands.")
    ] = None,
    update: Annotated[
        str | None, typer.Option(help="Change the state there first: JSON, as a node returns it.")
    ] = None,
    as_node: Annotated[str, typer.Option(help="The node that is to have made the change.")] = "",
    here: Annotated[bool, typer.Option("--run", help="Run it here and now; else a worker does.")] = False,
    tenant: Tenant = None,
    config: Config = None,
    json: Json = False,
) -> None:
    """Begin a new run at a step of one that is over, waits or is parked; what it costs is its own."""
    from trimtab.app import load_config, running
    from trimtab.cli.running import print_finished

    wanted = running.ForkWanted(
        run, tenant, checkpoint, step, None if update is None else update.encode(), as_node
    )
    finished = running.fork(
        load_config(config), wanted, lambda id: typer.echo(f"run {id}", err=True), here=here
    )
    if not here:
        row = finished.run
        _say(row, f"run {row.id}, a fork of {run}, is {row.state}: a worker drives it", json=json)
        return
    print_finished(finished, json=json)
    if finished.run.state not in ("done", "waiting"):
        sys.exit(1)


@app.command()
def move(
    run: Run,
    to_version: Annotated[
        str, typer.Option(help="The version that must be hosted by these settings; default whichever is.")
    ] = "",
    tenant: Tenant = None,
    config: Config = None,
    json: Json = False,
) -> None:
    """Let a run that nobody drives go on under the version of its graph that is hosted now."""
    from trimtab.app import load_config, running

    row = running.move(load_config(config), run, tenant, to_version)
    _say(row, f"run {row.id} is {row.state} on version {row.version} now", json=json)


def _say(row: "WorkflowRunRow", told: str, *, json: bool) -> None:
    import msgspec

    from trimtab.traces import facts_json

    typer.echo(msgspec.json.encode(facts_json(row)).decode() if json else told)
