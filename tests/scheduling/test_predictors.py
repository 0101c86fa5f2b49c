"""Predictions rest on what is over."""

import pytest

from trimtab.scheduling import MeanOf, RemainingService, paths_behind


def test_what_is_left_is_the_mean_of_earlier_runs_at_the_same_step():
    left = RemainingService(default_seconds=7.0)
    assert left.left_seconds("w", "plan", 0) == 7.0
    for _ in range(3):
        left.learn("w", [("plan", 1.0), ("act", 2.0), ("act", 4.0)])
    assert [left.left_seconds("w", step, done) for step, done in (("plan", 0), ("act", 1), ("act", 2))] == [
        7,
        6,
        4,
    ]
    assert left.left_seconds("w", "never seen", 1) == 6.0
    assert left.left_seconds("other", "plan", 0) == 7.0


def test_a_mean_fades_and_falls_back_to_the_workflow():
    tokens = MeanOf(200.0)
    assert tokens.expected("w", "plan") == 200.0
    tokens.learn("w", "plan", 100.0)
    assert (tokens.expected("w", "plan"), tokens.expected("w", "new"), tokens.expected("v", "plan")) == (
        100,
        100,
        200,
    )
    for _ in range(500):
        tokens.learn("w", "plan", 50.0)
    assert tokens.expected("w", "plan") == pytest.approx(50.0, abs=0.1)


def test_the_longest_path_behind_each_step():
    assert paths_behind([(1, 2), (3,), (3,), ()], [1.0, 5.0, 2.0, 1.0]) == [7.0, 6.0, 3.0, 1.0]
    with pytest.raises(ValueError, match="after its child"):
        paths_behind([(), (0,)], [1.0, 1.0])
