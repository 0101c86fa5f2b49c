"""Error bodies: written in the shapes that the OpenAI and Anthropic SDKs know, read from any provider."""

import re

import msgspec

from trimtab.core import Surface
from trimtab.wire.sse import encode_event

_LONGEST = 500
_TITLE = re.compile(r"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)
_TAG = re.compile(r"<[^>]*>")
# Where providers put the sentence: OpenAI and Anthropic, FastAPI, Bedrock, problem+json.
_NAMES = ("error", "message", "detail", "errors", "Message", "msg", "title")

# OpenAI's code; then the words of Anthropic, OpenAI and vLLM, llama.cpp, SGLang and vLLM, Bedrock, Gemini, xAI.
_TOO_LONG = (
    "context_length_exceeded", "prompt is too long", "maximum context length", "context window",
    "exceed_context_size", "available context size", "longer than the model's context", "max_model_len",
    "maximum model length", "exceeds the model's context", "exceed context limit", "input is too long",
    "exceeds the maximum number of tokens", "maximum prompt length", "too many input tokens",
)  # fmt: skip


def openai_error(message: str, type: str, code: str | None, param: str | None) -> bytes:
    """An error body as the OpenAI API sends it (chat, Responses and embeddings)."""
    return msgspec.json.encode({"error": {"message": message, "type": type, "param": param, "code": code}})


def anthropic_error(message: str, type: str) -> bytes:
    """An error body as the Anthropic API sends it; also the data of a stream's `error` event."""
    return msgspec.json.encode({"type": "error", "error": {"type": type, "message": message}})


def error_event(surface: Surface, message: str, type: str, code: str) -> bytes:
    """The server-sent event that ends a broken stream, as clients of `surface` know it."""
    if surface == "messages":
        return encode_event(anthropic_error(message, "api_error"), "error")
    return encode_event(openai_error(message, type, code, None), "" if surface == "chat" else "error")


def error_message(body: bytes) -> str:
    """The best sentence for a person in an error body of whatever kind, at most 500 characters."""
    try:
        text = _sentence(msgspec.json.decode(body), 0)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # Cut before the text is cleaned: an error page may be megabytes.
        text = _plain(body[: 8 * _LONGEST].decode("utf-8", "replace"))
    return " ".join(text.split())[:_LONGEST]


def is_too_long(body: bytes) -> bool:
    """Whether an endpoint refused a request because its model's context cannot hold it."""
    said = body[: 16 * _LONGEST].decode("utf-8", "replace").lower()
    return any(words in said for words in _TOO_LONG)


def _sentence(value: object, depth: int) -> str:
    if isinstance(value, str):
        return value
    if depth > 4:
        return ""
    if isinstance(value, list):
        return next(filter(None, (_sentence(inner, depth + 1) for inner in value)), "")
    if not isinstance(value, dict):
        return ""
    text = next(filter(None, (_sentence(value.get(name), depth + 1) for name in _NAMES)), "")
    behind = value.get("metadata")
    # A router's own sentence says little; it hands on the provider's in `raw`.
    if text and isinstance(behind, dict) and isinstance(behind.get("raw"), str):
        return f"{text}: {behind['raw']}"
    return text


def _plain(text: str) -> str:
    title = _TITLE.search(text)
    if title:
        return title[1]
    return _TAG.sub(" ", text) if text.lstrip().startswith("<") else text
