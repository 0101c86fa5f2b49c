"""Cascades: a cheap reply is judged; where it is rejected it is paid for and a dearer model is asked."""

import asyncio
import sys
from types import ModuleType

import msgspec
import pytest

from gateway.served import WAITS, ask, cost, endpoint
from gateway.upstream import Says, chunk, refuses, streams

SCHEMA = {
    "type": "json_schema",
    "json_schema": {
        "name": "city",
        "schema": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}},
    },
}
GOOD, BAD = '{"name": "Oslo"}', '{"size": 3}'
TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "required": ["city"], "properties": {"city": {"type": "string"}}},
    },
}


def refuse_shouting(reply, request):
    return not reply.text.isupper(), "it shouts"


@pytest.fixture
def functions(monkeypatch):
    module = ModuleType("verdicts_of_mine")
    module.refuse_shouting = refuse_shouting
    monkeypatch.setitem(sys.modules, "verdicts_of_mine", module)


@pytest.fixture(params=WAITS.values(), ids=WAITS)
async def build(request, serve, upstreams):
    async def make(verifier, style="openai"):
        small, large = await upstreams(), await upstreams()
        more = f'style = "{style}"\n'
        served = await serve(
            endpoint(small, "small", '"small"', more + "price = { input = 0.1, output = 1.0 }")
            + endpoint(large, "large", '"large"', more)
            + '[[model]]\nname = "smart"\ncandidates = ["small", "large"]\npolicy = "careful"\n'
            + '[[model]]\nname = "small"\nquality = 0.2\n[[model]]\nname = "large"\nquality = 0.9\n'
            + f'[policy.careful]\nkind = "cascade"\nverifiers = [{{ {verifier} }}]\n'
            + request.param
        )
        return served, small, large

    return make


CASES = {
    "json_schema": ('kind = "json_schema"', {"response_format": SCHEMA}, Says(GOOD), Says(BAD)),
    "json_object": (
        'kind = "json_schema"',
        {"response_format": {"type": "json_object"}},
        Says(BAD),
        Says("sorry"),
    ),
    "tool_calls": (
        'kind = "tool_calls"',
        {"tools": [TOOL]},
        Says(calls=(("weather", {"city": "Oslo"}),)),
        Says(calls=(("weather", {"town": "Oslo"}),)),
    ),
    "a tool nobody declared": ('kind = "tool_calls"', {"tools": [TOOL]}, Says(), Says(calls=(("rain", {}),))),
    "the tool that was required": (
        'kind = "tool_calls"',
        {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "weather"}}},
        Says(calls=(("weather", {"city": "Oslo"}),)),
        Says(),
    ),
    "finish_reason": ('kind = "finish_reason"', {}, Says(), Says(finish="length")),
    "logprob": (
        'kind = "logprob", value = "-0.5"',
        {"logprobs": True},
        Says(logprob=-0.1),
        Says(logprob=-2.0),
    ),
    "python": (
        'kind = "python", value = "verdicts_of_mine:refuse_shouting"',
        {},
        Says("quietly"),
        Says("LOUDLY"),
    ),
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", CASES)
async def test_a_reply_that_passes_is_served_as_it_is(build, functions, name, stream):
    verifier, members, good, _ = CASES[name]
    served, small, large = await build(verifier)
    small.always = good
    answer = await served.post(ask("smart", stream=stream, **members))
    assert (answer.status, answer.headers["x-trimtab-model"]) == (200, "small")
    assert large.seen == []
    assert (await served.entry()).nanodollars == cost(small.seen[0].billed) // 10


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", CASES)
async def test_a_reply_that_fails_is_charged_exactly_and_a_larger_model_asked(build, functions, name, stream):
    verifier, members, good, bad = CASES[name]
    served, small, large = await build(verifier)
    small.always, large.always = bad, good
    answer = await served.post(ask("smart", stream=stream, **members))
    assert (answer.status, answer.headers["x-trimtab-model"]) == (200, "large")
    assert bad.text == good.text or bad.text.encode() not in answer.body
    rejected, accepted = await served.entries()
    assert (rejected.model, rejected.certainty) == ("small", "exact")
    assert rejected.nanodollars == cost(small.seen[0].billed) // 10
    assert rejected.reason.startswith(verifier.split('"')[1])
    assert accepted.nanodollars == cost(large.seen[0].billed)
    call = await served.call()
    assert [a["outcome"] for a in msgspec.json.decode(call.attempts)] == ["rejected", "answered"]
    assert call.nanodollars == rejected.nanodollars + accepted.nanodollars


