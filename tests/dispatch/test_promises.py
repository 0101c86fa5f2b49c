"""Parts of a request that cannot be counted before it is sent: a budget bounds them, or does not promise."""

import base64

import pytest

from gateway.served import WAITS, ask, endpoint
from gateway.upstream import Says

BUDGET = '[[budget]]\nscope = "tenant"\nwindow = "day"\nlimit_usd = 5.0\n'
KNOWN = "context_tokens = 300000\n"
PDF = "data:application/pdf;base64,JVBERi0xLjQ="
TEXT = "data:text/plain;base64," + base64.b64encode(b"word " * 40_000).decode()


def _file(**members):
    content = [{"type": "file", "file": members}, {"type": "text", "text": "What is in it?"}]
    return ask() | {"messages": [{"role": "user", "content": content}]}


def _search(**members):
    tool = {"type": "web_search_20250305", "name": "web_search"} | members
    messages = [{"role": "user", "content": "Hi"}]
    return {"model": "gpt-small", "max_tokens": 50, "messages": messages, "tools": [tool]}


@pytest.mark.parametrize("members", [{"file_id": "f1"}, {"file_data": PDF, "filename": "a.pdf"}])
async def test_under_a_budget_a_file_of_unknown_size_needs_a_known_context(serve, upstream, members):
    served = await serve(endpoint(upstream) + BUDGET)
    answer = await served.post(_file(**members))
    assert (answer.status, answer.error["code"]) == (400, "unbounded_cost")
    assert "context_tokens" in answer.error["message"]
    assert upstream.seen == []
    assert await served.entries() == []


async def test_where_the_context_is_known_it_is_what_is_held(serve, upstream):
    served = await serve(endpoint(upstream, more=KNOWN) + BUDGET)
    upstream.always = Says(tells_usage=False)
    assert (await served.post(_file(file_id="f1"))).status == 200
    line = await served.entry()
    assert (line.certainty, line.input_tokens) == ("worst_case", 300_000)


async def test_what_the_context_may_cost_must_be_left(serve, upstream):
    served = await serve(endpoint(upstream, more=KNOWN) + BUDGET.replace("5.0", "0.2"))
    assert (await served.post(_file(file_id="f1"))).status == 402
    assert (await served.post(ask())).status == 200


async def test_a_text_that_comes_as_a_file_is_counted_by_its_bytes(serve, upstream):
    served = await serve(endpoint(upstream) + BUDGET)
    upstream.always = Says(tells_usage=False)
    assert (await served.post(_file(file_data=TEXT, filename="a.txt"))).status == 200
    assert (await served.entry()).input_tokens >= len(TEXT)


async def test_without_a_budget_nothing_is_refused(serve, upstream):
    served = await serve(endpoint(upstream))
    assert (await served.post(_file(file_id="f1"))).status == 200


@pytest.mark.parametrize("waits", WAITS.values(), ids=WAITS)
async def test_an_endpoint_that_bounds_it_serves_in_place_of_one_that_does_not(serve, upstreams, waits):
    first, second = await upstreams(), await upstreams()
    dear = "price = { input = 2.0, output = 20.0 }\n"
    text = endpoint(first, "first") + endpoint(second, "second", more=dear + KNOWN)
    served = await serve(waits + text + BUDGET)
    assert (await served.post(_file(file_id="f1"))).headers["x-trimtab-endpoint"] == "second"
    assert first.seen == []


SEARCHED = 'style = "anthropic"\nprice = { input = 1.0, output = 10.0, web_search = 0.5 }\n' + KNOWN


async def test_under_a_budget_web_searches_need_a_limit(serve, upstream):
    served = await serve(endpoint(upstream, more=SEARCHED) + BUDGET)
    answer = await served.post(_search(), "/v1/messages")
    assert (answer.status, "max_uses" in answer.json["error"]["message"]) == (400, True)
    assert (await served.post(_search(max_uses=3), "/v1/messages")).status == 200
    assert (await served.post(_search(max_uses=30), "/v1/messages")).status == 402


async def test_searches_that_an_endpoint_does_not_tell_are_not_entered_as_exact(serve, upstream):
    priced = "price = { input = 1.0, output = 10.0, web_search = 0.5 }\n"
    served = await serve(endpoint(upstream, more=priced))
    await served.post(ask(web_search_options={}))
    assert (await served.entry()).certainty == "estimated"


async def test_under_a_budget_audio_needs_a_price_of_its_own(serve, upstream):
    public = endpoint(upstream, "public", '"public"', "#price").replace("#price", "")
    public += '[[model]]\nname = "public"\nprice_as = "openai/gpt-4o"\n'
    served = await serve(endpoint(upstream) + public + BUDGET)
    refused = await served.post(ask("public", modalities=["text", "audio"]))
    assert (refused.status, refused.error["code"]) == (400, "unbounded_cost")
    assert (await served.post(ask(modalities=["text", "audio"]))).status == 200
