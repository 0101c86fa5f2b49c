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
# A page of a file that comes inline is taken for a token per 16 bytes of base64, a sound likewise.
_BYTES_A_TOKEN = 16

_IMAGES = ("image_url", "image", "input_image", "computer_screenshot", "video_url")
_SOUNDS = ("input_audio", "audio", "audio_url")
_FILES = ("file", "input_file", "document", "container_upload")
_NONE = msgspec.Raw(b"")
_VISION: frozenset[Capability] = frozenset(("vision",))
_AUDIO: frozenset[Capability] = frozenset(("audio",))
_TEXT: tuple[frozenset[Capability], int, int] = (frozenset(), 0, 0)
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
    """What a prompt has beside text. `payload_bytes` stand in the body but are not text to the model."""

    needs: frozenset[Capability]
    tokens: int
    payload_bytes: int


class _Source(msgspec.Struct, gc=False):
    type: str = ""
    content: msgspec.Raw = _NONE


_PARTS = msgspec.json.Decoder(list[Part])
_PART = msgspec.json.Decoder(Part)
_SOURCE = msgspec.json.Decoder(_Source)


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
    # Each level is decoded anew, so unbounded nesting would cost its square.
    for _ in range(_DEEPEST):
        inner: list[Part] = []
        for part in parts:
            need, part_tokens, part_bytes = _weigh(part, inner)
            needs |= need
            tokens += part_tokens
            payload_bytes += part_bytes
        if not inner:
            return Media(frozenset(needs), tokens, payload_bytes) if tokens else None
        parts = inner
    raise BadRequest(f"content: parts nested over {_DEEPEST} deep", param="content")


def _weigh(part: Part, inner: list[Part]) -> tuple[frozenset[Capability], int, int]:
    """What one part needs, its tokens and payload bytes. Parts inside it join `inner`."""
    if part.type in _IMAGES:
        return _VISION, MEDIA_TOKENS, len(part.image_url) + len(part.source)
    if part.type in _SOUNDS:
        size = len(part.input_audio)
        return _AUDIO, MEDIA_TOKENS + size // _BYTES_A_TOKEN, size
    if part.type not in _FILES:
        inner += _nested(part.content)
        return _TEXT
    if part.source:
        source = decode_body(_SOURCE, bytes(part.source))
        if source.type in ("text", "content"):
            inner += _nested(source.content)
            return _TEXT
    size = len(part.file) + len(part.file_data) + len(part.source)
    return _VISION, MEDIA_TOKENS + size // _BYTES_A_TOKEN, size
