"""What attempts cost under other prices."""

from hypothesis import given
from hypothesis import strategies as st

from trimtab.core import AttemptRecord, Attribution, Call, Offer, Price, Rates, Usage
from trimtab.simulation.whatif.guess import guess, repriced

CHEAP = Price((Rates(input=100_000_000, output=400_000_000, cached=50_000_000),))
DEAR = Price((Rates(input=200_000_000, output=800_000_000, cached=100_000_000),))
rates = st.integers(min_value=0, max_value=10**11)
prices = st.builds(Price, tiers=st.tuples(st.builds(Rates, input=rates, output=rates, cached=rates)))
counts = st.integers(min_value=0, max_value=200_000)
usages = st.builds(
    lambda plain, cached, output: Usage(plain + cached, output, cached), counts, counts, counts
)


def made(usage, nanodollars, **more):
    return AttemptRecord(
        "a", "near", "small", 0.0, 2.0, None, "answered", nanodollars=nanodollars, usage=usage, **more
    )


def offer(price, **more):
    return Offer("near", "small", price, 0, 10**12, **more)


CALL = Call("c", 0.0, "chat", "any", Attribution("acme", "r1"), 4000, 500)


@given(usages, prices, prices)
def test_a_cost_by_tokens_is_exact_at_any_price(usage, before, after):
    cost = repriced(made(usage, before.cost(usage)), before, after)
    assert cost.nanodollars == after.cost(usage)
    assert cost.exact


def test_a_cost_above_that_of_tokens_is_dearer_as_they_are():
    usage = Usage(1000, 100)
    cost = repriced(made(usage, 2 * CHEAP.cost(usage)), CHEAP, DEAR)
    assert (cost.nanodollars, cost.exact) == (2 * DEAR.cost(usage), False)


def test_a_machines_part_goes_by_its_second():
    slow, quick = Price(gpu_second_nanodollars=100), Price(gpu_second_nanodollars=300)
    assert repriced(made(Usage(10, 10), 70), slow, quick).nanodollars == 210


def test_a_price_that_nobody_knows_is_not_free():
    assert not repriced(made(Usage(10, 10), 70), CHEAP, Price()).priced
    assert not guess(CALL, Usage(10, 10), offer(Price())).priced


@given(usages, prices)
def test_the_parts_of_a_guess_are_the_whole_cost(usage, price):
    guessed = guess(CALL, usage, offer(price))
    if usage.total_tokens:
        assert guessed.nanodollars == price.cost(usage)
    assert guessed.most >= guessed.nanodollars


def test_without_any_answer_a_guess_goes_up_to_the_worst_case():
    guessed = guess(CALL, Usage(), offer(CHEAP))
    assert guessed.low == 0
    assert guessed.likely == CHEAP.worst_cost(1000, 256)
    assert guessed.high == 10**12


def test_a_machines_time_is_shared_by_those_in_flight_or_by_nobody():
    price = Price(gpu_second_nanodollars=1000)
    guessed = guess(CALL, Usage(10, 10), offer(price, latency_seconds=2.0, in_flight=1, concurrency=4))
    assert (guessed.low, guessed.likely, guessed.high) == (500, 1000, 2000)
