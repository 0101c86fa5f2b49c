import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.scheduling import HedgeBudget, hedge_budget


@given(st.floats(0, 1), st.integers(0, 2000))
def test_hedges_are_never_more_than_their_share_of_the_calls(share, calls):
    budget, hedges = hedge_budget(share), 0
    for _ in range(calls):
        budget = budget.after_call()
        if budget.allows:
            budget, hedges = budget.after_hedge(), hedges + 1
    assert hedges * 1_000_000 <= budget.share_parts * calls
    assert hedges >= budget.share_parts * calls // 1_000_000 - 1


def test_twenty_calls_pay_for_one_hedge_at_five_percent():
    budget = HedgeBudget()
    for _ in range(19):
        budget = budget.after_call()
    assert not budget.allows
    assert budget.after_call().allows


def test_what_is_saved_up_is_bounded():
    budget = HedgeBudget()
    for _ in range(10_000):
        budget = budget.after_call()
    hedges = 0
    while budget.allows:
        budget, hedges = budget.after_hedge(), hedges + 1
    assert hedges == 10


def test_a_hedge_that_is_not_paid_for_is_refused():
    with pytest.raises(ValueError, match="no hedge is paid for"):
        HedgeBudget().after_hedge()


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_a_share_outside_its_range_is_refused(share):
    with pytest.raises(ValueError, match=r"share of 0\.\.1"):
        hedge_budget(share)
