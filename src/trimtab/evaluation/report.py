"""A report of an evaluation as values, and as Markdown. Pure; whoever calls it writes the files.

Every line of a comparison carries its interval by run; free tables stand beside it for what is counted otherwise
(calls saved per tool, variants of a model, calibration).
"""

import math
from collections.abc import Sequence
from typing import Literal

import msgspec

from trimtab.evaluation.calibration import Calibration
from trimtab.evaluation.outcomes import Outcomes, Played
from trimtab.evaluation.plane import Mark, Plane, draw_plane
from trimtab.evaluation.resampling import Interval, Resamples

Cell = str | int | float | Interval | None
Unit = Literal["", "%", "points", "USD", "s"]


class Column(msgspec.Struct, frozen=True):
    """A heading and how its figures are shown; shares are kept as 0..1 and shown in per cent."""

    heading: str
    unit: Unit = ""


class Table(msgspec.Struct, frozen=True):
    """Rows of cells under columns."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""


class Line(msgspec.Struct, frozen=True):
    """One policy on all runs. `cost_at_best` is its lowest cost at completions >= the best single model's (picked
    on the judged runs, so a description and no promise). `versus_...` are paired differences in completions: to the
    best single model, to the mixture of singles at the same cost, and to the model that was to be reached."""

    name: str
    mark: Mark
    completions: Interval
    cost: Interval
    cost_per_completed: Interval | None
    cost_at_best: float | None
    versus_best: Interval
    versus_mixture: Interval | None
    versus_reference: Interval | None
    seconds: float | None
    attempts: float


class Report(msgspec.Struct, frozen=True):
    """What was judged, on what, how, and what came out."""

    title: str
    subject: str
    data: str
    runs: int
    groups: int
    command: str = ""
    claims: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    lines: tuple[Line, ...] = ()
    tables: tuple[Table, ...] = ()
    plane: Plane | None = None


def line_of(
    played: Played,
    mark: Mark,
    best: Played,
    resamples: Resamples,
    cost_at_best: float | None = None,
    mixture: Played | None = None,
    reference: Played | None = None,
) -> Line:
    """A policy's figures beside the best single model, the mixture at its cost, and the model to be reached."""
    seconds = float(played.seconds.mean())
    return Line(
        played.name,
        mark,
        resamples.mean(played.reward),
        resamples.mean(played.cost),
        resamples.ratio(played.cost, played.reward),
        cost_at_best,
        resamples.difference(played.reward, best.reward),
        resamples.difference(played.reward, mixture.reward) if mixture else None,
        resamples.difference(played.reward, reference.reward) if reference else None,
        seconds if math.isfinite(seconds) else None,
        float(played.attempts.mean()),
    )


def calibration_table(title: str, named: Sequence[tuple[str, Calibration]], note: str = "") -> Table:
    """Calibration figures, one row each."""
    columns = (
        Column("confidence of"),
        Column("rows"),
        Column("ECE", "points"),
        Column("AUROC"),
        Column("promised precision", "%"),
        Column("threshold"),
        Column("answered at it", "%"),
    )
    rows = tuple(
        (name, c.rows, c.ece, round(c.auroc, 3), c.precision, c.threshold, c.coverage) for name, c in named
    )
    return Table(title, columns, rows, note)


def markdown(report: Report) -> str:
    """The report as a page."""
    told = f"{report.subject}, on {report.data}: {report.runs:,} runs, {report.groups:,} groups."
    parts = [f"# {report.title}", told]
    if report.command:
        parts.append(f"```\n{report.command}\n```")
    parts += ["\n".join(f"- {claim}" for claim in report.claims)] if report.claims else []
    parts += [_comparison(report.lines)] if report.lines else []
    parts += ["![Cost and completions](frontier.svg)"] if report.plane else []
    parts += [_table(table) for table in report.tables]
    parts += (
        ["## How it was judged\n\n" + "\n".join(f"- {note}" for note in report.notes)] if report.notes else []
    )
    return "\n\n".join(parts) + "\n"


def drawing(report: Report) -> str | None:
    """The report's plane as SVG."""
    return draw_plane(report.plane) if report.plane else None


def outcomes_shape(outcomes: Outcomes) -> str:
    """Tasks, models and repeats in words."""
    tasks, models, repeats = outcomes.reward.shape
    return f"{tasks:,} tasks x {models} models" + (f" x {repeats} repeats" if repeats > 1 else "")


def _comparison(lines: Sequence[Line]) -> str:
    columns = (
        Column("policy"),
        Column("kind"),
        Column("completed", "%"),
        Column("against best single", "points"),
        Column("against mixture at its cost", "points"),
        Column("cost per run", "USD"),
        Column("cost per completed run", "USD"),
        Column("least cost at completions >= best single", "USD"),
        Column("latency", "s"),
        Column("attempts"),
    )
    rows = tuple(
        (
            line.name,
            line.mark,
            line.completions,
            line.versus_best,
            line.versus_mixture,
            line.cost,
            line.cost_per_completed,
            line.cost_at_best,
            line.seconds,
            round(line.attempts, 2),
        )
        for line in lines
    )
    return _table(Table("Comparison", columns, rows, "In brackets: 95 % intervals, groups resampled."))


def _table(table: Table) -> str:
    head = "| " + " | ".join(column.heading for column in table.columns) + " |"
    rule = "|" + "|".join(" --- " if not i else " ---: " for i in range(len(table.columns))) + "|"
    body = [
        "| " + " | ".join(shown(cell, c.unit) for cell, c in zip(row, table.columns, strict=True)) + " |"
        for row in table.rows
    ]
    note = f"\n\n{table.note}" if table.note else ""
    return f"## {table.title}\n\n" + "\n".join([head, rule, *body]) + note


def shown(cell: Cell, unit: Unit = "") -> str:
    """A cell as people read it."""
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return "–"
    if isinstance(cell, Interval):
        low, high = shown(cell.low, unit), "unbounded" if cell.high is None else shown(cell.high, unit)
        return f"{shown(cell.value, unit)} [{low.removesuffix(' %')}, {high.removesuffix(' %')}]"
    if isinstance(cell, str):
        return cell.replace("|", "\\|").replace("\n", " ")
    if unit == "%":
        return f"{cell * 100:.1f} %"
    if unit == "points":
        return f"{cell * 100:+.1f}"
    if unit == "USD":
        return f"{cell:.4g}"
    if isinstance(cell, int):
        return f"{cell:,}"
    return f"{cell:.3g}" if unit else f"{cell:g}" if cell == round(cell, 3) else f"{cell:.3f}"
