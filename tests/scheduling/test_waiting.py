"""Calls that wait: bounded, in order, bound late, none lost and none served twice."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.scheduling.standings import demand, standing

from trimtab.core.errors import QueueFull
from trimtab.scheduling import Eta, PrefixBook, Roll, WaitingRoom
from trimtab.scheduling.orders import combined, fcfs


def room(standings, limit=100, key=fcfs):
    return WaitingRoom(Roll(standings), PrefixBook([10_000] * len(standings)), Eta(), key, limit)


def fill(one, calls=1):
    for _ in range(calls):
        one.sent(100, 1_100, 0.01)


def test_a_call_waits_where_there_is_no_room_and_goes_when_there_is():
    one = standing(most_calls=1)
    waiting, calls = room([one]), [demand(turn, arrived=float(turn)) for turn in range(3)]
    assert waiting.arrive(calls[0]) is one
    fill(one)
    assert [waiting.arrive(call) for call in calls[1:]] == [None, None]
    assert one.waiting == 2
    assert list(waiting.freed(one)) == []
    one.started(100, 1_100, 0.01)
    one.ended(1_100)
    gone = []
    for call, where in waiting.freed(one):
        gone.append((call, where))
        fill(where)
    assert gone == [(calls[1], one)]
    assert len(waiting) == one.waiting == 1


def test_a_waiting_call_is_offered_again_to_whoever_has_room():
    here, there = standing(0, most_calls=1), standing(1, most_calls=1)
    waiting = room([here, there])
    fill(here)
    fill(there)
    call = demand(1)
    assert waiting.arrive(call) is None
    other = there if here.waiting else here
    other.started(100, 1_100, 0.01)
    other.ended(1_100)
    assert list(waiting.freed(other)) == [(call, other)]


def test_the_room_is_bounded_and_a_call_can_leave():
    one = standing(most_calls=1)
    waiting, call = room([one], limit=1), demand(1)
    fill(one)
    assert waiting.arrive(call) is None
    with pytest.raises(QueueFull, match="1 calls wait"):
        waiting.arrive(demand(2))
    assert waiting.remove(call)
    assert not waiting.remove(call)
    assert (len(waiting), one.waiting, one.backlog_seconds) == (0, 0, pytest.approx(0.01))


def test_calls_that_nobody_up_may_serve_wait_for_one_to_rise():
    one = standing()
    one.available = False
    waiting, call = room([one]), demand(1)
    assert waiting.arrive(call) is None
    one.available = True
    waiting._roll.changed()
    assert list(waiting.reoffer()) == [(call, one)]


@given(
    st.lists(st.tuples(st.booleans(), st.floats(0, 50)), max_size=60), st.integers(1, 3), st.integers(1, 3)
)
def test_no_call_is_lost_or_served_twice(events, endpoints, places):
    pool = [standing(index, most_calls=places) for index in range(endpoints)]
    waiting, served, running = room(pool, key=combined), [], []

    def send(call, where):
        assert where.outstanding < places
        fill(where)
        served.append(call.turn)
        running.append(where)

    arrivals = 0
    for arrives, left in events:
        if arrives or not running:
            arrivals += 1
            call = demand(arrivals, arrived=float(arrivals), remaining_seconds=left)
            chosen = waiting.arrive(call)
            if chosen is not None:
                send(call, chosen)
        else:
            done = running.pop(0)
            done.started(100, 1_100, 0.01)
            done.ended(1_100)
            for call, where in waiting.freed(done):
                send(call, where)
    assert len(set(served)) == len(served)
    assert len(served) + len(waiting) == arrivals
    assert sum(one.waiting for one in pool) == len(waiting)
