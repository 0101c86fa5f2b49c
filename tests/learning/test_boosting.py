import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from threadpoolctl import threadpool_limits

from trimtab.learning.boosting import CAUTIOUS, Growth, fit_trees


def table(rows=600, seed=0, whole=False):
    draw = np.random.default_rng(seed)
    features = draw.normal(0, 3, (rows, 6))
    if whole:
        features = features.round()
    labels = features[:, 0] + features[:, 1] * features[:, 2] + draw.normal(0, 1, rows) > 0
    return features.astype(np.float32), labels, draw.uniform(0.5, 1.0, rows)


@pytest.mark.parametrize("growth", [Growth(rounds=40), CAUTIOUS])
@pytest.mark.parametrize("whole", [True, False])
def test_exported_trees_give_the_chances_of_those_they_were_made_of(growth, whole):
    rows, labels, weights = table(whole=whole)
    model = HistGradientBoostingClassifier(
        max_iter=growth.rounds,
        learning_rate=growth.rate,
        max_leaf_nodes=growth.leaves,
        min_samples_leaf=growth.least_rows,
        l2_regularization=growth.ridge,
        early_stopping=False,
        random_state=3,
    )
    ours = fit_trees(rows, labels, weights, 3, growth)
    unseen = np.concatenate([rows, table(300, 1, whole)[0], np.array([[1e30] * 6, [-1e30] * 6], np.float32)])
    with threadpool_limits(1):
        theirs = model.fit(rows, labels, sample_weight=weights).predict_proba(unseen)[:, 1]
    np.testing.assert_allclose(ours.probability(unseen), theirs, rtol=0, atol=1e-12)


def test_a_feature_beside_a_threshold_goes_the_way_it_went_in_training():
    near = np.array([1.0, np.nextafter(np.float32(1.0), np.float32(2.0))], np.float32)
    rows = np.repeat(near, 40)[:, None]
    ours = fit_trees(rows, rows[:, 0] > 1.0, np.ones(80), 0, Growth(rounds=20))
    low, high = ours.probability(near[:, None])
    assert low < 0.2 < 0.8 < high


def test_the_same_seed_gives_the_same_trees():
    one, two = (fit_trees(*table(), 5, CAUTIOUS) for _ in range(2))
    assert all(
        np.array_equal(getattr(one, part), getattr(two, part)) for part in ("feature", "threshold", "value")
    )


def test_exported_trees_are_sound():
    trees = fit_trees(*table(), 0, CAUTIOUS)
    trees.check(6)
    assert len(trees.roots) == CAUTIOUS.rounds


@pytest.mark.parametrize(("labels", "chance"), [([True] * 5, 1.0), ([False] * 5, 0.0), ([], 0.0)])
def test_labels_of_one_kind_need_no_trees(labels, chance):
    rows = np.zeros((len(labels), 3), np.float32)
    trees = fit_trees(rows, np.array(labels, bool), np.ones(len(labels)), 0)
    trees.check(3)
    assert trees.probability(np.zeros((1, 3), np.float32))[0] == pytest.approx(chance, abs=1e-3)
