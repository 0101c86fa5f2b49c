"""Stage 6 with a scheduler: calls are bound late, wait here, and come back to it whenever they fall back."""

import asyncio

import pytest

from gateway.served import ask, endpoint
from gateway.upstream import Says, hangs, refuses, waits
from trimtab.core.errors import ConfigError

DEFAULT = '[scheduling]\npolicy = "default"\n'
LONG = "word " * 4_000


def pair(first, second, more="concurrency = 1", policy=DEFAULT):
    return policy + endpoint(first, "one", more=more) + endpoint(second, "two", more=more)


async def waiting(served, count):
    async with asyncio.timeout(5):
        while sum(served.house.scheduler.waiting.values()) < count:
            await asyncio.sleep(0.005)


@pytest.fixture
def gate():
    return asyncio.Event()


async def test_a_waiting_call_takes_whichever_endpoint_is_free_first(serve, upstreams, gate):
    first, second = await upstreams(), await upstreams()
    served = await serve(pair(first, second))
    first.always = waits(gate)
    second.always = waits(asyncio.Event())
    calls = [asyncio.ensure_future(served.post(ask())) for _ in range(2)]
    await asyncio.gather(first.arrivals(1), second.arrivals(1))
    calls += [asyncio.ensure_future(served.post(ask())) for _ in range(4)]
    await waiting(served, 4)
    gate.set()
    await first.arrivals(5)
    assert len(second.seen) == 1
    _, stuck = await asyncio.wait(calls[:2], return_when=asyncio.FIRST_COMPLETED)
    for call in stuck:
        call.cancel()
        calls.remove(call)
    assert {answer.headers["x-trimtab-endpoint"] for answer in await asyncio.gather(*calls)} == {"one"}


async def test_calls_of_one_session_stay_where_their_prefix_is(serve, upstreams):
    first, second = await upstreams(), await upstreams()
    served = await serve(pair(first, second, more="concurrency = 8"))
    seen = []
    for text in ("alpha ", "beta ", "gamma "):
        history = [{"role": "user", "content": text + LONG}]
        for turn in range(3):
            answer = await served.post(ask() | {"messages": history})
            seen.append((text, answer.headers["x-trimtab-endpoint"]))
            history = [
                *history,
                {"role": "assistant", "content": "fine"},
                {"role": "user", "content": str(turn)},
            ]
    for text in ("alpha ", "beta ", "gamma "):
        assert len({where for name, where in seen if name == text}) == 1


async def test_an_attempt_that_fails_comes_back_and_goes_elsewhere(serve, upstreams):
    first, second = await upstreams(), await upstreams()
    served = await serve(pair(first, second))
    first.always = refuses(500)
    second.always = Says()
    for _ in range(4):
        answer = await served.post(ask())
        assert (answer.status, answer.headers["x-trimtab-endpoint"]) == (200, "two")
    standings = served.house.scheduler.standings.values()
    assert [(one.outstanding, one.waiting, one.unstarted) for one in standings] == [(0, 0, 0), (0, 0, 0)]


async def test_a_call_whose_client_goes_away_leaves_the_line(serve, upstream, gate):
    served = await serve(DEFAULT + endpoint(upstream, more="concurrency = 1"))
    upstream.then(waits(gate))
    calls = [asyncio.ensure_future(served.post(ask()))]
    await upstream.arrivals(1)
    calls.append(asyncio.ensure_future(served.post(ask())))
    await waiting(served, 1)
    calls[1].cancel()
    async with asyncio.timeout(5):
        while sum(served.house.scheduler.waiting.values()):
            await asyncio.sleep(0.005)
    gate.set()
    assert (await calls[0]).status == 200
    assert (await served.post(ask())).status == 200
    assert len(upstream.seen) == 2


async def test_more_than_may_wait_are_refused_at_once(serve, upstream, gate):
    served = await serve(DEFAULT + endpoint(upstream, more="concurrency = 1\nmax_queued = 1"))
    upstream.then(waits(gate))
    calls = [asyncio.ensure_future(served.post(ask())) for _ in range(2)]
    await upstream.arrivals(1)
    await waiting(served, 1)
    refused = await served.post(ask())
    assert (refused.status, refused.error["code"]) == (429, "queue_full")
    assert int(refused.headers["retry-after"]) >= 1
    gate.set()
    assert [answer.status for answer in await asyncio.gather(*calls)] == [200, 200]


