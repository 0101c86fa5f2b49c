import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from tests.learning.test_boosting import table

from trimtab.learning.boosting import CAUTIOUS, fit_trees
from trimtab.learning.forest import Planting, blend, fit_forest

SMALL = Planting(trees=12, depth=6)


def logits(chances, doubt):
    bounded = np.clip(chances, doubt, 1 - doubt)
    return np.log(bounded / (1 - bounded))


@pytest.mark.parametrize("whole", [True, False])
def test_a_forest_gives_the_mean_log_odds_of_the_trees_it_was_made_of(whole):
    rows, labels, weights = table(whole=whole)
    model = RandomForestClassifier(
        n_estimators=12, max_depth=6, max_samples=0.5, max_features=0.4, min_samples_leaf=3, random_state=3
    ).fit(rows, labels, sample_weight=weights)
    unseen = np.concatenate([rows, table(300, 1, whole)[0]])
    each = [tree.predict_proba(unseen)[:, 1] for tree in model.estimators_]
    theirs = np.mean([logits(chances, SMALL.doubt) for chances in each], axis=0)
    np.testing.assert_allclose(fit_forest(rows, labels, weights, 3, SMALL).raw(unseen), theirs, atol=1e-12)


def test_a_blend_gives_the_mean_log_odds_of_both():
    rows, labels, weights = table()
    forest, boosted = (
        fit_forest(rows, labels, weights, 0, SMALL),
        fit_trees(rows, labels, weights, 0, CAUTIOUS),
    )
    both = blend(boosted, forest)
    both.check(6)
    np.testing.assert_allclose(both.raw(rows), (forest.raw(rows) + boosted.raw(rows)) / 2, atol=1e-12)


def test_the_same_seed_gives_the_same_forest():
    one, two = (fit_forest(*table(), 5, SMALL) for _ in range(2))
    assert all(np.array_equal(getattr(one, part), getattr(two, part)) for part in ("feature", "value"))
