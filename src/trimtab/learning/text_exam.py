"""A text controller before the judge: texts of tasks it never saw, beside the floors; int8 beside full precision."""

import statistics
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from trimtab.controllers import (
    Answer,
    Level,
    LinearTerms,
    Profile,
    Report,
    TextController,
    chances,
    profile_of,
)
from trimtab.engines import EncoderShelf
from trimtab.evaluation import precision_bound
from trimtab.learning.linear import train_linear
from trimtab.learning.text_stages import Lesson, read_compression
from trimtab.learning.variant import HEADS, VARIANTS, Judged, read_variant, variant_folder, variant_table
from trimtab.learning.workbench import digest

_PLAIN_WORDS = LinearTerms(pairs=True, least_letters=0, most_letters=0)
_TIMED = 200
_ONE_SIDED = 1.645


class Exam(msgspec.Struct, frozen=True):
    """`metrics` are shares in 0..1, times in milliseconds, sizes in megabytes; `misses` say what falls short."""

    title: str
    texts: int
    groups: int
    metrics: dict[str, float]
    by_label: dict[str, tuple[int, int, int]]
    misses: tuple[str, ...]
    notes: tuple[str, ...]
    profile: Profile
    variants: tuple[Judged, ...] = ()

    @property
    def report(self) -> Report:
        """As the manifest keeps it."""
        held_out = f"{self.texts:,} texts of {self.groups:,} tasks kept apart"
        return Report(not self.misses, digest(self), held_out, self.metrics, self.misses)


def examine(lesson: Lesson, compressed: Path, folder: Path) -> Exam:
    """Judge the controller of a folder on the texts that neither training nor thresholds saw."""
    held = lesson.distilled.judge
    texts, labels = [each.text for each in held], lesson.distilled.labels
    right = np.array([labels.index(each.label) for each in held])
    controller = TextController.load(folder, EncoderShelf())
    answers = controller.decide_many(texts)
    levels = _forced(lesson, controller, texts)
    metrics = _of_answers(lesson, answers)
    metrics |= {f"accuracy of {name}": float((said == right).mean()) for name, said in levels.items()}
    metrics |= _floors(lesson, right)
    beside, variants = _of_variants(lesson, compressed, right)
    metrics |= beside
    metrics["milliseconds a text"] = _milliseconds(controller, texts)
    if lesson.terms.outside:
        metrics |= _outside(lesson, answers)
    profile = profile_of([None if each.abstained else each.confidence for each in answers])
    misses = tuple(_misses(lesson, controller, metrics))
    return Exam(
        lesson.name, len(held), len({each.group for each in held}), metrics, _by_label(lesson, answers),
        misses, tuple(_notes(metrics)), profile, variants,
    )  # fmt: skip


def exam_markdown(exam: Exam) -> str:
    """The report for people."""
    lines = [
        f"# Evaluation of {exam.title}",
        "",
        f"On {exam.texts:,} texts of {exam.groups:,} tasks kept apart.",
        "",
    ]
    lines += ["| | |", "|---|---|", *(f"| {name} | {value:.4g} |" for name, value in exam.metrics.items())]
    lines += ["", *variant_table(exam.variants)] if exam.variants else []
    lines += ["", "| label | texts | answered | right |", "|---|---|---|---|"]
    for label, (texts, answered, hits) in sorted(exam.by_label.items()):
        lines.append(f"| {label} | {texts:,} | {answered:,} | {hits:,} |".replace("\n", " "))
    lines += ["", "Passed." if not exam.misses else "What falls short:", ""]
    lines += [f"- {each}" for each in (*exam.misses, *exam.notes)]
    return "\n".join(lines) + "\n"


def _of_answers(lesson: Lesson, answers: Sequence[Answer]) -> dict[str, float]:
    held, near = lesson.distilled.judge, lesson.distilled.near
    hits = [answer.option == each.label for answer, each in zip(answers, held, strict=True)]
    said = [at for at, answer in enumerate(answers) if not answer.abstained]
    new = [at for at in said if not near[at]]
    right, total = sum(hits[at] for at in said), len(said)
    figures = {"answered": total / len(held)}
    if total:
        figures |= {"precision": right / total, "precision at least": float(precision_bound(right, total))}
    if new:
        figures["precision on unlike texts"] = sum(hits[at] for at in new) / len(new)
    return figures


def _forced(lesson: Lesson, controller: TextController, texts: Sequence[str]) -> dict[str, NDArray[np.int64]]:
    """Each level's likeliest label, sure or not."""
    first = controller.described.levels[0]
    linear = controller.logits(texts, first.name, lesson.name)
    found = {}
    for level in controller.described.levels:
        calibration = level.calibrations[lesson.name]
        logits = linear if level.file else controller.logits(texts, level.name, lesson.name)
        found[level.name] = chances(logits, None if level.file else linear, calibration).argmax(-1)
    return found


