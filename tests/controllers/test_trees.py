import numpy as np
import pytest

from trimtab.controllers import Trees


def stump(**parts):
    """Below or at 2.0 of feature 1: -1; above: +3."""
    made = {
        "feature": np.array([1, 0, 0], np.int32),
        "threshold": np.array([2.0, 0.0, 0.0]),
        "left": np.array([1, 1, 2], np.int32),
        "right": np.array([2, 1, 2], np.int32),
        "value": np.array([0.0, -1.0, 3.0]),
        "roots": np.array([0], np.int32),
        "depth": 1,
        "base": 0.5,
    }
    return Trees(**(made | parts))


def test_a_row_goes_left_at_or_below_the_threshold():
    rows = np.array([[9, 1.5], [9, 2.0], [9, 2.5]], np.float32)
    assert stump().raw(rows).tolist() == [-0.5, -0.5, 3.5]


def test_no_rows_have_no_chances():
    assert stump().probability(np.zeros((0, 2), np.float32)).shape == (0,)


def test_a_row_scores_the_same_alone_and_among_others():
    rows = np.random.default_rng(0).normal(2, 2, (50, 2)).astype(np.float32)
    alone = [stump().raw(row[None])[0] for row in rows]
    assert alone == stump().raw(rows).tolist()


def test_a_sound_ensemble_passes_its_check():
    stump().check(2)


@pytest.mark.parametrize(
    "parts",
    [
        {"feature": np.array([2, 0, 0], np.int32)},
        {"feature": np.array([-1, 0, 0], np.int32)},
        {"feature": np.array([1, 0], np.int32)},
        {"feature": np.array([1.0, 0, 0])},
        {"threshold": np.array([np.nan, 0, 0])},
        {"threshold": np.array([2.0, 0, 0], np.float32)},
        {"left": np.array([3, 1, 2], np.int32)},
        {"left": np.array([1, 1], np.int32)},
        {"right": np.array([-1, 1, 2], np.int32)},
        {"right": np.array([2, 0, 2], np.int32)},
        {"value": np.array([0.0, np.nan, 3.0])},
        {"value": np.array([0.0, 1.0, 3.0, 4.0])},
        {"roots": np.array([3], np.int32)},
        {"roots": np.array([], np.int32)},
        {"roots": np.array([[0]], np.int32)},
        {"depth": 0},
        {"depth": -1},
        {"depth": 10**9},
        {"base": float("inf")},
    ],
)
def test_an_ensemble_that_would_leave_its_arrays_or_never_end_is_refused(parts):
    with pytest.raises(ValueError):
        stump(**parts).check(2)
