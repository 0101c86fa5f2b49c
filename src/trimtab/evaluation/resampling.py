"""How far a figure may be off: intervals from resampled groups of runs (bootstrap by task). Pure, seeded.

The same resamples serve two policies at once, so that their difference is judged task by task.
"""

import msgspec
import numpy as np

from trimtab.evaluation.bounds import Floats, Labels, group_sizes


class Interval(msgspec.Struct, frozen=True):
    """A figure and what it may as well be, at the level of the resamples it came from. `high` None: unbounded."""

    value: float
    low: float
    high: float | None


class Resamples:
    """Groups drawn with replacement, once, for any number of figures over the same rows."""

    __slots__ = ("_index", "_sizes", "_tails", "_weights")

    def __init__(self, groups: Labels, seed: int = 0, times: int = 2000, level: float = 0.95) -> None:
        """`groups`: one label a row. Two-sided percentile intervals of that `level`."""
        self._index, self._sizes = group_sizes(groups)
        count = self._sizes.size
        draws = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=times)
        self._weights = draws.astype(float)
        self._tails = ((1 - level) / 2, (1 + level) / 2)

    def mean(self, values: Floats) -> Interval:
        """The mean over rows."""
        shared = self.ratio(values, np.ones(self._index.size))
        assert shared is not None
        return shared

    def difference(self, values: Floats, others: Floats) -> Interval:
        """The mean of paired differences."""
        return self.mean(np.asarray(values, float) - np.asarray(others, float))

    def ratio(self, above: Floats, below: Floats) -> Interval | None:
        """The sum of one by the sum of the other, which is never negative; None where there is nothing below."""
        tops, bottoms = (
            np.bincount(self._index, np.asarray(x, float), self._sizes.size) for x in (above, below)
        )
        if not bottoms.sum():
            return None
        top, bottom = self._weights @ tops, self._weights @ bottoms
        drawn = np.divide(top, bottom, out=np.full_like(top, np.inf), where=bottom > 0)
        low, high = np.quantile(drawn, self._tails, method="nearest")
        value = float(tops.sum() / bottoms.sum())
        return Interval(value, min(value, float(low)), float(high) if np.isfinite(high) else None)
