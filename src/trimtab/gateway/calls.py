"""The doors for model calls: chat completions, messages, responses, embeddings.

Plain ASGI, because every call comes through here. A client that goes away cancels its call.
"""

import asyncio
import ipaddress
import logging
from contextlib import aclosing
from urllib.parse import urlsplit

from starlette.types import Message, Receive, Scope, Send

from trimtab.core import Surface
from trimtab.core.errors import CallError
from trimtab.dispatch import Dispatch, Inbound, PlainReply, Reply, StreamReply
from trimtab.gateway.asgi import EVENTS, Gone, header_list, read_body, send_bytes
from trimtab.gateway.errors import error_reply
from trimtab.gateway.hints import hints_of
from trimtab.pool import Patience
from trimtab.wire import error_event

_log = logging.getLogger(__name__)
_PATIENCE_SECONDS = 0.1
_SEND_SECONDS = 60.0
_FORWARDED = frozenset(
    (b"forwarded", b"via", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto", b"x-real-ip")
    + (b"x-client-ip", b"true-client-ip", b"cf-connecting-ip", b"fly-client-ip")
)


class CallDoor:
    """An ASGI endpoint for one surface."""

    def __init__(self, surface: Surface, dispatch: Dispatch, max_body_bytes: int) -> None:
        self._surface, self._dispatch, self._limit = surface, dispatch, max_body_bytes
        self._patience = Patience()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        try:
            hints, key = hints_of(scope["headers"])
            body = await read_body(scope, receive, self._limit, self._patience)
            inbound = Inbound(self._surface, body, key, is_loopback(scope), hints)
            with _Watch(receive) as watch:
                reply = await self._answer(inbound)
                await self._send(reply, send, watch)
        except CallError as error:
            status, shown, headers = error_reply(error, self._surface)
            await send_bytes(send, status, shown, headers)
        except Gone:
            return
        except asyncio.CancelledError:
            if not _Watch.left(asyncio.current_task()):
                raise

    async def _answer(self, inbound: Inbound) -> Reply:
        try:
            return await self._dispatch.answer(inbound)
        except CallError:
            raise
        except Exception as error:  # the edge of the process: a fault of ours is told in the client's shape
            raise fault_of(error, inbound.hints.run) from error

    async def _send(self, reply: Reply, send: Send, watch: "_Watch") -> None:
        if isinstance(reply, PlainReply):
            watch.stop()
            await send_bytes(send, 200, reply.body, dict(reply.headers))
            return
        await self._stream(reply, send)

    async def _stream(self, reply: StreamReply, send: Send) -> None:
        headers = header_list(EVENTS, dict(reply.headers))
        headers += [(b"cache-control", b"no-cache"), (b"x-accel-buffering", b"no")]
        async with aclosing(reply.pieces) as pieces:
            # Asked for before the head is sent, so that whatever follows, closing them cleans up.
            piece = await anext(pieces, b"")
            start = {"type": "http.response.start", "status": 200, "headers": headers}
            await _send_in_time(send, start, self._patience)
            try:
                await _send_piece(send, piece, self._patience)
                async for piece in pieces:
                    await _send_piece(send, piece, self._patience)
            except CallError as error:
                await _send_piece(send, self._told(error), self._patience)
            except Exception as error:  # the edge of the process
                told = self._told(fault_of(error, dict(reply.headers).get("x-trimtab-run", "")))
                await _send_piece(send, told, self._patience)
        await _send_in_time(send, {"type": "http.response.body", "body": b""}, self._patience)

    def _told(self, error: CallError) -> bytes:
        return error_event(self._surface, error.message, "api_error", error.code)


async def _send_piece(send: Send, piece: bytes, patience: Patience) -> None:
    if piece:
        await _send_in_time(send, {"type": "http.response.body", "body": piece, "more_body": True}, patience)


async def _send_in_time(send: Send, message: Message, patience: Patience) -> None:
    """A client that does not read may not hold a place for ever. Raises Gone."""
    try:
        with patience.within(_SEND_SECONDS):
            await send(message)
    except TimeoutError:
        raise Gone from None


def fault_of(error: Exception, run: str) -> CallError:
    """A fault of ours, logged with its run, as the client is told of it."""
    _log.error("a call failed by a fault of ours (run %r)", run, exc_info=error)
    return CallError("the gateway failed; its log says why", code="internal_error")


class _Watch:
    """Cancels the request's task when its client goes away.

    Most replies are there before a watcher would pay, so it starts only after a moment.
    """

    _MESSAGE = "the client went away"

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._task = asyncio.current_task()
        self._watcher: asyncio.Task[None] | None = None
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(_PATIENCE_SECONDS, self._begin)

    def __enter__(self) -> "_Watch":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        self._timer.cancel()
        if self._watcher is not None:
            self._watcher.cancel()

    def _begin(self) -> None:
        self._watcher = asyncio.get_running_loop().create_task(self._watch())

    async def _watch(self) -> None:
        message = await self._receive()
        if message["type"] == "http.disconnect" and self._task is not None:
            self._task.cancel(self._MESSAGE)

    @staticmethod
    def left(task: "asyncio.Task[object] | None") -> bool:
        """Whether it was us who cancelled: then the cancellation ends here."""
        return task is not None and task.uncancel() == 0


def is_loopback(scope: Scope) -> bool:
    """Whether the client is on this machine. What a proxy forwards may come from anywhere, and so may the page
    for which a browser on this machine asks."""
    client = scope.get("client")
    if client is None or not _is_local(client[0]):
        return False
    for name, value in scope["headers"]:
        if name in _FORWARDED or (name == b"origin" and not _is_own_page(value)):
            return False
    return True


def _is_own_page(origin: bytes) -> bool:
    try:
        host = urlsplit(origin.decode("latin-1")).hostname or ""
    except ValueError:
        return False
    return host == "localhost" or _is_local(host)


def _is_local(host: str) -> bool:
    if host in ("127.0.0.1", "::1"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
