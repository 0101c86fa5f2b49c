import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.pool import MachineCost

HOUR = 3600.0  # USD, so that a second costs 1 USD


def test_a_call_alone_pays_for_all_of_its_time():
    machine = MachineCost(HOUR)
    mark = machine.begin(100, 10.0)
    assert machine.end(100, mark, 12.5) == 2_500_000_000


def test_two_calls_at_once_pay_by_their_tokens():
    machine = MachineCost(HOUR)
    small, large = machine.begin(100, 0.0), machine.begin(300, 0.0)
    assert (machine.end(100, small, 4.0), machine.end(300, large, 4.0)) == (1_000_000_000, 3_000_000_000)


def test_idle_time_is_nobodys():
    machine = MachineCost(HOUR)
    machine.end(1, machine.begin(1, 0.0), 1.0)
    mark = machine.begin(1, 1000.0)
    assert machine.end(1, mark, 1001.0) == 1_000_000_000


def test_a_machine_that_is_free_costs_nothing():
    machine = MachineCost(0.0)
    assert machine.end(5, machine.begin(5, 0.0), 100.0) == 0


@given(
    st.lists(
        st.tuples(st.integers(0, 10**6), st.floats(0, 100), st.floats(0.001, 100)), min_size=1, max_size=12
    )
)
def test_the_parts_add_up_to_the_busy_time(calls):
    machine = MachineCost(HOUR)
    moments = sorted(
        [(start, 1, n) for n, (_, start, _) in enumerate(calls)]
        + [(start + length, 0, n) for n, (_, start, length) in enumerate(calls)],
        key=lambda moment: (moment[0], -moment[1]),
    )
    marks, total, busy, running, before = {}, 0, 0.0, 0, 0.0
    for at, begins, n in moments:
        busy += (at - before) if running else 0.0
        before = at
        weight = calls[n][0]
        if begins:
            marks[n] = machine.begin(weight, at)
            running += 1
        else:
            part = machine.end(weight, marks[n], at)
            assert part >= 0
            total += part
            running -= 1
    assert total == pytest.approx(busy * 1e9, rel=1e-6, abs=len(calls) + 1)
