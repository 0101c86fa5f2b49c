"""Values of runs as JSON: what a graph is given and what it gives back."""

from collections.abc import Mapping
from typing import Any

import msgspec

from trimtab.core.errors import BadRequest

_MOST_BITS = 63
_json = msgspec.json.Encoder(enc_hook=lambda value: _with_text_keys(_plain(value)))


def input_of(text: bytes) -> object:
    """The input of a run. Raises BadRequest."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(f"the input is not JSON: {error}", param="input") from error


def json_of(value: object) -> bytes:
    """A graph's values as JSON: messages and models as their fields, what JSON has no word for as text, whole numbers
    of any size exactly."""
    return _json.encode(_with_text_keys(value))


def failure_of(error: str) -> dict[str, str]:
    """A run's error as the SDKs read it: of which kind, and what it says."""
    kind, _, message = error.partition(": ")
    return {"error": kind, "message": message or kind}


def facts_text(facts: Mapping[str, Any]) -> str:
    """Metadata as it is stored. Raises BadRequest for what PostgreSQL cannot look into."""
    if _has_nul(facts):
        raise BadRequest("metadata has a NUL character; leave it out", param="metadata")
    return msgspec.json.encode(facts).decode()


def _has_nul(value: object) -> bool:
    if isinstance(value, Mapping):
        return any(_has_nul(name) or _has_nul(inner) for name, inner in value.items())
    if isinstance(value, list | tuple):
        return any(_has_nul(inner) for inner in value)
    return isinstance(value, str) and "\0" in value


def _plain(value: object) -> object:
    dump = getattr(value, "model_dump", None)
    if callable(dump):
        return dump()
    if isinstance(value, Mapping):
        return dict(value)
    return str(value)


def _with_text_keys(value: object) -> object:
    if isinstance(value, dict):
        return {
            key if isinstance(key, str | int | float) else str(key): _with_text_keys(inner)
            for key, inner in value.items()
        }
    if type(value) in (list, tuple):
        return [_with_text_keys(inner) for inner in value]  # type: ignore[attr-defined]
    if type(value) is int and value.bit_length() > _MOST_BITS:
        return msgspec.Raw(_digits(value))
    return value


def _digits(value: int) -> bytes:
    """A whole number that msgspec does not write, exactly; one too long even for Python's own words as hexadecimal
    text."""
    try:
        return str(value).encode()
    except ValueError:
        return f'"{value:#x}"'.encode()
