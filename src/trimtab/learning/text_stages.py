"""The stages of a text controller between curation and package, each from files to files: adapt, compress, calibrate.

`text_course.py` runs them in order. Level 0 needs scikit-learn alone; torch is imported where an encoder is trained.
"""

import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

import msgspec
import numpy as np
from numpy.typing import NDArray

from trimtab.controllers import Level, TextDescription, TextHead, TextKind, publish, shared_key
from trimtab.core.errors import DataError
from trimtab.learning.calibrate import Promise
from trimtab.learning.course_terms import TextTerms
from trimtab.learning.distil import Distilled
from trimtab.learning.labelled import Labelled, tuning
from trimtab.learning.linear import train_linear
from trimtab.learning.success import folds_by_group
from trimtab.learning.text_calibration import Unseen, calibrate_controller
from trimtab.learning.variant import Judged, Variant, variant_folder
from trimtab.learning.workbench import Shelf

if TYPE_CHECKING:
    from trimtab.learning.text_task import TextStage

LINEAR = "linear.npz"
_FOLDS = 5
Progress = Callable[[str, float], None]


class Compression(msgspec.Struct, frozen=True):
    """The levels above level 0, and all variants that were tried."""

    levels: tuple[Level, ...] = ()
    variants: tuple[Judged, ...] = ()


class Lesson(msgspec.Struct, frozen=True):
    """What the stages hand on: the head they learn, its texts, their terms, and where all workflows' encoders lie."""

    name: str
    kind: TextKind
    distilled: Distilled
    terms: TextTerms
    shared: Path

    @property
    def tune(self) -> tuple[Labelled, ...]:
        """What stops the training of an encoder and picks its variants; empty where none is trained."""
        return self._validation[1]

    @property
    def held(self) -> tuple[Labelled, ...]:
        """What sets thresholds: nothing was trained, stopped or picked by it."""
        return self._validation[0]

    @property
    def _validation(self) -> tuple[tuple[Labelled, ...], tuple[Labelled, ...]]:
        validation = self.distilled.validate
        return (
            tuning(validation, self.terms.seed) if self.terms.mode in ("full", "lora") else (validation, ())
        )


def adapt_text(lesson: Lesson, shelf: Shelf, progress: Progress) -> None:
    """Level 0, and the encoder unless the mode does without; an interrupted training goes on at its last epoch."""
    texts, mode = lesson.distilled, lesson.terms.mode
    taught = [*texts.learn, *texts.validate] if mode == "linear" else texts.learn
    train_linear({lesson.name: taught}, seed=lesson.terms.seed).save(shelf.folder / LINEAR)
    if mode in ("full", "lora"):
        from trimtab.learning.text_variants import fit

        fit(_stage(lesson, shelf.folder, progress))


def compress_text(lesson: Lesson, adapted: Path, shelf: Shelf, progress: Progress) -> Compression:
    """The encoder as it will serve. A variant that was made before an interruption is not made again."""
    if lesson.terms.mode == "linear":
        return Compression()
    if lesson.terms.mode == "full":
        levels, judged = _own_levels(lesson, adapted, shelf, progress)
    else:
        levels, judged = _shared_levels(lesson, adapted, shelf, progress)
    return Compression(tuple(levels), judged)


def _own_levels(
    lesson: Lesson, adapted: Path, shelf: Shelf, progress: Progress
) -> tuple[list[Level], tuple[Judged, ...]]:
    from trimtab.learning.compress import compress
    from trimtab.learning.text_variants import fit, judge, own_levels

    source = fit(_stage(lesson, adapted, progress))
    stage = _stage(lesson, shelf.folder, progress)

    def made(name: Variant) -> Judged:
        file = f"{variant_folder(name)}.json"
        known = shelf.kept(file, Judged)
        if known is None:
            progress(name, 0.0)
            known = judge(stage, source, compress(source, name))
            shelf.keep(file, known)
        return known

    return own_levels(stage.settings, made)


def _shared_levels(
    lesson: Lesson, adapted: Path, shelf: Shelf, progress: Progress
) -> tuple[list[Level], tuple[Judged, ...]]:
    from trimtab.learning.text_variants import shared_levels

    if (adapted / "checkpoint.pt").exists():
        shutil.copyfile(adapted / "checkpoint.pt", shelf.folder / "checkpoint.pt")
    base = shared_encoder(lesson, progress)
    levels, judged = shared_levels(_stage(lesson, shelf.folder, progress, base), base)
    (shelf.folder / "checkpoint.pt").unlink(missing_ok=True)
    return levels, judged


