"""What the demo learns from its own traces: one step controller, packed in its registry, enabled where it passed.

Called between the demo's acts; the learning itself is `learning/`'s.
"""

import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import msgspec

from trimtab.app.seating import Address, Seating
from trimtab.app.stage import CONFIG_NAME
from trimtab.app.store import controller_folder, data_folder, open_database
from trimtab.config import Settings
from trimtab.controllers import Registry
from trimtab.core import SystemClock
from trimtab.learning import Course, CourseTerms, Picking, Source
from trimtab.store import Database, Selection
from trimtab.traces import Exporter, providers_of, standing_of

Progress = Callable[[str, float], None]
PROMISE, EXACT_PROMISE, FOLDS = 0.97, 0.95, 3
_BY = "trimtab demo"


class Lesson(msgspec.Struct, frozen=True):
    """A controller that was learned. `metrics` and `misses` are of held-out tasks. `promised` is the precision of
    lookups, `promised_exact` that of whole actions: the expert slips, and few runs cannot show more."""

    controller: str
    workflow: str
    version: str
    runs: int
    seconds: float
    held_out: str
    promised: float
    promised_exact: float
    passed: bool
    metrics: dict[str, float]
    misses: tuple[str, ...]


class _OfRun(msgspec.Struct):
    run: str


_of_runs = msgspec.json.Decoder(_OfRun)


def lacking() -> str:
    """What is not installed that learning needs; '' where all is there."""
    return "" if find_spec("sklearn") else "scikit-learn"


def learn_lesson(data: Path, workflow: str, runs: frozenset[str], progress: Progress) -> Lesson:
    """Learn from these runs of the store at `data`, and pack what came of it. Raises DataError, StoreUnavailable."""
    began = time.monotonic()
    with open_database(data / CONFIG_NAME) as (settings, database):
        picking = Picking("step", workflow)
        read_only = settings.workflow[workflow].tools.read_only
        course = Course(
            CourseTerms(
                picking,
                step_promise=PROMISE,
                exact_promise=EXACT_PROMISE,
                read_only=read_only,
                step_folds=FOLDS,
                # Both tenants are the demo's own.
                all_tenants=True,
            ),
            Source("the demo's traces", lines=lambda: _lines(settings, database, workflow, runs)),
            data_folder(settings) / "learning" / workflow / "step",
            Registry(controller_folder(settings)),
            SystemClock.now(),
        )
        learned = course.run(progress=lambda stage, what, share: progress(what or stage, share), fresh=True)
    assert learned.package is not None
    manifest = learned.package.manifest
    report = manifest.report
    assert report is not None
    return Lesson(
        manifest.title, workflow, manifest.version, len(runs), time.monotonic() - began, report.held_out,
        PROMISE, EXACT_PROMISE, report.passed, report.metrics, report.misses,
    )  # fmt: skip


def _lines(settings: Settings, database: Database, workflow: str, runs: frozenset[str]) -> Iterator[bytes]:
    exporter = Exporter(database, standing_of(settings, SystemClock.now()), providers_of(settings.endpoint))
    for line in exporter.lines(Selection(workflow=workflow), "openai"):
        if _of_runs.decode(line).run in runs:
            yield line


def enable(data: Path, lesson: Lesson) -> None:
    """Put it to work. Raises ConfigError where it did not pass."""
    with open_database(data / CONFIG_NAME) as (settings, database):
        seating = Seating(settings, database, SystemClock())
        seating.put_to_work(Address(lesson.workflow, "step", lesson.version), "enabled", _BY)


def lay_off(data: Path, workflow: str) -> None:
    """Take every step controller of the workflow off, such as an earlier demo's in the same folder."""
    with open_database(data / CONFIG_NAME) as (settings, database):
        Seating(settings, database, SystemClock()).lay_off(Address(workflow, "step"), _BY)
