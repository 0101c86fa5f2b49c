from hypothesis import given

from trimtab.routing import build_policy, can_serve

from .make import CALLS, FREE_OF_PRICE, OFFERS, call, endpoints, offer

CHEAPEST = build_policy("cheapest", {"max_attempts": 8})


def test_the_lowest_cost_comes_first_then_the_lower_latency_then_the_name():
    offers = (
        offer("d", nanodollars=5),
        offer("c", nanodollars=2, latency_seconds=1.0),
        offer("b", nanodollars=2, latency_seconds=1.0),
        offer("a", nanodollars=2, latency_seconds=2.0),
    )
    assert endpoints(CHEAPEST.choose(call(), offers, 0.0)) == ["b", "c", "a", "d"]


def test_an_unknown_price_is_not_taken_for_a_free_one():
    offers = (offer("unpriced", nanodollars=0, price=FREE_OF_PRICE), offer("priced", nanodollars=9))
    assert endpoints(CHEAPEST.choose(call(), offers, 0.0)) == ["priced", "unpriced"]


@given(CALLS, OFFERS)
def test_no_other_offer_that_can_serve_is_cheaper_than_the_first(call, offers):
    able = [each for each in offers if can_serve(call, each) and each.available and each.price.known]
    if able:
        first = CHEAPEST.choose(call, offers, 0.0).attempts[0]
        cost = next(
            each.predicted_nanodollars
            for each in offers
            if (each.endpoint, each.model) == (first.endpoint, first.model)
        )
        assert cost == min(each.predicted_nanodollars for each in able)
