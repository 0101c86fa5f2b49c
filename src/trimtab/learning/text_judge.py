"""A packaged text controller on labelled texts or recorded runs: how much it answers and how rightly, beside floors.

Called by `trimtab evaluate`. Tasks that taught the controller are left out where others are left to judge by.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from trimtab.controllers import Answer, LinearTerms, TextController, chances
from trimtab.core.errors import DataError
from trimtab.evaluation import (
    Cell,
    Column,
    Interval,
    Report,
    Resamples,
    Table,
    calibration,
    calibration_table,
    precision_bound,
)
from trimtab.learning.card import DataCard
from trimtab.learning.curate import TAUGHT, distinct, group_digest
from trimtab.learning.distil import trusted
from trimtab.learning.examples import Example, Picking, examples_of_runs, holds_runs, read_rows, read_runs
from trimtab.learning.labelled import Labelled
from trimtab.learning.linear import train_linear
from trimtab.learning.success import folds_by_group
from trimtab.learning.variant import read_variant

_PLAIN_WORDS = LinearTerms(pairs=True, least_letters=0, most_letters=0)
_FOLDS = 5
_BATCH = 256
_CARD = "data_card.json"
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Judging:
    """Texts to judge by, each once. `known` of all `tasks` taught the controller; None: the package does not say."""

    rows: tuple[Labelled, ...]
    tasks: int
    known: int | None
    left_out: int

    @property
    def texts(self) -> list[str]:
        """In the order of the rows."""
        return [each.text for each in self.rows]

    @property
    def groups(self) -> list[str]:
        """A row's task, or itself."""
        return [each.group or each.text for each in self.rows]


def read_texts(path: Path, picking: Picking, source: str) -> list[Example]:
    """Labelled rows, or what a kind reads off recorded runs. Raises DataError."""
    if holds_runs(path):
        return examples_of_runs(read_runs(path, picking.workflow), picking, source)
    return read_rows(path)


