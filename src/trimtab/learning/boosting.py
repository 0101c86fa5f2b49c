"""Gradient-boosted trees fitted with scikit-learn and turned into the arrays that serve them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trimtab.controllers import Trees


@dataclass(frozen=True, slots=True)
class Growth:
    """How trees are grown; see HistGradientBoostingClassifier."""

    rounds: int = 150
    rate: float = 0.08
    leaves: int = 15
    least_rows: int = 15
    ridge: float = 1.0


CAUTIOUS = Growth(rounds=60, rate=0.06, leaves=6, least_rows=30, ridge=5.0)


def fit_trees(
    rows: NDArray[np.float32],
    labels: NDArray[np.bool_],
    weights: NDArray[np.float64],
    seed: int,
    growth: Growth = Growth(),  # noqa: B008 - frozen
) -> Trees:
    """Trees for a yes-or-no label: `rows` [n, features], `labels` [n], `weights` [n] (histogram boosting)."""
    if not labels.any() or labels.all():
        return _constant(bool(labels.all()) and len(labels) > 0)
    from sklearn.ensemble import HistGradientBoostingClassifier
    from threadpoolctl import threadpool_limits

    model = HistGradientBoostingClassifier(
        max_iter=growth.rounds,
        learning_rate=growth.rate,
        max_leaf_nodes=growth.leaves,
        min_samples_leaf=growth.least_rows,
        l2_regularization=growth.ridge,
        early_stopping=False,
        random_state=seed,
    )
    # Its threads wait for each other by spinning: on a busy machine two of them took ten times as long as one.
    with threadpool_limits(1):
        model.fit(rows, labels, sample_weight=weights)
    return _exported(model)


def _constant(likely: bool) -> Trees:  # noqa: FBT001 - a label
    zero, none = np.zeros(1, np.int32), np.zeros(1, np.float64)
    return Trees(zero, none, zero, zero, none, zero, 1, 8.0 if likely else -8.0)


def _exported(model: object) -> Trees:
    """The nodes of every tree behind each other; a leaf leads to itself.

    Reads scikit-learn's predictors (their layout is private: a test compares our probabilities with its own).
    """
    feature, threshold, left, right, value, roots = ([] for _ in range(6))
    offset = depth = 0
    for (predictor,) in model._predictors:  # type: ignore[attr-defined]
        nodes = predictor.nodes
        leaf = nodes["is_leaf"].astype(bool)
        self_index = np.arange(len(nodes)) + offset
        roots.append(offset)
        feature.append(np.where(leaf, 0, nodes["feature_idx"]))
        threshold.append(np.where(leaf, 0.0, nodes["num_threshold"]))
        left.append(np.where(leaf, self_index, nodes["left"] + offset))
        right.append(np.where(leaf, self_index, nodes["right"] + offset))
        value.append(np.where(leaf, nodes["value"], 0.0))
        depth = max(depth, int(nodes["depth"].max()))
        offset += len(nodes)
    ints = [np.concatenate(part).astype(np.int32) for part in (feature, left, right)]
    floats = [np.concatenate(part).astype(np.float64) for part in (threshold, value)]
    base = float(model._baseline_prediction[0, 0])  # type: ignore[attr-defined]
    return Trees(ints[0], floats[0], ints[1], ints[2], floats[1], np.array(roots, np.int32), depth, base)
