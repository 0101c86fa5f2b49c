"""What is entered where an endpoint does not say what it billed, or where the price is not sure."""

import json

import pytest

from gateway.served import SHOWN, ask, cost, endpoint
from gateway.upstream import Says, chunk, refuses, streams

HIDDEN = 50
REASONED = {"completion_tokens_details": {"reasoning_tokens": 7}}
HALF = streams(chunk("Half"), hangs=True, billed=HIDDEN)
SHORT = {"x-trimtab-timeout-seconds": "0.3"}


async def test_a_model_of_which_nothing_is_known_may_have_reasoned_out_of_sight(house, upstream):
    upstream.always = Says(text="I", tells_usage=False)
    await house.post(ask())
    line = await house.entry()
    assert (line.certainty, line.output_tokens) == ("worst_case", 50)
    assert "may have reasoned" in line.reason


async def test_an_abandoned_stream_of_such_a_model_is_charged_as_the_worst_case(house, upstream):
    upstream.always = HALF
    await house.post(ask(stream=True, max_completion_tokens=3000), headers=SHORT)
    line = await house.entry()
    assert (line.certainty, line.output_tokens) == ("worst_case", 3000)


async def test_a_model_that_has_told_its_usage_without_reasoning_is_taken_at_its_word(house, upstream):
    await house.post(ask())
    upstream.always = Says(tells_usage=False)
    await house.post(ask())
    assert [line.certainty for line in await house.entries()] == ["exact", "estimated"]


@pytest.mark.parametrize("declared", ["", SHOWN])
async def test_a_model_that_has_told_reasoning_tokens_may_do_so_again(serve, upstream, declared):
    served = await serve(endpoint(upstream, more=declared))
    upstream.then(Says(usage=REASONED), Says(tells_usage=False))
    for _ in range(2):
        await served.post(ask())
    assert [line.certainty for line in await served.entries()] == ["exact", "worst_case"]


SIGNS = {
    "effort": {"reasoning_effort": "low"},
    "thinking": {"thinking": {"type": "enabled", "budget_tokens": 1024}},
    "reasoning": {"reasoning": {"effort": "medium"}},
    "switch": {"chat_template_kwargs": {"enable_thinking": True}},
}


@pytest.mark.parametrize("sign", SIGNS)
async def test_a_request_that_asks_for_reasoning_is_charged_as_the_worst_case(open_house, upstream, sign):
    upstream.always = Says(tells_usage=False)
    await open_house.post(ask(**SIGNS[sign]))
    assert (await open_house.entry()).certainty == "worst_case"


@pytest.mark.parametrize("off", [{"reasoning_effort": "none"}, {"thinking": {"type": "disabled"}}])
async def test_reasoning_that_is_switched_off_is_no_sign(open_house, upstream, off):
    upstream.always = Says(tells_usage=False)
    await open_house.post(ask(**off))
    assert (await open_house.entry()).certainty == "estimated"


async def test_a_stream_that_shows_reasoning_is_charged_as_the_worst_case(open_house, upstream):
    upstream.always = streams(_thinking(), hangs=True, billed=HIDDEN)
    await open_house.post(ask(stream=True), headers=SHORT)
    assert (await open_house.entry()).certainty == "worst_case"


def _thinking():
    delta = {"index": 0, "delta": {"content": "", "reasoning_content": "Hm"}, "finish_reason": None}
    return b"data: " + json.dumps({"choices": [delta]}).encode() + b"\n\n"


async def test_null_members_and_words_about_reasoning_are_no_sign(open_house, upstream):
    delta = {"content": '{"reasoning": "none"}', "reasoning_content": None, "thinking": ""}
    event = {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
    upstream.always = streams(b"data: " + json.dumps(event).encode() + b"\n\n", hangs=True, billed=1)
    await open_house.post(ask(text='What is "reasoning_effort": "high"?', stream=True), headers=SHORT)
    assert (await open_house.entry()).certainty == "estimated"


@pytest.mark.parametrize("asked", [{"service_tier": "priority"}, {"speed": "fast"}, {"inference_geo": "us"}])
async def test_dearer_service_is_never_entered_as_exact(house, upstream, asked):
    await house.post(ask(**asked))
    line = await house.entry()
    assert line.certainty == "estimated"
    assert "service_factors" in line.reason
    assert line.nanodollars == cost(upstream.seen[0].billed)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_service_whose_factor_is_known_is_priced_by_what_the_reply_says(serve, upstream, stream):
    served = await serve(endpoint(upstream, more="service_factors = { priority = 2.5 }"))
    for tier in ("priority", "default", "flex"):
        upstream.then(Says(usage={"service_tier": tier}))
        await served.post(ask(service_tier="auto", stream=stream))
    dear, plain, flex = await served.entries()
    assert (dear.certainty, dear.nanodollars) == ("exact", cost(upstream.seen[0].billed) * 5 // 2)
    assert (plain.certainty, plain.nanodollars) == ("exact", cost(upstream.seen[1].billed))
    assert flex.certainty == "estimated"


async def test_a_priority_call_that_was_served_as_a_standard_one_is_exact(house, upstream):
    upstream.always = Says(usage={"service_tier": "default"})
    await house.post(ask(service_tier="priority"))
    assert (await house.entry()).certainty == "exact"


@pytest.mark.parametrize("status", [502, 504, 524])
async def test_what_a_proxy_lost_sight_of_may_have_been_billed(serve, upstream, status):
    served = await serve(endpoint(upstream, more="retries = 1"))
    upstream.then(refuses(status))
    assert (await served.post(ask())).status == 200
    lost, answered = await served.entries()
    assert (lost.certainty, answered.certainty) == ("worst_case", "exact")


@pytest.mark.parametrize("status", [400, 429, 500, 503, 529])
async def test_what_an_endpoint_refused_itself_was_not_billed(house, upstream, status):
    upstream.always = refuses(status)
    await house.post(ask())
    assert await house.entries() == []


async def test_audio_is_not_entered_as_exact_at_a_published_price(serve, upstream):
    told = {"prompt_tokens_details": {"audio_tokens": 5}}
    served = await serve(endpoint(upstream) + _priced_as("openai/gpt-4o", upstream))
    upstream.always = Says(usage=told)
    await served.post(ask())
    await served.post(ask("public"))
    own, published = await served.entries()
    assert (own.certainty, published.certainty) == ("exact", "estimated")
    assert "audio" in published.reason


async def test_the_price_of_a_model_of_similar_name_is_an_estimate(serve, upstream):
    served = await serve(_priced_as("anthropic/claude-opus-4-6b", upstream))
    await served.post(ask("public"))
    line = await served.entry()
    assert line.certainty == "estimated"
    assert "price_as" in line.reason
    assert line.nanodollars > 0


def _priced_as(name, upstream):
    text = endpoint(upstream, "public", '"public"', "#price").replace("#price", "")
    return text + f'[[model]]\nname = "public"\nprice_as = "{name}"\n'
