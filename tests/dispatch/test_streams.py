"""Streams: another endpoint before the first byte, a clear error in-band after it."""

import asyncio
import json

import pytest

from gateway.served import ask, cost, endpoint
from gateway.upstream import Says, Talk, chunk, hangs, hangs_up, refuses, sends, streams

SURFACES = {
    "chat": ("/v1/chat/completions", {"messages": [{"role": "user", "content": "Hi"}]}),
    "messages": ("/v1/messages", {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 50}),
    "responses": ("/v1/responses", {"input": "Hi", "max_output_tokens": 50}),
}


def asked(surface, **members):
    path, body = SURFACES[surface]
    return {"model": "gpt-small", "stream": True, **body, **members}, path


def said(answer):
    """The text of a stream of any surface."""
    texts = []
    for event in answer.events:
        if isinstance(event, dict):
            choices = event.get("choices") or [{}]
            delta = event.get("delta")
            text = choices[0].get("delta", {}).get("content")
            text = text or (delta.get("text") if isinstance(delta, dict) else delta)
            texts.append(text if isinstance(text, str) else "")
    return "".join(texts)


@pytest.fixture
async def pair(serve, upstreams):
    first, second = await upstreams(), await upstreams()
    dear = "price = { input = 2.0, output = 20.0 }"
    quick = "timeouts = { first_token = 0.3 }\n"
    text = endpoint(first, "first", more=quick) + endpoint(second, "second", more=dear)
    return await serve(text), first, second


@pytest.mark.parametrize("surface", SURFACES)
@pytest.mark.parametrize(
    "script",
    [
        refuses(500),
        hangs(),
        hangs_up(),
        streams(),
        streams(hangs=True),
        streams(b": keep-alive\n\n", ends=False),
        streams(b'data: {"error": {"message": "overloaded"}}\n\n'),
        streams(b"data: not json\n\n"),
        sends(b'{"error": {"message": "overloaded"}}', billed=None),
        sends(b"<html>"),
    ],
    ids=["500", "hangs", "hangs up", "empty", "silent", "cut", "error", "junk", "error body", "page"],
)
async def test_before_its_first_event_a_stream_falls_back(pair, surface, script):
    served, first, second = pair
    first.always = script
    answer = await served.post(*asked(surface))
    assert (answer.status, said(answer)) == (200, Says().text)
    assert answer.headers["x-trimtab-endpoint"] == "second"
    assert len(second.seen) == 1
    *lost, won = await served.entries()
    assert (won.endpoint, won.nanodollars) == ("second", 2 * cost(second.seen[0].billed))
    assert sum(line.nanodollars for line in lost) >= cost(first.seen[0].billed)


ERRORS = {
    "cut": (streams(chunk("Half"), ends=False), "upstream_broken_reply"),
    "ended early": (streams(chunk("Half")), "upstream_broken_reply"),
    "half an event": (streams(chunk("Half"), b'data: {"choi'), "upstream_broken_reply"),
    "junk": (streams(chunk("Half"), b"data: junk\n\n"), "upstream_broken_reply"),
    "error": (streams(chunk("Half"), b'data: {"error":{"message":"oh no"}}\n\n'), "upstream_error"),
    "named error": (streams(chunk("Half"), b'event: error\ndata: {"error":"oh no"}\n\n'), "upstream_error"),
    "silence": (streams(chunk("Half"), hangs=True), "upstream_idle_timeout"),
    "huge event": (streams(chunk("Half"), b"data: {" + b"x" * 5_000_000), "upstream_broken_reply"),
}


@pytest.mark.parametrize("surface", SURFACES)
@pytest.mark.parametrize("name", ERRORS)
async def test_after_its_first_event_the_break_is_told_in_band(serve, upstream, surface, name):
    script, code = ERRORS[name]
    served = await serve(endpoint(upstream, more="timeouts = { idle = 0.3 }\nretries = 2\n"))
    upstream.always = script
    answer = await served.post(*asked(surface))
    assert (answer.status, said(answer)) == (200, "Half")
    last = answer.events[-1]
    told = last["error"]["message"] if "error" in last else last["response"]["error"]["message"]
    assert "cannot be resumed" in told
    if surface == "messages":
        assert (last["type"], last["error"]["type"]) == ("error", "api_error")
        assert b"event: error\n" in answer.body
    else:
        assert last["error"]["code"] == code
    assert b"[DONE]" not in answer.body
    line, call = await served.entry(), await served.call()
    assert (call.status, call.code) == ("failed", code)
    assert line.certainty == "worst_case"
    assert line.nanodollars >= cost(upstream.seen[0].billed)
    assert len(upstream.seen) == 1


USAGE = {"prompt_tokens": 12, "completion_tokens": 30, "total_tokens": 42}