def _floors(lesson: Lesson, right: NDArray[np.int64]) -> dict[str, float]:
    """The likeliest label always; TF-IDF of words and pairs with logistic regression."""
    texts, labels = lesson.distilled, lesson.distilled.labels
    weights = {label: sum(each.weight for each in texts.learn if each.label == label) for label in labels}
    common = labels.index(max(labels, key=weights.__getitem__))
    plain = train_linear({lesson.name: texts.learn}, terms=_PLAIN_WORDS, strength=10.0, least_texts=1)
    said = np.array([plain.read(each.text).logits[lesson.name].argmax() for each in texts.judge])
    return {
        "floor: one label always": float((right == common).mean()),
        "floor: TF-IDF": float((said == right).mean()),
    }


def _of_variants(
    lesson: Lesson, compressed: Path, right: NDArray[np.int64]
) -> tuple[dict[str, float], tuple[Judged, ...]]:
    """Each variant alone beside the encoder in full precision, on the same texts. `lost beyond chance` is what it loses
    of accuracy, less what texts that the two read differently may do by luck (95 %, one-sided).
    """
    tried = read_compression(compressed).variants
    texts = [each.text for each in lesson.distilled.judge]
    figures: dict[str, float] = {}
    judged = []
    precise: NDArray[np.int64] | None = None
    for each in tried:
        folder = compressed / variant_folder(each.variant)
        name = each.variant
        if (folder / HEADS).is_file():
            said = read_variant(folder, lesson.name, len(lesson.distilled.labels), texts).argmax(-1)
            each = msgspec.structs.replace(each, held_out=float((said == right).mean()))
            figures[f"accuracy of {name} alone"] = float((said == right).mean())
            precise = said if name == "fp32" else precise
            if precise is not None and name != "fp32":
                figures |= _beside(name, said == right, precise == right)
                figures[f"{name} says as fp32"] = float((said == precise).mean())
        figures |= {
            f"{name}: {what}": value
            for what, value in (
                ("validation accuracy", each.accuracy), ("megabytes", each.megabytes),
                ("milliseconds", each.milliseconds),
            )
        }  # fmt: skip
        judged.append(each)
    return figures, tuple(judged)


def _beside(name: str, hits: NDArray[np.bool_], precise: NDArray[np.bool_]) -> dict[str, float]:
    apart = precise.astype(float) - hits
    luck = _ONE_SIDED * float(np.sqrt(np.square(apart).sum())) / len(apart)
    return {f"{name} lost beyond chance": max(0.0, float(apart.mean()) - luck)}


def _milliseconds(controller: TextController, texts: Sequence[str]) -> float:
    """Median of single texts."""
    took = []
    for text in texts[:_TIMED]:
        begun = time.perf_counter()
        controller.decide(f"{text} ")
        took.append(time.perf_counter() - begun)
    return 1e3 * statistics.median(took)


def _outside(lesson: Lesson, answers: Sequence[Answer]) -> dict[str, float]:
    """How many of the texts that belong to no label are not taken for one: said to be outside, or left."""
    outside = lesson.terms.outside
    theirs = [a for a, each in zip(answers, lesson.distilled.judge, strict=True) if each.label == outside]
    if not theirs:
        return {}
    return {"outside not taken in": sum(a.abstained or a.option == outside for a in theirs) / len(theirs)}


def _by_label(lesson: Lesson, answers: Sequence[Answer]) -> dict[str, tuple[int, int, int]]:
    counts: dict[str, tuple[int, int, int]] = {}
    for answer, each in zip(answers, lesson.distilled.judge, strict=True):
        texts, answered, right = counts.get(each.label, (0, 0, 0))
        said = not answer.abstained
        counts[each.label] = (texts + 1, answered + said, right + (said and answer.option == each.label))
    return counts


def _misses(lesson: Lesson, controller: TextController, metrics: dict[str, float]) -> Iterator[str]:
    promise = lesson.terms.promise
    levels = controller.described.levels
    if all(level.calibrations[lesson.name].threshold is None for level in levels):
        texts = lesson.distilled
        crossed = len(texts.learn) if lesson.terms.mode == "linear" else 0
        validated = len(lesson.held) + crossed
        yield (
            f"no level may answer: {validated:,} validation texts cannot promise {promise:.1%}; more tasks, or a "
            "lower --promise"
        )
        return
    if not metrics["answered"]:
        yield "it answers none of the held-out texts"
        return
    if metrics["precision"] < promise:
        yield f"precision {metrics['precision']:.4f} on held-out texts, promised {promise:g}"
    best = max(value for name, value in metrics.items() if name.startswith("accuracy of"))
    if best <= metrics["floor: one label always"]:
        yield f"accuracy {best:.4f} is no better than one label always"
    for name in _serving(levels[1:2]):
        lost = metrics.get(f"{name} lost beyond chance", 0.0)
        if lost > lesson.terms.allowance:
            yield f"{name} loses {lost:.4f} of accuracy against fp32, {lesson.terms.allowance:g} allowed"


def _serving(levels: Sequence[Level]) -> Iterator[str]:
    """The variants that these levels are."""
    names = {level.name for level in levels}
    return (variant for variant in VARIANTS if variant_folder(variant) in names)


def _notes(metrics: dict[str, float]) -> Iterator[str]:
    floor = metrics["floor: TF-IDF"]
    above = [name for name, value in metrics.items() if name.startswith("accuracy of") and value > floor]
    if not above:
        yield f"no level is more accurate than plain TF-IDF ({floor:.4f})"
