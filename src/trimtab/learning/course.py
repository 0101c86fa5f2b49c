"""The whole course of a controller: curate, distil, adapt, compress, calibrate, evaluate, package.

Each stage reads what the one before it left on disk and leaves its own, so an interrupted course goes on where it was.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from trimtab.controllers import Package, Registry, Report
from trimtab.core.errors import DataError
from trimtab.learning.card import DataCard
from trimtab.learning.course_terms import CourseTerms
from trimtab.learning.step_lessons import StepCourse
from trimtab.learning.workbench import Workbench
from trimtab.traces import write_lines

if TYPE_CHECKING:
    from trimtab.learning.text_course import TextCourse

Stage = Literal["curate", "distil", "adapt", "compress", "calibrate", "evaluate", "package"]
STAGES: tuple[Stage, ...] = get_args(Stage)
Progress = Callable[[Stage, str, float], None]
_SNAPSHOT, _FINISHED = "runs.jsonl.gz", ".finished"


@dataclass(frozen=True, slots=True)
class Source:
    """Where the data is: a file, or `lines` of recorded runs, such as the store's. `name` is what is said of it."""

    name: str
    path: Path | None = None
    lines: Callable[[], Iterable[bytes]] | None = None


@dataclass(frozen=True, slots=True)
class Learned:
    """How far a course has come; `folder` is the last stage's. `is_new`: the package was made by this very course."""

    card: DataCard
    folder: Path
    report: Report | None
    package: Package | None
    is_new: bool


class Course:
    """One controller's. `folder` is its workbench, `now` epoch seconds."""

    def __init__(
        self,
        terms: CourseTerms,
        source: Source,
        folder: Path,
        registry: Registry,
        now: float,
    ) -> None:
        self._terms, self._source, self._registry, self._now = terms, source, registry, now
        self._bench = Workbench(folder)

    def run(
        self, until: Stage = "package", progress: Progress = lambda *_: None, *, fresh: bool = False
    ) -> Learned:
        """All stages up to one; what is there is not made again unless `fresh`. Raises DataError."""
        with self._bench.locked():
            if fresh:
                self._bench.clear()
            course = self._begun(self._file(fresh))
            for stage in STAGES[: STAGES.index(until) + 1]:
                progress(stage, "", 0.0)
                course.progress = partial(progress, stage)
                _WORK[stage](course)
            if course.package is not None:
                (self._bench.folder / _FINISHED).touch()
        assert course.card is not None
        return Learned(course.card, course.folder, course.report, course.package, course.is_new)

    def _begun(self, file: Path) -> "StepCourse | TextCourse":
        told = (self._terms, file, self._source.name, self._bench, self._registry, self._now)
        if self._terms.kind == "step":
            return StepCourse(*told)
        from trimtab.learning.text_course import TextCourse

        return TextCourse(*told)

    def _file(self, fresh: bool) -> Path:  # noqa: FBT001
        """The source as a file. An unfinished course goes on with the runs it began with."""
        if self._source.path is not None:
            return self._source.path
        snapshot, finished = self._bench.folder / _SNAPSHOT, self._bench.folder / _FINISHED
        if fresh or finished.exists() or not snapshot.exists():
            assert self._source.lines is not None
            if not write_lines(snapshot, self._source.lines()):
                snapshot.unlink()
                said = f"no runs of workflow {self._terms.workflow!r}"
                remedy = "see `trimtab traces list`, or name a file with --from"
                raise DataError(said, file=self._source.name, field="workflow", remedy=remedy)
            finished.unlink(missing_ok=True)
        return snapshot


_WORK: Mapping[Stage, Callable[["StepCourse | TextCourse"], None]] = {
    "curate": lambda course: course.curate(),
    "distil": lambda course: course.distil(),
    "adapt": lambda course: course.adapt(),
    "compress": lambda course: course.compress(),
    "calibrate": lambda course: course.calibrate(),
    "evaluate": lambda course: course.evaluate(),
    "package": lambda course: course.pack(),
}
