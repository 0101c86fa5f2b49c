"""A step controller's course: curation of the episodes, then one lesson across folds of tasks, then the package."""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from pathlib import Path

import msgspec

from trimtab.controllers import Manifest, Package, Registry, Report
from trimtab.core.errors import DataError
from trimtab.learning.card import DataCard, Part, Teacher, data_card_markdown
from trimtab.learning.course_terms import CourseTerms
from trimtab.learning.episodes import Episode, read_episodes
from trimtab.learning.packaging import pack, versions_of
from trimtab.learning.step_course import StepLesson, StepTerms, learn_step, lesson_digest, metrics_of
from trimtab.learning.step_report import held_out_markdown
from trimtab.learning.workbench import Shelf, Workbench, digest_file

HELD_OUT_FILE = "held_out.md"
_PACKAGES = ("trimtab", "numpy", "scikit-learn")


@dataclass(slots=True)
class StepCourse:
    """`source` is what the data is called. Distilling to calibrating is one lesson: its folds go through all of it."""

    terms: CourseTerms
    file: Path
    source: str
    bench: Workbench
    registry: Registry
    now: float
    progress: Callable[[str, float], None] = lambda *_: None
    card: DataCard | None = None
    report: Report | None = None
    package: Package | None = None
    is_new: bool = False
    _shelves: dict[str, Shelf] = field(default_factory=dict)
    _episodes: Sequence[Episode] = ()

    def curate(self) -> None:
        """The runs of the workflow, each once, and what they hold. All are judged, failed ones too."""
        picking = self.terms.picking
        shelf = self._open("curate", digest_file(self.file), picking, self.terms.read_only, self.terms.seed)
        if not shelf.is_done:
            read = self._read()
            card = _card(self.terms, self.source, read)
            shelf.keep("data_card.json", card)
            (shelf.folder / "data_card.md").write_text(data_card_markdown(card), encoding="utf-8")
            shelf.finish()
        self.card = shelf.need("data_card.json", DataCard)

    def distil(self) -> None:
        """A part of the lesson."""

    adapt = compress = calibrate = distil

    def evaluate(self) -> None:
        """The lesson: learned and judged across folds of tasks, then learned on all."""
        terms = self._step_terms
        shelf = self._open("evaluate", self._shelves["curate"].key, repr(terms))
        if not shelf.is_done:
            episodes = _distinct(self._read())
            lesson = learn_step(
                episodes, terms, shelf.folder / "controller",
                lambda done, total, what: self.progress(what, done / max(total, 1)),
            )  # fmt: skip
            report = shelf.folder / "controller" / HELD_OUT_FILE
            report.write_text(held_out_markdown(lesson.figures), encoding="utf-8")
            shelf.keep("manifest.json", self._manifest(lesson))
            shelf.finish()
        self.report = shelf.need("manifest.json", Manifest).report

    def pack(self) -> None:
        """A version in the registry, unless this very one is there."""
        learned = self._shelves["evaluate"]
        shelf = self._open("package", learned.key, self.terms.licence)
        manifest = msgspec.structs.replace(
            learned.need("manifest.json", Manifest), licence=self.terms.licence
        )
        extra = [self._shelves["curate"].folder]
        made = learned.folder / "controller"
        self.package, self.is_new = pack(manifest, made, extra, shelf, self.registry, self.now)

    @property
    def folder(self) -> Path:
        """Of the last stage."""
        return list(self._shelves.values())[-1].folder

    @property
    def _step_terms(self) -> StepTerms:
        terms, picking = self.terms, self.terms.picking
        known = StepTerms(picking.workflow, picking.teachers, picking.reward, seed=terms.seed)
        promise, exact, folds = terms.step_promise, terms.exact_promise, terms.step_folds
        return replace(
            known,
            promise=known.promise if promise is None else promise,
            exact_promise=known.exact_promise if exact is None else exact,
            folds=known.folds if folds is None else folds,
        )

    def _read(self) -> list[Episode]:
        workflow, read_only = self.terms.workflow, frozenset(self.terms.read_only)
        return read_episodes(
            self.file, workflow, read_only,
            lambda done, total: self.progress("reading", done / max(total, 1)),
        )  # fmt: skip

    def _manifest(self, lesson: StepLesson) -> Manifest:
        """Its version is given when it is packed."""
        assert self.card is not None
        limits = {"eager": lesson.thresholds.eager, "exact": lesson.thresholds.exact}
        metrics = metrics_of(lesson.figures)
        held_out = f"{lesson.episodes:,} runs across {lesson.terms.folds} folds of tasks"
        digest = blake2b(lesson_digest(lesson), digest_size=16).hexdigest()
        return Manifest(
            kind="step", workflow=self.terms.workflow, version="0", created=0.0, teacher=lesson.teachers,
            levels=("trees",), thresholds={name: value for name, value in limits.items() if value is not None},
            promised_precision=lesson.terms.promise, data_digest=self.card.digest, tools=lesson.tools,
            seed=lesson.terms.seed, packages=versions_of(_PACKAGES), profile=lesson.profile,
            report=Report(not lesson.misses, digest, held_out, metrics, lesson.misses),
        )  # fmt: skip

    def _open(self, stage: str, *made_of: object) -> Shelf:
        self._shelves[stage] = self.bench.open(stage, *made_of)
        return self._shelves[stage]


def _distinct(episodes: Sequence[Episode]) -> list[Episode]:
    """Each run once: what was exported twice teaches nothing twice."""
    found: dict[bytes, Episode] = {}
    for episode in episodes:
        found.setdefault(_key(episode), episode)
    return list(found.values())


def _key(episode: Episode) -> bytes:
    said = msgspec.json.encode((episode.agent, episode.task, episode.turns))
    return blake2b(said, digest_size=16).digest()


def _card(terms: CourseTerms, source: str, read: Sequence[Episode]) -> DataCard:
    """Raises DataError where the teachers asked for are not there."""
    picking, distinct = terms.picking, _distinct(read)
    agents = sorted({each.agent for each in distinct})
    if strange := [name for name in picking.teachers if name not in agents]:
        said = f"no runs of {', '.join(strange)}"
        raise DataError(said, file=source, field="agent", remedy=f"there are {', '.join(agents)}")
    rewards: dict[str, list[float]] = defaultdict(list)
    tools: Counter[str] = Counter()
    for each in distinct:
        if each.reward is not None:
            rewards[each.agent].append(each.reward)
        tools.update(call.name for reply in each.calls for call in each.turns[reply].calls)
    teaching = [name for name in rewards if not picking.teachers or name in picking.teachers]
    unknown = sum(each.reward is None for each in distinct)
    return DataCard(
        workflow=terms.workflow, kind="step", source=source, grouped_by="task", seed=terms.seed,
        digest=blake2b(b"".join(_key(each) for each in distinct), digest_size=16).hexdigest(),
        raw=len(read), duplicates=len(read) - len(distinct),
        parts={"all, in folds": Part(len(distinct), len({each.task for each in distinct}))},
        labels={name: {"all, in folds": count} for name, count in tools.items()},
        teachers={name: _teacher(rewards[name], picking.reward) for name in teaching},
        left_out={"runs without an outcome teach nothing": unknown} if unknown else {},
    )  # fmt: skip


def _teacher(rewards: Sequence[float], threshold: float) -> Teacher:
    good = sum(reward >= threshold for reward in rewards)
    return Teacher(good, good / len(rewards))
