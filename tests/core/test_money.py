"""Money: exact, and rounded up once."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.core import Price, Rates, Usage, nanodollars_of, usd_text

counts = st.integers(0, 10**6)
rates = st.integers(0, 10**12)


@pytest.mark.parametrize(
    ("usd", "nanodollars"),
    [(0.1, 100_000_000), ("0.0000000001", 1), (Decimal("2.5"), 2_500_000_000), (0, 0), (-1, -1_000_000_000)],
)
def test_usd_becomes_nanodollars_rounded_up(usd, nanodollars):
    assert nanodollars_of(usd) == nanodollars


@given(st.integers(-(10**18), 10**18))
def test_shown_money_is_read_back_as_it_was(nanodollars):
    assert nanodollars_of(usd_text(nanodollars)) == nanodollars


@st.composite
def usages(draw):
    cached, written, plain = draw(counts), draw(counts), draw(counts)
    reasoning, said = draw(counts), draw(counts)
    hour = draw(st.integers(0, written))
    return Usage(plain + cached + written, said + reasoning, cached, written, hour, reasoning)


@given(usages(), rates, rates, *[st.none() | rates] * 4)
def test_no_usage_costs_more_than_its_worst_case(usage, input, output, cached, write, hour, reasoning):
    asked = Rates(input, output, cached, write, hour, reasoning)
    assert asked.cost(usage) <= asked.worst_cost(usage.input_tokens, usage.output_tokens)


def test_a_call_is_rounded_up_once_and_not_by_part():
    asked = Rates(input=1, output=1)
    assert asked.cost(Usage(input_tokens=1, output_tokens=1)) == 1
    assert asked.cost(Usage()) == 0


def test_every_kind_of_token_has_its_rate():
    asked = Rates(1_000_000, 2_000_000, 3_000_000, 5_000_000, 7_000_000, 11_000_000)
    usage = Usage(
        input_tokens=100, output_tokens=20, cached_tokens=10, cache_write_tokens=6, cache_write_hour_tokens=2,
        reasoning_tokens=8,
    )  # fmt: skip
    assert asked.cost(usage) == 84 * 1 + 10 * 3 + 4 * 5 + 2 * 7 + 12 * 2 + 8 * 11
    # No endpoint tells of an hour's writes without writes; they count all the same.
    assert asked.cost(Usage(10, cache_write_hour_tokens=2)) == 10 * 1 + 2 * (7 - 5)


def test_a_rate_that_is_not_named_is_the_one_it_stands_beside():
    plain = Rates(input=1_000_000, output=2_000_000)
    usage = Usage(100, 20, 10, 6, 2, 8)
    assert plain.cost(usage) == 100 + 40


def test_a_long_prompt_pays_its_tier_for_the_whole_call():
    price = Price((Rates(1_000_000), Rates(3_000_000, above_input_tokens=1001)))
    assert price.cost(Usage(input_tokens=1000)) == 1000
    assert price.cost(Usage(input_tokens=1001)) == 3003


def test_the_worst_case_is_the_dearest_tier_in_reach_and_the_machine_alone():
    price = Price((Rates(3_000_000), Rates(1_000_000, above_input_tokens=1001)), gpu_second_nanodollars=10)
    assert price.worst_cost(2000, 0, seconds=60.0) == 6000 + 600


def test_requests_and_searches_are_paid_beside_tokens():
    price = Price(request_nanodollars=7, web_search_nanodollars=100)
    assert price.cost(Usage(web_searches=3)) == 307
    assert price.known
    assert not Price().known
