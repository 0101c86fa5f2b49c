"""Hedges: a second attempt when the first is slow, within a budget; the loser is stopped and paid."""

import asyncio

import msgspec
import pytest

from gateway.served import WAITS, ask, cost, endpoint
from gateway.upstream import Says, Talk, chunk, hangs, refuses, waits

POLICY = """
default_policy = "raced"
[hedging]
share = 0.5
[policy.raced]
kind = "pinned"
hedge = true
"""
DEAR = "price = { input = 2.0, output = 20.0 }\n"


@pytest.fixture(params=WAITS.values(), ids=WAITS)
async def pair(request, serve, upstreams, clock):
    """Two endpoints, the first known to be quick, and a budget for some hedges."""
    first, second = await upstreams(), await upstreams()
    text = endpoint(first, "first") + endpoint(second, "second", more=DEAR)
    served = await serve(POLICY + request.param + text)
    for _ in range(6):
        assert (await served.post(ask())).headers["x-trimtab-endpoint"] == "first"
    clock.ahead += 0.25  # so that speeds are looked up anew
    assert second.seen == []
    return served, first, second


async def _last_two(served):
    lines = (await served.entries())[6:]
    return {line.endpoint: line for line in lines}


@pytest.mark.parametrize("stream", [False, True])
async def test_a_slow_attempt_is_raced_and_the_loser_is_stopped_and_charged(pair, stream):
    served, first, second = pair
    first.always = hangs(billed=25)
    answer = await served.post(ask(stream=stream))
    assert (answer.status, answer.headers["x-trimtab-endpoint"]) == (200, "second")
    async with asyncio.timeout(5):
        await first.seen[-1].closed.wait()
    lines = await _last_two(served)
    assert lines["first"].certainty == "worst_case"
    assert lines["first"].nanodollars >= cost(first.seen[-1].billed)
    assert lines["second"].nanodollars == 2 * cost(second.seen[0].billed)
    call = (await served.calls())[-1]
    outcomes = {a["endpoint"]: a["outcome"] for a in msgspec.json.decode(call.attempts)}
    assert outcomes == {"first": "lost_hedge", "second": "answered"}
    assert call.nanodollars == sum(line.nanodollars for line in lines.values())


async def test_the_first_to_answer_wins_even_when_it_is_the_slow_one(pair):
    served, first, second = pair
    gate = asyncio.Event()
    first.always = waits(gate)
    second.always = hangs()
    call = asyncio.ensure_future(served.post(ask()))
    await second.arrivals(1)
    gate.set()
    assert (await call).headers["x-trimtab-endpoint"] == "first"
    async with asyncio.timeout(5):
        await second.seen[0].closed.wait()
    assert (await _last_two(served))["second"].certainty == "worst_case"


async def test_a_loser_that_streams_already_is_charged_for_what_it_made(pair):
    served, first, second = pair

    async def late(talk: Talk):
        await asyncio.sleep(0.4)
        talk.bill(3)
        await talk.open_stream()
        await talk.chunk(chunk("a b"))
        await asyncio.Event().wait()

    first.always = late
    second.always = Says(before_seconds=0.3)
    answer = await served.post(ask(stream=True))
    assert answer.headers["x-trimtab-endpoint"] == "second"
    lines = await _last_two(served)
    assert lines["first"].nanodollars >= cost(first.seen[-1].billed)


async def test_hedges_stay_within_their_share(serve, upstreams, clock):
    first, second = await upstreams(), await upstreams()
    policy = POLICY.replace("0.5", "0.25")
    served = await serve(policy + endpoint(first, "first") + endpoint(second, "second", more=DEAR))
    for _ in range(8):
        await served.post(ask())
    clock.ahead += 0.25
    first.always = Says(before_seconds=0.3)
    for _ in range(12):
        assert (await served.post(ask())).status == 200
    assert 1 <= len(second.seen) <= 20 * 0.25


async def test_a_first_attempt_that_fails_is_not_a_race(pair):
    served, first, second = pair
    first.always = refuses(500)
    assert (await served.post(ask())).headers["x-trimtab-endpoint"] == "second"
    assert (len(first.seen), len(second.seen)) == (7, 1)


async def test_when_both_fail_the_client_is_told(pair):
    served, first, second = pair
    gate = asyncio.Event()
    first.always = waits(gate, refuses(500, "first failed"))
    second.always = refuses(503, "second failed")
    call = asyncio.ensure_future(served.post(ask()))
    await second.arrivals(1)
    gate.set()
    answer = await call
    assert (answer.status, answer.error["code"]) == (502, "upstream_error")


async def test_a_client_that_leaves_a_race_stops_both(pair):
    served, first, second = pair
    first.always = second.always = hangs(billed=5)
    call = asyncio.ensure_future(served.post(ask(stream=True)))
    await second.arrivals(1)
    call.cancel()
    async with asyncio.timeout(5):
        await first.seen[-1].closed.wait()
        await second.seen[0].closed.wait()
    assert len(await _last_two(served)) == 2
    assert (await served.calls())[-1].status == "cancelled"
