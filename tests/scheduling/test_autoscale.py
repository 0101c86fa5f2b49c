"""Replicas to ask for: up on a queue, down one at a time after a while, never past the bounds."""

from hypothesis import given
from hypothesis import strategies as st

from trimtab.scheduling import PoolLoad, Scale, ScaleRules, rescale

RULES = ScaleRules(least=2, most=10, cool_down_seconds=60.0)


def test_a_queue_asks_for_more_and_what_starts_already_is_counted():
    crowded = rescale(Scale(4), PoolLoad(4, 0, 8.0, 100), 0.0, RULES)
    assert crowded == Scale(8, 0.0)
    assert rescale(crowded, PoolLoad(4, 4, 3.0, 100), 10.0, RULES) is crowded


def test_runs_without_slack_ask_for_one_more():
    assert rescale(Scale(4), PoolLoad(4, 0, 0.0, 40, 0.5), 0.0, RULES).replicas == 5


def test_an_idle_pool_gives_one_back_after_the_cool_down():
    idle = PoolLoad(4, 0, 0.0, 3)
    assert rescale(Scale(4, 0.0), idle, 30.0, RULES).replicas == 4
    assert rescale(Scale(4, 0.0), idle, 61.0, RULES) == Scale(3, 61.0)


@given(
    st.lists(
        st.tuples(
            st.integers(0, 10), st.integers(0, 10), st.floats(0, 1e4), st.integers(0, 500), st.floats(0, 1)
        )
    )
)
def test_the_bounds_hold_and_it_never_gives_back_twice_within_the_cool_down(loads):
    scale, last_down = Scale(4), -1e9
    for step, (ready, starting, queue, calls, late) in enumerate(loads):
        now, before = step * 10.0, scale.replicas
        scale = rescale(scale, PoolLoad(ready, starting, queue, calls, late), now, RULES)
        assert 2 <= scale.replicas <= 10
        if scale.replicas < before:
            assert now - last_down >= RULES.cool_down_seconds
            last_down = now
