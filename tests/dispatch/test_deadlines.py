"""Every wait for an endpoint has an end."""

import asyncio
import socket

import pytest

from gateway.served import ask, cost, endpoint
from gateway.upstream import Says, Talk, chunk, hangs, streams, waits


def timeouts(**seconds):
    return "timeouts = { " + ", ".join(f"{name} = {value}" for name, value in seconds.items()) + " }"


@pytest.fixture
def deaf():
    """A port whose connections are never accepted."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        waiting = []
        for _ in range(4):
            caller = socket.socket()
            caller.setblocking(False)
            caller.connect_ex(listener.getsockname())
            waiting.append(caller)
        yield listener.getsockname()[1]
        for caller in waiting:
            caller.close()


async def test_connecting_has_a_deadline_and_nothing_was_charged(serve, upstream, deaf):
    text = endpoint(upstream, more=timeouts(connect=0.3)).replace(str(upstream.port), str(deaf))
    served = await serve(text)
    async with asyncio.timeout(5):
        answer = await served.post(ask())
    assert (answer.status, answer.error["code"]) == (502, "upstream_unreachable")
    assert await served.entries() == []


async def test_the_first_token_of_a_stream_has_a_deadline(serve, upstream):
    served = await serve(endpoint(upstream, more=timeouts(first_token=0.3)))
    for script in (hangs(), streams(hangs=True), streams(b": ping\n\n", hangs=True)):
        upstream.always = script
        answer = await served.post(ask(stream=True))
        assert (answer.status, answer.error["code"]) == (504, "upstream_timeout")
    assert {line.certainty for line in await served.entries()} == {"worst_case"}


async def test_comments_do_not_put_the_first_tokens_deadline_off(serve, upstream):
    served = await serve(endpoint(upstream, more=timeouts(first_token=0.4)))

    async def pings(talk: Talk):
        await talk.open_stream()
        while True:
            await talk.chunk(b": ping\n\n")
            await asyncio.sleep(0.05)

    upstream.always = pings
    async with asyncio.timeout(3):
        answer = await served.post(ask(stream=True))
    assert (answer.status, answer.error["code"]) == (504, "upstream_timeout")


async def test_a_plain_reply_may_take_longer_than_a_streams_first_token(serve, upstream):
    served = await serve(endpoint(upstream, more=timeouts(first_token=0.1)))
    upstream.always = Says(before_seconds=0.4)
    assert (await served.post(ask())).status == 200


async def test_silence_within_a_plain_body_has_a_deadline(serve, upstream):
    served = await serve(endpoint(upstream, more=timeouts(idle=0.3)))

    async def halts(talk: Talk):
        talk.bill(10)
        await talk.head(200, {"content-type": "application/json", "content-length": "100"})
        await talk.write(b'{"choices": [')
        await asyncio.Event().wait()

    upstream.always = halts
    answer = await served.post(ask())
    assert (answer.status, answer.error["code"]) == (504, "upstream_idle_timeout")
    line = await served.entry()
    assert (line.certainty, line.nanodollars >= cost(upstream.seen[0].billed)) == ("worst_case", True)


async def _dribble(talk: Talk, opening: bytes, piece: bytes):
    talk.bill(20)
    await talk.open_stream()
    await talk.chunk(opening)
    while True:
        await talk.chunk(piece)
        await asyncio.sleep(0.03)


async def test_a_plain_reply_that_dribbles_has_a_total_deadline(serve, upstream):
    served = await serve(endpoint(upstream, more=timeouts(total=0.5, idle=10)))
    upstream.always = lambda talk: _dribble(talk, b'{"choices": [', b" ")
    async with asyncio.timeout(5):
        answer = await served.post(ask())
    assert (answer.status, answer.error["code"]) == (504, "upstream_timeout")


async def test_a_stream_that_never_ends_has_a_total_deadline(serve, upstream):
    served = await serve(endpoint(upstream, more=timeouts(total=0.5, idle=10)))
    upstream.always = lambda talk: _dribble(talk, chunk("a"), chunk("b"))
    async with asyncio.timeout(5):
        answer = await served.post(ask(stream=True))
    assert answer.events[-1]["error"]["code"] == "upstream_timeout"
    assert (await served.call()).code == "upstream_timeout"


@pytest.mark.parametrize("stream", [False, True])
async def test_the_calls_own_deadline_holds_while_it_waits_for_the_head(house, upstream, stream):
    upstream.always = hangs()
    async with asyncio.timeout(5):
        answer = await house.post(ask(stream=stream), headers={"x-trimtab-timeout-seconds": "0.3"})
    assert (answer.status, answer.error["code"]) == (504, "deadline_exceeded")
    assert (await house.entry()).certainty == "worst_case"
    async with asyncio.timeout(5):
        await upstream.seen[0].closed.wait()


async def test_the_calls_own_deadline_holds_within_a_plain_body(house, upstream):
    upstream.always = lambda talk: _dribble(talk, b'{"choices": [', b" ")
    async with asyncio.timeout(5):
        answer = await house.post(ask(), headers={"x-trimtab-timeout-seconds": "0.4"})
    assert (answer.status, answer.error["code"]) == (504, "deadline_exceeded")


@pytest.mark.parametrize("silent", [False, True])
async def test_the_calls_own_deadline_ends_a_stream_in_band(open_house, upstream, silent):
    upstream.always = lambda talk: _dribble(talk, chunk("a"), b"" if silent else chunk("b"))
    if silent:
        upstream.always = streams(chunk("a"), hangs=True)
    async with asyncio.timeout(5):
        answer = await open_house.post(ask(stream=True), headers={"x-trimtab-timeout-seconds": "0.4"})
    assert answer.status == 200
    assert answer.events[-1]["error"]["code"] == "deadline_exceeded"
    line, call = await open_house.entry(), await open_house.call()
    assert line.certainty == "estimated"
    assert line.nanodollars >= cost(upstream.seen[0].billed)
    assert call.code == "deadline_exceeded"
    async with asyncio.timeout(5):
        await upstream.seen[0].closed.wait()


async def test_the_calls_own_deadline_holds_while_it_waits_for_money(serve, upstream):
    budget = '[[budget]]\nscope = "tenant"\nwindow = "day"\nlimit_usd = 0.0009\n'
    served = await serve(endpoint(upstream) + budget)
    gate = asyncio.Event()
    upstream.always = waits(gate)
    first = asyncio.ensure_future(served.post(ask()))
    await upstream.arrivals(1)
    async with asyncio.timeout(3):
        late = await served.post(ask(), headers={"x-trimtab-timeout-seconds": "0.3"})
    assert (late.status, late.error["code"]) == (504, "deadline_exceeded")
    gate.set()
    assert (await first).status == 200
    assert len(upstream.seen) == 1


async def test_a_call_within_its_deadline_is_served(house):
    assert (await house.post(ask(), headers={"x-trimtab-timeout-seconds": "20"})).status == 200
