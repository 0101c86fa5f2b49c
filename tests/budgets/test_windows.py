"""Windows cover all of time, each moment once."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.budgets import window_at

MOMENTS = st.floats(min_value=0, max_value=4e9)


def at(*parts):
    return datetime(*parts, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("name", "moment", "label", "begins", "ends"),
    [
        ("minute", at(2026, 2, 28, 23, 59, 59), "2026-02-28T23:59", at(2026, 2, 28, 23, 59), at(2026, 3, 1)),
        ("day", at(2028, 2, 29, 0, 0, 0), "2028-02-29", at(2028, 2, 29), at(2028, 3, 1)),
        ("month", at(2026, 12, 31, 23, 59, 59), "2026-12", at(2026, 12, 1), at(2027, 1, 1)),
        ("month", at(2027, 1, 1), "2027-01", at(2027, 1, 1), at(2027, 2, 1)),
        ("month", at(2028, 2, 29, 12), "2028-02", at(2028, 2, 1), at(2028, 3, 1)),
    ],
)
def test_windows_end_where_the_calendar_says(name, moment, label, begins, ends):
    window = window_at(name, moment)
    assert (window.label, window.starts_at, window.resets_at) == (label, begins, ends)


def test_a_run_never_ends():
    assert window_at("run", 5.0) == window_at("run", 4e9)
    assert window_at("run", 5.0).resets_at is None


@given(st.sampled_from(["minute", "day", "month"]), MOMENTS)
def test_a_moment_lies_in_its_window_and_the_windows_join(name, moment):
    window = window_at(name, moment)
    assert window.starts_at <= moment < window.resets_at
    assert window_at(name, window.starts_at) == window
    following = window_at(name, window.resets_at)
    assert following.starts_at == window.resets_at
    assert following.label != window.label


@given(st.sampled_from(["minute", "day", "month"]), MOMENTS, MOMENTS)
def test_labels_tell_windows_apart(name, first, second):
    one, other = window_at(name, first), window_at(name, second)
    assert (one.label == other.label) == (one == other)
