"""`trimtab load`: concurrent users play recorded runs at a live gateway; what they saw."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trimtab.cli.options import Json

if TYPE_CHECKING:
    from trimtab.simulation.loading import LoadOrder, LoadReport, Tally

_BUSY = 0.8
_SIZES_OFF = 0.25


def load(
    traces: Annotated[Path, typer.Option(help="Recorded runs, one JSON object a line (.gz or plain).")],
    users: Annotated[int, typer.Option(min=1, max=10_000, help="Users at once.")],
    url: Annotated[str, typer.Option(help="The gateway, as http://127.0.0.1:8080.")],
    key: Annotated[
        str,
        typer.Option(envvar="TRIMTAB_KEY", help="API key, if the gateway asks for one.", show_default=False),
    ] = "",
    seconds: Annotated[float, typer.Option(min=0.1, max=86_400, help="For so long.")] = 60.0,
    ramp: Annotated[float, typer.Option(min=0, max=86_400, help="Seconds over which users begin.")] = 0.0,
    model: Annotated[str, typer.Option(help="Ask for this model; default the recorded one.")] = "",
    workflow: Annotated[
        str, typer.Option(help="Call the runs' workflow this; default the recorded one.")
    ] = "",
    max_requests: Annotated[
        int | None, typer.Option(min=1, help="Stop after so many requests.", show_default=False)
    ] = None,
    speed: Annotated[
        float, typer.Option(min=0, max=10_000, help="Recorded pauses, divided by this; 0: no pauses.")
    ] = 1.0,
    scale: Annotated[float, typer.Option(min=0.0001, max=10, help="Recorded sizes, times this.")] = 1.0,
    timeout: Annotated[float, typer.Option(min=0.1, max=86_400, help="Seconds a call may take.")] = 300.0,
    json: Json = False,
) -> None:
    """Load a live gateway with recorded runs: latencies of calls and runs, refusals, cost. Real calls: they cost."""
    import msgspec

    from trimtab.simulation.loading import LoadOrder

    order = LoadOrder(
        traces, url, users, seconds, ramp, key, model, workflow, max_requests, speed, scale, timeout
    )
    report = _drive(order)
    if json:
        typer.echo(msgspec.json.encode(report).decode())
    else:
        _print(report)
    if not report.calls_answered:
        raise typer.Exit(1)


def _drive(order: "LoadOrder") -> "LoadReport":
    import uvloop
    from rich.console import Console
    from rich.progress import Progress, TextColumn

    from trimtab.simulation.loading import Load

    console = Console(stderr=True)
    with Progress(TextColumn("{task.description}"), console=console, disable=not console.is_terminal) as line:
        task = line.add_task("", total=None)
        driven = Load(
            order, lambda tally, at_work: line.update(task, description=_so_far(order, tally, at_work))
        )
        return uvloop.run(driven.drive())


def _so_far(order: "LoadOrder", tally: "Tally", at_work: int) -> str:
    recent = sorted(tally.calls[-200:])
    median = f"{recent[len(recent) // 2]:.2f} s" if recent else "-"
    refused, failed = sum(tally.refusals.values()), sum(tally.faults.values())
    return (
        f"{tally.seconds:.0f} of {order.seconds:.0f} s · {at_work:,} of {order.users:,} users · "
        f"{len(tally.calls):,} calls answered, the last ones in {median} · {refused:,} refused · {failed:,} failed"
    )


def _print(report: "LoadReport") -> None:
    from rich.table import Table

    from trimtab.cli.tables import print_wide, shown_usd

    runs = ", ".join(f"{count:,} {ending}" for ending, count in report.runs.items()) or "none"
    stopped = "interrupted after" if report.interrupted else "in"
    typer.echo(
        f"{report.users:,} users with {report.traces} at {report.url}, {stopped} {report.seconds:.1f} s"
    )
    typer.echo(f"runs: {runs}")
    typer.echo(
        f"calls: {report.calls:,} sent, {report.calls_answered:,} answered ({report.calls_per_second:.2f}/s, "
        f"{report.answered_without_model:,} of them without a model), {report.calls_cut_off:,} cut off at the end"
    )
    table = Table("seconds", "count", "p50", "p95", "p99")
    for name, measured in (
        ("call", report.call_seconds),
        ("first token (TTFT)", report.first_token_seconds),
        ("run", report.run_seconds),
    ):
        if measured is not None:
            figures = (f"{each:.3f}" for each in (measured.p50, measured.p95, measured.p99))
            table.add_row(name, f"{measured.count:,}", *figures)
    if table.row_count:
        print_wide(table)
    for name, counts in (("refused", report.refusals), ("failed", report.faults)):
        for code, count in counts.items():
            typer.echo(f"{name}: {count:,} x {code}")
    unknown = report.calls_of_unknown_cost
    told = shown_usd(report.nanodollars, unknown)
    typer.echo(f"cost: {told}" + (f" (unknown for {unknown:,} calls)" if unknown else ""))
    typer.echo(f"tokens: {report.input_tokens:,} in, {report.output_tokens:,} out")
    _print_doubts(report)


def _print_doubts(report: "LoadReport") -> None:
    if report.sizes is not None and abs(report.sizes - 1) > _SIZES_OFF:
        typer.echo(
            f"note: prompts had {report.sizes:.2f} times the recorded tokens, as the endpoint counts",
            err=True,
        )
    if report.runs_left_open:
        typer.echo(f"note: {report.runs_left_open:,} runs could not be closed at the gateway", err=True)
    if report.client_busy > _BUSY:
        typer.echo(
            f"note: this client used {report.client_busy:.2f} of a core: it may have been the limit, "
            "not the gateway; use fewer users, or several machines",
            err=True,
        )
