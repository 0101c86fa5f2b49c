"""The parts of a prompt that are not text: how many images, sounds and files it has, and what they may cost
in tokens. Serves `request` only; the shapes are those of chat, Messages and Responses side by side.
"""

from collections.abc import Sequence

import msgspec

from trimtab.core import Capability
from trimtab.core.errors import BadRequest
from trimtab.wire.body import decode_body

MEDIA_TOKENS = 50_000
HOSTED_TOOL_TOKENS = 50_000
# A sound or image that comes inline is taken for a token per 16 bytes of base64.
_BYTES_A_TOKEN = 16
_PART_TOKENS = 64
_PDF_MARKS = (b"application/pdf", b"JVBERi")
_IMAGE_MARKS = (b'"image/', b"data:image/", b"iVBORw0KGgo", b"/9j/", b"R0lGOD", b"UklGR")
_HEAD_BYTES = 200
_NO_DATA = (b"", b"null", b'""')

_IMAGES = ("image_url", "image", "input_image", "computer_screenshot", "video_url")
_ENDLESS = ("video_url",)
_SOUNDS = ("input_audio", "audio", "audio_url")
_FILES = ("file", "input_file", "document", "container_upload")
_NONE = msgspec.Raw(b"")
_VISION: frozenset[Capability] = frozenset(("vision",))
_AUDIO: frozenset[Capability] = frozenset(("audio",))
_Weight = tuple[frozenset[Capability], int, int, str]
_TEXT: _Weight = (frozenset(), 0, 0, "")
_DEEPEST = 5


class Part(msgspec.Struct, gc=False):
    """A content part or block; payloads are left as bytes."""

    type: str = ""
    image_url: msgspec.Raw = _NONE
    input_audio: msgspec.Raw = _NONE
    file: msgspec.Raw = _NONE
    file_data: msgspec.Raw = _NONE
    source: msgspec.Raw = _NONE
    content: msgspec.Raw = _NONE


class Message(msgspec.Struct, gc=False):
    """A message of chat or Messages."""

    role: str
    content: str | list[Part] | None = None


class Item(msgspec.Struct, gc=False):
    """An input item of Responses."""

    type: str | None = None
    role: str | None = None
    content: str | list[Part] | None = None
    output: msgspec.Raw = _NONE


class Media(msgspec.Struct, frozen=True, gc=False):
    """What a prompt has beside text. `payload_bytes` stand in the body but are not text to the model.

    `uncounted` names a part that may have any number of tokens: pages behind a reference or in a PDF, a video.
    """

    needs: frozenset[Capability]
    tokens: int
    payload_bytes: int
    uncounted: str = ""


class _Source(msgspec.Struct, gc=False):
    type: str = ""
    media_type: str = ""
    content: msgspec.Raw = _NONE


class _File(msgspec.Struct, gc=False):
    file_data: msgspec.Raw = _NONE


_PARTS = msgspec.json.Decoder(list[Part])
_PART = msgspec.json.Decoder(Part)
_SOURCE = msgspec.json.Decoder(_Source)
_FILE = msgspec.json.Decoder(_File)


def media_of(messages: Sequence[Message] | Sequence[Item]) -> Media | None:
    """The media in `messages`, None where all is text. Raises BadRequest for parts of the wrong shape."""
    parts: list[Part] = []
    for message in messages:
        if message.content.__class__ is list:
            parts += message.content
        if message.__class__ is Item and message.output:
            parts += _nested(message.output)
    return _sum_up(parts) if parts else None


def _nested(raw: msgspec.Raw) -> list[Part]:
    """Parts inside a value that may also be absent, text or one object."""
    if not raw:
        return []
    data = bytes(raw)
    if data.startswith(b"["):
        return decode_body(_PARTS, data)
    return [decode_body(_PART, data)] if data.startswith(b"{") else []


def _sum_up(parts: list[Part]) -> Media | None:
    needs: set[Capability] = set()
    tokens = payload_bytes = 0
    uncounted = ""
    # Each level is decoded anew, so unbounded nesting would cost its square.
    for _ in range(_DEEPEST):
        inner: list[Part] = []
        for part in parts:
            need, part_tokens, part_bytes, endless = _weigh(part, inner)
            needs |= need
            tokens += part_tokens
            payload_bytes += part_bytes
            uncounted = uncounted or endless
        if not inner:
            return Media(frozenset(needs), tokens, payload_bytes, uncounted) if tokens else None
        parts = inner
    raise BadRequest(f"content: parts nested over {_DEEPEST} deep", param="content")


def _weigh(part: Part, inner: list[Part]) -> _Weight:
    """What one part needs, its tokens and payload bytes, its name where these cannot be told. Parts inside it
    join `inner`.
    """
    if part.type in _IMAGES:
        endless = part.type if part.type in _ENDLESS else ""
        return _VISION, MEDIA_TOKENS, len(part.image_url) + len(part.source), endless
    if part.type in _SOUNDS:
        size = len(part.input_audio)
        return _AUDIO, MEDIA_TOKENS + size // _BYTES_A_TOKEN, size, ""
    if part.type not in _FILES:
        inner += _nested(part.content)
        return _TEXT
    if part.source:
        source = decode_body(_SOURCE, bytes(part.source))
        if source.type in ("text", "content"):
            inner += _nested(source.content)
            return _TEXT
        return _file(part.type, bytes(part.source) if source.type == "base64" else b"")
    data = bytes(part.file_data) or (
        bytes(decode_body(_FILE, bytes(part.file)).file_data) if part.file else b""
    )
    return _file(part.type, data)


def _file(name: str, data: bytes) -> _Weight:
    """A file whose `data` stand in the body: text at worst a token a byte, pages any number; so do those
    that only a reference leads to.
    """
    head = data[:_HEAD_BYTES]
    if data in _NO_DATA or any(mark in head for mark in _PDF_MARKS):
        return _VISION, MEDIA_TOKENS, len(data), name
    if any(mark in head for mark in _IMAGE_MARKS):
        return _VISION, MEDIA_TOKENS + len(data) // _BYTES_A_TOKEN, len(data), ""
    return _VISION, _PART_TOKENS, 0, ""
