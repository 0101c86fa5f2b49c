"""Whose turn it is: nothing starves under ageing, and how the waiting are listed decides nothing."""

from hypothesis import given
from hypothesis import strategies as st
from tests.scheduling.standings import demand

from trimtab.scheduling import ORDERS, RunStanding, order, overtaking_seconds
from trimtab.scheduling.orders import combined, critical_path, least_slack, plas, run_fcfs, srpt

CALLS = st.lists(
    st.tuples(st.floats(0, 1e5), st.floats(0, 1e4), st.floats(0, 1e4), st.floats(0, 100), st.floats(0.1, 10)),
    max_size=12,
)


def waiting(rows):
    return [
        (
            demand(
                turn,
                RunStanding(f"r{turn % 3}", "w", arrived / 2, weight=weight, attained_seconds=left),
                arrived=arrived,
                remaining_seconds=left,
                path_seconds=path,
            ),
            prefill,
        )
        for turn, (arrived, left, path, prefill, weight) in enumerate(rows)
    ]


@given(CALLS, st.permutations(range(12)), st.sampled_from(sorted(ORDERS)))
def test_how_the_waiting_are_listed_decides_nothing(rows, shuffled, name):
    calls = waiting(rows)
    other = [calls[at] for at in shuffled if at < len(calls)]
    assert order(calls, ORDERS[name]) == order(other, ORDERS[name]) == order(calls, ORDERS[name])


@given(CALLS, st.floats(0, 1e6))
def test_under_ageing_nobody_is_overtaken_by_those_who_come_much_later(rows, later):
    first = demand(99, arrived=0.0, remaining_seconds=1e9)
    late = overtaking_seconds() + 0.01 + later
    moved = [
        (demand(n, arrived=late + row[0], remaining_seconds=row[1]), row[3]) for n, row in enumerate(rows)
    ]
    assert order([*moved, (first, 1e9)], combined)[0] is first


def test_each_order_puts_first_what_it_is_named_for():
    young = demand(1, RunStanding("a", "w", 5.0, deadline=50.0, attained_seconds=9.0), remaining_seconds=1.0)
    old = demand(2, RunStanding("b", "w", 1.0, deadline=90.0, attained_seconds=2.0), remaining_seconds=8.0)
    calls = [(young, 0.0), (old, 0.0)]
    first = {key: order(calls, key)[0] for key in (run_fcfs, plas, srpt, least_slack)}
    assert first == {run_fcfs: old, plas: old, srpt: young, least_slack: young}


def test_what_is_cached_goes_before_what_is_not():
    cold, warm = demand(1), demand(2)
    assert order([(cold, 2.0), (warm, 0.1)], combined)[0] is warm


def test_the_longest_branch_of_a_run_goes_first():
    run = RunStanding("a", "w", 0.0)
    short, long = demand(1, run, path_seconds=1.0), demand(2, run, path_seconds=9.0)
    assert order([(short, 0.0), (long, 0.0)], critical_path)[0] is long


def test_a_heavier_tenant_counts_for_more():
    light = demand(1, RunStanding("a", "w", 0.0), remaining_seconds=4.0)
    heavy = demand(2, RunStanding("b", "w", 0.0, weight=4.0), remaining_seconds=8.0)
    assert order([(light, 0.0), (heavy, 0.0)], combined)[0] is heavy
