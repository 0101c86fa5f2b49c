from hypothesis import given
from hypothesis import strategies as st

from trimtab.scheduling import delay

UNITS = st.floats(0, 1, exclude_max=True)


@given(st.integers(0, 5000), UNITS)
def test_a_wait_grows_with_the_attempt_and_stays_under_the_cap(attempt, unit):
    wait = delay(attempt, unit, 0.5, 20.0)
    assert wait == unit * min(20.0, 0.5 * 2.0 ** min(attempt, 100))
    assert 0 <= wait < 20


@given(st.integers(0, 10), UNITS, st.floats(0, 1000))
def test_a_wait_is_never_shorter_than_the_endpoint_asked_for(attempt, unit, retry_after):
    wait = delay(attempt, unit, 0.5, 20.0, retry_after)
    assert wait >= retry_after
    assert wait <= max(20.0, retry_after + 0.5)


def test_those_who_were_told_the_same_time_come_back_at_different_ones():
    assert delay(0, 0.1, 1.0, 20.0, 30.0) != delay(0, 0.9, 1.0, 20.0, 30.0)


def test_a_wait_past_the_deadline_is_refused():
    assert delay(0, 0.5, 1.0, 20.0, retry_after_seconds=30.0, left_seconds=29.0) is None
    assert delay(3, 0.5, 1.0, 20.0, left_seconds=4.0) is None
    assert delay(3, 0.5, 1.0, 20.0, left_seconds=4.1) == 4.0
