"""The stages of a text controller between curation and package, each from files to files: adapt, compress, calibrate.

`course.py` runs them in order. Level 0 needs scikit-learn alone; torch is imported where an encoder is trained.
"""

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np
from numpy.typing import NDArray

from trimtab.controllers import Calibration, Level, TextController, TextDescription, TextHead
from trimtab.core.errors import DataError
from trimtab.engines import EncoderShelf
from trimtab.learning.calibrate import Held, Promise, calibrate
from trimtab.learning.course_terms import TextTerms
from trimtab.learning.distil import Distilled
from trimtab.learning.labelled import Labelled
from trimtab.learning.linear import train_linear
from trimtab.learning.success import folds_by_group
from trimtab.learning.workbench import Shelf, digest

if TYPE_CHECKING:
    from trimtab.learning.compress import Source
    from trimtab.learning.text import Stage

LINEAR = "linear.npz"
_PRECISE = "fp32.npz"
_FOLDS = 5
Progress = Callable[[str, float], None]


class Variant(msgspec.Struct, frozen=True):
    """One precision of the encoder, judged on the validation texts. `level` is None where it is not kept."""

    name: str
    accuracy: float
    megabytes: float
    milliseconds: float


class Compression(msgspec.Struct, frozen=True):
    """The levels above level 0, and all variants that were tried."""

    levels: tuple[Level, ...] = ()
    variants: tuple[Variant, ...] = ()


class Lesson(msgspec.Struct, frozen=True):
    """What the stages hand on: the head they learn, its texts, their terms, and where all workflows' encoders lie."""

    name: str
    kind: str
    distilled: Distilled
    terms: TextTerms
    shared: Path


def adapt_text(lesson: Lesson, shelf: Shelf, progress: Progress) -> None:
    """Level 0, and the encoder unless the mode does without; an interrupted training goes on at its last epoch."""
    texts = lesson.distilled
    if lesson.terms.mode == "linear":
        train_linear({lesson.name: [*texts.learn, *texts.validate]}, seed=lesson.terms.seed).save(
            shelf.folder / LINEAR
        )
        return
    train_linear({lesson.name: texts.learn}, seed=lesson.terms.seed).save(shelf.folder / LINEAR)
    if lesson.terms.mode in ("full", "lora"):
        from trimtab.learning.text import fit

        fit(_stage(lesson, shelf.folder, progress))


def compress_text(lesson: Lesson, adapted: Path, shelf: Shelf, progress: Progress) -> Compression:
    """The encoder as it will serve. A variant that was made before an interruption is not made again."""
    if lesson.terms.mode == "linear":
        return Compression()
    from trimtab.learning.text import shared_levels

    if lesson.terms.mode == "full":
        return _compress_own(lesson, adapted, shelf, progress)
    if (adapted / "checkpoint.pt").exists():
        shutil.copyfile(adapted / "checkpoint.pt", shelf.folder / "checkpoint.pt")
    base = shared_encoder(lesson, progress)
    stage = _stage(lesson, shelf.folder, progress, base)
    levels, judged = shared_levels(stage, base)
    (shelf.folder / "checkpoint.pt").unlink(missing_ok=True)
    variants = (Variant(each.variant, each.accuracy, each.megabytes, each.milliseconds) for each in judged)
    return Compression(tuple(levels), tuple(variants))


def _compress_own(lesson: Lesson, adapted: Path, shelf: Shelf, progress: Progress) -> Compression:
    """int8 and fp16; costlier ways only where int8 loses more than the allowance."""
    from trimtab.learning.compress import Variant as Precision
    from trimtab.learning.compress import compress
    from trimtab.learning.text import encoder_level, fit, judge, variant_folder

    source = fit(_stage(lesson, adapted, progress))
    stage = _stage(lesson, shelf.folder, progress)
    _keep_precise(lesson, source, shelf)

    def made(name: Precision) -> Variant:
        file = f"{variant_folder(name)}.json"
        known = shelf.kept(file, Variant)
        if known is None:
            progress(name, 0.0)
            one = judge(stage, source, compress(source, name))
            known = Variant(one.variant, one.accuracy, one.megabytes, one.milliseconds)
            shelf.keep(file, known)
        return known

    tried = [made("fp16"), made("int8")]
    for fallback in stage.settings.fallbacks:
        if tried[0].accuracy - max(each.accuracy for each in tried[1:]) <= lesson.terms.allowance:
            break
        tried.append(made(fallback))
    best = max(tried[1:], key=lambda each: each.accuracy)
    levels = tuple(encoder_level(variant_folder(each.name)) for each in (best, tried[0]))
    return Compression(levels, tuple(tried))


