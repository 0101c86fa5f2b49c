"""`trimtab evaluate`: what learned policies complete and cost on recorded runs, beside floors and ceilings."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trimtab.cli.options import Config, Json

if TYPE_CHECKING:
    from trimtab.controllers import Package
    from trimtab.evaluation import Report
    from trimtab.learning import Episode, PolicyKind, RecordedSet, Terms


def evaluate(
    subject: Annotated[
        str,
        typer.Argument(
            help="tfidf, route, threshold, cascade, by commas; or all. Or a step controller: "
            "WORKFLOW/step, WORKFLOW/step@VERSION, or its folder."
        ),
    ],
    on: Annotated[
        str,
        typer.Option(
            help="mcpmark, openhands_index, bfcl_v1 or routellm (folders in $TRIMTAB_DATA); a JSON Lines file "
            "of outcomes or of recorded runs; or traces: the runs kept here."
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
    out: Annotated[Path | None, typer.Option(help="Folder for report.md, report.json, frontier.svg.")] = None,
    config: Config = None,
    json: Json = False,
) -> None:
    """Judge learned routes, cascades and packaged controllers on recorded runs."""
    from trimtab.learning import Terms

    controller = _controller(subject, config)
    if controller is not None:
        _say(_examined(controller, subject, on, config), out, json=json)
        return
    kinds = _kinds(subject)
    recorded = _recorded(on, config)
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


def _controller(subject: str, config: Path | None) -> "Package | None":
    """The packaged step controller that is meant; None where the subject names policies."""
    from trimtab.app import load_config
    from trimtab.app.store import controller_folder
    from trimtab.controllers import Registry, place_of
    from trimtab.core.errors import ConfigError

    if "/" not in subject:
        return None
    folder = Path(subject)
    if folder.is_dir():
        workflow, kind, version = place_of(folder.resolve())
        registry = Registry(folder.resolve().parents[2])
    else:
        name, _, version = subject.partition("@")
        workflow, _, kind = name.rpartition("/")
        registry = Registry(controller_folder(load_config(config).settings))
        version = version or next(iter(reversed(registry.versions(workflow, kind))), "")
    if kind != "step" or not version:
        known = ", ".join(registry.versions(workflow, kind)) or "none"
        raise ConfigError(f"{subject!r} is no step controller here (versions: {known})", key="SUBJECT")
    return registry.open(workflow, kind, version)


def _examined(package: "Package", subject: str, on: str, config: Path | None) -> "Report":
    from rich.console import Console
    from rich.progress import Progress

    from trimtab.controllers import StepController
    from trimtab.learning import examine_step

    manifest = package.manifest
    controller = StepController.load(package.folder, manifest.name, manifest.version)
    episodes = _episodes(on, manifest.workflow, config)
    console = Console(stderr=True)
    with Progress(console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("recorded conversations", total=len(episodes))
        command = f"trimtab evaluate {subject} --on {on}"
        return examine_step(
            controller, episodes, manifest.title, command, lambda done, _: bar.update(task, completed=done)
        )


def _episodes(on: str, workflow: str, config: Path | None) -> "list[Episode]":
    from trimtab.core.errors import ConfigError
    from trimtab.learning import read_episodes

    if not Path(on).is_file():
        raise ConfigError(f"{on!r} is no file of recorded runs", key="--on")
    return read_episodes(Path(on), workflow)


def _kinds(subject: str) -> "list[PolicyKind]":
    from trimtab.core.errors import ConfigError
    from trimtab.learning import POLICIES

    named = [name for name in (part.strip() for part in subject.split(",")) if name]
    strange = [name for name in named if name not in POLICIES and name != "all"]
    if strange or not named:
        raise ConfigError(f"{subject!r} is no policy; there are {', '.join(POLICIES)}, all", key="SUBJECT")
    return [name for name in POLICIES if name in named or "all" in named]


def _recorded(on: str, config: Path | None) -> "RecordedSet":
    import os

    from trimtab.core.errors import ConfigError
    from trimtab.learning import SETS, read_outcomes, read_set

    if on == "traces":
        return _from_traces(config)
    if Path(on).is_file():
        return read_outcomes(Path(on))
    if on in SETS:
        return read_set(on, Path(os.environ.get("TRIMTAB_DATA", "../shared/data")))
    sets = ", ".join(SETS)
    raise ConfigError(f"{on!r} is neither a file nor a known set; there are {sets}, traces", key="--on")


def _from_traces(config: Path | None) -> "RecordedSet":
    from trimtab.app import open_database
    from trimtab.core import SystemClock
    from trimtab.learning import outcomes_of_lines
    from trimtab.store import Selection
    from trimtab.traces import Exporter, providers_of, standing_of

    with open_database(config) as (settings, database):
        standing = standing_of(settings, SystemClock.now())
        exporter = Exporter(database, standing, providers_of(settings.endpoint))
        return outcomes_of_lines(exporter.lines(Selection(), "openai"), "traces")


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
