from trimtab.routing import build_policy
from trimtab.routing.fastest import wait_seconds

from .make import call, endpoints, offer


def _choose(*offers, **options):
    return endpoints(build_policy("fastest", options).choose(call(), offers, 0.0))


def test_the_lowest_predicted_latency_comes_first():
    assert _choose(offer("slow", latency_seconds=2.0), offer("fast", latency_seconds=1.0)) == ["fast", "slow"]


def test_a_long_queue_makes_a_fast_endpoint_the_slower_one():
    queued = offer("fast", latency_seconds=1.0, concurrency=2, in_flight=2, queued=5)
    assert wait_seconds(queued) == 3.0
    assert _choose(queued, offer("slow", latency_seconds=2.0)) == ["slow", "fast"]


def test_a_free_slot_and_an_unbounded_endpoint_mean_no_wait():
    assert wait_seconds(offer("a", concurrency=2, in_flight=1)) == 0
    assert wait_seconds(offer("a", concurrency=0, in_flight=99)) == 0


def test_equally_fast_offers_are_taken_by_cost():
    assert _choose(offer("a", nanodollars=2), offer("b", nanodollars=1)) == ["b", "a"]


def test_the_first_token_may_be_what_counts():
    early = offer("early", latency_seconds=9.0, first_token_seconds=0.1)
    soon = offer("soon", latency_seconds=3.0, first_token_seconds=1.0)
    assert _choose(early, soon) == ["soon", "early"]
    assert _choose(early, soon, until="first_token") == ["early", "soon"]
