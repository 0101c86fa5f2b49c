"""Whether a confidence means what it says: calibration error, ranking, and coverage at a promised precision. Pure."""

import msgspec
import numpy as np
from numpy.typing import NDArray

from trimtab.evaluation.bounds import Floats, Labels
from trimtab.evaluation.threshold import choose_threshold

_BINS = 10


class Calibration(msgspec.Struct, frozen=True):
    """`ece`: mean gap between confidence and correctness; `auroc`: a right one ranks above a wrong one so often;
    `coverage`: the share answered at the threshold that keeps `precision` on new groups (0: none does)."""

    rows: int
    ece: float
    auroc: float
    precision: float
    threshold: float | None
    coverage: float


def calibration(
    confidences: Floats,
    correct: NDArray[np.bool_] | Floats,
    precision: float = 0.95,
    groups: Labels | None = None,
) -> Calibration:
    """All figures of one set of answers."""
    right = np.asarray(correct, float)
    threshold = choose_threshold(confidences, right, precision, groups=groups)
    coverage = 0.0 if threshold is None else float(np.mean(confidences >= threshold))
    return Calibration(
        int(confidences.size),
        calibration_error(confidences, right),
        auroc(confidences, right),
        precision,
        threshold,
        coverage,
    )


def calibration_error(confidences: Floats, correct: Floats) -> float:
    """Expected calibration error over bins of equally many rows."""
    if not confidences.size:
        return float("nan")
    parts = np.array_split(np.argsort(confidences, kind="stable"), min(_BINS, confidences.size))
    gaps = [abs(float(confidences[part].mean() - correct[part].mean())) * part.size for part in parts]
    return sum(gaps) / confidences.size


def auroc(confidences: Floats, correct: Floats) -> float:
    """By ranks, ties shared; shares in 0..1 count in part. NaN where all are right or all wrong."""
    _, index, counts = np.unique(confidences, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[index.reshape(-1)]
    right, wrong = float(correct.sum()), float((1 - correct).sum())
    if not right or not wrong:
        return float("nan")
    return float((np.sum(ranks * correct) - np.sum(ranks) / ranks.size * right) / (right * wrong) + 0.5)