async def test_a_tenant_that_may_not_queue_is_refused_while_another_waits(serve, upstream, gate):
    bounds = '[[tenant]]\nname = "acme"\nmax_queued = 0\n[[tenant]]\nname = "blue"\n'
    served = await serve(DEFAULT + endpoint(upstream, more="concurrency = 1") + bounds)
    keys = {name: await served.key(name) for name in ("acme", "blue")}
    upstream.then(waits(gate))

    def post(tenant):
        headers = {"authorization": f"Bearer {keys[tenant]}"}
        return asyncio.ensure_future(served.post(ask(), headers=headers))

    calls = [post("blue")]
    await upstream.arrivals(1)
    calls.append(post("blue"))
    await waiting(served, 1)
    assert (await post("acme")).status == 429
    gate.set()
    assert [answer.status for answer in await asyncio.gather(*calls)] == [200, 200]


async def test_a_step_is_never_served_below_its_floor(serve, upstreams):
    exact, quantised = await upstreams(), await upstreams()
    text = (
        DEFAULT
        + endpoint(exact, "exact", more="precision_bits = 16")
        + endpoint(quantised, "small", more="precision_bits = 8")
    )
    text += "[workflow.work.step.judge]\nprecision_floor = 16\n"
    served = await serve(text)
    headers = {"x-trimtab-workflow": "work", "x-trimtab-step": "judge", "x-trimtab-run": "r1"}
    for _ in range(6):
        answer = await served.post(ask(stream=True), headers=headers)
        assert answer.headers["x-trimtab-endpoint"] == "exact"
    assert not quantised.seen


async def test_streamed_and_plain_calls_teach_how_fast_an_endpoint_is(serve, upstream):
    served = await serve(DEFAULT + endpoint(upstream))
    upstream.always = Says(between_seconds=0.002)
    standing = served.house.scheduler.standings["main"]
    for stream in (True, False):
        before = standing.decode_pace
        await served.post(ask(stream=stream))
        assert standing.decode_pace < before
    assert standing.outstanding == standing.decoding == standing.unstarted == 0
    assert standing.context == standing.outstanding_tokens == 0


async def test_an_unknown_policy_is_told_with_its_line(serve, upstream):
    with pytest.raises(ConfigError, match=r"sheduled.*default"):
        await serve('[scheduling]\npolicy = "sheduled"\n' + endpoint(upstream))


SPILL = "[workflow.work]\nspill_usd = {usd}\n"
DEAR = "external = true\nprice = {{ input = 2.0, output = 20.0 }}\n[endpoint.speed]\ntoken_seconds = {speed}"


def spilling(own, other, usd, speed=0.001):
    slow = "concurrency = 1\n[endpoint.speed]\ntoken_seconds = 1.0"
    text = DEFAULT + endpoint(own, "own", more=slow)
    return text + endpoint(other, "other", more=DEAR.format(speed=speed)) + SPILL.format(usd=usd)


LATE = {"x-trimtab-workflow": "work", "x-trimtab-run": "r1", "x-trimtab-timeout-seconds": "5"}


async def test_a_run_that_would_be_late_spills_as_far_as_it_may_pay(serve, upstreams):
    own, other = await upstreams(), await upstreams()
    served = await serve(spilling(own, other, 0.0015))
    where = [(await served.post(ask(), headers=LATE)).headers["x-trimtab-endpoint"] for _ in range(8)]
    assert where[0] == "other"
    assert where[-1] == "own"
    entries = await served.entries()
    spent = sum(row.nanodollars for row in entries if row.endpoint == "other")
    assert 0 < spent <= 1_500_000


async def test_where_all_of_ours_are_down_a_run_that_may_spills_and_no_call_waits(serve, upstreams):
    own, other = await upstreams(), await upstreams()
    own.always = refuses(500)
    text = spilling(own, other, 0.0015).replace(
        'name = "own"', 'name = "own"\nbreaker = { failures = 1, cooldown_seconds = 60.0 }'
    )
    served = await serve(text)
    await served.post(ask())
    assert served.house.pool.endpoints["own"].breaker_state == "open"
    answers = [await served.post(ask(), headers=LATE | {"x-trimtab-run": f"r{n}"}) for n in range(2, 6)]
    assert {answer.headers.get("x-trimtab-endpoint") for answer in answers} == {"other"}
    assert not sum(served.house.scheduler.waiting.values())


