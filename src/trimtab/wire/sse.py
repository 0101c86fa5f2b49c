"""Server-sent events: bytes from an endpoint in, whole events out, and back. The pool reads with this,
the gateway writes with it. Nothing here knows what is inside an event.

Source: https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

import re

import msgspec

DONE = b"data: [DONE]\n\n"

_BOM = b"\xef\xbb\xbf"
_LINE = re.compile(rb"\r\n|\n|\r")
# Atomic, so that \r\n is never taken apart into two line ends.
_BLANK = re.compile(rb"(?>\r\n|\n|\r)(?>\r\n|\n|\r)")


class BrokenStream(ValueError):
    """A stream that cannot be followed any further; says why."""


class SseEvent(msgspec.Struct, frozen=True, gc=False):
    """One event. `event` is '' where none was named, `data` has its lines joined by \\n, `raw` is what was
    received, terminator included."""

    event: str
    data: bytes
    raw: bytes


class SseParser:
    """Cuts a byte stream into events, however it was cut before.

    Takes \\n, \\r\\n and \\r, comments and a byte order mark. Blocks without data (comments, keep-alives)
    give no event. Where a chunk ends between the \\r and the \\n of a terminator, the event is given at once.
    """

    def __init__(self, max_event_bytes: int = 4_194_304) -> None:
        self._max = max_event_bytes
        self._buffer = bytearray()
        self._searched = 0
        self._begun = False

    @property
    def pending(self) -> bytes:
        """What has come since the last whole event."""
        return bytes(self._buffer)

    def feed(self, chunk: bytes) -> list[SseEvent]:
        """Events completed by `chunk`. Raises BrokenStream for an event over `max_event_bytes`."""
        plain = not self._buffer and chunk.endswith(b"\n\n") and b"\r" not in chunk
        if plain and len(chunk) <= self._max and (self._begun or chunk[0] != 0xEF):
            self._begun = True
            return _events_of_blocks(chunk.split(b"\n\n"))
        return self._feed_any(chunk)

    def _feed_any(self, chunk: bytes) -> list[SseEvent]:
        buffer = self._buffer
        buffer += chunk
        if not self._begun and not self._drop_bom():
            return []
        events: list[SseEvent] = []
        start = 0
        # A terminator has at most four bytes, so three of them may have been searched in vain before.
        for blank in _BLANK.finditer(buffer, max(0, self._searched - 3)):
            self._check_size(blank.end() - start)
            _append_event(events, bytes(buffer[start : blank.start()]), bytes(buffer[start : blank.end()]))
            start = blank.end()
        while start < len(buffer) and buffer[start] in b"\r\n":
            start += 1
        del buffer[:start]
        self._searched = len(buffer)
        self._check_size(len(buffer))
        return events

    def _drop_bom(self) -> bool:
        """False while too little has come to tell."""
        if len(self._buffer) < len(_BOM) and _BOM.startswith(self._buffer):
            return False
        if self._buffer.startswith(_BOM):
            del self._buffer[: len(_BOM)]
        self._begun = True
        return True

    def _check_size(self, size: int) -> None:
        if size > self._max:
            raise BrokenStream(f"an event of over {self._max} bytes")


def encode_event(data: bytes, event: str = "") -> bytes:
    """One event as bytes. Line ends inside `data` become further data lines."""
    head = b"event: " + event.encode() + b"\n" if event else b""
    if b"\n" in data or b"\r" in data:
        data = b"\ndata: ".join(_LINE.split(data))
    return head + b"data: " + data + b"\n\n"


def _events_of_blocks(blocks: list[bytes]) -> list[SseEvent]:
    events: list[SseEvent] = []
    for block in blocks:
        head, _, rest = block.partition(b"\n")
        if not rest and head.startswith(b"data: "):
            events.append(SseEvent("", head[6:], block + b"\n\n"))
        elif head.startswith(b"event: ") and rest.startswith(b"data: ") and b"\n" not in rest:
            events.append(SseEvent(head[7:].decode("utf-8", "replace"), rest[6:], block + b"\n\n"))
        elif block:
            _append_event(events, block, block + b"\n\n")
    return events


def _append_event(events: list[SseEvent], block: bytes, raw: bytes) -> None:
    event = ""
    data: list[bytes] = []
    for line in _LINE.split(block):
        name, _, value = line.partition(b":")
        if name == b"data":
            data.append(value.removeprefix(b" "))
        elif name == b"event":
            event = value.removeprefix(b" ").decode("utf-8", "replace")
    if data:
        events.append(SseEvent(event, b"\n".join(data), raw))
