"""How sure is sure enough: scores made into chances of being right, and thresholds that keep a promised precision."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from trimtab.controllers import Calibration, best_inside, chances, confidence
from trimtab.evaluation import choose_threshold

Floats = NDArray[np.float32]
# Softmax at a high temperature keeps the height of the best logit, which tells unheard-of texts better than its lead
# over the others does (Liang et al. 2018, Hendrycks et al. 2022); confidence is set right afterwards.
_OUTSIDE_TEMPERATURE = 3.0
_LINEAR_SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
_NEWTON_STEPS = 60
_RIDGE = 0.1


@dataclass(frozen=True, slots=True)
class Held:
    """What a level said of texts it was not trained on. `right` are indices of `labels`; `linear` level 0's logits."""

    logits: Floats
    linear: Floats | None
    right: NDArray[np.int64]
    groups: Sequence[str] | None = None


@dataclass(frozen=True, slots=True)
class Promise:
    """What a controller must keep: `precision` of its answers, at `confidence`; and how much accuracy on texts that
    belong to a label may be given up to turn away those that do not.
    """

    precision: float = 0.95
    confidence: float = 0.95
    scope_cost: float = 0.008
    margin: float = 0.2


def calibrate(held: Held, labels: tuple[str, ...], outside: str, promise: Promise) -> Calibration:
    """The share of level 0 that best ranks right before wrong; then confidence, scope, threshold."""
    shares = _LINEAR_SHARES if held.linear is not None else (0.0,)
    temperature = _OUTSIDE_TEMPERATURE if outside else 1.0
    options = [Calibration(temperature=temperature, linear_share=share) for share in shares]
    chosen = max(options, key=lambda each: _ranking(*scored(held, labels, outside, each)))
    scores, hits = scored(held, labels, outside, chosen)
    slope, offset = platt(scores, hits)
    chosen = msgspec.structs.replace(chosen, slope=slope, offset=offset, margin=promise.margin)
    if outside:
        inside = held.right != labels.index(outside)
        chosen = msgspec.structs.replace(
            chosen, scope=scope(scores[inside], hits[inside], promise.scope_cost)
        )
    sure, right = _opinions(held, labels, outside, chosen)
    groups = None if held.groups is None else np.asarray(held.groups)
    threshold = choose_threshold(sure, right, promise.precision, promise.confidence, groups)
    return msgspec.structs.replace(chosen, threshold=threshold)


def scope(scores: NDArray[np.float64], hits: NDArray[np.bool_], cost: float) -> float:
    """The highest score to ask for such that accuracy on texts inside falls by `cost` at most."""
    lost = np.sort(scores[hits])
    allowed = int(cost * len(scores))
    return float(lost[allowed]) if allowed < len(lost) else 0.0


def platt(scores: NDArray[np.float64], hits: NDArray[np.bool_]) -> tuple[float, float]:
    """Slope and offset on the scores' log-odds (Platt 1999, with his smoothed targets), by damped Newton steps."""
    bounded = np.clip(scores, 1e-6, 1 - 1e-6)
    odds = np.stack([np.log(bounded / (1 - bounded)), np.ones_like(bounded)])
    good, bad = hits.sum(), (~hits).sum()
    target = np.where(hits, (good + 1) / (good + 2), 1 / (bad + 2))
    fitted = np.array([1.0, 0.0])
    for _ in range(_NEWTON_STEPS):
        said = 1 / (1 + np.exp(-np.clip(fitted @ odds, -30, 30)))
        slope = odds @ (said - target) + _RIDGE * (fitted - [1.0, 0.0])
        curve = (odds * (said * (1 - said))) @ odds.T + _RIDGE * np.eye(2)
        step = np.linalg.solve(curve, slope)
        fitted = fitted - step / max(1.0, float(np.abs(step).max()))
    return max(float(fitted[0]), 0.05), float(fitted[1])


def scored(
    held: Held, labels: tuple[str, ...], outside: str, calibration: Calibration
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The best inside label's score of every text, and whether it is right."""
    barred = labels.index(outside) if outside else None
    best = [best_inside(row, barred) for row in chances(held.logits, held.linear, calibration)]
    return np.array([score for _, score in best]), np.array([label for label, _ in best]) == held.right


def _ranking(scores: NDArray[np.float64], hits: NDArray[np.bool_]) -> float:
    """Mean accuracy over all coverages, the surest answered first."""
    ordered = hits[np.argsort(-scores, kind="stable")]
    return float((np.cumsum(ordered) / np.arange(1, len(ordered) + 1)).mean())


def _opinions(
    held: Held, labels: tuple[str, ...], outside: str, calibration: Calibration
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Confidence in what would be answered, and whether that is right."""
    scores, hits = scored(held, labels, outside, calibration)
    sure = np.array([confidence(score, calibration) for score in scores])
    if not outside:
        return sure, hits
    turned_away = scores < calibration.scope
    return (
        np.where(turned_away, 1 - sure, sure),
        np.where(turned_away, held.right == labels.index(outside), hits),
    )
