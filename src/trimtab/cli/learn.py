"""`trimtab learn`: from recorded runs or labelled texts to a controller in the registry, in one command."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from trimtab.cli.options import Config, Json
from trimtab.cli.recordings import picking_of, read_only_of, recorded_lines

if TYPE_CHECKING:
    from trimtab.config import Settings
    from trimtab.core import ControllerKind
    from trimtab.learning import Course, CourseTerms, Learned, Picking, Source, Stage, TextMode, Variant
    from trimtab.store import Database

_FROM = (
    "traces (the runs kept here), or a JSON Lines file, gzipped or not: recorded runs, or rows such as "
    '{"text": ..., "label": ..., "group": ...}.'
)
_REWARD = (
    "Least reward of a successful run; default [workflow.NAME] completed_at. 0 takes unknown outcomes too."
)
_STAGE = "Stop after curate, distil, adapt, compress, calibrate, evaluate or package."
_MODE = (
    "linear (no encoder), head or lora (on the encoder all workflows share), full (an encoder of its own)."
)
_VARIANTS = (
    "Of --mode full, by commas: int8, int8-mixed, int8-qat, int4, int4-qat, int8-2:4; or all. Each is judged; the "
    "first that loses at most half a point serves."
)
_PROMISE = "Precision to keep; default 0.95 for texts, 0.97 (eager) and 0.98 (exact) for steps."
_SPLIT = "by-task or by-user: what never stands on two sides of the cut."

Kind = Annotated[str, typer.Option(help="step, route, verify, classify, gate, by commas.")]
From = Annotated[str, typer.Option("--from", help=_FROM)]
Teacher = Annotated[str, typer.Option(help="Learn of these agents only, by commas.")]
Split = Annotated[str, typer.Option(help=_SPLIT)]
Until = Annotated[str, typer.Option(help=_STAGE)]
Reward = Annotated[float | None, typer.Option(min=0, max=1, help=_REWARD)]
Step = Annotated[str, typer.Option(help="classify: the steps whose replies are labels, by commas.")]
Outside = Annotated[str, typer.Option(help="The label of texts that belong to none of the others.")]
Promise = Annotated[float | None, typer.Option(min=0.5, max=0.9999, help=_PROMISE)]
Mode = Annotated[str, typer.Option(help=_MODE)]
Encoder = Annotated[str, typer.Option(help="A local Hugging Face folder; default MiniLM.")]
Epochs = Annotated[int, typer.Option(min=1, max=1000, help="Most passes over the texts.")]
Licence = Annotated[str, typer.Option(help="Licence of the package, for its card.")]
Seed = Annotated[int, typer.Option(min=0, max=2**31, help="Of cuts, folds and training.")]
Variants = Annotated[str, typer.Option(help=_VARIANTS)]
Tenant = Annotated[str | None, typer.Option(help="Learn of this tenant's traces only.")]
AllTenants = Annotated[bool, typer.Option("--all-tenants", help="Learn of several tenants' runs together.")]
KeepData = Annotated[bool, typer.Option("--keep-data", help="Keep the words of the runs learned from.")]
Fresh = Annotated[bool, typer.Option("--fresh", help="Forget what earlier stages left.")]

_LONGEST_NAME = 80


def learn(
    workflow: Annotated[str, typer.Argument(help="Whose controllers.")],
    kind: Kind,
    source: From = "traces",
    teacher: Teacher = "",
    split: Split = "by-task",
    stage: Until = "package",
    reward: Reward = None,
    step: Step = "",
    outside: Outside = "",
    promise: Promise = None,
    mode: Mode = "full",
    encoder: Encoder = "",
    variants: Variants = "int8",
    epochs: Epochs = 6,
    licence: Licence = "",
    seed: Seed = 0,
    fresh: Fresh = False,
    tenant: Tenant = None,
    all_tenants: AllTenants = False,
    keep_data: KeepData = False,
    config: Config = None,
    json: Json = False,
) -> None:
    """Learn controllers from recorded runs. Interrupted, the same command goes on where it was."""
    with _needing_extras():
        from trimtab.app import open_database
        from trimtab.core.errors import ConfigError
        from trimtab.learning import STAGES, CourseTerms, TextTerms

        _check_name(workflow)
        if tenant is not None and all_tenants:
            raise ConfigError("names one tenant; leave out --all-tenants, or this", key="--tenant")
        until = cast("Stage", _one_of("--stage", stage, STAGES))
        text = TextTerms(
            mode=cast("TextMode", _one_of("--mode", mode, ("linear", "head", "lora", "full"))),
            promise=0.95 if promise is None else promise,
            outside=outside, encoder=encoder, epochs=epochs, seed=seed, variants=_variants(variants),
        )  # fmt: skip
        with open_database(config) as (settings, database):
            found = _source(source, workflow, tenant, settings, database)
            for each in _kinds(kind):
                picking = _picking(settings, workflow, each, _named(teacher), _named(step), reward, split)
                terms = CourseTerms(
                    picking, text, promise, promise, read_only_of(settings, workflow), licence, seed,
                    all_tenants=all_tenants, keep_data=keep_data,
                )  # fmt: skip
                _say(_course(settings, terms, found), terms, until, fresh=fresh, json=json)


def _check_name(workflow: str) -> None:
    from trimtab.core.errors import ConfigError

    if not 1 <= len(workflow.encode()) <= _LONGEST_NAME or not workflow.isprintable():
        raise ConfigError(f"a workflow's name has 1 to {_LONGEST_NAME} printable bytes", key="WORKFLOW")


def _kinds(kind: str) -> "list[ControllerKind]":
    from typing import get_args

    from trimtab.core import ControllerKind
    from trimtab.core.errors import ConfigError

    named = _named(kind)
    for name in named:
        _one_of("--kind", name, get_args(ControllerKind))
    if not named:
        raise ConfigError(f"name one of {', '.join(get_args(ControllerKind))}", key="--kind")
    return [cast("ControllerKind", name) for name in dict.fromkeys(named)]


def _picking(
    settings: "Settings",
    workflow: str,
    kind: "ControllerKind",
    teachers: tuple[str, ...],
    steps: tuple[str, ...],
    reward: float | None,
    split: str,
) -> "Picking":
    import msgspec

    _one_of("--split", split, ("by-task", "by-user"))
    known = picking_of(settings, workflow, kind)
    return msgspec.structs.replace(
        known, teachers=teachers, reward=known.reward if reward is None else reward,
        steps=steps or known.steps, by_user=split == "by-user",
    )  # fmt: skip


def _source(
    source: str, workflow: str, tenant: str | None, settings: "Settings", database: "Database"
) -> "Source":
    from trimtab.core.errors import ConfigError
    from trimtab.learning import Source

    if source == "traces":
        lines = partial(recorded_lines, settings, database, workflow, tenant)
        return Source("traces", lines=lines, scope="" if tenant is None else f"tenant {tenant}")
    if tenant is not None:
        said = "is for traces; `trimtab traces export --tenant` writes a file of one tenant"
        raise ConfigError(said, key="--tenant")
    return Source(source, Path(source))


def _variants(named: str) -> "tuple[Variant, ...]":
    """In the order named: the first that loses no more than it may serves."""
    from trimtab.core.errors import ConfigError
    from trimtab.learning import SMALLER

    if named.strip() == "all":
        return SMALLER
    found = dict.fromkeys(_named(named))
    for name in found:
        _one_of("--variants", name, (*SMALLER, "all"))
    if not found:
        raise ConfigError(f"name one of {', '.join(SMALLER)}, or all", key="--variants")
    return cast("tuple[Variant, ...]", tuple(found))


def _course(settings: "Settings", terms: "CourseTerms", source: "Source") -> "Course":
    from trimtab.app.store import controller_folder, data_folder
    from trimtab.controllers import Registry
    from trimtab.core import SystemClock
    from trimtab.learning import Course, learning_folder

    folder = learning_folder(data_folder(settings), terms.workflow, terms.kind)
    return Course(terms, source, folder, Registry(controller_folder(settings)), SystemClock.now())


def _run(course: "Course", terms: "CourseTerms", until: "Stage", *, fresh: bool) -> "Learned":
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    console = Console(stderr=True)
    name = f"{terms.workflow}/{terms.kind}"
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task(name, total=1.0)

        def progress(stage: "Stage", what: str, share: float) -> None:
            shown = f"{name}: {stage}{f', {what}' if what else ''}".replace("[", "\\[")
            bar.update(task, description=shown, completed=share)

        return course.run(until, progress, fresh=fresh)


def _say(course: "Course", terms: "CourseTerms", until: "Stage", *, fresh: bool, json: bool) -> None:
    import msgspec

    from trimtab.learning import data_card_markdown, variant_table

    learned = _run(course, terms, until, fresh=fresh)
    package, report = learned.package, learned.report
    if json:
        shown = {
            "card": learned.card, "report": report, "folder": str(learned.folder), "is_new": learned.is_new,
            "controller": package.manifest.title if package else None, "variants": learned.variants,
        }  # fmt: skip
        typer.echo(msgspec.json.encode(shown).decode())
        return
    typer.echo(data_card_markdown(learned.card))
    for line in variant_table(learned.variants) if learned.variants else ():
        typer.echo(line)
    if report is not None:
        tabled = tuple(f"{each.variant}: " for each in learned.variants)
        for name, value in report.metrics.items():
            if not name.startswith(tabled):
                typer.echo(f"{name}: {value:.4g}")
        typer.echo("passed" if report.passed else f"not passed: {'; '.join(report.misses)}")
    if package is None:
        typer.echo(f"{until} is done: {learned.folder}")
        return
    title = package.manifest.title
    typer.echo(
        f"{title}: {'packed in' if learned.is_new else 'nothing is new, it stands in'} {package.folder}"
    )
    typer.echo(f"next: trimtab controllers shadow {title}   (or enable)")


def _named(text: str) -> tuple[str, ...]:
    return tuple(name for name in (part.strip() for part in text.split(",")) if name)


def _one_of(option: str, value: str, known: tuple[str, ...]) -> str:
    from trimtab.core.errors import ConfigError

    if value not in known:
        raise ConfigError(f"{value!r} is none; there are {', '.join(known)}", key=option)
    return value


@contextmanager
def _needing_extras() -> Iterator[None]:
    from trimtab.core.errors import ConfigError

    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("trimtab"):
            raise
        raise ConfigError(
            f"{error.name} is not installed: pip install 'trimtab[learn]'", key="learn"
        ) from error
