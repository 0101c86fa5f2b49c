"""An endpoint that keeps failing is left alone, then tried by one call at a time."""

import asyncio

import pytest

from gateway.served import ask, endpoint
from gateway.upstream import Says, refuses, waits

BREAKER = "breaker = { failures = 2, cooldown_seconds = 10.0, max_cooldown_seconds = 60.0 }\n"


@pytest.fixture
async def pair(serve, upstreams):
    first, second = await upstreams(), await upstreams()
    dear = BREAKER + "price = { input = 2.0, output = 20.0 }"
    text = endpoint(first, "first", more=BREAKER) + endpoint(second, "second", more=dear)
    return await serve(text), first, second


async def _trip(served, first):
    first.always = refuses(500)
    for _ in range(2):
        assert (await served.post(ask())).headers["x-trimtab-endpoint"] == "second"


def _state(served, name="first"):
    return served.house.pool.endpoints[name].breaker_state


async def test_it_opens_after_failures_in_a_row_and_nothing_is_sent(pair):
    served, first, second = pair
    await _trip(served, first)
    assert _state(served) == "open"
    for _ in range(3):
        assert (await served.post(ask())).headers["x-trimtab-endpoint"] == "second"
    assert (len(first.seen), len(second.seen)) == (2, 5)


async def test_after_the_cooldown_one_probe_goes_while_the_rest_stay_away(pair, clock):
    served, first, second = pair
    await _trip(served, first)
    clock.ahead += 11
    gate = asyncio.Event()
    first.always = waits(gate)
    calls = [asyncio.ensure_future(served.post(ask())) for _ in range(6)]
    await first.arrivals(3)
    await second.arrivals(7)
    assert _state(served) == "half_open"
    gate.set()
    answers = await asyncio.gather(*calls)
    assert [answer.status for answer in answers] == [200] * 6
    assert len(first.seen) == 3
    assert _state(served) == "closed"
    assert (await served.post(ask())).headers["x-trimtab-endpoint"] == "first"


async def test_one_probe_goes_also_where_each_call_has_to_ask_the_store_for_money(serve, upstreams, clock):
    first, second = await upstreams(), await upstreams()
    dear = BREAKER + "price = { input = 2.0, output = 20.0 }"
    budget = '[[budget]]\nscope = "run"\nwindow = "run"\nlimit_usd = 1.0\n'
    text = endpoint(first, "first", more=BREAKER) + endpoint(second, "second", more=dear)
    served = await serve(text + budget)
    await _trip(served, first)
    clock.ahead += 11
    gate = asyncio.Event()
    first.always = waits(gate)
    calls = [asyncio.ensure_future(served.post(ask())) for _ in range(6)]
    await second.arrivals(7)
    gate.set()
    await asyncio.gather(*calls)
    assert len(first.seen) == 3


async def test_a_probe_that_fails_opens_it_for_longer(pair, clock):
    served, first, _ = pair
    await _trip(served, first)
    clock.ahead += 11
    await served.post(ask())
    assert (_state(served), len(first.seen)) == ("open", 3)
    clock.ahead += 11
    await served.post(ask())
    assert len(first.seen) == 3
    clock.ahead += 11
    first.always = Says()
    assert (await served.post(ask())).headers["x-trimtab-endpoint"] == "first"


async def test_an_open_breaker_with_no_other_endpoint_is_tried_all_the_same(serve, upstream):
    served = await serve(endpoint(upstream, more=BREAKER))
    upstream.then(refuses(500), refuses(500))
    for _ in range(2):
        assert (await served.post(ask())).status == 502
    assert (await served.post(ask())).status == 200


@pytest.mark.parametrize("status", [400, 422, 429])
async def test_refusals_of_the_request_and_rate_limits_do_not_open_it(pair, status):
    served, first, _ = pair
    first.always = refuses(status)
    for _ in range(4):
        await served.post(ask())
    assert _state(served) == "closed"


async def test_clients_that_are_in_a_hurry_do_not_open_it(pair):
    served, first, _ = pair
    first.always = Says(before_seconds=0.5)
    for _ in range(3):
        answer = await served.post(ask(), headers={"x-trimtab-timeout-seconds": "0.05"})
        assert (answer.status, answer.error["code"]) == (504, "deadline_exceeded")
    assert _state(served) == "closed"
