from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from trimtab.scheduling import FairQueue


def _queue(tenant_limit=10_000, total_limit=100_000):
    return FairQueue[str](tenant_limit, total_limit)


def _fill(queue, tenant, count, weight=1.0, priority=0, cost=1.0):
    for number in range(count):
        assert queue.push(f"{tenant}-{number}", tenant, weight, priority, cost)


def _served(queue, count, runnable=None):
    return [queue.pop(runnable) for _ in range(count)]


def _tenant(item):
    return item.split("-")[0]


@given(st.lists(st.floats(0.1, 10), min_size=2, max_size=5))
def test_shares_of_waiting_tenants_converge_to_their_weights(weights):
    queue = _queue()
    for number, weight in enumerate(weights):
        _fill(queue, f"t{number}", 400, weight)
    rounds = 300
    counts = Counter(_tenant(item) for item in _served(queue, rounds))
    for number, weight in enumerate(weights):
        assert counts[f"t{number}"] == pytest.approx(rounds * weight / sum(weights), abs=1 + len(weights))


def test_shares_may_be_of_tokens_instead_of_calls():
    queue = _queue()
    _fill(queue, "long", 400, cost=900)
    _fill(queue, "short", 400, cost=100)
    counts = Counter(_tenant(item) for item in _served(queue, 300))
    assert counts["short"] == pytest.approx(9 * counts["long"], abs=10)


@given(st.lists(st.integers(1, 5), min_size=1, max_size=6), st.floats(1, 50))
def test_no_tenant_starves(sizes, greedy_weight):
    queue = _queue()
    _fill(queue, "greedy", 2000, greedy_weight)
    for number, size in enumerate(sizes):
        _fill(queue, f"t{number}", size)
    rounds = int((greedy_weight + len(sizes)) * (1 + max(sizes)))
    counts = Counter(_tenant(item) for item in _served(queue, rounds))
    for number, size in enumerate(sizes):
        assert counts[f"t{number}"] == size


def test_a_tenant_that_comes_late_gets_no_credit_for_the_time_before():
    queue = _queue()
    _fill(queue, "early", 200)
    _served(queue, 100)
    _fill(queue, "late", 200)
    assert Counter(map(_tenant, _served(queue, 20))) == {"early": 10, "late": 10}


def test_a_tenant_that_comes_back_at_once_gains_no_turns():
    queue = _queue()
    _fill(queue, "steady", 100)
    taken = []
    for number in range(40):
        queue.push(f"bouncing-{number}", "bouncing", 1.0, 0)
        taken.append(_tenant(queue.pop()))
    assert Counter(taken) == {"steady": 20, "bouncing": 20}


def test_higher_priority_goes_first_and_equals_by_arrival():
    queue = _queue()
    for item, priority in (("a", 0), ("b", 5), ("c", 0), ("d", 5), ("e", -1)):
        queue.push(item, "t", 1.0, priority)
    assert _served(queue, 6) == ["b", "d", "a", "c", "e", None]


def test_priority_takes_nothing_from_other_tenants():
    queue = _queue()
    _fill(queue, "loud", 50, priority=9)
    _fill(queue, "quiet", 50)
    assert Counter(map(_tenant, _served(queue, 20))) == {"loud": 10, "quiet": 10}


def test_what_may_not_run_is_passed_over_and_keeps_its_place():
    queue = _queue()
    for item in ("x-1", "y-1", "x-2"):
        queue.push(item, "t", 1.0, 0)
    assert queue.pop(lambda item: item.startswith("y")) == "y-1"
    assert queue.pop(lambda item: False) is None
    assert _served(queue, 2) == ["x-1", "x-2"]


def test_a_tenant_that_could_not_run_does_not_crowd_out_the_others_afterwards():
    queue = _queue()
    _fill(queue, "held", 300)
    _fill(queue, "free", 300)
    _served(queue, 100, runnable=lambda item: _tenant(item) == "free")
    assert Counter(map(_tenant, _served(queue, 20))) == {"held": 10, "free": 10}


def test_bounds_refuse_what_is_over_them():
    queue = _queue(tenant_limit=2, total_limit=3)
    assert [queue.push(f"a-{number}", "a", 1.0, 0) for number in range(3)] == [True, True, False]
    assert [queue.push(f"b-{number}", "b", 1.0, 0) for number in range(2)] == [True, False]
    assert (len(queue), queue.queued("a"), queue.queued("b"), queue.queued("c")) == (3, 2, 1, 0)


def test_an_item_can_be_taken_out_wherever_it_waits():
    queue = _queue()
    _fill(queue, "a", 3)
    assert queue.remove("a-1")
    assert not queue.remove("a-1")
    assert "a-1" not in queue
    assert _served(queue, 3) == ["a-0", "a-2", None]


def test_a_tenant_whose_last_item_is_taken_out_is_gone():
    queue = _queue()
    _fill(queue, "a", 1)
    _fill(queue, "b", 1)
    queue.remove("a-0")
    assert _served(queue, 2) == ["b-0", None]


def test_an_item_cannot_wait_twice_and_weights_have_to_be_positive():
    queue = _queue()
    queue.push("a", "t", 1.0, 0)
    with pytest.raises(ValueError, match="already waiting"):
        queue.push("a", "t", 1.0, 0)
    with pytest.raises(ValueError, match="above 0"):
        queue.push("b", "t", 0.0, 0)


class _Queues(RuleBasedStateMachine):
    """Any sequence of pushes, pops and removals, against a plain set of what waits."""

    def __init__(self):
        super().__init__()
        self.queue = FairQueue[int](4, 9)
        self.waiting = {}
        self.next = 0

    @rule(tenant=st.sampled_from("abcd"), weight=st.sampled_from((0.5, 1.0, 3.0)), priority=st.integers(0, 2))
    def push(self, tenant, weight, priority):
        room = len(self.waiting) < 9 and list(self.waiting.values()).count(tenant) < 4
        self.next += 1
        assert self.queue.push(self.next, tenant, weight, priority) == room
        if room:
            self.waiting[self.next] = tenant

    @rule(odd=st.booleans())
    def pop_some(self, odd):
        item = self.queue.pop(lambda each: each % 2 == odd)
        assert (item is None) == (not any(each % 2 == odd for each in self.waiting))
        self.waiting.pop(item, None)

    @rule()
    def pop(self):
        item = self.queue.pop()
        assert (item is None) == (not self.waiting)
        self.waiting.pop(item, None)

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def remove(self, data):
        item = data.draw(st.sampled_from(sorted(self.waiting)))
        assert self.queue.remove(item)
        del self.waiting[item]

    @invariant()
    def nothing_is_lost(self):
        assert len(self.queue) == len(self.waiting)
        for tenant in "abcd":
            assert self.queue.queued(tenant) == list(self.waiting.values()).count(tenant)


test_nothing_is_lost_and_the_bounds_hold = _Queues.TestCase
