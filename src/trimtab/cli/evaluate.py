"""`trimtab evaluate`: what learned policies complete and cost on recorded runs, beside floors and ceilings."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trimtab.cli.options import Config, Json

if TYPE_CHECKING:
    from trimtab.evaluation import Report
    from trimtab.learning import PolicyKind, RecordedSet, Terms


def evaluate(
    subject: Annotated[
        str,
        typer.Argument(
            help="tfidf, route, threshold, cascade, by commas; or all. Or a controller: "
            "WORKFLOW/KIND, WORKFLOW/KIND@VERSION, or its folder."
        ),
    ],
    on: Annotated[
        str,
        typer.Option(
            help="mcpmark, openhands_index, bfcl_v1 or routellm (folders in $TRIMTAB_DATA); a JSON Lines file "
            "of outcomes, of recorded runs or of labelled rows; or traces: the runs kept here."
        ),
    ],
    against: Annotated[
        str,
        typer.Option(
            help="The model whose completions are to be reached; default the set's own or the best."
        ),
    ] = "",
    share: Annotated[
        float, typer.Option(min=0.001, max=10, help="How much of that model's cost a policy may spend.")
    ] = 0.25,
    seed: Annotated[int, typer.Option(min=0, help="Of folds, learners and resamples.")] = 0,
    tenant: Annotated[str | None, typer.Option(help="Of traces, only this tenant's.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for report.md, report.json, frontier.svg.")] = None,
    config: Config = None,
    json: Json = False,
) -> None:
    """Judge learned routes, cascades and packaged controllers on recorded runs."""
    from trimtab.learning import Terms

    if "/" in subject:
        from trimtab.cli.examination import examine

        _say(examine(subject, on, tenant, config), out, json=json)
        return
    kinds = _kinds(subject)
    recorded = _recorded(on, tenant, config)
    named = f" --against {against}" if against else ""
    command = f"trimtab evaluate {subject} --on {on}{named} --share {share:g} --seed {seed}"
    report = _judge(recorded, kinds, Terms(against, share, seed, command))
    _say(report, out, json=json)


def _say(report: "Report", out: Path | None, *, json: bool) -> None:
    from trimtab.learning import report_json, write_report

    for path in write_report(report, out) if out else ():
        typer.echo(f"wrote {path}", err=True)
    if json:
        typer.echo(report_json(report), nl=False)
    elif report.lines:
        _print(report)
    else:
        from trimtab.evaluation import markdown

        typer.echo(markdown(report))


def _kinds(subject: str) -> "list[PolicyKind]":
    from trimtab.core.errors import ConfigError
    from trimtab.learning import POLICIES

    named = [name for name in (part.strip() for part in subject.split(",")) if name]
    strange = [name for name in named if name not in POLICIES and name != "all"]
    if strange or not named:
        raise ConfigError(f"{subject!r} is no policy; there are {', '.join(POLICIES)}, all", key="SUBJECT")
    return [name for name in POLICIES if name in named or "all" in named]


def _recorded(on: str, tenant: str | None, config: Path | None) -> "RecordedSet":
    import os

    from trimtab.core.errors import ConfigError
    from trimtab.learning import SETS, read_outcomes, read_set

    if on == "traces":
        return _from_traces(config, tenant)
    if Path(on).is_file():
        return read_outcomes(Path(on))
    if on in SETS:
        return read_set(on, Path(os.environ.get("TRIMTAB_DATA", "../shared/data")))
    sets = ", ".join(SETS)
    raise ConfigError(f"{on!r} is neither a file nor a known set; there are {sets}, traces", key="--on")


def _from_traces(config: Path | None, tenant: str | None) -> "RecordedSet":
    from trimtab.app import open_database
    from trimtab.cli.recordings import recorded_lines
    from trimtab.learning import outcomes_of_lines

    with open_database(config) as (settings, database):
        return outcomes_of_lines(recorded_lines(settings, database, tenant=tenant), "traces")


def _judge(recorded: "RecordedSet", kinds: "list[PolicyKind]", terms: "Terms") -> "Report":
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from trimtab.core.errors import ConfigError
    from trimtab.learning import compare

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    console = Console(stderr=True)
    try:
        with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
            task = bar.add_task(f"folds of {recorded.name}", total=None)
            return compare(
                recorded, kinds, terms, lambda done, total: bar.update(task, completed=done, total=total)
            )
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"{error.name} is not installed: pip install 'trimtab[learn]'", key="SUBJECT"
        ) from error


def _print(report: "Report") -> None:
    from rich.table import Table

    from trimtab.cli.tables import plain, print_wide
    from trimtab.evaluation import shown

    table = Table(
        "policy", "kind", "completed", "against best single", "USD per run", "USD per completed run"
    )
    for line in report.lines:
        figures = (
            shown(line.completions, "%"),
            shown(line.versus_best, "points"),
            shown(line.cost, "USD"),
            shown(line.cost_per_completed, "USD"),
        )
        table.add_row(plain(line.name), line.mark, *(plain(figure) for figure in figures))
    print_wide(table)
    for claim in report.claims:
        typer.echo(claim)
