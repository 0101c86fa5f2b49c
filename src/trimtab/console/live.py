"""Server-sent events: a part of a page as HTML, told again whenever it changed."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

from starlette.responses import Response, StreamingResponse

from trimtab.core.errors import StoreUnavailable

_LONGEST_SECONDS = 15 * 60.0
_SILENT_SECONDS = 15.0


def stream(
    part: Callable[[], Awaitable[str | None]], seconds: float, closing: Callable[[], bool]
) -> Response:
    """`part` every so many seconds, where it says something new; None ends the page's need of it. Nobody is told more
    once the house is `closing`.

    A stream ends by itself after a quarter of an hour, so that a session that is over is noticed: browsers come again.
    """
    return StreamingResponse(
        _events(part, seconds, closing), media_type="text/event-stream", headers={"x-accel-buffering": "no"}
    )


async def _events(
    part: Callable[[], Awaitable[str | None]], seconds: float, closing: Callable[[], bool]
) -> AsyncIterator[bytes]:
    yield b"retry: 3000\n\n"
    told, silent, lasted = "", 0.0, 0.0
    while lasted < _LONGEST_SECONDS and not closing():
        try:
            said = await part()
        except StoreUnavailable:
            said = told
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