@pytest.mark.parametrize("surface", ["messages", "responses"])
@pytest.mark.parametrize("style", ["openai", "anthropic"])
@pytest.mark.parametrize("stream", [False, True])
async def test_other_surfaces_and_styles_are_judged_too(build, surface, style, stream):
    served, small, large = await build('kind = "finish_reason"', style)
    small.always = Says("cut", finish="length")
    body = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 50}
    if surface == "responses":
        body = {"input": "Hi", "max_output_tokens": 50}
    answer = await served.post(body | {"model": "smart", "stream": stream}, f"/v1/{surface}")
    assert (answer.status, answer.headers["x-trimtab-model"]) == (200, "large")
    assert b"lazy" in answer.body
    assert [line.certainty for line in await served.entries()] == ["exact", "exact"]


async def test_a_judged_stream_comes_whole_and_the_last_one_live(build):
    served, small, large = await build('kind = "finish_reason"')
    small.always = Says("cut", finish="length", between_seconds=0.01)
    large.always = Says(between_seconds=0.05)
    loop, times = asyncio.get_running_loop(), []
    async with served.session.post(f"{served.v1}/chat/completions", json=ask("smart", stream=True)) as answer:
        async for line in answer.content:
            if line.strip():
                times.append(loop.time())
    assert times[-1] - times[0] > 0.3
    small.always = Says(between_seconds=0.05)
    times.clear()
    async with served.session.post(f"{served.v1}/chat/completions", json=ask("smart", stream=True)) as answer:
        async for line in answer.content:
            if line.strip():
                times.append(loop.time())
    assert times[-1] - times[0] < 0.2


async def test_a_judged_stream_that_breaks_off_is_never_seen(build):
    served, small, large = await build('kind = "finish_reason"')
    small.always = streams(chunk("Half"), ends=False)
    answer = await served.post(ask("smart", stream=True))
    assert answer.text == Says().text
    broken, whole = await served.entries()
    assert (broken.certainty, whole.certainty) == ("worst_case", "exact")
    assert broken.nanodollars * 10 >= cost(small.seen[0].billed)


async def test_a_judged_stream_that_breaks_off_after_its_usage_is_charged_exactly(build):
    served, small, large = await build('kind = "finish_reason"')
    usage = {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12}
    small.always = streams(chunk("Whole", "length", usage=usage), ends=False)
    await served.post(ask("smart", stream=True))
    broken, _ = await served.entries()
    assert (broken.certainty, broken.input_tokens, broken.output_tokens) == ("exact", 10, 2)


async def test_a_small_model_that_fails_is_passed_over(build):
    served, small, large = await build('kind = "finish_reason"')
    small.always = refuses(500)
    assert (await served.post(ask("smart"))).headers["x-trimtab-model"] == "large"


async def test_a_client_that_leaves_while_a_reply_is_judged_is_charged_for_it(build):
    served, small, large = await build('kind = "finish_reason"')
    small.always = Says(text="word " * 100, between_seconds=0.05)
    call = asyncio.ensure_future(served.post(ask("smart", stream=True)))
    await small.arrivals(1)
    await served.until(lambda: small.seen[0].output_tokens > 3)
    call.cancel()
    async with asyncio.timeout(5):
        await small.seen[0].closed.wait()
    line = await served.entry()
    assert line.nanodollars * 10 >= cost(small.seen[0].billed)
    assert large.seen == []
