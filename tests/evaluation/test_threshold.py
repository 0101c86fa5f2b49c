import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from trimtab.evaluation import choose_threshold, precision_bound


def tasks(seed, groups=60, rows=20, spread=0.8):
    """Answers whose chance to be right rises with confidence, and which tasks shift together."""
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(groups), rows)
    sure = rng.normal(2.5, 1.8, group.size)
    chance = 1 / (1 + np.exp(-(1.2 * sure + rng.normal(0, spread, groups)[group])))
    return 1 / (1 + np.exp(-sure)), rng.random(group.size) < chance, group


def test_the_promise_holds_on_tasks_never_seen():
    confidences, correct, _ = tasks(999, groups=20_000, rows=10)
    broken = chosen = 0
    for seed in range(60):
        threshold = choose_threshold(*tasks(seed)[:2], 0.97, groups=tasks(seed)[2])
        if threshold is not None:
            chosen += 1
            broken += correct[confidences >= threshold].mean() < 0.97
    assert chosen > 40
    assert broken / chosen <= 0.1


def test_picking_the_best_threshold_without_a_bound_breaks_the_promise_half_the_time():
    confidences, correct, _ = tasks(999, groups=20_000, rows=10)
    broken = 0
    for seed in range(60):
        sure, right, _ = tasks(seed)
        order = np.argsort(-sure)
        kept = np.flatnonzero(np.cumsum(right[order]) / np.arange(1, right.size + 1) >= 0.97)
        broken += correct[confidences >= sure[order][kept[-1]]].mean() < 0.97
    assert broken > 20


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.7, 0.99))
def test_what_is_chosen_passes_the_plain_bound_and_is_somebodys_confidence(seed, precision):
    confidences, correct, groups = tasks(seed, groups=20, rows=15)
    plain = choose_threshold(confidences, correct, precision)
    if plain is not None:
        kept = confidences >= plain
        assert plain in confidences
        assert precision_bound(correct[kept].sum(), kept.sum()) >= precision - 1e-9
    careful = choose_threshold(confidences, correct, precision, groups=groups)
    assert careful is None or 0 <= careful <= 1


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000))
def test_order_of_rows_and_names_of_groups_do_not_matter(seed):
    confidences, correct, groups = tasks(seed, groups=30, rows=12)
    shuffled = np.random.default_rng(seed).permutation(confidences.size)
    named = np.array([f"task {group}" for group in groups])
    first = choose_threshold(confidences, correct, 0.9, groups=groups)
    assert first == choose_threshold(confidences[shuffled], correct[shuffled], 0.9, groups=named[shuffled])


def test_nothing_can_be_promised_of_few_or_wrong_answers():
    many = np.linspace(0, 1, 400)
    assert choose_threshold(np.array([]), np.array([], bool), 0.9) is None
    assert choose_threshold(np.ones(30), np.ones(30, bool), 0.98) is None
    assert choose_threshold(many, np.zeros(400, bool), 0.9) is None
    assert choose_threshold(many, np.ones(400, bool), 1.0) is None


def test_equal_confidences_are_answered_together_or_not_at_all():
    assert choose_threshold(np.ones(400), np.ones(400, bool), 0.98) == 1.0
    half_right = np.concatenate([np.ones(200, bool), np.zeros(200, bool)])
    assert choose_threshold(np.ones(400), half_right, 0.9) is None


def test_answers_of_one_task_are_no_proof_for_others():
    confidences, correct = np.linspace(0.5, 1, 400), np.ones(400, bool)
    correct[:100] = False
    groups = np.arange(400) // 100
    assert choose_threshold(confidences, correct, 0.95) is not None
    assert choose_threshold(confidences, correct, 0.95, groups=groups) is None