async def test_without_leave_nothing_spills(serve, upstreams):
    own, other = await upstreams(), await upstreams()
    served = await serve(spilling(own, other, 0))
    for _ in range(3):
        assert (await served.post(ask(), headers=LATE)).headers["x-trimtab-endpoint"] == "own"
    relaxed = {"x-trimtab-workflow": "work", "x-trimtab-run": "r2"}
    assert (await served.post(ask(), headers=relaxed)).headers["x-trimtab-endpoint"] == "own"
    assert not other.seen


async def test_a_step_that_nobody_can_serve_is_refused_at_once(serve, upstream):
    text = (
        DEFAULT
        + endpoint(upstream, more="precision_bits = 8")
        + "[workflow.work.step.judge]\nprecision_floor = 16\n"
    )
    headers = {"x-trimtab-workflow": "work", "x-trimtab-step": "judge"}
    for policy in ("default", "round_robin"):
        served = await serve(text.replace("default", policy), name=policy)
        answer = await served.post(ask(), headers=headers)
        assert (answer.status, answer.error["code"]) == (502, "endpoint_unavailable")
    assert not upstream.seen


async def test_others_apis_need_leave_even_when_our_own_fail(serve, upstreams):
    own, other = await upstreams(), await upstreams()
    served = await serve(spilling(own, other, 0))
    own.always = refuses(500)
    answer = await served.post(ask())
    assert answer.status in (429, 502)
    assert not other.seen


async def test_a_rested_endpoint_takes_up_what_waits_without_another_call(serve, upstream, clock):
    more = "concurrency = 2\nbreaker = { failures = 1, cooldown_seconds = 1.0 }"
    served = await serve(DEFAULT + endpoint(upstream, more=more))
    gate = asyncio.Event()
    upstream.then(waits(gate), waits(gate))
    first = [asyncio.ensure_future(served.post(ask())) for _ in range(2)]
    await upstream.arrivals(2)
    calls = [asyncio.ensure_future(served.post(ask())) for _ in range(2)]
    await waiting(served, 2)
    gate.set()
    async with asyncio.timeout(10):
        answers = await asyncio.gather(*first, *calls)
    assert [answer.status for answer in answers] == [200] * 4


async def test_a_rested_endpoint_is_tried_by_one_of_those_that_wait(serve, upstreams, clock, gate):
    busy, rested = await upstreams(), await upstreams()
    breaker = "concurrency = 2\nbreaker = { failures = 1, cooldown_seconds = 5.0 }"
    served = await serve(
        '[scheduling]\npolicy = "least_loaded"\n'
        + endpoint(busy, "busy", more="concurrency = 2")
        + endpoint(rested, "rested", more=breaker)
    )
    fails = asyncio.Event()
    busy.always, rested.always = waits(asyncio.Event()), waits(fails, refuses(500))
    calls = [asyncio.ensure_future(served.post(ask())) for _ in range(4)]
    await asyncio.gather(busy.arrivals(2), rested.arrivals(2))
    others = []
    for _ in range(4):
        # One by one: the first of them is the one that tries the endpoint.
        others.append(asyncio.ensure_future(served.post(ask())))
        await waiting(served, len(others))
    rested.always = waits(gate)
    fails.set()
    await waiting(served, 6)
    clock.ahead += 6
    await rested.arrivals(3)
    # Each call that comes has the endpoints looked at, which would let in another.
    calls.append(asyncio.ensure_future(served.post(ask())))
    await waiting(served, 6)
    assert len(rested.seen) == 3
    # One that goes away says nothing of the endpoint: the next one tries it.
    others.pop(0).cancel()
    await rested.arrivals(4)
    calls.append(asyncio.ensure_future(served.post(ask())))
    await waiting(served, 6)
    assert len(rested.seen) == 4
    gate.set()
    answers = await asyncio.gather(*others)
    assert [answer.headers["x-trimtab-endpoint"] for answer in answers] == ["rested"] * 3
    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)


async def test_a_floor_holds_where_all_endpoints_are_down_too(serve, upstreams):
    blunt, exact = await upstreams(), await upstreams()
    breaker = "breaker = {{ failures = 1, cooldown_seconds = 60.0 }}\nprecision_bits = {bits}"
    served = await serve(
        DEFAULT
        + endpoint(blunt, "blunt", more=breaker.format(bits=8))
        + endpoint(exact, "exact", more=breaker.format(bits=16))
        + "[workflow.work.step.judge]\nprecision_floor = 16\n"
    )
    headers = {"x-trimtab-workflow": "work", "x-trimtab-step": "judge"}
    served.house.pool.endpoints["blunt"].note("failed")
    served.house.pool.endpoints["exact"].note("failed")
    answer = await served.post(ask(), headers=headers)
    assert (answer.status, answer.headers["x-trimtab-endpoint"]) == (200, "exact")
    assert not blunt.seen


