"""Random forests as the arrays that serve, and their blend with boosted trees: the two err on different rows, so that
where both are sure the blend is right more often than either.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trimtab.controllers import Trees


@dataclass(frozen=True, slots=True)
class Planting:
    """How a forest is grown; see RandomForestClassifier. `rows` and `features` are the shares a tree draws, `doubt`
    the least chance a leaf gives either answer."""

    trees: int = 60
    depth: int = 10
    rows: float = 0.5
    features: float = 0.4
    least_rows: int = 3
    doubt: float = 0.005


def fit_forest(
    rows: NDArray[np.float32],
    labels: NDArray[np.bool_],
    weights: NDArray[np.float64],
    seed: int,
    planting: Planting = Planting(),  # noqa: B008 - frozen
) -> Trees:
    """A forest for a yes-or-no label with both answers in it: `rows` [n, features], `labels` [n], `weights` [n].

    The log-odds are the mean over the trees' leaves.
    """
    from sklearn.ensemble import RandomForestClassifier

    model = RandomForestClassifier(
        n_estimators=planting.trees,
        max_depth=planting.depth,
        max_samples=planting.rows,
        max_features=planting.features,
        min_samples_leaf=planting.least_rows,
        random_state=seed,
        n_jobs=1,
    )
    model.fit(rows, labels, sample_weight=weights)
    return _exported(model.estimators_, planting.doubt)


def _exported(estimators: list[object], doubt: float) -> Trees:
    feature, threshold, left, right, value, roots = ([] for _ in range(6))
    offset = depth = 0
    for estimator in estimators:
        tree = estimator.tree_  # type: ignore[attr-defined]
        leaf = tree.children_left < 0
        own = np.arange(tree.node_count) + offset
        chance = np.clip(tree.value[:, 0, 1] / tree.value[:, 0].sum(axis=1), doubt, 1 - doubt)
        roots.append(offset)
        feature.append(np.where(leaf, 0, tree.feature))
        threshold.append(np.where(leaf, 0.0, tree.threshold))
        left.append(np.where(leaf, own, tree.children_left + offset))
        right.append(np.where(leaf, own, tree.children_right + offset))
        value.append(np.where(leaf, np.log(chance / (1 - chance)), 0.0) / len(estimators))
        depth = max(depth, int(tree.max_depth))
        offset += tree.node_count
    ints = [np.concatenate(part).astype(np.int32) for part in (feature, left, right)]
    floats = [np.concatenate(part).astype(np.float64) for part in (threshold, value)]
    return Trees(ints[0], floats[0], ints[1], ints[2], floats[1], np.array(roots, np.int32), depth, 0.0)


def blend(one: Trees, other: Trees) -> Trees:
    """An ensemble whose log-odds are the mean of the two."""
    nodes = len(one.feature)
    return Trees(
        np.concatenate([one.feature, other.feature]),
        np.concatenate([one.threshold, other.threshold]),
        np.concatenate([one.left, other.left + np.int32(nodes)]),
        np.concatenate([one.right, other.right + np.int32(nodes)]),
        np.concatenate([one.value, other.value]) / 2,
        np.concatenate([one.roots, other.roots + np.int32(nodes)]),
        max(one.depth, other.depth),
        (one.base + other.base) / 2,
    )
