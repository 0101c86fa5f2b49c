"""A streaming model made of air: answers every call in chunks, the first at once, usage in the last.

Run as a program by the benchmark (`python bench/streaming.py PORT`); never imported by a gateway.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import cast

import httptools
import uvloop

TOKENS = 24
GAP_SECONDS = 0.005
HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n"
    b"cache-control: no-cache\r\ntransfer-encoding: chunked\r\n\r\n"
)
END = b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"


def chunk(delta: dict[str, str], finish: str | None = None, usage: dict[str, int] | None = None) -> bytes:
    """A `chat.completion.chunk` as an SSE event inside an HTTP/1.1 chunk; one with usage has no choice."""
    choices = [] if usage else [{"index": 0, "delta": delta, "finish_reason": finish}]
    event = {
        "id": "chatcmpl-bench0002",
        "object": "chat.completion.chunk",
        "created": 1760000000,
        "model": "gpt-4o",
        "choices": choices,
        "usage": usage,
    }
    data = b"data: " + json.dumps(event, separators=(",", ":")).encode() + b"\n\n"
    return b"%x\r\n%s\r\n" % (len(data), data)


def chunks() -> list[bytes]:
    """The whole stream: a first chunk with role and text, the other tokens, the finish, the usage."""
    usage = {"prompt_tokens": 402, "completion_tokens": TOKENS, "total_tokens": 402 + TOKENS}
    first = chunk({"role": "assistant", "content": "Steering"})
    rest = [chunk({"content": f" token{number}"}) for number in range(1, TOKENS)]
    return [first, *rest, chunk({}, finish="stop"), chunk({}, usage=usage)]


class Model(asyncio.Protocol):
    """One client connection; requests on it are answered one after another."""

    def __init__(self, parts: list[bytes]) -> None:
        self.parts = parts
        self.tasks: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.parser = httptools.HttpRequestParser(self)

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_message_complete(self) -> None:
        task = asyncio.get_running_loop().create_task(self.stream())
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def connection_lost(self, exc: Exception | None) -> None:
        for task in self.tasks:
            task.cancel()

    async def stream(self) -> None:
        """Write the chunks, each in its own write, `GAP_SECONDS` apart."""
        self.transport.write(HEAD + self.parts[0])
        for part in self.parts[1:]:
            await asyncio.sleep(GAP_SECONDS)
            self.transport.write(part)
        self.transport.write(END)


async def serve(port: int) -> None:
    """Serve until killed."""
    parts = chunks()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Model(parts), "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
