"""What a call costs: to the nanodollar, whichever way it went."""

import asyncio

import pytest

from gateway.served import ask, cost, endpoint
from gateway.upstream import Says, waits

SURFACES = {
    "/v1/chat/completions": {"messages": [{"role": "user", "content": "Hi"}]},
    "/v1/messages": {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 50},
    "/v1/responses": {"input": "Hi"},
}


@pytest.mark.parametrize("style", ["openai", "anthropic"])
@pytest.mark.parametrize("path", SURFACES)
async def test_streamed_and_plain_cost_the_same(serve, upstream, path, style):
    served = await serve(endpoint(upstream, more=f'style = "{style}"'))
    costs = []
    for stream in (False, True):
        # The bill of the prompt goes by the bytes of the body, so the two must be of one length.
        padding = {"user": "u" * 80} if path != "/v1/messages" else {}
        answer = await served.post(SURFACES[path] | padding | {"model": "gpt-small", "stream": stream}, path)
        assert answer.status == 200
        costs.append(answer.headers.get("x-trimtab-cost-nanodollars"))
    plain, streamed = await served.entries()
    for line, seen in zip((plain, streamed), upstream.seen, strict=True):
        assert (line.certainty, line.nanodollars) == ("exact", cost(seen.billed))
    assert plain.output_tokens == streamed.output_tokens
    assert costs == [str(plain.nanodollars), None]
    calls = await served.calls()
    assert [call.nanodollars for call in calls] == [plain.nanodollars, streamed.nanodollars]


async def test_the_same_usage_costs_the_same_streamed_or_plain(serve, upstream):
    served = await serve(endpoint(upstream))
    upstream.always = Says(usage={"prompt_tokens": 1234, "total_tokens": 1234 + 10})
    for stream in (False, True):
        await served.post(ask(stream=stream))
    plain, streamed = await served.entries()
    assert plain.nanodollars == streamed.nanodollars == 1_334_000


PRICE = (
    "price = { input = 2.0, output = 8.0, cached = 0.5, cache_write = 2.5, cache_write_hour = 4.0, "
    "reasoning = 10.0, request = 0.001, web_search = 0.01 }\n"
)


async def test_cached_and_reasoning_tokens_have_prices_of_their_own(serve, upstream):
    served = await serve(endpoint(upstream, more=PRICE))
    upstream.always = Says(
        usage={
            "prompt_tokens": 1000,
            "completion_tokens": 100,
            "total_tokens": 1100,
            "prompt_tokens_details": {"cached_tokens": 600},
            "completion_tokens_details": {"reasoning_tokens": 40},
        }
    )
    for stream in (False, True):
        await served.post(ask(stream=stream))
    expected = 400 * 2_000 + 600 * 500 + 60 * 8_000 + 40 * 10_000 + 1_000_000
    lines = await served.entries()
    assert [line.nanodollars for line in lines] == [expected] * 2
    assert (lines[0].cached_tokens, lines[0].reasoning_tokens) == (600, 40)


@pytest.mark.parametrize("stream", [False, True])
async def test_cache_writes_and_searches_have_prices_of_their_own(serve, upstream, stream):
    served = await serve(endpoint(upstream, more=PRICE + 'style = "anthropic"'))
    upstream.always = Says(
        usage={
            "input_tokens": 100,
            "cache_read_input_tokens": 1000,
            "cache_creation_input_tokens": 500,
            "cache_creation": {"ephemeral_1h_input_tokens": 200},
            "server_tool_use": {"web_search_requests": 3},
        }
    )
    body = {"model": "gpt-small", "max_tokens": 50, "messages": [{"role": "user", "content": "Hi"}]}
    await served.post(body | {"stream": stream}, "/v1/messages")
    line = await served.entry()
    said = line.output_tokens * 8_000
    expected = 100 * 2_000 + 1000 * 500 + 300 * 2_500 + 200 * 4_000 + said + 1_000_000 + 3 * 10_000_000
    assert (line.nanodollars, line.certainty) == (expected, "exact")
    assert (line.input_tokens, line.cached_tokens, line.cache_write_tokens) == (1600, 1000, 500)


