"""An endpoint that keeps its own book: what it generated for each attempt, and what it bills for that.

The caller scripts each answer in the last message: how many tokens, how fast, whether the usage is told. The
bill counts what was generated, also when nobody was there any more to read it.
"""

import asyncio
import json
from dataclasses import dataclass, field

from aiohttp import web

INPUT_USD, OUTPUT_USD = 0.1234567, 1.7654321
INPUT_RATE, OUTPUT_RATE = 123_456_700, 1_765_432_100
"""Nanodollars for a million tokens, as the endpoint's price list says."""


@dataclass
class Bill:
    """One attempt's line in the endpoint's book."""

    id: str
    call: str = ""
    prompt_tokens: int = 0
    output_tokens: int = 0
    told: bool = False
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def nanodollars(self) -> int:
        return -(-(self.prompt_tokens * INPUT_RATE + self.output_tokens * OUTPUT_RATE) // 1_000_000)


class Upstream:
    """`async with Upstream() as upstream:` serves chat completions at `upstream.url`."""

    def __init__(self, port=0):
        self._port = port
        self.bills: dict[str, Bill] = {}
        self.refused = 0
        self.under_way = 0

    async def __aenter__(self):
        app = web.Application(client_max_size=1 << 24)
        app.router.add_post("/v1/chat/completions", self._answer)
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=False, shutdown_timeout=1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port, backlog=4096)
        await site.start()
        self.port = site._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/v1"
        return self

    async def __aexit__(self, *_):
        await self._runner.cleanup()

    async def _answer(self, request):
        body = await request.json()
        script = json.loads(body["messages"][-1]["content"])
        if script.get("refuse"):
            self.refused += 1
            return web.json_response({"error": {"message": "no"}}, status=script["refuse"])
        id = request.headers["x-request-id"]
        assert id not in self.bills, "an attempt was sent twice"
        bill = self.bills[id] = Bill(id, prompt_tokens=script["prompt"], headers=dict(request.headers))
        most = body.get("max_completion_tokens") or body.get("max_tokens")
        assert most, "under a budget every attempt has a maximum"
        tokens = min(script["tokens"], most)
        self.under_way += 1
        try:
            if body.get("stream"):
                return await self._stream(request, script, bill, tokens)
            return await self._plain(request, script, bill, tokens)
        finally:
            self.under_way -= 1

    async def _plain(self, request, script, bill, tokens):
        for _ in range(tokens):
            if request.transport is None or request.transport.is_closing():
                break
            bill.output_tokens += 1
            if bill.output_tokens % 16 == 0 and script["delay"]:
                await asyncio.sleep(script["delay"])
        reply = {
            "id": "r", "object": "chat.completion", "created": 1, "model": "small",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": "ab " * bill.output_tokens},
                         "finish_reason": "stop"}],
        }  # fmt: skip
        if script["told"]:
            bill.told = True
            reply["usage"] = self._usage(bill)
        return web.json_response(reply)

    async def _stream(self, request, script, bill, tokens):
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        try:
            await response.prepare(request)
            for _ in range(tokens):
                if request.transport is None or request.transport.is_closing():
                    break
                bill.output_tokens += 1
                await response.write(self._event({"delta": {"content": "ab "}, "finish_reason": None}))
                if bill.output_tokens % 16 == 0 and script["delay"]:
                    await asyncio.sleep(script["delay"])
            await response.write(self._event({"delta": {}, "finish_reason": "stop"}))
            if script["told"]:
                bill.told = True
                await response.write(self._event(None, self._usage(bill)))
            await response.write(b"data: [DONE]\n\n")
            await response.write_eof()
        except (ConnectionError, asyncio.CancelledError):
            pass
        return response

    def _event(self, choice, usage=None):
        chunk = {"id": "r", "object": "chat.completion.chunk", "created": 1, "model": "small"}
        chunk["choices"] = [] if choice is None else [{"index": 0, **choice}]
        if usage is not None:
            chunk["usage"] = usage
        return b"data: " + json.dumps(chunk).encode() + b"\n\n"

    def _usage(self, bill):
        total = bill.prompt_tokens + bill.output_tokens
        return {
            "prompt_tokens": bill.prompt_tokens, "completion_tokens": bill.output_tokens, "total_tokens": total,
        }  # fmt: skip
