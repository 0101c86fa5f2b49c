"""The parts of a prompt that are not text: how many images, sounds and files it has, and what they may cost
in tokens. Serves `request` only; the shapes are those of chat, Messages and Responses side by side.
"""

from collections.abc import Sequence

import msgspec

from trimtab.core import Capability
from trimtab.wire.body import decode_body

MEDIA_TOKENS = 50_000
HOSTED_TOOL_TOKENS = 50_000
# A page of a file that comes inline is taken for a token per 16 bytes of base64, a sound likewise.
_BYTES_A_TOKEN = 16

_IMAGES = ("image_url", "image", "input_image", "computer_screenshot", "video_url")
_SOUNDS = ("input_audio", "audio", "audio_url")
_FILES = ("file", "input_file", "document", "container_upload")
_NONE = msgspec.Raw(b"")


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
    """Parts inside a value that may also be text or one object."""
    data = bytes(raw)
    if data.startswith(b"["):
        return decode_body(_PARTS, data)
    return [decode_body(_PART, data)] if data.startswith(b"{") else []


def _sum_up(parts: list[Part]) -> Media | None:
    needs: set[Capability] = set()
    tokens = payload_bytes = 0
    while parts:
        part = parts.pop()
        if part.type in _IMAGES:
            needs.add("vision")
            tokens += MEDIA_TOKENS
            payload_bytes += len(part.image_url) + len(part.source)
        elif part.type in _SOUNDS:
            needs.add("audio")
            tokens += MEDIA_TOKENS + len(part.input_audio) // _BYTES_A_TOKEN
            payload_bytes += len(part.input_audio)
        elif part.type in _FILES:
            file_bytes = _file_bytes(part, parts)
            if file_bytes is not None:
                needs.add("vision")
                tokens += MEDIA_TOKENS + file_bytes // _BYTES_A_TOKEN
                payload_bytes += file_bytes
        elif part.content:
            parts += _nested(part.content)
    return Media(frozenset(needs), tokens, payload_bytes) if tokens else None


def _file_bytes(part: Part, parts: list[Part]) -> int | None:
    """Bytes of a file's payload; None for a document that is text, whose nested parts join `parts`."""
    if part.source:
        source = decode_body(_SOURCE, bytes(part.source))
        if source.type in ("text", "content"):
            parts += _nested(source.content)
            return None
    return len(part.file) + len(part.file_data) + len(part.source)
