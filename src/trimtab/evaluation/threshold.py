"""The confidence a controller must have before it answers: the lowest one whose promise survives on new tasks.

A threshold picked as the best of many looks better than it is, and rows of one task hit and miss together. Here
thresholds are tested from the safest down (fixed-sequence testing from several starts, Angelopoulos et al. 2021,
"Learn then Test"), so the chance of breaking the promise stays below 1 - confidence whatever is picked; and
rows are discounted by their task's design effect.
"""

import numpy as np
from numpy.typing import NDArray

from trimtab.evaluation.bounds import Floats, Labels, group_sizes, kinship, success_tail

_STARTS = 3
_BINS = 10
_FEWEST_MISSES = 8


def choose_threshold(
    confidences: Floats,
    correct: NDArray[np.bool_] | Floats,
    precision: float,
    confidence: float = 0.95,
    groups: Labels | None = None,
) -> float | None:
    """The lowest threshold t such that answers with confidence >= t keep `precision` on new groups.

    `correct` may hold shares in 0..1. `groups` names each row's task. None where no threshold can promise it:
    with too few rows nothing can (98 % needs some 220 rows without an error).
    """
    confidences = np.asarray(confidences, float)
    right = np.asarray(correct, float)
    if not confidences.size:
        return None
    order = np.argsort(-confidences, kind="stable")
    ranked, hits = confidences[order], np.cumsum(right[order])
    ends = np.flatnonzero(np.append(ranked[:-1] != ranked[1:], True))
    rows = (ends + 1).astype(float)
    worth = (
        np.ones(ends.size) if groups is None else _design_effects(ranked, right[order], groups[order], ends)
    )
    good, bad = hits[ends] / worth, (rows - hits[ends]) / worth
    passed = success_tail(precision, good, bad) <= (1.0 - confidence) / _STARTS
    lowest = _descend(passed, _starts(rows / worth, precision, (1.0 - confidence) / _STARTS))
    return None if lowest is None else float(ranked[ends[lowest]])


def _starts(effective: Floats, precision: float, alpha: float) -> NDArray[np.intp]:
    """Where to begin, from row counts alone: spaced by ratio from the fewest rows that could pass to all."""
    fewest = np.log(alpha) / np.log(precision) if 0 < precision < 1 else 1.0
    if effective[-1] < fewest:
        return np.array([], dtype=np.intp)
    wanted = np.geomspace(fewest, effective[-1], _STARTS + 1)[:_STARTS] if _STARTS > 1 else np.array([fewest])
    return np.unique(np.searchsorted(np.maximum.accumulate(effective), wanted).clip(max=effective.size - 1))


def _descend(passed: NDArray[np.bool_], starts: NDArray[np.intp]) -> int | None:
    """The end of the longest chain of passed tests from any start."""
    reached = []
    for start in starts:
        failed = np.flatnonzero(~passed[start:])
        length = int(failed[0]) if failed.size else passed.size - int(start)
        if length:
            reached.append(int(start) + length - 1)
    return max(reached, default=None)


def _design_effects(ranked: Floats, correct: Floats, groups: Labels, ends: NDArray[np.intp]) -> Floats:
    """At each threshold, from the sizes of the groups accepted there and the kinship of what confidence leaves."""
    index, sizes = group_sizes(groups)
    squares = np.cumsum(2.0 * _earlier(index, sizes.size) + 1.0)[ends]
    return np.maximum(1.0, 1.0 + (squares / (ends + 1.0) - 1.0) * _kinships(ranked, correct, groups)[ends])


def _kinships(ranked: Floats, correct: Floats, groups: Labels) -> Floats:
    """For each row the kinship among those of at least its confidence, by tenths; larger where misses are few."""
    residuals, misses = _residuals(ranked, correct), np.cumsum(1.0 - correct)
    values = np.empty(ranked.size)
    end, value = ranked.size, kinship(residuals, groups)
    for tenth in range(_BINS - 1, -1, -1):
        begin = tenth * ranked.size // _BINS
        values[begin:end] = value
        end = begin
        if begin and misses[begin - 1] >= _FEWEST_MISSES:
            value = kinship(residuals[:begin], groups[:begin])
    return values


def _residuals(ranked: Floats, correct: Floats) -> Floats:
    """What is left of each row's correctness when the mean of its neighbours in confidence is taken off."""
    bins = np.minimum(np.arange(ranked.size) * _BINS // ranked.size, _BINS - 1)
    means = np.bincount(bins, correct, _BINS) / np.maximum(np.bincount(bins, minlength=_BINS), 1)
    spread = np.sqrt(np.maximum(means * (1 - means), 1e-3))
    residuals: Floats = (correct - means[bins]) / spread[bins]
    return residuals


def _earlier(index: NDArray[np.intp], count: int) -> Floats:
    """For each row, how many rows of its group came before it."""
    order = np.argsort(index, kind="stable")
    firsts = np.concatenate(([0], np.cumsum(np.bincount(index, minlength=count))[:-1]))
    earlier = np.empty(index.size)
    earlier[order] = np.arange(index.size) - firsts[index[order]]
    return earlier
