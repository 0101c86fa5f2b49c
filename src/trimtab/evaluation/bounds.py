"""How sure a share is: one-sided bounds on precision that hold when rows of one task go together.

Pure numpy; called wherever a threshold is chosen or a report says "at least".
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Labels = NDArray[np.generic]

_BISECTIONS = 44
_FRACTION_TERMS = 300
_TINY = 1e-300
# Lanczos, g = 7, n = 9: log-gamma to 15 digits for arguments above one half.
_LANCZOS = (
    0.99999999999980993,
    676.5203681218851,
    -1259.1392167224028,
    771.32342877765313,
    -176.61502916214059,
    12.507343278686905,
    -0.13857109526572012,
    9.9843695780195716e-6,
    1.5056327351493116e-7,
)


def precision_bound(
    hits: float | Floats, n: float | Floats, confidence: float = 0.95, design_effect: float | Floats = 1.0
) -> Floats:
    """The share that lies below the true one with that `confidence` (Clopper & Pearson 1934, one-sided).

    Counts may be fractions: `design_effect` divides both, for rows that are worth fewer independent ones.
    0 where nothing was counted. Broadcasts; a scalar gives an array of no dimensions.
    """
    hits, n, design_effect = np.broadcast_arrays(
        *(np.asarray(x, dtype=float) for x in (hits, n, design_effect))
    )
    good, bad = hits / design_effect, (n - hits) / design_effect
    alpha = 1.0 - confidence
    bound = _bisect(lambda share: success_tail(share, good, bad) > alpha, good.shape)
    return np.where(good > 0, bound, 0.0)


def success_tail(share: float | Floats, good: Floats, bad: Floats) -> Floats:
    """The chance of at least `good` hits and at most `bad` misses where each row hits with chance `share`."""
    return np.where(good > 0, beta_share(np.maximum(good, _TINY), bad + 1.0, np.asarray(share)), 1.0)


def group_sizes(groups: Labels) -> tuple[NDArray[np.intp], Floats]:
    """Each row's group as an index from 0, and the rows in each group."""
    _, index = np.unique(groups, return_inverse=True)
    return index.reshape(-1), np.bincount(index.reshape(-1)).astype(float)


def kinship(residuals: Floats, groups: Labels) -> float:
    """Intraclass correlation of residuals (one-way ANOVA estimator), 0 where groups say nothing."""
    index, sizes = group_sizes(groups)
    rows, count = residuals.size, sizes.size
    if count < 2 or rows == count:
        return 0.0
    means = np.bincount(index, residuals) / sizes
    between = float(np.sum(sizes * (means - residuals.mean()) ** 2)) / (count - 1)
    within = float(np.sum((residuals - means[index]) ** 2)) / (rows - count)
    typical = (rows - float(np.sum(sizes**2)) / rows) / (count - 1)
    spread = between + (typical - 1) * within
    return float(np.clip((between - within) / spread, 0.0, 1.0)) if spread > 0 else 0.0


def design_effect(sizes: Floats, correlation: float) -> float:
    """How many rows are worth one independent row (Kish 1965): 1 + (size-weighted mean size - 1) * correlation."""
    total = float(np.sum(sizes))
    return 1.0 + (float(np.sum(sizes**2)) / total - 1.0) * correlation if total else 1.0


def beta_share(a: Floats, b: Floats, x: Floats) -> Floats:
    """The regularised incomplete beta function I_x(a, b), by its continued fraction (modified Lentz)."""
    a, b, x = np.broadcast_arrays(np.asarray(a, float), np.asarray(b, float), np.asarray(x, float))
    swap = x > (a + 1.0) / (a + b + 2.0)
    p, q, y = np.where(swap, b, a), np.where(swap, a, b), np.where(swap, 1.0 - x, x)
    inside = np.clip(y, _TINY, 1.0 - 1e-16)
    front = np.exp(
        _log_gamma(p + q)
        - _log_gamma(p)
        - _log_gamma(q)
        + p * np.log(inside)
        + q * np.log1p(-inside)
        - np.log(p)
    )
    part = front * _fraction(p, q, inside)
    share = np.clip(np.where(swap, 1.0 - part, part), 0.0, 1.0)
    return np.asarray(np.where(x <= 0, 0.0, np.where(x >= 1, 1.0, share)), float)


def _fraction(a: Floats, b: Floats, x: Floats) -> Floats:
    c, d = np.ones_like(x), _inverse(1.0 - (a + b) * x / (a + 1.0))
    value = d.copy()
    for m in range(1, _FRACTION_TERMS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        d, c = _inverse(1.0 + even * d), _bounded(1.0 + even / c)
        value = value * d * c
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        d, c = _inverse(1.0 + odd * d), _bounded(1.0 + odd / c)
        value = value * d * c
        if np.all(np.abs(d * c - 1.0) < 1e-13):
            break
    return value


def _bounded(value: Floats) -> Floats:
    return np.where(np.abs(value) < _TINY, _TINY, value)


def _inverse(value: Floats) -> Floats:
    return 1.0 / _bounded(value)


def _log_gamma(x: Floats) -> Floats:
    """For x > 0; below one half by the step Γ(x) = Γ(x + 1) / x."""
    small = x < 0.5
    z = np.where(small, x, x - 1.0)
    series = np.full_like(z, _LANCZOS[0])
    for i, c in enumerate(_LANCZOS[1:], start=1):
        series = series + c / (z + i)
    t = z + 7.5
    value = 0.5 * np.log(2 * np.pi) + (z + 0.5) * np.log(t) - t + np.log(series)
    return np.asarray(np.where(small, value - np.log(np.maximum(x, _TINY)), value), float)


def _bisect(above: Callable[[Floats], NDArray[np.bool_]], shape: tuple[int, ...]) -> Floats:
    low, high = np.zeros(shape), np.ones(shape)
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        over = above(middle)
        low, high = np.where(over, low, middle), np.where(over, middle, high)
    return low
