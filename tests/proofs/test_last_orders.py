"""The end of a process: what is still under way is charged before the books are closed."""

import asyncio
import signal

import aiohttp

SETTINGS = """
[[endpoint]]
name = "main"
url = "{url}"
models = ["small"]
capabilities = ["tools", "json_schema", "vision", "audio", "logprobs", "n", "embeddings"]
price = {{ input = 1.0, output = 10.0 }}
"""
CALLS = 5


async def _stream(session, gateway, begun):
    """A call that would take a minute; how it ended."""
    script = '{"prompt": 10, "tokens": 4000, "delay": 0.25, "told": true}'
    body = {
        "model": "small",
        "stream": True,
        "max_tokens": 4000,
        "messages": [{"role": "user", "content": script}],
    }
    try:
        async with session.post(f"{gateway.url}/v1/chat/completions", json=body) as answer:
            async for line in answer.content:
                begun.release()
                assert b"journal" not in line
    except aiohttp.ClientError:
        return


async def test_a_second_signal_lets_calls_go_and_charges_what_was_generated(gateways, upstream):
    gateway = await gateways(SETTINGS.format(url=upstream.url))
    begun = asyncio.Semaphore(0)
    async with aiohttp.ClientSession() as session:
        calls = [asyncio.ensure_future(_stream(session, gateway, begun)) for _ in range(CALLS)]
        for _ in range(CALLS * 20):
            await begun.acquire()
        gateway.process.send_signal(signal.SIGTERM)
        await asyncio.sleep(0.3)
        await gateway.stop(10)
        await asyncio.gather(*calls)
    with gateway.books() as books:
        entries = list(books.entries().values())
        assert len(books.table("call")) == CALLS
    assert [entry["certainty"] for entry in entries] == ["estimated"] * CALLS
    assert all(0 < entry["nanodollars"] < 4000 * 10_000 for entry in entries)


async def test_a_port_that_is_taken_is_told_in_a_line(gateways, upstream):
    settings = SETTINGS.format(url=upstream.url)
    first, second = await gateways(settings), await gateways(settings, start=False)
    second.config.write_text(second.config.read_text().replace(str(second.port), str(first.port)))
    await second.start(wait=False)
    assert await asyncio.to_thread(second.process.wait, 30) != 0
    assert "cannot listen on" in second.log()
    assert "Traceback" not in second.log()
    assert list((second.folder / "data" / "journal").iterdir()) == []
