"""`trimtab evaluate CONTROLLER`: a packaged controller of any kind on a file or on the runs kept here."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from trimtab.cli.recordings import picking_of, read_only_of, recorded_lines

if TYPE_CHECKING:
    from collections.abc import Callable

    from trimtab.config import Settings
    from trimtab.controllers import Package
    from trimtab.evaluation import Report

_TRACES = "traces"


def examine(subject: str, on: str, tenant: str | None, config: Path | None) -> "Report":
    """The report. Raises ConfigError, DataError."""
    from trimtab.app import load_config

    settings = load_config(config).settings
    package = _package(subject, settings)
    workflow = package.manifest.workflow
    judge = _step if package.manifest.kind == "step" else _text
    if on == _TRACES:
        with _snapshot(workflow, tenant, config) as file:
            return judge(package, file, on, _command(subject, on, tenant), settings)
    return judge(package, _file(on), on, _command(subject, on, tenant), settings)


def _command(subject: str, on: str, tenant: str | None) -> str:
    return f"trimtab evaluate {subject} --on {on}" + (f" --tenant {tenant}" if tenant else "")


def _file(on: str) -> Path:
    from trimtab.core.errors import ConfigError

    if not Path(on).is_file():
        raise ConfigError(f"{on!r} is no file of recorded runs or labelled rows", key="--on")
    return Path(on)


def _package(subject: str, settings: "Settings") -> "Package":
    """A folder, a version, or a workflow's newest. Raises ConfigError where it is none."""
    from trimtab.app.store import controller_folder
    from trimtab.controllers import Registry, place_of
    from trimtab.core.errors import ConfigError

    folder = Path(subject)
    if folder.is_dir():
        workflow, kind, version = place_of(folder.resolve())
        registry = Registry(folder.resolve().parents[2])
    else:
        name, _, version = subject.partition("@")
        workflow, _, kind = name.rpartition("/")
        registry = Registry(controller_folder(settings))
        version = version or next(iter(reversed(registry.versions(workflow, kind))), "")
    if not version:
        raise ConfigError(
            f"{subject!r} is no controller here (see `trimtab controllers list`)", key="SUBJECT"
        )
    return registry.open(workflow, kind, version)


@contextmanager
def _snapshot(workflow: str, tenant: str | None, config: Path | None) -> Iterator[Path]:
    """The workflow's runs as a file, gone afterwards."""
    from tempfile import TemporaryDirectory

    from trimtab.app import open_database
    from trimtab.core.errors import DataError
    from trimtab.traces import write_lines

    with TemporaryDirectory() as folder:
        file = Path(folder) / "runs.jsonl.gz"
        with open_database(config) as (settings, database):
            written = write_lines(file, recorded_lines(settings, database, workflow, tenant))
        if not written:
            whose = "" if tenant is None else f" of tenant {tenant}"
            said = f"no runs of workflow {workflow!r}{whose}"
            raise DataError(said, file=_TRACES, field="workflow", remedy="see `trimtab traces list`")
        yield file


def _step(package: "Package", file: Path, on: str, command: str, settings: "Settings") -> "Report":
    from trimtab.controllers import StepController
    from trimtab.learning import examine_step, read_episodes

    manifest = package.manifest
    controller = StepController.load(package.folder, manifest.name, manifest.version)
    episodes = read_episodes(file, manifest.workflow, frozenset(read_only_of(settings, manifest.workflow)))
    with _progress("recorded conversations") as progress:
        return examine_step(controller, episodes, manifest.title, command, progress)


def _text(package: "Package", file: Path, on: str, command: str, settings: "Settings") -> "Report":
    from trimtab.app.store import data_folder
    from trimtab.learning import examine_text, kept_precise, learning_folder, read_texts

    manifest = package.manifest
    examples = read_texts(file, picking_of(settings, manifest.workflow, manifest.kind), on)
    bench = learning_folder(data_folder(settings), manifest.workflow, manifest.kind)
    precise = kept_precise(bench, manifest.version)
    with _progress("texts") as progress:
        return examine_text(package.folder, examples, manifest.title, on, command, precise, progress)


@contextmanager
def _progress(what: str) -> "Iterator[Callable[[int, int], None]]":
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
