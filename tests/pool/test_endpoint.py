import asyncio

import pytest

from trimtab.config import EndpointSettings
from trimtab.core import Attribution, Call, SystemClock
from trimtab.core.errors import DeadlineExceeded, QueueFull
from trimtab.pool import Endpoint


def place(concurrency=1, max_queued=10):
    settings = EndpointSettings(
        name="e", url="http://x", models=("m",), concurrency=concurrency, max_queued=max_queued
    )
    return Endpoint(settings, "", SystemClock(), 100)


def call(tenant="acme", priority=0):
    who = Attribution(tenant=tenant, run="r")
    return Call("c", 0.0, "chat", "m", who, input_tokens=1, max_output_tokens=1, priority=priority)


def enter(endpoint, tenant="acme", seconds=5.0, most=100):
    return asyncio.ensure_future(endpoint.enter(call(tenant), 1.0, seconds, most))


async def test_places_are_taken_and_given_on_in_order():
    endpoint, order = place(), []

    async def visit(number):
        await endpoint.enter(call(), 1.0, 5.0, 100)
        order.append(number)
        await asyncio.sleep(0)
        endpoint.leave()

    await asyncio.gather(*(visit(number) for number in range(8)))
    assert order == list(range(8))
    assert (endpoint.in_flight, len(endpoint.queue)) == (0, 0)


async def test_a_full_queue_refuses_and_names_a_time():
    endpoint = place(max_queued=1)
    await enter(endpoint)
    waiting = enter(endpoint)
    await asyncio.sleep(0)
    with pytest.raises(QueueFull) as caught:
        await enter(endpoint)
    assert caught.value.retry_after_seconds >= 1
    endpoint.leave()
    await waiting
    endpoint.leave()


async def test_a_tenant_waits_within_its_own_bound():
    endpoint = place()
    await enter(endpoint)
    waiting = [enter(endpoint, "acme", most=2), enter(endpoint, "acme", most=2)]
    await asyncio.sleep(0)
    with pytest.raises(QueueFull):
        await enter(endpoint, "acme", most=2)
    waiting.append(enter(endpoint, "blue", most=2))
    for _ in range(4):
        await asyncio.sleep(0)
        endpoint.leave()
    await asyncio.gather(*waiting)
    assert endpoint.in_flight == 0


async def test_waiting_has_an_end():
    endpoint = place()
    await enter(endpoint)
    with pytest.raises(DeadlineExceeded):
        await enter(endpoint, seconds=0.02)
    assert len(endpoint.queue) == 0
    endpoint.leave()


async def test_one_who_leaves_at_the_moment_of_being_let_in_hands_the_place_on():
    endpoint = place()
    await enter(endpoint)
    first, second = enter(endpoint), enter(endpoint)
    await asyncio.sleep(0)
    endpoint.leave()
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    await asyncio.wait_for(second, 1)
    assert endpoint.in_flight == 1
    endpoint.leave()


async def test_places_are_shared_out_among_processes_and_never_fewer_than_one():
    endpoint = place(concurrency=4)
    for processes, share in ((2, 2), (3, 1), (9, 1), (1, 4)):
        endpoint.share_out(processes)
        assert endpoint.share == share


async def test_more_places_let_more_in_at_once():
    endpoint = place(concurrency=3)
    endpoint.share_out(3)
    await enter(endpoint)
    waiting = [enter(endpoint), enter(endpoint)]
    await asyncio.sleep(0)
    assert len(endpoint.queue) == 2
    endpoint.share_out(1)
    await asyncio.wait_for(asyncio.gather(*waiting), 1)
    assert endpoint.in_flight == 3


async def test_guesses_stand_in_for_latencies_until_there_are_some():
    endpoint = place()
    assert endpoint.speed.p50 > 0
    assert endpoint.speed.p95 >= endpoint.speed.p50
    endpoint.latency.observe(0.1, SystemClock.monotonic())
    await asyncio.sleep(0.21)
    assert endpoint.speed.p50 == pytest.approx(0.1, rel=0.05)
