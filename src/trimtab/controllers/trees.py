"""Gradient-boosted trees at run time, in numpy: what a step controller scores its candidates with.

Trained elsewhere; here only four arrays of nodes and a walk down all trees at once.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Trees:
    """An ensemble: arrays over all nodes of all trees, `roots` [trees] and the depth of the deepest.

    A row goes left where its feature is at or below the threshold. A leaf is its own left and right.
    """

    feature: Ints
    threshold: Floats
    left: Ints
    right: Ints
    value: Floats
    roots: Ints
    depth: int
    base: float

    def raw(self, rows: Floats) -> NDArray[np.float64]:
        """The log-odds of each row [n, features] -> [n]."""
        lines = np.arange(len(rows))[:, None]
        at = np.broadcast_to(self.roots, (len(rows), len(self.roots)))
        for _ in range(self.depth):
            goes_left = rows[lines, self.feature[at]] <= self.threshold[at]
            at = np.where(goes_left, self.left[at], self.right[at])
        sums: NDArray[np.float64] = self.value[at].sum(axis=1, dtype=np.float64)
        return self.base + sums

    def probability(self, rows: Floats) -> NDArray[np.float64]:
        """The probability of each row [n, features] -> [n]."""
        return 1.0 / (1.0 + np.exp(-self.raw(rows)))
