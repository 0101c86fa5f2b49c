"""Money leaves only where somebody said so, and never more than they said."""

from hypothesis import given
from hypothesis import strategies as st
from tests.scheduling.standings import SPEED, demand, standing

from trimtab.scheduling import RunStanding, Standing, Terms, spill, worst_nanodollars

API = Terms("api", SPEED, external=True, input_price=3_000_000_000, output_price=15_000_000_000)


def late(cap, spilled=0):
    return RunStanding("r", "w", 0.0, deadline=1.0, spill_nanodollars=cap, spilled_nanodollars=spilled)


def behind():
    busy = standing()
    busy.held(1_000.0)
    return busy


def test_a_run_that_would_be_late_spills_where_it_may():
    api = Standing(1, API)
    assert spill(demand(run=late(10**9)), behind(), [api], {}, 0.0) is api
    assert spill(demand(run=late(10**9)), None, [api], {}, 0.0) is api


def test_nobody_spills_unasked_or_without_need():
    api = Standing(1, API)
    assert spill(demand(run=late(0)), behind(), [api], {}, 0.0) is None
    unhurried = RunStanding("r", "w", 0.0, deadline=1e9, spill_nanodollars=10**9)
    assert spill(demand(run=unhurried), behind(), [api], {}, 0.0) is None
    assert spill(demand(run=late(10**9)), standing(), [api], {}, 0.0) is None


@given(
    st.integers(0, 10**9),
    st.lists(st.tuples(st.integers(1, 100_000), st.integers(1, 8_000), st.floats(0, 1)), max_size=20),
)
def test_a_price_cap_is_never_exceeded(cap, calls):
    run, spent = late(cap), 0
    for turn, (tokens, most, share) in enumerate(calls):
        call = demand(turn, run, input_tokens=tokens, most_output_tokens=most)
        api = spill(call, behind(), [Standing(1, API)], {}, 0.0)
        if api is None:
            continue
        held = worst_nanodollars(call, api.terms)
        run.spilled_nanodollars += held
        cost = int(held * share)
        run.spilled_nanodollars += cost - held
        spent += cost
        assert spent <= run.spilled_nanodollars <= cap
    assert spent <= cap
