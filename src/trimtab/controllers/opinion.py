"""From logits to an opinion: which label, how sure, and whether the text belongs to any label at all. Pure."""

import math
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
_DIGITS = 6
_LEAST_SCORE = 1e-9


class Calibration(msgspec.Struct, frozen=True):
    """How one head of one level is read.

    `linear_share` is how much of level 0's logits is added, `temperature` divides the sum. The best label's chance is
    its score; `slope` and `offset` make of the score's log-odds those of being right. `scope`: with a lower score, the
    text is outside. `threshold`: answers only at that confidence; None never answers. `margin`: how far below the
    threshold the next, more precise level is still asked.
    """

    temperature: float = 1.0
    linear_share: float = 0.0
    slope: float = 1.0
    offset: float = 0.0
    scope: float = 0.0
    threshold: float | None = None
    margin: float = 1.0


@dataclass(frozen=True, slots=True)
class Opinion:
    """The likeliest option and its confidence."""

    option: str
    confidence: float


def chances(logits: Floats, linear: Floats | None, calibration: Calibration) -> NDArray[np.float64]:
    """Probabilities by label."""
    said = logits.astype(np.float64)
    if linear is not None and calibration.linear_share:
        said = said + linear.astype(np.float64) * calibration.linear_share
    said = said / calibration.temperature
    weights = np.exp(said - said.max(axis=-1, keepdims=True))
    probabilities: NDArray[np.float64] = weights / weights.sum(axis=-1, keepdims=True)
    return probabilities


def opinion(
    probabilities: NDArray[np.float64], labels: tuple[str, ...], outside: str, calibration: Calibration
) -> Opinion:
    """What to make of them. The label `outside` is chosen when no other one's score reaches `scope`."""
    best, score = best_inside(probabilities, labels.index(outside) if outside else None)
    right = confidence(score, calibration)
    if outside and score < calibration.scope:
        return Opinion(outside, round(1.0 - right, _DIGITS))
    return Opinion(labels[best], round(right, _DIGITS))


def best_inside(probabilities: NDArray[np.float64], outside: int | None) -> tuple[int, float]:
    """The likeliest label other than `outside`, and its chance."""
    if outside is not None:
        probabilities = probabilities.copy()
        probabilities[outside] = -1.0
    best = int(probabilities.argmax())
    return best, float(probabilities[best])


def confidence(score: float, calibration: Calibration) -> float:
    """The chance that the best label is right, given its score."""
    bounded = min(max(score, _LEAST_SCORE), 1.0 - _LEAST_SCORE)
    odds = math.log(bounded / (1.0 - bounded))
    return 0.5 + 0.5 * math.tanh((calibration.slope * odds + calibration.offset) / 2)
