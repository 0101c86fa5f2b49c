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
from trimtab.learning.tenancy import check_one_tenant, of_one_tenant
from trimtab.learning.workbench import SNAPSHOT, Workbench
from trimtab.traces import LineReader, write_lines

if TYPE_CHECKING:
    from trimtab.learning.text_course import TextCourse
    from trimtab.learning.variant import Judged

Stage = Literal["curate", "distil", "adapt", "compress", "calibrate", "evaluate", "package"]
STAGES: tuple[Stage, ...] = get_args(Stage)
Progress = Callable[[Stage, str, float], None]


@dataclass(frozen=True, slots=True)
class Source:
    """Where the data is: a file, or `lines` of recorded runs, such as the store's. `name` is what is said of it;
    another `scope` (such as a tenant's name) gives other lines."""

    name: str
    path: Path | None = None
    lines: Callable[[], Iterable[bytes]] | None = None
    scope: str = ""


@dataclass(frozen=True, slots=True)
class Learned:
    """How far a course has come; `folder` is the last stage's. `is_new`: the package was made by this very course."""

    card: DataCard
    folder: Path
    report: Report | None
    package: Package | None
    is_new: bool
    variants: "tuple[Judged, ...]" = ()


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
            course = self._begun(self._file())
            for stage in STAGES[: STAGES.index(until) + 1]:
                progress(stage, "", 0.0)
                course.progress = partial(progress, stage)
                _WORK[stage](course)
            if course.package is not None and not self._terms.keep_data:
                self._bench.forget_texts()
        assert course.card is not None
        variants = () if isinstance(course, StepCourse) else course.variants
        return Learned(course.card, course.folder, course.report, course.package, course.is_new, variants)

    def _begun(self, file: Path) -> "StepCourse | TextCourse":
        told = (self._terms, file, self._source.name, self._bench, self._registry, self._now)
        if self._terms.kind == "step":
            return StepCourse(*told)
        from trimtab.learning.text_course import TextCourse

        return TextCourse(*told)

    def _file(self) -> Path:
        """The source as a file, of one tenant unless all are wanted. An unfinished course goes on with the runs it
        began with; they go when it ends.
        """
        source, terms = self._source, self._terms
        if source.path is not None:
            if not terms.all_tenants:
                check_one_tenant((line for _, line in LineReader(source.path)), terms.workflow, source.name)
            return source.path
        shelf = self._bench.open("snapshot", source.scope, terms.all_tenants)
        snapshot = shelf.folder / SNAPSHOT
        if not shelf.is_done or not snapshot.exists():
            assert source.lines is not None
            lines = source.lines()
            written = write_lines(
                snapshot, lines if terms.all_tenants else of_one_tenant(lines, terms.workflow, source.name)
            )
            if not written:
                snapshot.unlink()
                whose = f" of {source.scope}" if source.scope else ""
                said = f"no runs of workflow {terms.workflow!r}{whose}"
                remedy = "see `trimtab traces list`, or name a file with --from"
                raise DataError(said, file=source.name, field="workflow", remedy=remedy)
            shelf.finish()
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
