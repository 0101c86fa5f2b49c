import pytest

from trimtab.core.errors import BadRequest
from trimtab.routing import build_policy

from .make import attempts, call, endpoints, offer

OFFERS = (offer("a", nanodollars=3), offer("b", nanodollars=2), offer("c", nanodollars=1), offer("x", "n"))


def _choose(offers=OFFERS, model="m", **options):
    return build_policy("pinned", options).choose(call(model), offers, 0.0)


def test_the_pinned_endpoint_is_first_and_its_model_falls_back_by_cost():
    assert endpoints(_choose(endpoint="b")) == ["b", "c", "a"]


def test_without_an_endpoint_the_cheapest_of_the_asked_model_is_first():
    assert endpoints(_choose()) == ["c", "b", "a"]


def test_a_pinned_model_wins_over_the_asked_one():
    assert attempts(_choose(model="n")) == [("x", "n")]
    assert attempts(build_policy("pinned", {"model": "n"}).choose(call("m"), OFFERS, 0.0)) == [("x", "n")]


def test_a_pinned_endpoint_of_another_model_pins_that_model():
    assert attempts(_choose(endpoint="x")) == [("x", "n")]


def test_an_alias_the_pool_resolved_means_any_offer():
    assert len(_choose(model="alias").attempts) == 4


def test_an_open_breaker_sends_the_pinned_endpoint_to_the_end():
    plan = _choose((offer("a", available=False), offer("b", nanodollars=9)), endpoint="a")
    assert [(each.endpoint, each.reason) for each in plan.attempts] == [
        ("b", "fallback"),
        ("a", "pinned, unavailable"),
    ]


@pytest.mark.parametrize("options", [{"model": "gone"}, {"endpoint": "gone"}])
def test_a_pin_that_is_not_offered_is_refused_with_what_is(options):
    said = r"pinned .* 'gone' is not offered .* m at a, m at b, m at c, n at x"
    with pytest.raises(BadRequest, match=said):
        build_policy("pinned", options).choose(call(), OFFERS, 0.0)


def test_a_hedge_needs_a_second_available_endpoint():
    assert _choose(hedge=True).hedge
    assert not _choose((offer("a"), offer("b", available=False)), hedge=True).hedge
    assert not _choose().hedge
