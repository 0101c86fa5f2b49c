import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trimtab.evaluation import precision_bound
from trimtab.evaluation.bounds import beta_share, design_effect, kinship


def binomial_tail(hits, n, share):
    return math.fsum(math.comb(n, k) * share**k * (1 - share) ** (n - k) for k in range(hits, n + 1))


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 120), st.data())
def test_the_bound_is_where_so_many_hits_would_be_rare(n, data):
    hits = data.draw(st.integers(1, n))
    bound = float(precision_bound(hits, n))
    assert 0 < bound < hits / n + 1e-12
    assert binomial_tail(hits, n, bound) == pytest.approx(0.05, abs=1e-7)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 500), st.integers(0, 50), st.floats(0.5, 0.999))
def test_more_hits_raise_the_bound_and_more_confidence_lowers_it(hits, misses, confidence):
    bound = precision_bound(hits, hits + misses, confidence)
    assert precision_bound(hits + 1, hits + misses + 1, confidence) >= bound
    assert precision_bound(hits, hits + misses, (1 + confidence) / 2) <= bound
    assert precision_bound(hits, hits + misses, confidence, design_effect=2.0) <= bound + 1e-12


def test_nothing_counted_promises_nothing():
    assert precision_bound(0, 0) == 0
    assert precision_bound(0, 10) == 0
    assert list(precision_bound(np.array([0, 10]), 10) > 0) == [False, True]


def test_the_beta_share_agrees_with_closed_forms():
    x = np.linspace(0, 1, 11)
    assert beta_share(1.0, 1.0, x) == pytest.approx(x)
    assert beta_share(3.0, 1.0, x) == pytest.approx(x**3)
    assert beta_share(0.5, 0.5, x) == pytest.approx(2 / math.pi * np.arcsin(np.sqrt(x)))
    assert beta_share(4000.0, 4000.0, 0.5) == pytest.approx(0.5)


def test_kinship_is_none_for_strangers_and_whole_for_twins():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(200), 5)
    assert kinship(rng.normal(size=1000), groups) < 0.05
    assert kinship(np.repeat(rng.normal(size=200), 5), groups) == pytest.approx(1.0)
    assert kinship(rng.normal(size=3), np.arange(3)) == 0.0


def test_rows_that_say_the_same_count_once():
    assert design_effect(np.full(20, 5.0), 1.0) == 5.0
    assert design_effect(np.full(20, 5.0), 0.0) == 1.0
    assert design_effect(np.array([]), 1.0) == 1.0
