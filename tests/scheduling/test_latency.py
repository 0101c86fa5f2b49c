import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.scheduling import Latency


def test_before_the_first_observation_nothing_is_known():
    latency = Latency()
    assert (latency.p50_seconds, latency.p95_seconds, latency.observations) == (None, None, 0.0)


@given(st.lists(st.floats(0.001, 1000), min_size=1, max_size=200), st.floats(0, 1))
def test_quantiles_are_within_four_percent_of_an_observed_one(seconds, share):
    latency = Latency()
    for each in seconds:
        latency.observe(each, 0.0)
    exact = sorted(seconds)[max(0, -int(-share * len(seconds) // 1) - 1)]
    nearby = [each for each in seconds if latency.quantile(share) == pytest.approx(each, rel=0.041)]
    assert nearby
    assert latency.quantile(share) >= exact * 0.95 or len(seconds) > 1


def test_the_median_and_the_95th_percentile_are_told_apart():
    latency = Latency()
    for number in range(100):
        latency.observe(10.0 if number >= 90 else 1.0, 0.0)
    assert latency.p50_seconds == pytest.approx(1.0, rel=0.04)
    assert latency.p95_seconds == pytest.approx(10.0, rel=0.04)
    assert latency.observations == 100


def test_a_new_observation_shows_at_once():
    latency = Latency()
    latency.observe(1.0, 0.0)
    assert latency.p50_seconds == pytest.approx(1.0, rel=0.04)
    for _ in range(3):
        latency.observe(5.0, 0.0)
    assert latency.p50_seconds == pytest.approx(5.0, rel=0.04)


def test_old_observations_fade():
    latency = Latency(half_life_seconds=60.0)
    for _ in range(100):
        latency.observe(1.0, 0.0)
    for _ in range(10):
        latency.observe(9.0, 300.0)
    assert latency.p50_seconds == pytest.approx(9.0, rel=0.04)
    assert latency.observations == pytest.approx(10 + 100 / 2**5)


@given(st.lists(st.tuples(st.floats(0, 1e5), st.floats(-10, 1e7)), min_size=1, max_size=50))
def test_any_times_and_latencies_are_taken(observations):
    latency, now = Latency(), 1.7e9
    for seconds, passed in observations:
        now += passed
        latency.observe(seconds, now)
    assert 0.0009 < latency.p50_seconds <= latency.p95_seconds < 1050
    assert 0 < latency.observations <= len(observations) * 1.03


def test_years_of_observations_keep_their_precision():
    latency = Latency(half_life_seconds=60.0)
    for minute in range(10_000):
        latency.observe(2.0, minute * 60.0)
    assert latency.p95_seconds == pytest.approx(2.0, rel=0.04)
    assert latency.observations == pytest.approx(2.0, rel=0.01)