def _keep_precise(lesson: Lesson, source: "Source", shelf: Shelf) -> None:
    """What the encoder in full precision says of the texts that judge: the quantised ones are held against it."""
    from tokenizers import Tokenizer

    from trimtab.learning.adapt import logits_of, tokenise

    texts = [each.text for each in lesson.distilled.judge]
    folder = _stage(lesson, shelf.folder, None).weights
    empty = np.zeros((len(texts), 1), np.float32)
    samples = tokenise(
        Tokenizer.from_file(str(folder / "tokenizer.json")), texts, empty, _served_tokens(lesson)
    )
    np.savez(shelf.folder / _PRECISE, logits=logits_of(source.model, samples).numpy())


def precise_logits(compressed: Path) -> NDArray[np.float32] | None:
    """What the encoder in full precision said of the texts that judge; None where none was trained."""
    path = compressed / _PRECISE
    if not path.is_file():
        return None
    with np.load(path, allow_pickle=False) as stored:
        logits: NDArray[np.float32] = stored["logits"]
        return logits


def shared_encoder(lesson: Lesson, progress: Progress) -> Path:
    """The encoder that all workflows share, made by whoever needs it first. Taken from its files' names and rank."""
    from trimtab.learning.text import write_base

    weights = _stage(lesson, lesson.shared, None).weights
    sizes = sorted((each.name, each.stat().st_size) for each in weights.iterdir() if each.is_file())
    home = lesson.shared / digest(sizes, lesson.terms.rank)
    if not (home / "encoder.json").is_file():
        progress("int8 of the shared encoder", 0.0)
        partial = home.with_name(f"{home.name}.{os.getpid()}.partial")
        write_base(partial, [each.text for each in lesson.distilled.learn], weights, lesson.terms.rank)
        partial.rename(home)
    return home


def calibrate_text(lesson: Lesson, adapted: Path, compressed: Path, shelf: Shelf) -> TextDescription:
    """A controller's whole folder in the shelf, its thresholds set on the validation texts."""
    compression = _compression(compressed)
    target = shelf.folder / "controller"
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    shutil.copyfile(adapted / LINEAR, target / LINEAR)
    for level in compression.levels:
        _copy_level(level, compressed, target)
    labels = lesson.distilled.labels
    head = TextHead(lesson.name, lesson.kind, labels, lesson.terms.outside)  # type: ignore[arg-type]
    neutral = {lesson.name: Calibration()}
    levels = [Level("linear", neutral, file=LINEAR)]
    for level in compression.levels:
        place = _relative(compressed, level.encoder, target)
        levels.append(msgspec.structs.replace(level, encoder=place, calibrations=neutral))
    described = TextDescription(lesson.name, "0", (head,), tuple(levels))
    _write(target, described)
    controller = TextController.load(target, EncoderShelf())
    linear = _held_linear(lesson, controller)
    calibrated = []
    for level in described.levels:
        calibration = _calibrated(lesson, controller, level, linear)
        calibrated.append(msgspec.structs.replace(level, calibrations={lesson.name: calibration}))
    described = msgspec.structs.replace(described, levels=tuple(calibrated))
    _write(target, described)
    return described


def _copy_level(level: Level, compressed: Path, target: Path) -> None:
    """Its own files; an encoder that is shared stays where it is."""
    for name in (level.heads, level.adapter):
        if name and "/" not in name:
            shutil.copyfile(compressed / name, target / name)
    if not level.encoder.startswith(".."):
        shutil.copytree(compressed / level.encoder, target / level.encoder)


