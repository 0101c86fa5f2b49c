"""Clients that go away: the endpoint's work is stopped, and what it made so far is charged."""

import asyncio
import contextlib

import msgspec
import pytest

from gateway.served import ask, cost, endpoint
from gateway.upstream import Says, Talk, chunk, hangs, refuses
from trimtab.gateway import calls

SLOW = Says(between_seconds=0.02, text="word " * 200)


@contextlib.asynccontextmanager
async def client_of(served, body):
    """A raw client that has sent its request."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(served.url.rsplit(":", 1)[1]))
    data = msgspec.json.encode(body)
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {len(data)}\r\n\r\n"
    writer.write(head.encode() + data)
    await writer.drain()
    try:
        yield reader
    finally:
        writer.transport.abort()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def _is_cut(upstream, at=0):
    async with asyncio.timeout(5):
        await upstream.seen[at].closed.wait()


async def test_a_plain_call_left_alone_is_cancelled_and_charged_as_worst_case(house, upstream):
    upstream.always = hangs(billed=30)
    async with client_of(house, ask()):
        await upstream.arrivals(1)
    await _is_cut(upstream)
    line, call = await house.entry(), await house.call()
    assert line.certainty == "worst_case"
    assert line.nanodollars >= cost(upstream.seen[0].billed)
    assert (call.status, call.code, call.nanodollars) == (
        "cancelled",
        "client_closed_request",
        line.nanodollars,
    )
    (attempt,) = msgspec.json.decode(call.attempts)
    assert attempt["outcome"] == "cancelled"


async def test_a_stream_left_alone_is_cancelled_and_charged_for_what_was_made(open_house, upstream):
    upstream.always = SLOW
    async with client_of(open_house, ask(stream=True, max_completion_tokens=4000)) as reader:
        for _ in range(30):
            await reader.readline()
    await _is_cut(upstream)
    line, call = await open_house.entry(), await open_house.call()
    assert line.certainty == "estimated"
    billed = upstream.seen[0].billed
    assert cost(billed) <= line.nanodollars < cost(billed) * 100
    assert line.output_tokens < 4000
    assert (call.status, call.nanodollars) == ("cancelled", line.nanodollars)


async def test_a_stream_left_before_its_first_event_is_cancelled(house, upstream):
    upstream.always = hangs(billed=30)
    async with client_of(house, ask(stream=True)):
        await upstream.arrivals(1)
    await _is_cut(upstream)
    assert (await house.entry()).nanodollars >= cost(upstream.seen[0].billed)


async def test_a_client_that_stops_reading_and_goes_is_noticed(house, upstream):
    async def floods(talk: Talk):
        talk.bill(1000)
        await talk.open_stream()
        while True:
            await talk.chunk(chunk("x" * 50_000))

    upstream.always = floods
    async with client_of(house, ask(stream=True)) as reader:
        await reader.readline()
        await house.until(lambda: reader._paused)
    await _is_cut(upstream)
    line, call = await house.entry(), await house.call()
    assert (call.status, call.nanodollars) == ("cancelled", line.nanodollars)
    assert line.nanodollars > 0


async def test_a_client_that_stays_but_does_not_read_is_left_after_a_while(house, upstream, monkeypatch):
    monkeypatch.setattr(calls, "_SEND_SECONDS", 0.3)

    async def floods(talk: Talk):
        talk.bill(1000)
        await talk.open_stream()
        while True:
            await talk.chunk(chunk("x" * 50_000))

    upstream.always = floods
    async with client_of(house, ask(stream=True)) as reader:
        await reader.readline()
        reader._transport.pause_reading()
        await _is_cut(upstream)
        await house.at_rest()
    assert (await house.call()).status == "cancelled"


async def test_a_call_left_while_it_waits_for_its_turn_was_never_sent(serve, upstream):
    served = await serve(endpoint(upstream, more="concurrency = 1"))
    gate = asyncio.Event()

    async def slowly(talk):
        await gate.wait()
        await Says()(talk)

    upstream.always = slowly
    first = asyncio.ensure_future(served.post(ask()))
    await upstream.arrivals(1)
    place = served.house.pool.endpoints["main"]
    async with client_of(served, ask()):
        async with asyncio.timeout(5):
            while not len(place.queue):
                await asyncio.sleep(0.01)
    async with asyncio.timeout(5):
        while len(place.queue):
            await asyncio.sleep(0.01)
    gate.set()
    assert (await first).status == 200
    assert len(upstream.seen) == 1
    assert len(await served.entries()) == 1
    assert sorted(call.status for call in await served.calls()) == ["cancelled", "ok"]


async def test_a_call_left_between_tries_ends_there(serve, upstream):
    served = await serve(endpoint(upstream, more="retries = 5"))
    upstream.always = refuses(429, retry_after="2")
    async with client_of(served, ask()):
        await upstream.arrivals(1)
        await served.at_rest()
    await served.no_strays()
    assert len(upstream.seen) == 1
    assert (await served.call()).status == "cancelled"


@pytest.mark.parametrize("stream", [False, True])
async def test_many_clients_that_go_away_leave_nothing_behind(house, upstream, stream):
    upstream.always = SLOW if stream else hangs(billed=30)

    async def one(number):
        async with client_of(house, ask(stream=stream)) as reader:
            await upstream.arrivals(1)
            if stream:
                await reader.readline()
            await asyncio.sleep(0.01 * (number % 20))

    await asyncio.gather(*(one(number) for number in range(40)))
    assert len(await house.entries()) == len(upstream.seen)
    async with asyncio.timeout(5):
        while upstream.open:
            await asyncio.sleep(0.01)
