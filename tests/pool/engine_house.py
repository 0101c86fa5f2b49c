"""An engine on a real socket that has the pages it is given, and loads what it is told to."""

import asyncio
import json
from contextlib import asynccontextmanager

from aiohttp import web


class FakeEngine:
    """`pages`: path -> body (bytes or a value), or a status. `posts`: what it was told, in order."""

    def __init__(self):
        self.pages, self.posts, self.asked, self.headers = {}, [], [], []
        self.loaded = set()
        self.load_seconds = 0.0
        self.silent = False
        self.refuses, self.missing = {}, set()
        self.url = ""

    async def answer(self, request):
        if self.silent:
            await asyncio.sleep(60)
        self.headers.append({name.lower(): value for name, value in request.headers.items()})
        if request.method == "GET":
            self.asked.append(request.path)
            if request.path == "/v1/models" and request.path not in self.pages:
                cards = [
                    {"id": "base", "parent": None},
                    *({"id": one, "parent": "base"} for one in self.loaded),
                ]
                return web.json_response({"data": cards})
            return _response(self.pages.get(request.path, 404))
        if request.path in self.missing:
            return web.Response(status=404)
        body = await request.json()
        self.posts.append((request.path, body))
        if request.path in self.refuses:
            return web.json_response({"error": {"message": self.refuses[request.path]}}, status=400)
        if request.path.endswith("/chat/completions"):
            message = {"role": "assistant", "content": "Good."}
            usage = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
            choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
            return web.json_response(
                {
                    "id": "c",
                    "object": "chat.completion",
                    "model": body["model"],
                    "choices": choices,
                    "usage": usage,
                }
            )
        if "unload" not in request.path:
            await asyncio.sleep(self.load_seconds)
        if "lora_name" in body:
            (self.loaded.discard if "unload" in request.path else self.loaded.add)(body["lora_name"])
        return web.Response(text="ok")


def _response(page):
    if isinstance(page, int):
        return web.Response(status=page, text="no")
    body = page if isinstance(page, bytes) else json.dumps(page).encode()
    return web.Response(body=body)


@asynccontextmanager
async def fake_engine():
    engine = FakeEngine()
    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", engine.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    engine.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    try:
        yield engine
    finally:
        await runner.cleanup()
