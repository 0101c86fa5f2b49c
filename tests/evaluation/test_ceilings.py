import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trimtab.evaluation import (
    Outcomes,
    best_single,
    cost_at,
    frontier,
    mixture_line,
    oracle,
    play_mixture,
    play_random,
    play_single,
    split_half_oracle,
)

POINTS = st.lists(st.tuples(st.floats(0.01, 10), st.floats(0, 1)), min_size=1, max_size=12)


def outcomes(seed=0, tasks=60, models=4, repeats=1):
    rng = np.random.default_rng(seed)
    shape = (tasks, models, repeats)
    chance = rng.random((tasks, 1, 1)) * np.linspace(0.6, 1.0, models)[None, :, None]
    cost = rng.gamma(2.0, size=shape) * 10.0 ** np.arange(models)[None, :, None]
    names = tuple(f"model {at}" for at in range(models))
    return Outcomes(names, np.arange(tasks), (rng.random(shape) < chance).astype(float), cost, np.ones(shape))


@given(POINTS)
def test_nothing_lies_above_the_frontier_nor_the_frontier_above_the_mixture_line(points):
    kept, line = frontier(points), mixture_line(points)
    assert all(any(c <= cost and q >= quality for c, q in kept) for cost, quality in points)
    assert kept == sorted(kept)
    costs, qualities = zip(*line, strict=True)
    assert all(np.interp(cost, costs, qualities) >= quality - 1e-9 for cost, quality in points)
    slopes = [
        (b[1] - a[1]) / (b[0] - a[0]) for a, b in zip(line, line[1:], strict=False) if b[0] - a[0] > 1e-9
    ]
    assert all(first >= second - 1e-6 for first, second in zip(slopes, slopes[1:], strict=False))


def test_below_the_cheapest_there_is_no_mixture():
    assert play_mixture(outcomes(), 1e-9) is None
    assert cost_at([(1.0, 0.5), (2.0, 0.7)], 0.6) == 2.0
    assert cost_at([(1.0, 0.5)], 0.6) is None


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.floats(0, 1))
def test_a_mixture_costs_what_was_asked_and_reaches_the_line(seed, share):
    told = outcomes(seed)
    singles = [play_single(told, model) for model in told.models]
    line = mixture_line([(single.mean_cost, single.completions) for single in singles])
    cost = line[0][0] + share * (line[-1][0] - line[0][0])
    mixture = play_mixture(told, cost)
    assert mixture is not None
    assert mixture.mean_cost == pytest.approx(cost)
    assert mixture.completions == pytest.approx(np.interp(cost, *zip(*line, strict=True)))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000))
def test_nobody_beats_the_oracle_and_luck_is_no_knowledge(seed):
    told = outcomes(seed, repeats=4)
    top, apart = oracle(told), split_half_oracle(told)
    best = play_single(told, best_single(told))
    assert apart is not None
    assert top.completions >= best.completions >= play_random(told).completions - 1e-12
    assert apart.completions <= top.completions + 1e-12


def test_without_repeats_there_is_no_split_half():
    assert split_half_oracle(outcomes()) is None


def test_the_best_single_is_the_cheaper_of_equals():
    told = outcomes()
    same = Outcomes(told.models, told.groups, np.ones_like(told.reward), told.cost, told.seconds)
    assert best_single(same) == "model 0"