async def test_long_prompts_have_their_tiers_price(serve, upstream):
    tiers = "tiers = [{ above_input_tokens = 1000, input = 4.0, output = 20.0 }]"
    served = await serve(endpoint(upstream, more=f"price = {{ input = 2.0, output = 8.0, {tiers} }}"))
    for prompt in (1000, 1001):
        upstream.then(
            Says(usage={"prompt_tokens": prompt, "completion_tokens": 10, "total_tokens": prompt + 10})
        )
        await served.post(ask())
    assert [line.nanodollars for line in await served.entries()] == [
        1000 * 2_000 + 10 * 8_000,
        1001 * 4_000 + 10 * 20_000,
    ]


async def test_a_machine_by_the_hour_is_shared_out_among_its_calls(serve, upstream, clock):
    served = await serve(endpoint(upstream, more="gpu_hour_usd = 3600.0\nprice = { request = 0.0 }"))
    gate = asyncio.Event()
    upstream.always = waits(gate)
    loop = asyncio.get_running_loop()
    began = loop.time()
    calls = [asyncio.ensure_future(served.post(ask())) for _ in range(4)]
    await upstream.arrivals(4)
    clock.ahead += 0.3
    gate.set()
    await asyncio.gather(*calls)
    seconds = 0.3 + loop.time() - began
    lines = await served.entries()
    total = sum(line.nanodollars for line in lines)
    assert 0.3 * 1_000_000_000 <= total <= seconds * 1_000_000_000
    assert max(line.nanodollars for line in lines) < total / 2


async def test_a_machines_time_is_charged_for_calls_that_were_left_too(serve, upstream, clock):
    served = await serve(endpoint(upstream, more="gpu_hour_usd = 3600.0\nretries = 0"))
    gate = asyncio.Event()
    upstream.then(waits(gate))
    call = asyncio.ensure_future(served.post(ask(stream=True)))
    await upstream.arrivals(1)
    clock.ahead += 0.2
    call.cancel()
    line = await served.entry()
    assert line.nanodollars >= 0.2 * 1_000_000_000


@pytest.mark.parametrize("stream", [False, True])
async def test_another_gateways_charge_is_noted_and_counted_once(serve, upstream, stream):
    inner = await serve(endpoint(upstream), "inner")
    key = await inner.key("edge")
    text = f'[[endpoint]]\nname = "core"\nurl = "{inner.v1}"\nmodels = ["gpt-small"]\nstyle = "trimtab"\n'
    outer = await serve(text + 'api_key_env = "INNER_KEY"\n', "outer", INNER_KEY=key)
    named = {"x-trimtab-run": "r1", "x-trimtab-step": "plan", "x-trimtab-user": "ann"}
    answer = await outer.post(ask(stream=stream), headers=named)
    assert answer.status == 200
    there, here = await inner.entry(), await outer.entry()
    assert (there.run, there.step, there.user, there.tenant) == ("r1", "plan", "ann", "edge")
    assert (here.certainty, here.nanodollars) == ("upstream", 0)
    assert here.upstream_nanodollars == there.nanodollars == cost(upstream.seen[0].billed)
    assert (await inner.call()).parent == (await outer.call()).id
    assert b"cost_nanodollars" not in answer.body


async def test_an_outcome_of_dearer_replies_than_were_held_is_charged_in_full(serve, upstream):
    served = await serve(endpoint(upstream))
    upstream.always = Says(
        usage={"prompt_tokens": 10**6, "completion_tokens": 10**6, "total_tokens": 2 * 10**6}
    )
    await served.post(ask())
    assert (await served.entry()).nanodollars == 11_000_000_000
