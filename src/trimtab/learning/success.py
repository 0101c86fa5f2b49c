"""Predicts, for each model, the chance that it does a task: from text alone, or with what attempts have shown.

Two learners: TF-IDF with logistic regression (the floor every other one must beat), and a forest over the text's
main directions, plain features and the statistics of paid attempts. scikit-learn is imported when one is fitted.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trimtab.evaluation import Outcomes
from trimtab.learning.recorded import RecordedSet

Floats = NDArray[np.float64]
Rows = NDArray[np.intp]

_DIRECTIONS = 24
_TREES = 100
_LEAF = 2
_SHARE_OF_FEATURES = 0.4
_FEWEST_WORDS = 2


@dataclass(frozen=True, slots=True, eq=False)
class Fold:
    """Rows to learn from and rows to judge on; no group is in both."""

    learn: Rows
    judge: Rows


def folds_by_group(groups: NDArray[np.intp], count: int, seed: int) -> list[Fold]:
    """Whole groups into folds of about equally many rows, the largest first, ties by chance."""
    _, index, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    order = np.random.default_rng(seed).permutation(sizes.size)
    order = order[np.argsort(-sizes[order], kind="stable")]
    count = min(count, sizes.size)
    load, of_group = np.zeros(count), np.empty(sizes.size, dtype=np.intp)
    for group in order:
        of_group[group] = np.argmin(load)
        load[of_group[group]] += sizes[group]
    of_row = of_group[index.reshape(-1)]
    return [Fold(np.flatnonzero(of_row != fold), np.flatnonzero(of_row == fold)) for fold in range(count)]


def linear_chances(texts: Sequence[str], reward: Floats, fold: Fold, seed: int) -> Floats:
    """Chances (judged rows, models) by TF-IDF of words and pairs with logistic regression, a model at a time."""
    from scipy.sparse import vstack
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    words: Any = TfidfVectorizer(ngram_range=(1, 2), min_df=_FEWEST_WORDS, sublinear_tf=True)
    known = words.fit_transform([texts[row] for row in fold.learn])
    asked = words.transform([texts[row] for row in fold.judge])
    chances = np.empty((fold.judge.size, reward.shape[1]))
    for model in range(reward.shape[1]):
        share = reward[fold.learn, model]
        if share.min() == share.max():
            chances[:, model] = share[0]
            continue
        # A share of successful repeats counts as that much of a success and the rest of a failure.
        learner = LogisticRegression(max_iter=1000, random_state=seed)
        learner.fit(
            vstack([known, known]), np.repeat([1, 0], share.size), np.concatenate([share, 1 - share]) + 1e-9
        )
        chances[:, model] = learner.predict_proba(asked)[:, 1]
    return chances


class TaskSpace:
    """What a forest sees of every task before an attempt: the text's main directions, learnt on one fold."""

    __slots__ = ("rows",)

    def __init__(self, recorded: RecordedSet, fold: Fold, seed: int) -> None:
        from sklearn.decomposition import TruncatedSVD
        from sklearn.feature_extraction.text import TfidfVectorizer

        words: Any = TfidfVectorizer(ngram_range=(1, 2), min_df=_FEWEST_WORDS, sublinear_tf=True)
        known = words.fit_transform([recorded.texts[row] for row in fold.learn])
        directions: Any = TruncatedSVD(min(_DIRECTIONS, known.shape[1] - 1), random_state=seed).fit(known)
        self.rows: Floats = np.column_stack(
            [directions.transform(words.transform(recorded.texts)), recorded.features]
        )


def forest_chances(
    recorded: RecordedSet,
    space: TaskSpace,
    tried: Sequence[int],
    wanted: Sequence[int],
    fold: Fold,
    seed: int,
) -> Floats:
    """Chances (judged rows, repeats, wanted models) after the `tried` models' attempts of the same repeat.

    A tried model's chance is of that very attempt; another one's is of any attempt.
    """
    from sklearn.ensemble import ExtraTreesRegressor

    seen = [_seen(recorded, space, tried, repeat) for repeat in _repeats(recorded.outcomes, tried)]
    targets = [_targets(recorded.outcomes, tried, wanted, repeat) for repeat in range(len(seen))]
    forest: Any = ExtraTreesRegressor(
        _TREES, min_samples_leaf=_LEAF, max_features=_SHARE_OF_FEATURES, random_state=seed, n_jobs=-1
    )
    known, truth = (np.concatenate([part[fold.learn] for part in parts]) for parts in (seen, targets))
    forest.fit(known, truth)
    # Threads add the trees up in any order, and the last bits with it.
    forest.set_params(n_jobs=1)
    chances = [forest.predict(part[fold.judge]).reshape(fold.judge.size, len(wanted)) for part in seen]
    return np.stack(chances, axis=1)


def _repeats(outcomes: Outcomes, tried: Sequence[int]) -> Iterator[int]:
    """Without an attempt there is nothing to tell repeats apart."""
    yield from range(outcomes.reward.shape[2] if tried else 1)


def _seen(recorded: RecordedSet, space: TaskSpace, tried: Sequence[int], repeat: int) -> Floats:
    if not tried or not recorded.statistics.shape[3]:
        return space.rows
    shown = recorded.statistics[:, list(tried), repeat]
    gaps = [shown[:, one] - shown[:, other] for one in range(len(tried)) for other in range(one)]
    parts = [shown.reshape(shown.shape[0], -1), *gaps, *map(np.abs, gaps)]
    return np.column_stack([space.rows, *(np.nan_to_num(part, nan=-1.0) for part in parts)])


def _targets(outcomes: Outcomes, tried: Sequence[int], wanted: Sequence[int], repeat: int) -> Floats:
    target = outcomes.mean_reward.copy()
    if tried:
        target[:, list(tried)] = np.nan_to_num(outcomes.reward[:, list(tried), repeat])
    return target[:, list(wanted)]
