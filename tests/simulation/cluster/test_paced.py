"""The simulated engine on a socket: it takes its time, and knows prompts and its own replies again."""

import asyncio
import time

import aiohttp
import pytest

from trimtab.simulation import LocalServer
from trimtab.simulation.cluster import profile
from trimtab.simulation.cluster.contexts import Contexts
from trimtab.simulation.cluster.paced import PacedEngine

H100 = profile("H100", "llama-70b", "fp16", 4)
HASTE = 20.0


@pytest.fixture
async def ask():
    """Sends a conversation; the reply as JSON."""
    engine = PacedEngine(H100, 8, HASTE)
    running = asyncio.create_task(engine.run())
    async with LocalServer(engine.app) as server, aiohttp.ClientSession() as http:

        async def send(*said, tokens=10, **more):
            messages = [{"role": "user", "content": one} for one in said]
            body = {"model": "simulated", "messages": messages, "max_tokens": tokens, **more}
            async with http.post(f"http://127.0.0.1:{server.port}/v1/chat/completions", json=body) as answer:
                return await answer.json()

        yield send
    running.cancel()


def cached(answer):
    return answer["usage"]["prompt_tokens_details"]["cached_tokens"]


async def test_a_call_takes_as_long_as_the_model_says(ask):
    begin = time.monotonic()
    answer = await ask("a" * 16_000, tokens=200)
    took = HASTE * (time.monotonic() - begin)
    expected = H100.speed.prompt_seconds(4_000, 0) + 199 * H100.speed.token_seconds(1, 4_100)
    assert answer["usage"]["prompt_tokens"] == 4_000
    assert answer["usage"]["completion_tokens"] == 200
    assert took > 0.98 * expected


async def test_what_was_asked_and_answered_is_not_computed_again(ask):
    first = "b" * 6_400
    answer = await ask(first, tokens=160)
    assert cached(answer) == 0
    reply = answer["choices"][0]["message"]["content"]
    assert len(reply) == 4 * 160
    longer = await ask(first, reply, "c" * 640)
    assert cached(longer) == 1_600 + 160
    assert longer["usage"]["prompt_tokens"] == 1_600 + 160 + 160
    other = await ask(first, "d" * 640)
    assert cached(other) == 1_600
    assert cached(await ask("e" * 640)) == 0


def test_a_branch_is_a_context_of_its_own_that_shares_its_beginning():
    contexts = Contexts()
    begun = contexts.place(b"s" * 640)
    went_on = contexts.place(b"s" * 640 + b"t" * 640)
    assert (went_on.context, went_on.shared_tokens) == (begun.context, 160)
    branch = contexts.place(b"s" * 640 + b"u" * 640)
    assert branch.context != begun.context
    assert (branch.parent, branch.parent_tokens) == (begun.context, 160)
    contexts.grow(branch, b"s" * 640 + b"u" * 640 + b"v" * 640)
    again = contexts.place(b"s" * 640 + b"u" * 640 + b"v" * 640 + b"w" * 64)
    assert (again.context, again.shared_tokens) == (branch.context, 480)