def examine_text(
    folder: Path,
    examples: Sequence[Example],
    title: str,
    source: str,
    command: str = "",
    precise: Path | None = None,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> Report:
    """Judge the controller of a folder. `precise`: the folder of its encoder in full precision, where it was kept.

    Deterministic but for the times. Raises DataError where there is nothing to judge by.
    """
    controller = TextController.load(folder)
    judging = _judging(folder, examples, source)
    answers, seconds = _answers(controller, judging.texts, progress)
    resamples = Resamples(np.array(judging.groups))
    tables = [
        _standings(controller, folder, judging, answers, resamples),
        _precisions(controller, judging, precise, resamples),
        _confidences(judging, answers),
        _labels(judging, answers),
        _times(seconds),
    ]
    strange = {each.label for each in judging.rows} - set(controller.described.heads[0].labels)
    return Report(
        title=title, subject=title, data=source, runs=len(judging.rows), groups=len(set(judging.groups)),
        command=command, claims=(_claim(judging), _promised(judging, answers)), notes=tuple(_notes(strange)),
        tables=tuple(table for table in tables if table is not None),
    )  # fmt: skip


def _judging(folder: Path, examples: Sequence[Example], source: str) -> Judging:
    once = distinct(examples)
    if not once:
        raise DataError("holds no texts", file=source, remedy="check the path")
    digests = {each.group: group_digest(each) for each in once}
    path = folder / TAUGHT
    if not path.is_file():
        return Judging(trusted(once), len(digests), None, 0)
    taught = set(msgspec.json.decode(path.read_bytes(), type=list[str]))
    unseen = [each for each in once if digests[each.group] not in taught]
    known = sum(digest in taught for digest in digests.values())
    rows = trusted(unseen or once)
    return Judging(rows, len(digests), known, len(trusted(once)) - len(rows))


def _claim(judging: Judging) -> str:
    if judging.known is None:
        return "This package does not say which tasks taught it: the figures may be of its own."
    if judging.known == judging.tasks:
        return "All of these tasks taught it or set its thresholds: the figures say nothing of other tasks."
    if judging.known:
        return (
            f"{judging.known} of these {judging.tasks} tasks taught it or set its thresholds: their "
            f"{judging.left_out:,} texts are left out."
        )
    return "None of these tasks taught it or set its thresholds: the figures are of held-out tasks."


def _promised(judging: Judging, answers: Sequence[Answer]) -> str:
    """The share that is right of what it answered, and what it surely is at least."""
    said = [(each, row) for each, row in zip(answers, judging.rows, strict=True) if not each.abstained]
    if not said:
        return "It answers none of these texts."
    right = sum(each.option == row.label for each, row in said)
    least = float(precision_bound(right, len(said)))
    return (
        f"It answers {len(said):,} of {len(answers):,} texts, {right:,} of them rightly: {right / len(said):.1%}, at "
        f"least {least:.1%} (95 %, one-sided, every text for itself)."
    )


def _notes(strange: set[str]) -> list[str]:
    notes = [
        "Each text counts once, with the label most trusted; a label it was not taught can only be answered wrongly.",
        "Right of all: answered, and rightly; what is not answered costs a call and nothing else. 'Always answering' "
        "takes each level's likeliest label, however unsure.",
        "TF-IDF + LR learns here from the other folds of these very texts; tasks are never split.",
        "Intervals: 95 %, tasks drawn with replacement 2,000 times.",
    ]
    if strange:
        notes.append(f"{len(strange)} labels it was not taught: {', '.join(map(repr, sorted(strange)[:5]))}")
    return notes


def _answers(
    controller: TextController, texts: Sequence[str], progress: Callable[[int, int], None]
) -> tuple[list[Answer], list[float]]:
    """Its answers, and the seconds a text took in batches."""
    answers: list[Answer] = []
    seconds = []
    for start in range(0, len(texts), _BATCH):
        some = texts[start : start + _BATCH]
        begun = time.process_time()
        answers += controller.decide_many(some)
        seconds.append((time.process_time() - begun) / len(some))
        progress(min(start + _BATCH, len(texts)), len(texts))
    return answers, seconds


def _standings(
    controller: TextController,
    folder: Path,
    judging: Judging,
    answers: Sequence[Answer],
    resamples: Resamples,
) -> Table:
    """The controller, its levels, and the floors, on the same texts."""
    labels = controller.described.heads[0].labels
    truth = np.array([each.label for each in judging.rows])
    said = np.array([not each.abstained for each in answers], float)
    hits = said * np.array([each.option == label for each, label in zip(answers, truth, strict=True)])
    rows: list[tuple[Cell, ...]] = [
        ("as it serves", resamples.mean(said), resamples.ratio(hits, said), resamples.mean(hits), None)
    ]

    def always(name: str, right: Floats) -> None:
        versus = resamples.difference(hits + (1 - said) * right, right)
        rows.append((name, 1.0, resamples.mean(right), resamples.mean(right), versus))

    linear: NDArray[np.float32] | None = None
    for level in controller.described.levels:
        logits, said_by = _forced(controller, level.name, judging.texts, linear)
        linear = logits if level.file else linear
        always(f"always answering: {level.name}", (np.array(labels)[said_by] == truth).astype(float))
    always("one label always", (truth == _commonest(folder, judging)).astype(float))
    always("random label", np.full(len(truth), 1 / len(labels)))
    if (crossed := _crossed(judging)) is not None:
        always("TF-IDF + LR", crossed)
    columns = (
        Column("who"), Column("answered", "%"), Column("precision", "%"), Column("right of all", "%"),
        Column("gained by asking the controller first", "points"),
    )  # fmt: skip
    return Table("What it answers", columns, tuple(rows))


def _forced(
    controller: TextController, level: str, texts: Sequence[str], linear: NDArray[np.float32] | None
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """A level's logits and likeliest labels, mixed with level 0's as it serves."""
    head = controller.described.heads[0].name
    described = next(each for each in controller.described.levels if each.name == level)
    logits = controller.logits(texts, level, head)
    mixed = chances(logits, None if described.file else linear, described.calibrations[head])
    return logits, mixed.argmax(-1)


def _commonest(folder: Path, judging: Judging) -> str:
    """The label that most texts of its training have; where the package does not say, of those judged."""
    path = folder / _CARD
    counts: dict[str, int] = {}
    if path.is_file():
        card = msgspec.json.decode(path.read_bytes(), type=DataCard)
        counts = {label: parts.get("learn", 0) for label, parts in card.labels.items()}
    for each in () if counts else judging.rows:
        counts[each.label] = counts.get(each.label, 0) + 1
    return max(sorted(counts), key=counts.__getitem__)


def _crossed(judging: Judging) -> Floats | None:
    """Whether a TF-IDF + LR of the other folds reads each text rightly; None of too few tasks or labels."""
    groups = np.unique(judging.groups, return_inverse=True)[1].reshape(-1)
    if groups.max() + 1 < _FOLDS:
        return None
    right = np.zeros(len(judging.rows))
    for fold in folds_by_group(groups, _FOLDS, 0):
        known = [judging.rows[at] for at in fold.learn]
        if len({each.label for each in known}) < 2:
            return None
        model = train_linear({"label": known}, terms=_PLAIN_WORDS, strength=10.0, least_texts=1)
        names = model.heads[0].labels
        for at in fold.judge:
            row = judging.rows[at]
            right[at] = names[int(model.read(row.text).logits["label"].argmax())] == row.label
    return right


def _precisions(
    controller: TextController, judging: Judging, precise: Path | None, resamples: Resamples
) -> Table | None:
    """Each encoder alone, beside the same in full precision on the same texts."""
    head, levels = controller.described.heads[0], controller.described.levels
    encoders = [level for level in levels if level.encoder]
    if not encoders:
        return None
    names = np.array(head.labels)
    truth = np.array([each.label for each in judging.rows])
    full: NDArray[np.int64] | None = None
    first: tuple[Cell, ...] = ("fp32: not kept", None, None, None)
    if precise is not None:
        full = read_variant(precise, head.name, len(names), judging.texts).argmax(-1)
        first = ("fp32", resamples.mean((names[full] == truth).astype(float)), None, None)
    rows = [first]
    for level in encoders:
        said = controller.logits(judging.texts, level.name, head.name).argmax(-1)
        right = (names[said] == truth).astype(float)
        beside: tuple[Interval | None, Interval | None] = (None, None)
        if full is not None:
            gap = resamples.difference(right, (names[full] == truth).astype(float))
            beside = (gap, resamples.mean((said == full).astype(float)))
        rows.append((level.name, resamples.mean(right), *beside))
    columns = (
        Column("encoder alone"), Column("accuracy", "%"), Column("against fp32", "points"), Column("says as fp32", "%")
    )  # fmt: skip
    return Table("Quantised beside full precision", columns, tuple(rows))


def _confidences(judging: Judging, answers: Sequence[Answer]) -> Table | None:
    said = [(each, row) for each, row in zip(answers, judging.rows, strict=True) if not each.abstained]
    if not said:
        return None
    sure = np.array([answer.confidence for answer, _ in said])
    right = np.array([answer.option == row.label for answer, row in said])
    groups = np.array([row.group or row.text for _, row in said])
    return calibration_table(
        "How sure it was of what it answered", [("answers", calibration(sure, right, groups=groups))]
    )


def _labels(judging: Judging, answers: Sequence[Answer]) -> Table:
    counts: dict[str, tuple[int, int, int]] = {}
    for answer, row in zip(answers, judging.rows, strict=True):
        texts, said, right = counts.get(row.label, (0, 0, 0))
        answered = not answer.abstained
        counts[row.label] = (texts + 1, said + answered, right + (answered and answer.option == row.label))
    rows: list[tuple[Cell, ...]] = [
        (label, texts, said / texts, right / said if said else None)
        for label, (texts, said, right) in sorted(counts.items(), key=lambda each: (-each[1][0], each[0]))
    ]
    columns = (Column("label"), Column("texts"), Column("answered", "%"), Column("precision", "%"))
    return Table("By label", columns, tuple(rows))


def _times(seconds: Sequence[float]) -> Table:
    rows = (("median", float(np.median(seconds))), ("slowest", float(np.max(seconds))))
    return Table(f"CPU time a text, in batches of {_BATCH}", (Column("batch"), Column("seconds", "s")), rows)
