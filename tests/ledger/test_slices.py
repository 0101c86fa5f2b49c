"""Slices: money in memory is neither made nor lost, and a slice is as large as its use asks for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.made import meter
from trimtab.core import Charge
from trimtab.ledger import Slices

DAY, RUN = meter("tenant/day", limit=64_000), meter("run/run", limit=100)


@pytest.fixture
def slices():
    made = Slices()
    made.grant(DAY, 1_000, beyond=5_000, settled=10)
    made.grant(RUN, 60, beyond=40, settled=0)
    return made


def test_money_is_taken_from_every_meter_or_from_none(slices):
    assert not slices.take([DAY, RUN], 61, 1.0)
    assert slices.totals() == {DAY.id: (1_000, 0), RUN.id: (60, 0)}
    assert slices.take([DAY, RUN], 60, 1.0)
    assert slices.totals() == {DAY.id: (940, 60), RUN.id: (0, 60)}


def test_what_is_given_back_is_free_again_but_for_what_was_spent(slices):
    slices.take([DAY], 100, 1.0)
    slices.give([Charge(DAY.id, 100)], 30)
    assert slices.totals()[DAY.id] == (970, 0)
    assert slices.known(DAY.id).settled == 40


def test_a_meter_that_is_not_known_is_empty(slices):
    other = meter("other")
    assert not slices.take([other], 1, 1.0)
    assert slices.remaining(other) == other.limit
    assert slices.whole("nowhere") == 0


def test_what_remains_is_what_is_free_here_and_was_left_there(slices):
    slices.take([DAY], 100, 1.0)
    assert slices.remaining(DAY) == 900 + 5_000
    assert slices.whole(DAY.id) == 1_000


def test_wanted_money_goes_back_at_once_and_unused_slices_after_a_while(slices):
    slices.take([DAY], 100, 50.0)
    assert slices.idle(10.0, [DAY.id]) == [(DAY, 900), (RUN, 60)]
    assert slices.totals() == {DAY.id: (0, 100)}
    assert slices.idle(60.0, [DAY.id]) == []


def test_a_slice_with_open_holds_is_never_dropped(slices):
    slices.take([RUN], 60, 1.0)
    slices.idle(1e9, [])
    assert slices.whole(RUN.id) == 60


def test_money_that_was_never_leased_is_not_given_back(slices):
    slices.known(RUN.id).blind = True
    assert slices.idle(1e9, [RUN.id]) == [(DAY, 1_000)]
    assert slices.known(RUN.id) is None


async def test_a_slice_somebody_waits_for_is_not_dropped(slices):
    async with slices.known(RUN.id).lock:
        assert slices.idle(1e9, []) == [(DAY, 1_000)]
    assert slices.known(RUN.id) is not None


def test_who_waits_is_told_when_money_comes_back(slices):
    changed = slices.changed
    slices.take([DAY], 1, 1.0)
    slices.give([Charge(DAY.id, 1)])
    assert changed.is_set()
    assert not slices.changed.is_set()


def test_a_changed_limit_is_taken_over(slices):
    slices.take([meter("tenant/day", limit=5)], 1, 1.0)
    assert slices.known(DAY.id).meter.limit == 5


def test_what_was_leased_under_a_higher_limit_goes_back_unspent(slices):
    slices.take([DAY], 10, 1.0)
    known = slices.known(DAY.id)
    free, whole = known.free, slices.whole(DAY.id)
    assert free > 1
    assert not slices.take([meter("tenant/day", limit=5)], 1, 1.0)
    assert (known.free, known.held, slices.whole(DAY.id)) == (0, 10, whole)
    assert slices.idle(0.0, ()) == [(known.meter, free)]
    assert slices.whole(DAY.id) == 10
    assert slices.idle(0.0, ()) == []


def test_what_calls_held_under_a_higher_limit_goes_back_when_they_end(slices):
    slices.take([DAY], 1_000, 1.0)
    lower = meter("tenant/day", limit=500)
    slices.take([lower], 1, 1.0)
    slices.give([Charge(DAY.id, 600)], 100)
    assert not slices.take([lower], 1, 1.0)
    assert slices.idle(0.0, ()) == [(lower, 500)]
    slices.grant(lower, 50, 0, 100)
    assert slices.take([lower], 50, 1.0)
    # 400 are held since before, 50 under the limit of now.
    slices.give([Charge(DAY.id, 400)], 0)
    assert slices.idle(0.0, ()) == [(lower, 400)]
    slices.give([Charge(DAY.id, 50)], 20)
    assert slices.known(DAY.id).free == 30


def test_what_remains_follows_the_limit(slices):
    before = slices.remaining(DAY)
    higher = meter("tenant/day", limit=DAY.limit + 700)
    slices.of(higher, 1.0)
    assert slices.remaining(higher) == before + 700
    lower = meter("tenant/day", limit=DAY.limit - 100)
    slices.of(lower, 1.0)
    assert slices.remaining(lower) == before - 100


def test_what_was_asked_for_under_a_higher_limit_goes_back_when_it_comes(slices):
    lower = meter("tenant/day", limit=500)
    slices.of(lower, 1.0)
    slices.idle(0.0, ())
    slices.grant(DAY, 300, 0, 0)
    assert not slices.take([lower], 1, 1.0)
    assert slices.idle(0.0, ()) == [(lower, 300)]


# How large a slice is good.


def used(slices, amount, spent, now=100.0):
    assert slices.take([DAY], amount, now)
    slices.give([Charge(DAY.id, amount)], spent)


def test_a_slice_that_is_used_fast_is_topped_up_to_two_minutes_spending(slices):
    slice = slices.known(DAY.id)
    used(slices, 10, 5)
    assert slices.short(101.0, 1.0, ()) == []
    assert (slice.pace, slice.target) == (5.0, 600)
    used(slices, 10, 600)
    assert slices.short(102.0, 1.0, ()) == [(slice, 1_000 - slice.free)]
    assert slice.target == 64_000 // 64, "a small share of the limit is the most"


def test_the_pace_rises_at_once_and_falls_slowly(slices):
    slice = slices.known(DAY.id)
    used(slices, 10, 10)
    slices.short(100.5, 0.5, ())
    assert slice.pace == 20.0
    used(slices, 1, 0)
    slices.short(101.0, 0.5, ())
    assert 19.0 < slice.pace < 20.0


def test_a_slice_nobody_uses_is_not_topped_up(slices):
    used(slices, 10, 900, now=100.0)
    assert slices.short(106.0, 0.5, ()) == []


def test_a_slice_others_lack_money_of_is_not_topped_up(slices):
    used(slices, 10, 900, now=100.0)
    assert slices.short(100.5, 0.5, {DAY.id}) == []
    assert slices.short(100.5, 0.5, ()) != []


def test_small_limits_are_leased_call_by_call(slices):
    slices.take([RUN], 50, 100.0)
    assert slices.short(100.5, 0.5, ()) == []


def test_a_slice_below_zero_is_made_up_for_first(slices):
    slices.take([RUN], 60, 1.0)
    slices.give([Charge(RUN.id, 60)], 75)
    used(slices, 10, 900, now=100.0)
    assert slices.short(100.5, 0.5, {RUN.id})[0] == (slices.known(RUN.id), 15)


MOVES = st.lists(
    st.tuples(st.sampled_from(["take", "give", "grant", "idle", "force", "lower"]), st.integers(0, 200)),
    max_size=40,
)


@given(MOVES)
def test_money_in_memory_is_neither_made_nor_lost(moves):
    slices, granted, spent, back, holds = Slices(), 0, 0, 0, []
    slices.of(DAY, 1.0)
    for kind, amount in moves:
        if kind == "take" and slices.take([DAY], amount, 1.0):
            holds.append(amount)
        elif kind == "force" and slices.known(DAY.id):
            slices.force(DAY.id, amount)
            holds.append(amount)
        elif kind == "give" and holds:
            held = holds.pop()
            slices.give([Charge(DAY.id, held)], min(amount, held))
            spent += min(amount, held)
        elif kind == "grant":
            slices.grant(DAY, amount, 0, 0)
            granted += amount
        elif kind == "lower":
            slices.of(meter("tenant/day", limit=amount), 1.0)
        elif kind == "idle":
            back += sum(given for _, given in slices.idle(1.0, [DAY.id]))
    assert slices.whole(DAY.id) == granted - spent - back
    if slices.known(DAY.id):
        assert slices.known(DAY.id).held == sum(holds)