def _relative(start: Path, place: str, target: Path) -> str:
    return os.path.relpath((start / place).resolve(), target.resolve()) if place.startswith("..") else place


def _calibrated(
    lesson: Lesson,
    controller: TextController,
    level: Level,
    linear: tuple[NDArray[np.float32], Sequence[Labelled]],
) -> Calibration:
    """One level's. Whatever level 0 passes on goes to the encoder, however unsure it was."""
    logits, held = linear
    promise = Promise(lesson.terms.promise, lesson.terms.confidence)
    if level.file:
        seen = Held(logits, None, _right(lesson, held), [each.group for each in held])
        return calibrate(seen, lesson.distilled.labels, lesson.terms.outside, replace(promise, margin=1.0))
    texts = [each.text for each in held]
    seen = Held(
        controller.logits(texts, level.name, lesson.name),
        logits,
        _right(lesson, held),
        [each.group for each in held],
    )
    return calibrate(seen, lesson.distilled.labels, lesson.terms.outside, promise)


def _held_linear(
    lesson: Lesson, controller: TextController
) -> tuple[NDArray[np.float32], Sequence[Labelled]]:
    """Level 0's logits on texts it was not trained on, and those texts.

    Alone, it is cross-fitted over all but the judging texts: each is read by a model of the other groups.
    """
    texts = lesson.distilled
    if lesson.terms.mode != "linear":
        held = texts.validate
        return controller.logits([each.text for each in held], "linear", lesson.name), held
    rows = [*texts.learn, *texts.validate]
    groups = np.unique([each.group for each in rows], return_inverse=True)[1]
    logits = np.zeros((len(rows), len(texts.labels)), np.float32)
    read = np.zeros(len(rows), bool)
    for fold in folds_by_group(groups, _FOLDS, lesson.terms.seed):
        known = [rows[at] for at in fold.learn]
        if {each.label for each in known} != set(texts.labels):
            continue
        model = train_linear({lesson.name: known}, seed=lesson.terms.seed)
        logits[fold.judge] = np.stack([model.read(rows[at].text).logits[lesson.name] for at in fold.judge])
        read[fold.judge] = True
    kept = np.flatnonzero(read)
    if not kept.size:
        raise DataError(
            "no fold of the texts holds every label", file=lesson.name, field="label",
            remedy="every label needs texts of several tasks",
        )  # fmt: skip
    return logits[kept], [rows[at] for at in kept]


def _right(lesson: Lesson, held: Sequence[Labelled]) -> NDArray[np.int64]:
    place = {label: at for at, label in enumerate(lesson.distilled.labels)}
    return np.array([place[each.label] for each in held], np.int64)


def _compression(compressed: Path) -> Compression:
    return msgspec.json.decode((compressed / "levels.json").read_bytes(), type=Compression)


def _write(folder: Path, described: TextDescription) -> None:
    (folder / "controller.json").write_bytes(msgspec.json.format(msgspec.json.encode(described), indent=1))


def _served_tokens(lesson: Lesson) -> int:
    return max(lesson.terms.max_tokens, 128)


def _stage(lesson: Lesson, folder: Path, progress: Progress | None, shared: Path | None = None) -> "Stage":
    """The course's stage as `text.py` takes it."""
    from trimtab.learning.adapt import Regimen
    from trimtab.learning.text import HeadTask, Settings, Stage

    terms, texts = lesson.terms, lesson.distilled
    mode = "full" if terms.mode == "linear" else terms.mode
    regimen = Regimen(
        mode=mode, epochs=terms.epochs, learning_rate=terms.learning_rate, max_tokens=terms.max_tokens,
        rank=terms.rank, seed=terms.seed,
    )  # fmt: skip
    weights = Path(terms.encoder) if terms.encoder else None
    settings = Settings(regimen, allowance=terms.allowance, weights=weights, shared=shared)
    examples = (*texts.learn, *texts.validate, *texts.judge)
    task = HeadTask(lesson.name, lesson.kind, examples, terms.outside)  # type: ignore[arg-type]
    return Stage([task], [texts.learn], [texts.validate], folder, settings, progress)
