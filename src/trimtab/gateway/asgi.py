"""The few ASGI motions the doors share: reading a bounded body, answering with bytes."""

from collections.abc import Mapping

from starlette.types import Message, Receive, Scope, Send

from trimtab.core.errors import BadRequest, TooLarge
from trimtab.pool import Patience

JSON = b"application/json"
EVENTS = b"text/event-stream; charset=utf-8"
_BODY_SECONDS = 60.0


class Gone(Exception):
    """The client closed the connection before its request was whole."""


async def read_body(scope: Scope, receive: Receive, limit: int, patience: Patience) -> bytes:
    """The whole request body. Raises TooLarge above `limit` bytes, BadRequest when it does not come, Gone."""
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit() and int(value) > limit:
            raise _too_large(limit)
    message = await _next(receive, patience)
    body: bytes = message.get("body", b"")
    if not message.get("more_body"):
        if len(body) > limit:
            raise _too_large(limit)
        return body
    parts, size = [body], len(body)
    while message.get("more_body"):
        message = await _next(receive, patience)
        part = message.get("body", b"")
        size += len(part)
        if size > limit:
            raise _too_large(limit)
        parts.append(part)
    return b"".join(parts)


async def _next(receive: Receive, patience: Patience) -> Message:
    try:
        with patience.within(_BODY_SECONDS):
            message = await receive()
    except TimeoutError:
        raise BadRequest(f"the request body did not come within {_BODY_SECONDS:g} s") from None
    if message["type"] == "http.disconnect":
        raise Gone
    return message


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"the request body is over {limit} bytes ([server] max_body_bytes)")


def header_list(content_type: bytes, headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    """Headers as ASGI wants them."""
    return [(b"content-type", content_type)] + [
        (name.encode("latin-1"), value.encode("utf-8")) for name, value in headers.items()
    ]


async def send_bytes(
    send: Send, status: int, body: bytes, headers: Mapping[str, str], content_type: bytes = JSON
) -> None:
    """A whole response."""
    listed = header_list(content_type, headers)
    listed.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": status, "headers": listed})
    await send({"type": "http.response.body", "body": body})
