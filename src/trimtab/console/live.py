"""Server-sent events: a part of a page as HTML, told again whenever it changed."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

from starlette.responses import Response, StreamingResponse

from trimtab.core.errors import CallError, StoreUnavailable

_LONGEST_SECONDS = 5 * 60.0
_SILENT_SECONDS = 15.0
Part = Callable[[], Awaitable[str | None]]
Watch = Callable[[], Awaitable[bool]]


def stream(part: Part, seconds: float, watch: Watch) -> Response:
    """`part` every so many seconds, where it says something new; None ends the page's need of it. Before each,
    `watch` says whether its reader may still look.

    A stream ends by itself after five minutes, so that a session that is over is noticed: browsers come again.
    """
    return StreamingResponse(
        _events(part, seconds, watch), media_type="text/event-stream", headers={"x-accel-buffering": "no"}
    )


async def _events(part: Part, seconds: float, watch: Watch) -> AsyncIterator[bytes]:
    yield b"retry: 3000\n\n"
    told, silent, lasted = "", 0.0, 0.0
    while lasted < _LONGEST_SECONDS and await watch():
        try:
            said = await part()
        except StoreUnavailable:
            said = told
        except CallError:
            said = None  # it is gone
        if said is None:
            yield b"event: over\ndata: over\n\n"
            return
        if said != told:
            told, silent = said, 0.0
            yield "".join([*[f"data: {line}\n" for line in said.splitlines()], "\n"]).encode()
        elif silent >= _SILENT_SECONDS:
            silent = 0.0
            yield b": still here\n\n"
        await asyncio.sleep(seconds)
        silent, lasted = silent + seconds, lasted + seconds
