"""The HTTP client of endpoints: what it tells apart."""

import asyncio
import socket

import pytest

from gateway.upstream import JSON, Says, Talk, hangs, hangs_up, sends, streams
from trimtab.config import TimeoutSettings
from trimtab.core.errors import DeadlineExceeded, UpstreamError
from trimtab.pool import Http

BODY = b'{"model": "m", "messages": [{"role": "user", "content": "Hi"}]}'
FOREVER = float("inf")


@pytest.fixture
async def http():
    http = Http()
    await http.start()
    yield http
    await http.close()


def send(
    http, upstream, head_seconds=5.0, left_seconds=FOREVER, body=BODY, path="/chat/completions", **timeouts
):
    limits = TimeoutSettings(**timeouts)
    return http.send("e", upstream.url + path, {"x-a": "1"}, body, limits, head_seconds, left_seconds)


async def test_an_answer_has_status_headers_and_body(http, upstream):
    upstream.then(sends(b"hello", {"x-b": "2"}, status=418))
    answer = await send(http, upstream)
    assert (answer.status, answer.headers["X-B"], await answer.body()) == (418, "2", b"hello")
    answer.close()
    assert upstream.seen[0].headers["x-a"] == "1"
    assert "user-agent" not in upstream.seen[0].headers


async def test_a_connection_is_used_again_only_where_the_body_was_read_out(http, upstream):
    upstream.then(Says(), Says(), streams(b"data: {}\n\n", hangs=True), Says())
    for _ in range(2):
        answer = await send(http, upstream)
        await answer.body()
        answer.close()
    answer = await send(http, upstream)
    answer.close()
    async with asyncio.timeout(5):
        await upstream.seen[2].closed.wait()
    answer = await send(http, upstream)
    await answer.body()
    answer.close()
    assert [seen.connection for seen in upstream.seen] == [1, 1, 1, 2]


async def test_a_large_body_arrives_whole(http, upstream):
    upstream.then(sends(b"{}"))
    body = b'{"x": "' + b"y" * 5_000_000 + b'"}'
    answer = await send(http, upstream, body=body)
    answer.close()
    assert upstream.seen[0].body == body


async def _read(coroutine):
    answer = await coroutine
    try:
        return await answer.body()
    finally:
        answer.close()


async def _fault(coroutine):
    with pytest.raises(UpstreamError) as caught:
        await _read(coroutine)
    return caught.value.code, caught.value.billable


async def test_what_was_never_sent_cannot_have_been_billed(http, upstream):
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        upstream.port = nobody.getsockname()[1]
        assert await _fault(send(http, upstream)) == ("upstream_unreachable", False)


async def test_a_name_nobody_knows_is_unreachable(http, upstream):
    address = "http://no-such-host.invalid/v1"
    sending = http.send("e", address, {}, BODY, TimeoutSettings(), 5.0, FOREVER)
    assert await _fault(sending) == ("upstream_unreachable", False)


async def test_what_was_sent_may_have_been_billed(http, upstream):
    async def halts(talk: Talk):
        await talk.head(200, {**JSON, "content-length": "9"})
        await asyncio.Event().wait()

    async def cuts(talk: Talk):
        await talk.head(200, {**JSON, "content-length": "9"})
        talk.cut()

    for script, head_seconds, code in (
        (hangs(), 0.2, "upstream_timeout"),
        (hangs_up(), 10.0, "upstream_disconnected"),
        (halts, 10.0, "upstream_idle_timeout"),
        (cuts, 10.0, "upstream_broken_reply"),
    ):
        upstream.then(script)
        assert await _fault(send(http, upstream, head_seconds=head_seconds, idle=0.5)) == (code, True)


@pytest.mark.parametrize("script", [hangs(), streams(b"x", hangs=True)])
async def test_the_calls_own_deadline_is_told_apart(http, upstream, script):
    upstream.then(script)
    with pytest.raises(DeadlineExceeded):
        await _read(send(http, upstream, left_seconds=0.2))


async def test_a_cancelled_call_closes_its_connection(http, upstream):
    upstream.then(hangs())
    sending = asyncio.ensure_future(send(http, upstream))
    await upstream.arrivals(1)
    sending.cancel()
    async with asyncio.timeout(5):
        await upstream.seen[0].closed.wait()
