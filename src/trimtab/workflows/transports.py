"""Lets every httpx and httpx2 client of this process reach one reserved host without a network; all else goes out
as before. That is how unchanged SDKs in nodes call `dispatch`."""

import asyncio
import os
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from contextvars import copy_context
from importlib import import_module
from typing import Any

from trimtab.workflows.door import Answer, CallDoor
from trimtab.workflows.place import RUN

HOST = "trimtab.in-process"
_LIBRARIES = ("httpx", "httpx2")
_VARIABLES = {
    "OPENAI_BASE_URL": f"http://{HOST}/v1",
    "OPENAI_API_BASE": f"http://{HOST}/v1",
    "OPENAI_API_KEY": "in-process",
    "ANTHROPIC_BASE_URL": f"http://{HOST}",
    "ANTHROPIC_API_KEY": "in-process",
}
_END = None


@contextmanager
def in_process(door: CallDoor, loop: asyncio.AbstractEventLoop) -> Iterator[None]:
    """While it lasts, clients of the reserved host are answered by `door` on `loop`, and SDKs point there."""
    with ExitStack() as stack:
        stack.enter_context(_environment())
        for name in _LIBRARIES:
            with suppress(ImportError):
                stack.enter_context(_patched(import_module(name), door, loop))
        yield


@contextmanager
def _environment() -> Iterator[None]:
    """SDK clients are often made when a graph's module is imported: they read where to go from here."""
    before = {name: os.environ.get(name) for name in _VARIABLES}
    os.environ.update(_VARIABLES)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def _patched(library: Any, door: CallDoor, loop: asyncio.AbstractEventLoop) -> Iterator[None]:  # noqa: ANN401
    async_was = library.AsyncHTTPTransport.handle_async_request
    sync_was = library.HTTPTransport.handle_request
    library.AsyncHTTPTransport.handle_async_request = _async_motion(library, door, loop, async_was)
    library.HTTPTransport.handle_request = _sync_motion(library, door, loop, sync_was)
    try:
        yield
    finally:
        library.AsyncHTTPTransport.handle_async_request = async_was
        library.HTTPTransport.handle_request = sync_was


def _async_motion(
    library: Any,  # noqa: ANN401 - httpx or httpx2
    door: CallDoor,
    loop: asyncio.AbstractEventLoop,
    was: Callable[..., Any],
) -> Callable[..., Any]:
    class Pieces(library.AsyncByteStream):  # type: ignore[misc]
        """A streamed reply."""

        def __init__(self, pieces: AsyncGenerator[bytes, None]) -> None:
            self._pieces = pieces

        async def __aiter__(self) -> AsyncGenerator[bytes, None]:
            async for piece in self._pieces:
                yield piece

        async def aclose(self) -> None:
            await self._pieces.aclose()

    async def handle(self: Any, request: Any) -> Any:  # noqa: ANN401 - the library's types
        if request.url.host != HOST:
            return await was(self, request)
        if asyncio.get_running_loop() is not loop:
            raise RuntimeError(
                "an async client must run on the loop that drives its graph, not on one of its own"
            )
        answer = await door.answer(*_said(request), await request.aread(), _own_key(request))
        if isinstance(answer.content, bytes):
            return library.Response(answer.status, headers=answer.headers, content=answer.content)
        return library.Response(answer.status, headers=answer.headers, stream=Pieces(answer.content))

    return handle


def _sync_motion(
    library: Any,  # noqa: ANN401 - httpx or httpx2
    door: CallDoor,
    loop: asyncio.AbstractEventLoop,
    was: Callable[..., Any],
) -> Callable[..., Any]:
    class Pieces(library.SyncByteStream):  # type: ignore[misc]
        """A streamed reply, pumped on the loop by one task and read in this thread."""

        def __init__(self, pieces: AsyncGenerator[bytes, None]) -> None:
            self._queue: asyncio.Queue[bytes | None] = asyncio.Queue()
            self._pump = asyncio.run_coroutine_threadsafe(_pump(pieces, self._queue), loop)

        def __iter__(self) -> Iterator[bytes]:
            while (piece := _wait(self._queue.get(), loop)) is not _END:
                yield piece
            self._pump.result()

        def close(self) -> None:
            self._pump.cancel()

    def handle(self: Any, request: Any) -> Any:  # noqa: ANN401 - the library's types
        if request.url.host != HOST:
            return was(self, request)
        with suppress(RuntimeError):
            if asyncio.get_running_loop() is loop:
                raise BlockedLoop
        answer: Answer = _wait(door.answer(*_said(request), request.read(), _own_key(request)), loop)
        if isinstance(answer.content, bytes):
            return library.Response(answer.status, headers=answer.headers, content=answer.content)
        return library.Response(answer.status, headers=answer.headers, stream=Pieces(answer.content))

    return handle


def _said(request: Any) -> tuple[str, str]:  # noqa: ANN401 - the library's type
    return request.method, request.url.raw_path.decode()


def _own_key(request: Any) -> str:  # noqa: ANN401 - the library's type
    key: str = request.headers.get("idempotency-key", "")
    return key


class BlockedLoop(Exception):
    """A synchronous client was used in an async node, which would stop every run of this process."""

    def __init__(self) -> None:
        super().__init__(
            "a synchronous client in an async node stops every run of this process: use its async twin, or make "
            "the node a plain function"
        )


def _wait(coroutine: Any, loop: asyncio.AbstractEventLoop) -> Any:  # noqa: ANN401 - whatever it gives
    """What a coroutine on the loop gives, waited for in this thread; a cancel of the run ends it."""
    future = copy_context().run(asyncio.run_coroutine_threadsafe, coroutine, loop)
    place = RUN.get()
    if place is not None:
        place.note(future)
    return future.result()


async def _pump(pieces: AsyncGenerator[bytes, None], queue: "asyncio.Queue[bytes | None]") -> None:
    try:
        async for piece in pieces:
            await queue.put(piece)
    finally:
        queue.put_nowait(_END)
        await pieces.aclose()
