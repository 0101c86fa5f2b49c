"""A run's events as server-sent events, numbered so that a client that lost the connection comes again."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing, suppress

import msgspec
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from trimtab.store import Event, WorkflowRunRow
from trimtab.workflows import Host, failure_of

_HEARTBEAT_SECONDS = 15.0
# Without a blank line after it: the npm client would make an event of it.
_HEARTBEAT = b": heartbeat\n"
_HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}


class EventStream(StreamingResponse):
    """The events of a run after one; `gone` is awaited where the client leaves before the end."""

    def __init__(
        self,
        host: Host,
        row: WorkflowRunRow,
        after: int,
        headers: Mapping[str, str],
        gone: Callable[[], Awaitable[object]] | None,
    ) -> None:
        self._host, self._row, self._after, self._gone = host, row, after, gone
        self._whole = False
        super().__init__(self._body(), 200, {**headers, **_HEADERS}, "text/event-stream")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            if self._gone is not None and not self._whole:
                with suppress(Exception):  # the run is over, or gone itself
                    await self._gone()

    async def _body(self) -> AsyncGenerator[bytes, None]:
        number = self._after
        async with aclosing(self._host.listen(self._row.id, number)) as events:
            async for event in _with_heartbeats(events):
                if event is None:
                    yield _HEARTBEAT
                else:
                    number = event.number
                    yield _sse(number, event.name, event.data)
        if number < 0:
            async for piece in self._unstreamed():
                number += 1
                yield _sse(number, *piece)
        yield _sse(number + 1, "end", b"null")
        self._whole = True

    async def _unstreamed(self) -> AsyncGenerator[tuple[str, bytes], None]:
        """What is told of a run that kept no events: how it ended."""
        row = await self._host.wait(self._row.id)
        yield "metadata", msgspec.json.encode({"run_id": row.id, "attempt": row.claim})
        if row.error:
            yield "error", msgspec.json.encode(failure_of(row.error))
        elif row.output is not None:
            yield "values", row.output


async def _with_heartbeats(events: AsyncGenerator[Event, None]) -> AsyncGenerator[Event | None, None]:
    """The events, and None where none came for a while."""
    upcoming = asyncio.ensure_future(anext(events, None))
    try:
        while True:
            done, _ = await asyncio.wait((upcoming,), timeout=_HEARTBEAT_SECONDS)
            if not done:
                yield None
                continue
            event = upcoming.result()
            if event is None:
                return
            yield event
            upcoming = asyncio.ensure_future(anext(events, None))
    finally:
        upcoming.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await upcoming


def _sse(number: int, name: str, data: bytes) -> bytes:
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (number, name.encode(), data)
