"""Prints the demo's second half: what was learned, and the same new tasks before and after, side by side."""

from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from trimtab.app.comparison import ArmAccount, Comparison
    from trimtab.app.lesson import Lesson
    from trimtab.simulation import Percentiles


def print_lesson(lesson: "Lesson") -> None:
    """What it saw, what it promised, what held-out tasks said."""
    metrics = lesson.metrics
    typer.echo(f"\nlearned {lesson.controller} from its own {lesson.runs} runs in {lesson.seconds:.1f} s")
    typer.echo(
        f"  promised  {lesson.promised:.0%} of its lookups are ones the model makes too, at once or later; "
        f"where it claims the whole action, {lesson.promised_exact:.0%}"
    )
    whole = (
        f"{metrics['exact_precision']:.1%} of {metrics['exact_emitted']:.0f}"
        if metrics["exact_emitted"]
        else "no"
    )
    typer.echo(
        f"  held out  {metrics['eager_precision']:.1%} of {metrics['eager_emitted']:.0f} lookups were, "
        f"{whole} whole actions; {metrics['eager_saved']:.1%} of all calls saved ({lesson.held_out})"
    )
    typer.echo("  passed" if lesson.passed else f"  not passed, so not enabled: {'; '.join(lesson.misses)}")


def print_comparison(comparison: "Comparison") -> None:
    """Two columns, and how they differ."""
    from rich.console import Console
    from rich.table import Table

    before, after = comparison.before, comparison.after
    table = Table("", "without controllers", "with controllers", "change")
    for column in table.columns[1:]:
        column.justify = "right"
    for row in _rows(before, after):
        table.add_row(*row)
    console = Console(width=120)
    console.print(
        f"\n[bold]new customers, new tasks[/bold]: {comparison.pairs} tasks of {comparison.users} customers "
        f"whom the first act never saw, each played twice",
        highlight=False,
    )
    console.print(table)
    console.print(
        f"completed only without: {comparison.only_before}, only with: {comparison.only_after}. "
        f"The expert and its latency are simulated, the same in both: {comparison.latency}. "
        f"Prices are the demo's own. The ledger's estimate takes nothing for cached, and is never taken off a sum; "
        f"between the two columns ${comparison.saved_usd_measured} was saved in fact.",
        highlight=False,
    )


def _rows(before: "ArmAccount", after: "ArmAccount") -> "list[tuple[str, str, str, str]]":
    return [
        _row("runs", before.runs, after.runs, sign=False),
        _row("runs completed", before.completed, after.completed),
        ("completion rate", _rate(before), _rate(after), ""),
        _row("calls", before.calls, after.calls),
        _row("answered by the model", before.calls_of_model, after.calls_of_model),
        _row("answered with zero tokens", before.calls_of_controller, after.calls_of_controller, sign=False),
        _money("cost", before.cost_usd, after.cost_usd),
        _money("cost per completed run", before.cost_per_completed_usd, after.cost_per_completed_usd),
        ("saved, the ledger's estimate", f"${before.saved_usd_estimate}", f"${after.saved_usd_estimate}", ""),
        *_latency("a call", before.call_seconds, after.call_seconds),
        *_latency("a call with zero tokens", before.controller_seconds, after.controller_seconds),
        *_latency("a run", before.run_seconds, after.run_seconds),
    ]


def _row(name: str, before: int, after: int, *, sign: bool = True) -> tuple[str, str, str, str]:
    return name, f"{before:,}", f"{after:,}", _change(before, after) if sign else ""


def _rate(arm: "ArmAccount") -> str:
    return f"{arm.completed / max(arm.runs, 1):.1%}"


def _money(name: str, before: str | None, after: str | None) -> tuple[str, str, str, str]:
    if before is None or after is None:
        return name, f"${before}" if before else "unknown", f"${after}" if after else "unknown", ""
    return name, f"${before}", f"${after}", _change(float(before), float(after))


def _latency(
    name: str, before: "Percentiles | None", after: "Percentiles | None"
) -> "list[tuple[str, str, str, str]]":
    rows = []
    for part in ("p50", "p95"):
        first, second = _seconds(before, part), _seconds(after, part)
        change = "" if first is None or second is None else _change(first, second)
        rows.append((f"{part} of {name}", _milliseconds(first), _milliseconds(second), change))
    return rows


def _seconds(seen: "Percentiles | None", part: str) -> float | None:
    return None if seen is None else float(getattr(seen, part))


def _milliseconds(seconds: float | None) -> str:
    return "–" if seconds is None else f"{1000 * seconds:,.0f} ms"


def _change(before: float, after: float) -> str:
    return f"{(after - before) / before:+.1%}" if before else ""
