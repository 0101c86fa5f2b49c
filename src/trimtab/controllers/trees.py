"""Gradient-boosted trees at run time, in numpy: what a step controller scores its candidates with.

Trained elsewhere; here only four arrays of nodes and a walk down all trees at once.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Ints = NDArray[np.int32]
_MOST_DEPTH = 512


@dataclass(frozen=True, slots=True)
class Trees:
    """An ensemble: arrays over all nodes of all trees, `roots` [trees] and the depth of the deepest.

    A row goes left where its feature is at or below the threshold. A leaf is its own left and right. Thresholds and
    values are doubles, as they were trained: rounded, a threshold could step over a feature.
    """

    feature: Ints
    threshold: Doubles
    left: Ints
    right: Ints
    value: Doubles
    roots: Ints
    depth: int
    base: float
    _features: NDArray[np.intp] = field(init=False, repr=False, compare=False)
    _children: NDArray[np.intp] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """What a walk looks up at each step, laid out for it: left and right child side by side."""
        object.__setattr__(self, "_features", np.asarray(self.feature).astype(np.intp))
        children = [np.ravel(self.left), np.ravel(self.right)]
        same = len(children[0]) == len(children[1])
        pairs = np.stack(children, axis=1).ravel() if same else np.zeros(0)
        object.__setattr__(self, "_children", pairs.astype(np.intp))

    def raw(self, rows: Floats) -> NDArray[np.float64]:
        """The log-odds of each row [n, features] -> [n]."""
        count, width = rows.shape
        values = rows.astype(np.float64).ravel()
        starts = (np.arange(count) * width)[:, None]
        at = np.broadcast_to(self.roots.astype(np.intp), (count, len(self.roots)))
        for _ in range(self.depth):
            goes_right = values.take(starts + self._features.take(at)) > self.threshold.take(at)
            at = self._children.take(2 * at + goes_right)
        sums: NDArray[np.float64] = self.value.take(at).sum(axis=1)
        return self.base + sums

    def check(self, width: int) -> None:
        """Raises ValueError unless every walk stays inside the arrays and ends in a leaf, for rows of `width`."""
        nodes = len(self.feature)
        shapes = {part.shape for part in (self.feature, self.threshold, self.left, self.right, self.value)}
        ints = (self.feature, self.left, self.right, self.roots)
        if not nodes or shapes != {(nodes,)} or self.roots.ndim != 1 or not len(self.roots):
            raise ValueError("the arrays differ in length or are empty")
        if any(part.dtype != np.int32 for part in ints) or not 0 <= self.depth <= _MOST_DEPTH:
            raise ValueError("an array is of another type, or the depth is out of range")
        if any(part.dtype != np.float64 or np.isnan(part).any() for part in (self.threshold, self.value)):
            raise ValueError("a threshold or a value is no number")
        if not all(part.min() >= 0 and part.max() < nodes for part in (self.left, self.right, self.roots)):
            raise ValueError("a node leads out of the arrays")
        if not (self.feature.min() >= 0 and self.feature.max() < width and np.isfinite(self.base)):
            raise ValueError("a feature or the base is out of range")
        at, met = np.unique(self.roots), np.zeros(nodes, bool)
        for _ in range(self.depth):
            met[at] = True
            at = np.unique(np.concatenate([self.left[at], self.right[at]]))
        met[at] = True
        if not (self.left[at] == at).all() or not (self.right[at] == at).all() or not met.all():
            raise ValueError("a walk does not end in a leaf, or a node is on none")

    def probability(self, rows: Floats) -> NDArray[np.float64]:
        """The probability of each row [n, features] -> [n]."""
        return 1.0 / (1.0 + np.exp(-self.raw(rows)))
