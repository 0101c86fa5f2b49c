"""`trimtab whatif`: what recorded calls would have cost, and where they would have gone, under another trimtab.toml."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trimtab.cli.options import Config, Json

if TYPE_CHECKING:
    from trimtab.simulation.whatif import WhatIf

_MOST_LINES = 20


def whatif(
    policy: Annotated[
        Path, typer.Option(help="The trimtab.toml to try: its policies, rules, models, prices and budgets.")
    ],
    since: Annotated[str, typer.Option(help="Calls from then on: 90m, 24h, 7d, or 2026-11-01.")] = "",
    until: Annotated[str, typer.Option(help="Calls up to then.")] = "",
    traces: Annotated[
        Path | None,
        typer.Option(help="A file of recorded runs (`trimtab traces export`) instead of the store."),
    ] = None,
    tenant: Annotated[str | None, typer.Option(help="Only of this tenant.")] = None,
    workflow: Annotated[str | None, typer.Option(help="Only of this workflow.")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write the report as Markdown here.")
    ] = None,
    config: Config = None,
    json: Json = False,
) -> None:
    """Replay recorded calls against other policies, prices and budgets. Nothing is sent to a model."""
    from trimtab.app.whatif import what_if
    from trimtab.cli.moments import selected
    from trimtab.store import Selection

    begin, end = selected(since, until)
    selection = Selection(since=begin, until=end, tenant=tenant, workflow=workflow)
    with _bar() as progress:
        report = what_if(policy, config, traces, selection, progress)
    if out is not None:
        _write(report, out)
    if json:
        import msgspec

        typer.echo(msgspec.json.encode(report).decode())
    else:
        _print(report)


def _write(report: "WhatIf", out: Path) -> None:
    from trimtab.core.errors import ConfigError
    from trimtab.simulation.whatif import markdown

    try:
        out.write_text(markdown(report), encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot be written: {error.strerror}", file=str(out), key="--out") from error
    typer.echo(f"wrote {out}", err=True)


@contextmanager
def _bar() -> "Iterator[Callable[[str, int, int], None]]":
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda what, done, total: bar.update(task, description=what, completed=done, total=total)


def _print(report: "WhatIf") -> None:
    from trimtab.simulation.whatif import MOVE_COLUMNS, SUMS_COLUMNS, completion_lines, move_cells, sums_cells

    typer.echo(
        f"{report.calls:,} calls of {report.source} under {report.policy}: {report.moved:,} would have moved"
    )
    lines = [sums_cells(line) for line in report.by["workflow"][:_MOST_LINES]]
    _table("by workflow", ("workflow", *SUMS_COLUMNS), lines, sums_cells(report.total))
    for field in ("step", "tenant"):
        if len(report.by[field]) > 1:
            lines = [sums_cells(line) for line in report.by[field][:_MOST_LINES]]
            _table(f"by {field}", (field, *SUMS_COLUMNS), lines)
    if report.moves:
        _table("moved calls", MOVE_COLUMNS, [move_cells(line) for line in report.moves[:_MOST_LINES]])
    _print_latency(report)
    for said in completion_lines(report.completions):
        typer.echo(said)
    if report.total.unpriced:
        typer.echo(
            f"≥: the new price of {report.total.unpriced:,} calls is not known; they are in no sum", err=True
        )
    if report.total.unpriced_recorded:
        typer.echo(f"≥: the recorded cost of {report.total.unpriced_recorded:,} calls is not known", err=True)
    for said in report.assumptions:
        typer.echo(f"assumed: {said}", err=True)


def _print_latency(report: "WhatIf") -> None:
    from trimtab.simulation.whatif import LATENCY_COLUMNS, latency_cells

    old, new = latency_cells(report.latency_recorded), latency_cells(report.latency_new)
    _table("latency of calls", LATENCY_COLUMNS, [["recorded", *old], ["new", *new]])


def _table(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], footer: Sequence[str] = ()
) -> None:
    from rich.table import Table

    from trimtab.cli.tables import plain, print_wide

    table = Table(title=title, title_justify="left", show_footer=bool(footer))
    words = {"from", "to", "workflow", "step", "tenant", "tokens", ""}
    for place, name in enumerate(columns):
        table.add_column(
            name, justify="left" if name in words else "right", footer=plain(footer[place]) if footer else ""
        )
    for row in rows:
        table.add_row(*(plain(cell) for cell in row))
    print_wide(table)
