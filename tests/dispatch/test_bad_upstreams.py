"""Endpoints that misbehave in every way we know: a clear error, a true ledger line, nothing left behind.

That nothing is left behind (tasks, places, holds) is checked at the end of every test that serves a house.
"""

import asyncio
import gzip
import json

import pytest

from gateway.served import ask, cost, endpoint
from gateway.upstream import EVENTS, JSON, Says, Talk, chunk, hangs, hangs_up, refuses, sends, streams

PAGE = b"<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"
REPLY = (
    b'{"id":"c","choices":[{"index":0,"message":{"role":"assistant","content":"Hi"},"finish_reason":"stop"}]'
)
USAGE = b',"usage":{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11}}'


async def _cut_in_head(talk: Talk):
    talk.bill(20)
    await talk.write(b"HTTP/1.1 200 OK\r\ncontent-le")
    talk.cut()


async def _cut_in_body(talk: Talk):
    talk.bill(20)
    await talk.head(200, {**JSON, "content-length": "500"})
    await talk.write(REPLY)
    talk.cut()


async def _no_http(talk: Talk):
    await talk.write(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")
    talk.cut()


async def _endless_head(talk: Talk):
    await talk.write(b"HTTP/1.1 200 OK\r\nx: " + b"y" * 100_000 + b"\r\n\r\n")
    talk.cut()


async def _bad_gzip(talk: Talk):
    talk.bill(20)
    await talk.whole(b"\x1f\x8b\x08\x00 this is no gzip", 200, {**JSON, "content-encoding": "gzip"})


async def _unknown_encoding(talk: Talk):
    talk.bill(20)
    await talk.whole(REPLY + USAGE, 200, {**JSON, "content-encoding": "br"})


async def _redirects(talk: Talk):
    await talk.whole(b"", 302, {"location": "http://127.0.0.1:1/elsewhere"})


# name: (script, status, code, certainty of the line or None for no line)
PLAIN = {
    "half a JSON": (sends(REPLY), 502, "upstream_broken_reply", "worst_case"),
    "no JSON": (sends(b"Hello!"), 502, "upstream_broken_reply", "worst_case"),
    "nothing": (sends(b""), 502, "upstream_broken_reply", "worst_case"),
    "a list": (sends(b"[1, 2]"), 502, "upstream_error", "worst_case"),
    "no choices": (sends(b'{"choices": []}'), 502, "upstream_error", "worst_case"),
    "too deep": (sends(b'{"choices":' * 5000), 502, "upstream_broken_reply", "worst_case"),
    "invalid UTF-8": (
        sends(REPLY.replace(b"Hi", b"\xff\xfe") + USAGE),
        502,
        "upstream_broken_reply",
        "exact",
    ),
    "an error behind a 200": (
        sends(b'{"error": {"message": "no capacity"}}', billed=None),
        502,
        "upstream_error",
        None,
    ),
    "an error with usage": (sends(b'{"error": "late"' + USAGE), 502, "upstream_error", "exact"),
    "an error as text": (sends(b'{"error": "no capacity"}', billed=None), 502, "upstream_error", None),
    "a page": (sends(PAGE, {"content-type": "text/html"}, 502, None), 502, "upstream_error", "worst_case"),
    "a page behind a 200": (
        sends(PAGE, {"content-type": "text/html"}),
        502,
        "upstream_broken_reply",
        "worst_case",
    ),
    "a gateway timeout": (refuses(504), 502, "upstream_error", "worst_case"),
    "a redirect": (_redirects, 502, "upstream_error", None),
    "no content": (sends(b"", status=204), 502, "upstream_broken_reply", "worst_case"),
    "a teapot": (refuses(418), 502, "upstream_refused", None),
    "a strange status": (refuses(777), 502, "upstream_error", None),
    "hangs": (hangs(), 504, "upstream_timeout", "worst_case"),
    "hangs up": (hangs_up(), 502, "upstream_disconnected", "worst_case"),
    "cut in the head": (_cut_in_head, 502, "upstream_disconnected", "worst_case"),
    "cut in the body": (_cut_in_body, 502, "upstream_broken_reply", "worst_case"),
    "no HTTP": (_no_http, 502, "upstream_disconnected", "worst_case"),
    "an endless head": (_endless_head, 502, "upstream_disconnected", "worst_case"),
    "broken gzip": (_bad_gzip, 502, "upstream_broken_reply", "worst_case"),
    "an unknown encoding": (_unknown_encoding, 502, "upstream_disconnected", "worst_case"),
    "a stream": (streams(chunk("Hi", "stop")), 502, "upstream_broken_reply", "worst_case"),
}


@pytest.fixture
async def brief(serve, upstream):
    """One endpoint with short deadlines."""
    return await serve(endpoint(upstream, more="timeouts = { total = 1.2, first_token = 1.2, idle = 1.2 }"))


@pytest.mark.parametrize("name", PLAIN)
async def test_plain_calls(brief, upstream, name):
    script, status, code, certainty = PLAIN[name]
    upstream.then(script)
    answer = await brief.post(ask())
    assert (answer.status, answer.error["code"]) == (status, code)
    assert "endpoint main" in answer.error["message"]
    lines = await brief.entries()
    assert [line.certainty for line in lines] == ([certainty] if certainty else [])
    if certainty == "exact":
        assert (lines[0].input_tokens, lines[0].output_tokens) == (9, 2)
    elif certainty:
        assert lines[0].nanodollars >= cost(upstream.seen[0].billed)
    call = await brief.call()
    assert (call.status, call.code) == ("failed", code)
    assert call.nanodollars == sum(line.nanodollars for line in lines)
    assert (await brief.post(ask())).status == 200


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/responses", "/v1/embeddings"])
@pytest.mark.parametrize(
    "name", ["half a JSON", "a list", "no choices", "a page", "hangs up", "invalid UTF-8"]
)
async def test_other_surfaces(brief, upstream, path, name):
    script, status, code, _ = PLAIN[name]
    upstream.then(script)
    body = {"model": "gpt-small", "input": "Hi"}
    if path == "/v1/messages":
        body = {"model": "gpt-small", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 9}
    answer = await brief.post(body, path)
    assert answer.status == status
    if path == "/v1/messages":
        assert (answer.json["type"], answer.error["type"]) == ("error", "api_error")
    else:
        assert answer.error["code"] == code


STREAMS = {
    "empty": (streams(), "upstream_broken_reply"),
    "only comments": (streams(b": hello\n\n"), "upstream_broken_reply"),
    "no event, cut": (streams(b"data: {", ends=False), "upstream_broken_reply"),
    "invalid UTF-8": (streams(b'data: {"x":"\xff\xfe"}\n\n'), "upstream_broken_reply"),
    "half a JSON in an event": (streams(b'data: {"choices":[\n\n'), "upstream_broken_reply"),
    "a number": (streams(b"data: 7\n\n"), "upstream_broken_reply"),
    "a page": (sends(PAGE, {"content-type": "text/html"}), "upstream_broken_reply"),
    "a page that says it is a stream": (sends(PAGE, EVENTS), "upstream_broken_reply"),
    "an error": (streams(b'data: {"error":{"message":"no capacity"}}\n\n'), "upstream_error"),
    "a named error": (streams(b"event: error\ndata: no capacity\n\n"), "upstream_error"),
    "an error in a chunk": (streams(chunk("", "error", error={"message": "no"})), "upstream_error"),
    "a huge event": (streams(b"data: {" + b"x" * 5_000_000), "upstream_broken_reply"),
    "silence": (streams(hangs=True), "upstream_timeout"),
    "hangs up": (hangs_up(), "upstream_disconnected"),
}


@pytest.mark.parametrize("name", STREAMS)
async def test_streams_that_are_none(brief, upstream, name):
    script, code = STREAMS[name]
    upstream.then(script)
    answer = await brief.post(ask(stream=True))
    assert (answer.status, answer.error["code"]) == (504 if "timeout" in code else 502, code)
    line = await brief.entry()
    assert line.certainty == "worst_case"
    assert line.nanodollars >= cost(upstream.seen[0].billed)
    assert (await brief.post(ask(stream=True))).text == Says().text


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("text", ["I", "No.", Says().text, "\N{GRINNING FACE}" * 5])
async def test_without_usage_the_line_is_estimated_and_never_too_low(open_house, upstream, stream, text):
    upstream.always = Says(text=text, tells_usage=False)
    answer = await open_house.post(ask(stream=stream))
    assert answer.status == 200
    line = await open_house.entry()
    assert (line.certainty, line.reason) == ("estimated", "no usage in the reply")
    assert line.nanodollars >= cost(upstream.seen[0].billed)


async def test_without_usage_embeddings_are_estimated_too(house, upstream):
    upstream.always = Says(tells_usage=False)
    await house.post({"model": "gpt-small", "input": ["a", "b"]}, "/v1/embeddings")
    line = await house.entry()
    assert line.certainty == "estimated"
    assert line.nanodollars >= cost(upstream.seen[0].billed)


async def test_without_usage_and_price_the_cost_is_unknown(serve, upstream):
    free = endpoint(upstream, more="price_is_unknown").replace("price_is_unknown", "")
    served = await serve(free)
    upstream.then(Says(tells_usage=False), Says(), hangs_up())
    for _ in range(3):
        await served.post(ask())
    lines = await served.entries()
    assert [(line.certainty, line.nanodollars) for line in lines] == [("unpriced", 0)] * 3


NONSENSE = [
    {"prompt_tokens": -5, "completion_tokens": 3},
    {"prompt_tokens": 5, "completion_tokens": 1 << 62},
    {"prompt_tokens": 1e30, "completion_tokens": 3},
    {"prompt_tokens": "5", "completion_tokens": "3"},
    {"prompt_tokens": None, "completion_tokens": None},
    {"prompt_tokens": 5.5, "completion_tokens": 3},
    {"prompt_tokens": 5},
    {"completion_tokens": 5},
    {"prompt_tokens": [5], "completion_tokens": {"a": 3}},
    {},
    [],
    "many",
    10**400,
]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("usage", NONSENSE, ids=range(len(NONSENSE)))
async def test_usage_that_is_nonsense_counts_as_none(open_house, upstream, usage, stream):
    if stream:
        upstream.always = streams(chunk("Hi there", "stop", usage=usage), b"data: [DONE]\n\n", billed=3)
    else:
        upstream.always = sends(REPLY + b',"usage":' + json.dumps(usage).encode() + b"}", billed=3)
    assert (await open_house.post(ask(stream=stream))).status == 200
    line = await open_house.entry()
    assert line.certainty == "estimated"
    assert line.nanodollars >= cost(upstream.seen[0].billed)


async def test_more_cached_tokens_than_there_are_do_not_make_it_cheaper(serve, upstream):
    served = await serve(
        endpoint(upstream, more="price = { input = 1.0, output = 10.0, cached = 0.1, reasoning = 1.0 }")
    )
    details = {"prompt_tokens_details": {"cached_tokens": 10**6}}
    upstream.always = Says(usage=details | {"completion_tokens_details": {"reasoning_tokens": 10**6}})
    await served.post(ask())
    line = await served.entry()
    assert (line.cached_tokens, line.nanodollars > 0) == (line.input_tokens, True)
    assert line.reasoning_tokens <= line.output_tokens


@pytest.mark.parametrize("words", ["a\x00b", "\N{PILE OF POO}" * 400, "a\nb\x1b[31m"])
async def test_an_endpoints_words_do_not_upset_the_store(house, upstream, words):
    error = json.dumps({"error": {"message": words}}).encode()
    upstream.then(streams(chunk("Half"), b"data: " + error + b"\n\n"), sends(error, status=500))
    for stream in (True, False):
        await house.post(ask(stream=stream))
    line = await house.entry()
    assert "\x00" not in line.reason
    assert 0 < len(line.reason) <= 300
    assert all(b"\x00" not in call.attempts for call in await house.calls())


async def test_a_gzipped_reply_is_unpacked(house, upstream):
    async def packed(talk: Talk):
        await talk.whole(gzip.compress(REPLY + USAGE), 200, {**JSON, "content-encoding": "gzip"})

    upstream.always = packed
    answer = await house.post(ask())
    assert answer.body == REPLY + USAGE
    assert "content-encoding" not in answer.headers


async def test_a_reply_too_large_to_hold_is_refused(house, upstream):
    async def floods(talk: Talk):
        talk.bill(20)
        await talk.open_stream(JSON)
        for _ in range(70):
            await talk.chunk(b" " * (1 << 20))
        await talk.end()

    upstream.always = floods
    answer = await house.post(ask())
    assert (answer.status, answer.error["code"]) == (502, "upstream_too_large")


async def test_a_storm_of_bad_endpoints_leaves_nothing_behind(serve, upstreams):
    bad, good = await upstreams(), await upstreams()
    brief = "timeouts = { total = 0.4, first_token = 0.3, idle = 0.3 }\nretries = 1\n"
    never = "breaker = { failures = 100000 }\n"
    dear = "price = { input = 2.0, output = 20.0 }\n"
    served = await serve(endpoint(bad, "bad", more=brief + never) + endpoint(good, "good", more=dear))
    scripts = [script for script, *_ in (*PLAIN.values(), *STREAMS.values())]
    bad.then(*scripts * 4)
    answers = await asyncio.gather(*(served.post(ask(stream=bool(n % 2))) for n in range(100)))
    assert {answer.status for answer in answers} <= {200, 400, 418, 502, 504}
    lines = await served.entries()
    assert sum(line.nanodollars for line in lines) >= sum(
        cost(seen.billed) * (2 if upstream is good else 1)
        for upstream in (bad, good)
        for seen in upstream.seen
    )
    async with asyncio.timeout(5):
        while served.house.pool.endpoints["bad"].in_flight or bad.open > 64:
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    "script",
    [
        refuses(401, "Incorrect API key provided: sk-of-the-house"),
        sends(b'{"error": {"message": "no such key: sk-of-the-house"}}', billed=None),
        streams(b'data: {"error": {"message": "no such key: sk-of-the-house"}}\n\n'),
    ],
    ids=["refused", "behind a 200", "in a stream"],
)
async def test_an_endpoint_that_repeats_our_key_tells_it_to_nobody(serve, upstream, script):
    served = await serve(endpoint(upstream, more='api_key_env = "KEY"\n'), KEY="sk-of-the-house")
    upstream.then(script)
    answer = await served.post(ask(stream=True))
    assert b"***" in answer.body
    assert b"sk-of-the-house" not in answer.body
    assert not any(
        "sk-of-the-house" in str(line) for line in (*await served.entries(), *await served.calls())
    )
