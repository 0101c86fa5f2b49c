"""`trimtab traces list|show|export|import|prune`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trimtab.cli.options import Config, Json

if TYPE_CHECKING:
    from trimtab.traces import RunRow

app = typer.Typer(help="Traces: what every run did, said and cost.", no_args_is_help=True)
Tenant = Annotated[str | None, typer.Option(help="Only of this tenant.")]
Workflow = Annotated[str | None, typer.Option(help="Only of this workflow.")]
Since = Annotated[str, typer.Option(help="Runs that began since: 90m, 24h, 7d, or 2026-11-01.")]
Until = Annotated[str, typer.Option(help="Runs that began before.")]
_STATUSES = ("completed", "not completed", "unknown", "open")
_MOST_ERRORS = 20


@app.command("list")
def list_traces(
    workflow: Workflow = None,
    tenant: Tenant = None,
    user: Annotated[str | None, typer.Option(help="Only of this user.")] = None,
    status: Annotated[str, typer.Option(help="completed, not-completed, unknown or open.")] = "",
    since: Since = "",
    until: Until = "",
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="At most so many, the newest.")] = 50,
    config: Config = None,
    json: Json = False,
) -> None:
    """List runs, the newest first."""
    import msgspec

    from trimtab.app import open_database
    from trimtab.cli.moments import selected
    from trimtab.core import SystemClock, usd_text
    from trimtab.core.errors import ConfigError
    from trimtab.store import Selection

    wanted = status.replace("-", " ") or None
    if wanted is not None and wanted not in _STATUSES:
        raise ConfigError("expected completed, not-completed, unknown or open", key="--status")
    begin, end = selected(since, until)
    selection = Selection(since=begin, until=end, tenant=tenant, user=user, workflow=workflow)
    with open_database(config) as (settings, database):
        from trimtab.traces import list_runs, standing_of

        standing = standing_of(settings, SystemClock.now())
        rows = list_runs(database, selection, standing, wanted, limit)  # type: ignore[arg-type]
    if json:
        listed = [msgspec.to_builtins(row) | {"usd": usd_text(row.nanodollars)} for row in rows]
        typer.echo(msgspec.json.encode(listed).decode())
        return
    _print_runs(rows)


def _print_runs(rows: "list[RunRow]") -> None:
    from rich.table import Table

    from trimtab.cli.tables import plain, print_wide, shown_usd
    from trimtab.core import shown_time

    table = Table("run", "tenant", "workflow", "user", "began (UTC)", "calls", "cost", "status", "reward")
    for row in rows:
        reward = "" if row.reward is None else f"{row.reward:g}"
        names = (plain(name) for name in (row.id, row.tenant, row.workflow, row.user))
        cost = shown_usd(row.nanodollars, row.unpriced)
        table.add_row(*names, shown_time(row.started_at), f"{row.calls:,}", cost, row.status, reward)
    print_wide(table)


@app.command()
def show(
    run: Annotated[str, typer.Argument(help="Id of the run (see list).")],
    tenant: Annotated[str | None, typer.Option(help="Whose run, where several have one.")] = None,
    content: Annotated[bool, typer.Option("--content", help="What was said, too.")] = False,
    config: Config = None,
    json: Json = False,
) -> None:
    """Show a run: its steps, calls, attempts, decisions, costs and outcome."""
    import msgspec

    from trimtab.app import open_database
    from trimtab.cli.tables import print_wide
    from trimtab.cli.trace_tree import conversation_of, tree_of
    from trimtab.core import SystemClock

    with open_database(config) as (settings, database):
        from trimtab.traces import (
            chat_lines,
            find_run,
            read_tree,
            read_tree_with_content,
            standing_of,
            tree_json,
        )

        found = find_run(database, run, tenant, standing_of(settings, SystemClock.now()))
        tree = read_tree_with_content(database, found) if content and json else read_tree(database, found)
        lines = chat_lines(database, found) if content and not json else []
    if json:
        typer.echo(msgspec.json.encode(tree_json(tree)).decode())
        return
    print_wide(tree_of(tree))
    for line in lines:
        print_wide(conversation_of(line))


@app.command()
def export(
    format: Annotated[str, typer.Option(help="openai (chat lines) or otel (OTLP JSON lines).")] = "openai",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File (.gz packs it); default standard output.")
    ] = None,
    workflow: Workflow = None,
    tenant: Tenant = None,
    user: Annotated[str | None, typer.Option(help="Only of this user.")] = None,
    run: Annotated[str | None, typer.Option(help="Only this run.")] = None,
    since: Since = "",
    until: Until = "",
    config: Config = None,
) -> None:
    """Write runs out, one JSON object a line, in the order they began."""
    from trimtab.app import open_database
    from trimtab.cli.moments import selected
    from trimtab.core import SystemClock
    from trimtab.core.errors import ConfigError
    from trimtab.store import Selection

    begin, end = selected(since, until)
    selection = Selection(since=begin, until=end, tenant=tenant, user=user, workflow=workflow, run=run)
    with open_database(config) as (settings, database):
        from trimtab.traces import Exporter, find_run, providers_of, standing_of, write_lines

        standing = standing_of(settings, SystemClock.now())
        providers = providers_of(settings.endpoint)
        exporter = Exporter(database, standing, providers, settings.telemetry.service_name)
        if format not in exporter.formats:
            raise ConfigError(f"{format!r} is none; there are {', '.join(exporter.formats)}", key="--format")
        if run is not None:
            find_run(database, run, tenant, standing)
        lines = exporter.lines(selection, format)
        if output is not None:
            typer.echo(f"wrote {write_lines(output, lines):,} lines to {output}", err=True)
            return
        out = typer.get_binary_stream("stdout")
        for line in lines:
            out.write(line)


@app.command("import")
def import_traces(
    file: Annotated[Path, typer.Argument(help="Recorded runs, one JSON object a line (.gz or plain).")],
    tenant: Annotated[
        str | None, typer.Option(help="Whose runs; default what each line says, else `default`.")
    ] = None,
    config: Config = None,
) -> None:
    """Read recorded runs in. Again the same file: nothing changes. Budgets are not charged."""
    import sys

    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

    from trimtab.app import open_database
    from trimtab.core import SystemClock

    console = Console(stderr=True)
    bar = Progress(TextColumn("reading"), BarColumn(), DownloadColumn(), console=console, transient=True)
    with open_database(config) as (_, database), bar:
        from trimtab.traces import Importer

        task = bar.add_task("read", total=None)
        report = Importer(database, tenant, SystemClock.now()).read(
            file, lambda done, total: bar.update(task, completed=done, total=total)
        )
    typer.echo(
        f"{report.lines:,} lines: {report.runs:,} new runs with {report.calls:,} calls and "
        f"{report.entries:,} entries; {report.known:,} were here before; {len(report.errors):,} unreadable"
    )
    for error in report.errors[:_MOST_ERRORS]:
        typer.echo(f"trimtab: {error}", err=True)
    if len(report.errors) > _MOST_ERRORS:
        typer.echo(f"trimtab: and {len(report.errors) - _MOST_ERRORS:,} more", err=True)
    if report.errors:
        sys.exit(1)


@app.command()
def prune(
    before: Annotated[
        str, typer.Option(help="Delete what is older: 90d, or 2026-11-01; default [traces] retention_days.")
    ] = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    config: Config = None,
) -> None:
    """Delete old calls with all that was said, and their runs. Ledger entries stay."""
    from trimtab.app import open_database
    from trimtab.core import SystemClock, in_past, shown_time
    from trimtab.core.errors import ConfigError

    now = SystemClock.now()
    with open_database(config) as (settings, database):
        from trimtab.traces import prune as delete

        days = settings.traces.retention_days
        if not before and not days:
            raise ConfigError("[traces] retention_days keeps everything: name a time", key="--before")
        moment = in_past(before or f"{days}d", now)
        if not yes:
            typer.confirm(f"Delete the traces from before {shown_time(moment)} UTC?", abort=True)
        gone = delete(database, moment)
    typer.echo(f"deleted {gone.calls:,} calls and {gone.runs:,} runs; their ledger entries stay")
