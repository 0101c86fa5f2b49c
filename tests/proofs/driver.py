"""Clients: scripted calls to a gateway, and what each of them saw."""

import asyncio
import json
import random
from collections import Counter
from dataclasses import dataclass, field

import aiohttp

MOST_PROMPT_TOKENS = 40
CALL_SECONDS = 120


@dataclass
class Seen:
    """How one call ended for its client. `whole`: it saw the reply to its last byte."""

    script: dict
    stream: bool
    status: int = 0
    call: str = ""
    code: str = ""
    whole: bool = False
    left: bool = False
    cost: int | None = None
    retry_after: str | None = None
    seconds: float = 0.0
    began: float = 0.0
    text: str = field(default="", repr=False)


def script_of(rng: random.Random, most: int, slow: float = 1.0):
    """A random answer: tokens up to the maximum, told or not, now and then a refusal."""
    return {
        "tokens": rng.choice([0, most, rng.randrange(most + 1), rng.randrange(most + 1)]),
        "prompt": rng.randrange(1, MOST_PROMPT_TOKENS),
        "delay": rng.choice([0, 0.005, 0.02]) * slow,
        "told": rng.random() < 0.85,
        "refuse": rng.choice([500, 400, 429]) if rng.random() < 0.04 else 0,
        "pad": rng.randrange(10**9),
    }


class Client:
    """Many clients in one session."""

    def __init__(self, session: aiohttp.ClientSession):
        self._session = session

    @staticmethod
    def open():
        """A session without limits of its own."""
        connector = aiohttp.TCPConnector(limit=0, force_close=True)
        return aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=CALL_SECONDS))

    async def call(self, url, script, most, *, stream=False, leave_after=None, headers=None, model="small"):
        """One call. With `leave_after`, the client goes away after so many bytes of the reply."""
        seen = Seen(script, stream, began=asyncio.get_running_loop().time())
        body = {
            "model": model, "stream": stream, "max_completion_tokens": most,
            "messages": [{"role": "user", "content": json.dumps(script)}],
        }  # fmt: skip
        if stream:
            body["stream_options"] = {"include_usage": True}
        try:
            request = self._session.post(f"{url}/v1/chat/completions", json=body, headers=headers)
            async with request as answer:
                self._note(seen, answer)
                await self._read(seen, answer, leave_after)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            seen.code = seen.code or type(error).__name__
        seen.seconds = asyncio.get_running_loop().time() - seen.began
        return seen

    def _note(self, seen, answer):
        seen.status = answer.status
        seen.call = answer.headers.get("x-trimtab-call", "")
        seen.retry_after = answer.headers.get("retry-after")
        cost = answer.headers.get("x-trimtab-cost-nanodollars")
        seen.cost = None if cost is None else int(cost)

    async def _read(self, seen, answer, leave_after):
        data = bytearray()
        async for part in answer.content.iter_any():
            data += part
            if leave_after is not None and len(data) > leave_after:
                seen.left = True
                answer.close()
                return
        seen.text = data.decode()
        if answer.status != 200:
            seen.code = json.loads(data)["error"]["code"]
        elif seen.stream:
            seen.whole = "data: [DONE]" in seen.text and '"error"' not in seen.text
        else:
            seen.whole = "choices" in json.loads(data)


def tally(calls):
    """How calls ended, for messages."""
    return Counter(
        "whole" if seen.whole else "left" if seen.left else f"{seen.status} {seen.code}" for seen in calls
    )


async def until(true, seconds=30.0, every=0.02):
    """Wait for a condition (plain or awaited) to hold."""
    deadline = asyncio.get_running_loop().time() + seconds
    while True:
        answer = true()
        if asyncio.iscoroutine(answer):
            answer = await answer
        if answer:
            return answer
        assert asyncio.get_running_loop().time() < deadline, "it never came to hold"
        await asyncio.sleep(every)
