"""`trimtab costs`: where the money went, and what a completed run costs."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from trimtab.cli.options import Config, Json

if TYPE_CHECKING:
    from trimtab.config import Settings
    from trimtab.store import Database, Selection
    from trimtab.traces import CompletionLine, CostSums

Format = Literal["table", "json", "csv"]
Line = Mapping[str, str | int | None]
_NOTED = (
    *("cached_tokens", "estimated_usd", "unpriced", "upstream_usd", "saved_usd_estimated"),
    *("unknown_usd", "unknown"),
)
_SHOWN = {
    "usd": "cost",
    "saved_usd_estimated": "saved (estimate)",
    "usd_per_completed": "cost per completed run",
}


def costs(
    by: Annotated[
        str,
        typer.Option(
            help="Fields, by commas: tenant, user, key, workflow, run, step, model, endpoint, kind, "
            "certainty, day (UTC). With --completed: tenant, user, workflow, agent, task, day."
        ),
    ] = "workflow",
    since: Annotated[str, typer.Option(help="From then on: 90m, 24h, 7d, or 2026-11-01.")] = "",
    until: Annotated[str, typer.Option(help="Up to then.")] = "",
    tenant: Annotated[str | None, typer.Option(help="Only of this tenant.")] = None,
    user: Annotated[str | None, typer.Option(help="Only of this user.")] = None,
    workflow: Annotated[str | None, typer.Option(help="Only of this workflow.")] = None,
    run: Annotated[str | None, typer.Option(help="Only of this run.")] = None,
    completed: Annotated[
        bool, typer.Option("--completed", help="Runs by outcome, and the cost per completed run.")
    ] = False,
    config: Config = None,
    json: Json = False,
    csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
) -> None:
    """Show exact costs from the ledger."""
    from trimtab.app import open_database
    from trimtab.cli.moments import selected
    from trimtab.store import Selection

    begin, end = selected(since, until)
    selection = Selection(since=begin, until=end, tenant=tenant, user=user, workflow=workflow, run=run)
    make = _completion if completed else _costs
    with open_database(config) as (settings, database):
        fields, lines, total = make(settings, database, by, selection)
    if json:
        import msgspec

        typer.echo(msgspec.json.encode({"by": fields, "rows": lines, "total": total}).decode())
    elif csv:
        _print_csv(lines, total)
    else:
        _print_table(fields, lines, total)


def _costs(
    settings: "Settings", database: "Database", by: str, selection: "Selection"
) -> tuple[list[str], list[Line], Line]:
    from typing import get_args

    from trimtab.traces import CostField, cost_report

    fields: Any = tuple(_fields(by, get_args(CostField)))
    report = cost_report(database, fields, selection)
    rows = [_cost_line(fields, row) for row in report.rows]
    return list(fields), rows, _cost_line((), report.total)


def _completion(
    settings: "Settings", database: "Database", by: str, selection: "Selection"
) -> tuple[list[str], list[Line], Line]:
    from typing import get_args

    from trimtab.traces import CompletionField, completed_at, completion_report

    fields: Any = tuple(_fields(by, get_args(CompletionField)))
    report = completion_report(database, fields, selection, completed_at(settings))
    rows = [_completion_line(fields, row) for row in report.rows]
    return list(fields), rows, _completion_line((), report.total)


def _fields(by: str, known: Sequence[str]) -> list[str]:
    from trimtab.core.errors import ConfigError

    named = [name for name in (part.strip() for part in by.split(",")) if name]
    strange = [name for name in named if name not in known]
    if strange:
        raise ConfigError(f"{strange[0]!r} is no field; there are {', '.join(known)}", key="--by")
    return list(dict.fromkeys(named))


def _cost_line(by: Sequence[str], row: "CostSums") -> Line:
    from trimtab.core import usd_text

    return dict(zip(by, row.fields, strict=True)) | {
        "calls": row.calls,
        "runs": row.runs,
        "entries": row.entries,
        "input_tokens": row.input_tokens,
        "cached_tokens": row.cached_tokens,
        "output_tokens": row.output_tokens,
        "usd": usd_text(row.nanodollars),
        "nanodollars": row.nanodollars,
        "estimated_usd": usd_text(row.estimated_nanodollars),
        "unpriced": row.unpriced,
        "upstream_usd": usd_text(row.upstream_nanodollars),
        "saved_usd_estimated": usd_text(row.saved_nanodollars),
    }


def _completion_line(by: Sequence[str], row: "CompletionLine") -> Line:
    from trimtab.core import usd_text

    each = row.nanodollars_per_completed
    return dict(zip(by, row.fields, strict=True)) | {
        "runs": row.runs,
        "known": row.known,
        "completed": row.completed,
        "unknown": row.unknown,
        "usd": usd_text(row.nanodollars),
        "nanodollars": row.nanodollars,
        "usd_per_completed": None if each is None else usd_text(each),
        "unpriced": row.unpriced,
        "upstream_usd": usd_text(row.upstream_nanodollars),
        "unknown_usd": usd_text(row.unknown_nanodollars),
    }


def _print_csv(lines: Sequence[Line], total: Line) -> None:
    import csv
    import sys

    writer = csv.DictWriter(sys.stdout, list(lines[0] if lines else total), lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)


def _print_table(fields: Sequence[str], lines: Sequence[Line], total: Line) -> None:
    """Columns that say nothing (no cached tokens, nothing estimated, ...) are left out."""
    from rich.table import Table

    from trimtab.cli.tables import plain, print_wide

    idle = {name for name in _NOTED if not str(total.get(name, "")).strip("0.")}
    names = [name for name in total if name not in idle and name != "nanodollars"]
    table = Table(show_footer=bool(fields))
    for field in fields:
        table.add_column(field, footer="all" if field == fields[0] else "")
    for name in names:
        header = _SHOWN.get(name, name.replace("_", " "))
        table.add_column(header, justify="right", footer=_cell(name, total))
    for line in lines:
        table.add_row(
            *(plain(str(line[field])) or "-" for field in fields), *(_cell(name, line) for name in names)
        )
    print_wide(table)
    if total.get("unpriced"):
        typer.echo(
            "≥: the price of a part is not known ([[model]] price in trimtab.toml names one)", err=True
        )


def _cell(name: str, line: Line) -> str:
    value = line[name]
    if "usd" not in name:
        return f"{value:,}"
    if value is None:
        return "none completed"
    bound = "≥ " if line["unpriced"] and name in ("usd", "usd_per_completed") else ""
    return f"{bound}${value}"