async def test_an_endpoint_that_is_down_is_asked_once_for_a_call(serve, upstreams):
    ours = [await upstreams(), await upstreams()]
    other = await upstreams()
    breaker = "breaker = { failures = 1, cooldown_seconds = 60.0 }\nretries = 0"
    served = await serve(
        DEFAULT
        + "".join(endpoint(one, f"e{n}", more=breaker) for n, one in enumerate(ours))
        + endpoint(other, "other", more=DEAR.format(speed=0.001))
    )
    for n, one in enumerate(ours):
        one.always = refuses(500)
        served.house.pool.endpoints[f"e{n}"].note("failed")
    assert (await served.post(ask())).status in (429, 502)
    assert [len(one.seen) for one in (*ours, other)] == [1, 1, 0]


async def test_hundreds_that_go_away_at_once_leave_nothing_behind(serve, upstream, gate):
    served = await serve(DEFAULT + endpoint(upstream, more="concurrency = 1\nmax_queued = 1000"))
    upstream.then(waits(gate))
    first = asyncio.ensure_future(served.post(ask()))
    await upstream.arrivals(1)
    calls = [asyncio.ensure_future(served.post(ask())) for _ in range(300)]
    await waiting(served, 90)
    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)
    gate.set()
    assert (await first).status == 200
    async with asyncio.timeout(10):
        while sum(served.house.scheduler.waiting.values()) or served.house.pool.endpoints["main"].in_flight:
            await asyncio.sleep(0.01)
    assert (await served.post(ask())).status == 200


CASCADE = """
[[model]]
name = "smart"
candidates = ["small", "large"]
policy = "careful"
[[model]]
name = "small"
quality = 0.2
[[model]]
name = "large"
quality = 0.9
[policy.careful]
kind = "cascade"
verifiers = [{ kind = "json_schema" }]
"""
CITY = {
    "type": "json_schema",
    "json_schema": {"name": "city", "schema": {"type": "object", "required": ["name"]}},
}


async def test_a_cascade_still_ends_at_its_last_model(serve, upstreams):
    """Whichever replica of the cheap model is taken, the dear one stays in the plan."""
    small, again, large = await upstreams(), await upstreams(), await upstreams()
    cheap = "price = { input = 0.1, output = 1.0 }\nconcurrency = 1"
    text = DEFAULT + endpoint(small, "one", '"small"', cheap) + endpoint(again, "two", '"small"', cheap)
    served = await serve(text + endpoint(large, "large", '"large"') + CASCADE)
    small.always = again.always = Says('{"size": 3}')
    large.always = Says('{"name": "Oslo"}')
    answers = await asyncio.gather(
        *[served.post(ask("smart", response_format=CITY, stream=True)) for _ in range(6)]
    )
    assert {answer.headers["x-trimtab-endpoint"] for answer in answers} == {"large"}
    assert len(small.seen) + len(again.seen) == len(large.seen) == 6
    assert small.seen
    assert again.seen


HEDGED = """
default_policy = "raced"
[hedging]
share = 0.5
[policy.raced]
kind = "pinned"
hedge = true
"""


async def test_a_hedge_goes_where_it_was_planned(serve, upstreams, clock):
    first, second = await upstreams(), await upstreams()
    served = await serve(HEDGED + pair(first, second, more="concurrency = 8"))
    for _ in range(6):
        assert (await served.post(ask())).headers["x-trimtab-endpoint"] == "one"
    clock.ahead += 0.25
    first.always = hangs()
    assert (await served.post(ask())).headers["x-trimtab-endpoint"] == "two"
    assert (len(first.seen), len(second.seen)) == (7, 1)


async def test_what_waits_with_the_scheduler_counts_as_queued_for_policies_and_metrics(serve, upstream, gate):
    served = await serve(DEFAULT + endpoint(upstream, more="concurrency = 1"))
    upstream.then(waits(gate))
    calls = [asyncio.ensure_future(served.post(ask()))]
    await upstream.arrivals(1)
    calls += [asyncio.ensure_future(served.post(ask())) for _ in range(3)]
    await waiting(served, 3)
    assert served.house.pool.endpoints["main"].queued == 3
    assert b'trimtab_queued{endpoint="main"} 3.0' in served.house.watchers.metrics.render()
    gate.set()
    assert [answer.status for answer in await asyncio.gather(*calls)] == [200] * 4