async def test_a_break_after_the_reply_and_its_usage_is_charged_exactly(house, upstream):
    upstream.always = streams(chunk("Whole", "stop", usage=USAGE), ends=False)
    await house.post(ask(stream=True))
    line = await house.entry()
    assert (line.certainty, line.input_tokens, line.output_tokens) == ("exact", 12, 30)


async def test_usage_told_while_the_reply_goes_on_is_not_taken_for_all_of_it(open_house, upstream):
    upstream.then(streams(chunk("Half", usage=USAGE), ends=False))
    await open_house.post(ask(stream=True))
    upstream.then(streams(chunk("Half", usage=USAGE), hangs=True))
    await open_house.post(ask(stream=True), headers={"x-trimtab-timeout-seconds": "0.3"})
    broken, left = await open_house.entries()
    assert (broken.certainty, left.certainty) == ("worst_case", "estimated")
    assert min(broken.output_tokens, left.output_tokens) >= 30


async def test_running_totals_of_a_stream_end_in_the_last_one(house, upstream):
    totals = [USAGE | {"completion_tokens": n, "total_tokens": 12 + n} for n in (0, 1, 2)]
    pieces = [chunk("a", usage=totals[0]), chunk("b", usage=totals[1]), chunk("", "stop", usage=totals[2])]
    upstream.always = streams(*pieces, b"data: [DONE]\n\n")
    await house.post(ask(stream=True))
    line = await house.entry()
    assert (line.certainty, line.input_tokens, line.output_tokens) == ("exact", 12, 2)


async def test_a_messages_stream_cut_after_its_usage_is_charged_exactly(serve, upstream):
    served = await serve(endpoint(upstream, more='style = "anthropic"'))
    upstream.always = Says(ends_with_done=False)
    answer = await served.post(*asked("messages"))
    line = await served.entry()
    assert (line.certainty, line.nanodollars) == ("exact", cost(upstream.seen[0].billed))
    assert said(answer) == Says().text


async def test_a_stream_without_done_is_whole_when_it_finished(house, upstream):
    upstream.always = Says(ends_with_done=False)
    answer = await house.post(ask(stream=True))
    assert answer.text == Says().text
    assert (await house.call()).status == "ok"
    assert (await house.entry()).certainty == "exact"


@pytest.mark.parametrize("surface", SURFACES)
@pytest.mark.parametrize("style", ["openai", "anthropic"])
async def test_a_plain_reply_where_a_stream_was_asked_is_served_as_one(serve, upstream, surface, style):
    served = await serve(endpoint(upstream, more=f'style = "{style}"'))

    async def plainly(talk: Talk):
        talk.seen.body = json.dumps(talk.seen.json | {"stream": False}).encode()
        await Says()(talk)

    upstream.always = plainly
    answer = await served.post(*asked(surface))
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert said(answer) == Says().text
    assert (await served.entry()).certainty == "exact"


async def test_a_stream_where_a_plain_reply_was_asked_is_an_endpoints_fault(house, upstream):
    upstream.always = streams(chunk("Half", "stop"), b"data: [DONE]\n\n")
    answer = await house.post(ask())
    assert (answer.status, answer.error["code"]) == (502, "upstream_broken_reply")


async def test_the_hold_is_settled_before_the_last_bytes(house):
    async with house.session.post(f"{house.v1}/chat/completions", json=ask(stream=True)) as answer:
        async for line in answer.content:
            if line == b"data: [DONE]\n":
                assert house.house.ledger.open_holds == 0
                return
    raise AssertionError("the stream had no end")


async def test_an_endpoint_that_stays_open_after_done_keeps_nobody_waiting(house, upstream):
    upstream.always = streams(chunk("Hi", "stop"), b"data: [DONE]\n\n", hangs=True)
    async with asyncio.timeout(5):
        answer = await house.post(ask(stream=True))
    assert answer.events[-1] == "[DONE]"
    assert (await house.call()).status == "ok"
    async with asyncio.timeout(5):
        await upstream.seen[0].closed.wait()


async def test_pieces_come_as_they_are_made(house, upstream):
    upstream.always = Says(between_seconds=0.05)
    loop, times = asyncio.get_running_loop(), []
    async with house.session.post(f"{house.v1}/chat/completions", json=ask(stream=True)) as answer:
        async for line in answer.content:
            if line.strip():
                times.append(loop.time())
    assert times[-1] - times[0] > 0.3


async def test_events_named_as_ours_from_a_strange_endpoint_are_nothing_special(open_house, upstream):
    upstream.always = streams(
        b'event: trimtab\ndata: {"cost_nanodollars":1}\n\n', chunk("Hi", "stop"), b"data: [DONE]\n\n"
    )
    assert (await open_house.post(ask(stream=True))).status == 200
    line = await open_house.entry()
    assert (line.certainty, line.upstream_nanodollars) == ("estimated", 0)
