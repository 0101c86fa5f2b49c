"""Waiting for a place at an endpoint: bounded, fair between tenants, in order within one."""

import asyncio

import pytest

from gateway.served import ask, endpoint
from gateway.upstream import Says, waits


async def _queued(served, count):
    place = served.house.pool.endpoints["main"]
    async with asyncio.timeout(5):
        while len(place.queue) < count:
            await asyncio.sleep(0.005)


@pytest.fixture
def gate():
    return asyncio.Event()


async def test_a_full_queue_refuses_at_once_and_says_when_to_come_again(serve, upstream, gate):
    served = await serve(endpoint(upstream, more="concurrency = 1\nmax_queued = 1"))
    upstream.always = waits(gate)
    calls = [asyncio.ensure_future(served.post(ask()))]
    await upstream.arrivals(1)
    calls.append(asyncio.ensure_future(served.post(ask())))
    await _queued(served, 1)
    began = asyncio.get_running_loop().time()
    refused = await served.post(ask(stream=True))
    assert asyncio.get_running_loop().time() - began < 0.5
    assert (refused.status, refused.error["code"]) == (429, "queue_full")
    assert int(refused.headers["retry-after"]) >= 1
    gate.set()
    assert [answer.status for answer in await asyncio.gather(*calls)] == [200, 200]
    assert sorted(call.status for call in await served.calls()) == ["ok", "ok", "refused"]


async def test_a_full_queue_sends_the_call_to_another_endpoint(serve, upstreams, gate):
    first, second = await upstreams(), await upstreams()
    dear = "price = { input = 2.0, output = 20.0 }"
    small = endpoint(first, "main", more="concurrency = 1\nmax_queued = 0")
    served = await serve(small + endpoint(second, "second", more=dear))
    first.always = waits(gate)
    call = asyncio.ensure_future(served.post(ask()))
    await first.arrivals(1)
    assert (await served.post(ask())).headers["x-trimtab-endpoint"] == "second"
    gate.set()
    assert (await call).headers["x-trimtab-endpoint"] == "main"


TENANTS = """
[[tenant]]
name = "heavy"
weight = 3.0
[[tenant]]
name = "light"
"""


async def test_tenants_share_an_endpoint_by_weight(serve, upstream, gate):
    served = await serve(endpoint(upstream, more="concurrency = 1") + TENANTS)
    keys = {name: await served.key(name) for name in ("heavy", "light")}
    upstream.then(waits(gate))
    calls = []
    for number in range(25):
        tenant = "heavy" if number < 13 else "light"
        headers = {"authorization": f"Bearer {keys[tenant]}"}
        calls.append(asyncio.ensure_future(served.post(ask(text=tenant), headers=headers)))
        await (_queued(served, number) if number else upstream.arrivals(1))
    gate.set()
    await asyncio.gather(*calls)
    order = [seen.json["messages"][0]["content"] for seen in upstream.seen[1:]]
    assert (order[:8].count("heavy"), order[:8].count("light")) == (6, 2)
    assert (order[:16].count("heavy"), order[:16].count("light")) == (12, 4)


async def test_within_a_tenant_priority_goes_first_then_who_came_first(serve, upstream, gate):
    served = await serve(endpoint(upstream, more="concurrency = 1"))
    upstream.then(waits(gate))
    calls = [asyncio.ensure_future(served.post(ask()))]
    await upstream.arrivals(1)
    for at, priority in enumerate((0, 5, 0, 5, -1)):
        headers = {"x-trimtab-priority": str(priority)}
        calls.append(asyncio.ensure_future(served.post(ask(text=f"{priority}/{at}"), headers=headers)))
        await _queued(served, at + 1)
    gate.set()
    await asyncio.gather(*calls)
    order = [seen.json["messages"][0]["content"] for seen in upstream.seen[1:]]
    assert order == ["5/1", "5/3", "0/0", "0/2", "-1/4"]


async def test_each_tenant_has_its_own_bound_on_who_may_wait(serve, upstream, gate):
    bounds = '[[tenant]]\nname = "acme"\nmax_queued = 1\n[[tenant]]\nname = "blue"\nmax_queued = 3\n'
    served = await serve(endpoint(upstream, more="concurrency = 1") + bounds)
    keys = {name: await served.key(name) for name in ("acme", "blue")}
    upstream.always = waits(gate)

    def post(tenant):
        headers = {"authorization": f"Bearer {keys[tenant]}"}
        return asyncio.ensure_future(served.post(ask(), headers=headers))

    calls = [post("blue")]
    await upstream.arrivals(1)
    calls.append(post("acme"))
    await _queued(served, 1)
    assert (await post("acme")).status == 429
    for waiting in range(2, 5):
        calls.append(post("blue"))
        await _queued(served, waiting)
    assert (await post("blue")).status == 429
    gate.set()
    assert {answer.status for answer in await asyncio.gather(*calls)} == {200}


async def test_waiting_ends_at_the_calls_own_deadline(serve, upstream, gate):
    served = await serve(endpoint(upstream, more="concurrency = 1"))
    upstream.always = waits(gate)
    call = asyncio.ensure_future(served.post(ask()))
    await upstream.arrivals(1)
    late = await served.post(ask(), headers={"x-trimtab-timeout-seconds": "0.2"})
    assert (late.status, late.error["code"]) == (504, "deadline_exceeded")
    gate.set()
    assert (await call).status == 200
    assert len(upstream.seen) == 1


async def test_a_hundred_calls_through_four_places_are_all_served(serve, upstream):
    served = await serve(endpoint(upstream, more="concurrency = 4"))
    upstream.always = Says(before_seconds=0.005)
    answers = await asyncio.gather(*(served.post(ask(stream=bool(n % 2))) for n in range(100)))
    assert {answer.status for answer in answers} == {200}
    assert len(await served.entries()) == 100
    assert len({seen.connection for seen in upstream.seen}) <= 4