def shared_encoder(lesson: Lesson, progress: Progress) -> Path:
    """The encoder that all workflows share, made by whoever needs it first: one for each content of the weights."""
    from trimtab.learning.encoder import default_folder
    from trimtab.learning.text_variants import write_base

    rank = lesson.terms.rank
    weights = Path(lesson.terms.encoder) if lesson.terms.encoder else default_folder()

    def make(folder: Path) -> None:
        progress("int8 of the shared encoder", 0.0)
        write_base(folder, [each.text for each in lesson.distilled.learn], weights, rank)

    return publish(lesson.shared, shared_key(weights, rank), make)


def calibrate_text(lesson: Lesson, adapted: Path, compressed: Path, shelf: Shelf) -> TextDescription:
    """A controller's whole folder in the shelf, its thresholds set on the texts held for them."""
    compression = read_compression(compressed)
    target = shelf.folder / "controller"
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    shutil.copyfile(adapted / LINEAR, target / LINEAR)
    levels = [Level("linear", {}, file=LINEAR)]
    for level in compression.levels:
        _copy_level(level, compressed, target)
        place = _relative(compressed, level.encoder, target)
        levels.append(msgspec.structs.replace(level, encoder=place))
    head = TextHead(lesson.name, lesson.kind, lesson.distilled.labels, lesson.terms.outside)
    described = TextDescription(lesson.name, "0", (head,), tuple(levels))
    unseen = _cross_read(lesson) if lesson.terms.mode == "linear" else Unseen(lesson.held)
    promise = Promise(lesson.terms.promise, lesson.terms.confidence)
    return calibrate_controller(target, described, {lesson.name: unseen}, promise)


def _copy_level(level: Level, compressed: Path, target: Path) -> None:
    """Its own files; an encoder that is shared stays where it is."""
    for name in (level.heads, level.adapter):
        if name and "/" not in name:
            shutil.copyfile(compressed / name, target / name)
    if not level.encoder.startswith(".."):
        shutil.copytree(compressed / level.encoder, target / level.encoder)


def _relative(start: Path, place: str, target: Path) -> str:
    return os.path.relpath((start / place).resolve(), target.resolve()) if place.startswith("..") else place


def _cross_read(lesson: Lesson) -> Unseen:
    """All but the judging texts, each read by a level 0 of the other groups: the one that serves learns of them all."""
    texts = lesson.distilled
    rows = [*texts.learn, *texts.validate]
    groups = np.unique([each.group for each in rows], return_inverse=True)[1]
    logits = np.zeros((len(rows), len(texts.labels)), np.float32)
    read = np.zeros(len(rows), bool)
    for fold in folds_by_group(groups, _FOLDS, lesson.terms.seed):
        known = [rows[at] for at in fold.learn]
        if {each.label for each in known} != set(texts.labels):
            continue
        logits[fold.judge] = _read_by(known, [rows[at] for at in fold.judge], lesson)
        read[fold.judge] = True
    kept = np.flatnonzero(read)
    if not kept.size:
        raise DataError(
            "no fold of the texts holds every label", file=lesson.name, field="label",
            remedy="every label needs texts of several tasks",
        )  # fmt: skip
    return Unseen([rows[at] for at in kept], logits[kept])


def _read_by(known: Sequence[Labelled], rows: Sequence[Labelled], lesson: Lesson) -> NDArray[np.float32]:
    model = train_linear({lesson.name: known}, seed=lesson.terms.seed)
    return np.stack([model.read(each.text).logits[lesson.name] for each in rows])


def read_compression(compressed: Path) -> Compression:
    """What the compress stage left in its folder."""
    return msgspec.json.decode((compressed / "levels.json").read_bytes(), type=Compression)


def _stage(
    lesson: Lesson, folder: Path, progress: Progress | None, shared: Path | None = None
) -> "TextStage":
    """The lesson as the encoder's training takes it."""
    from trimtab.learning.adapt import Mode, Regimen
    from trimtab.learning.text_task import HeadTask, Settings, TextStage

    terms, texts = lesson.terms, lesson.distilled
    regimen = Regimen(
        mode=cast("Mode", terms.mode), epochs=terms.epochs, learning_rate=terms.learning_rate,
        max_tokens=terms.max_tokens, rank=terms.rank, seed=terms.seed,
    )  # fmt: skip
    settings = Settings(
        regimen, allowance=terms.allowance, variants=terms.variants, shared=shared,
        weights=Path(terms.encoder) if terms.encoder else None,
    )  # fmt: skip
    examples = (*texts.learn, *texts.validate, *texts.judge)
    task = HeadTask(lesson.name, lesson.kind, examples, terms.outside)
    return TextStage([task], [texts.learn], [lesson.tune], [lesson.held], folder, settings, progress)
