"""Values of runs as JSON: what a graph is given and what it gives back."""

from collections.abc import Mapping
from typing import Any

import msgspec

from trimtab.core.errors import BadRequest

_json = msgspec.json.Encoder(enc_hook=lambda value: _plain(value))


def input_of(text: bytes) -> object:
    """The input of a run. Raises BadRequest."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(f"the input is not JSON: {error}", param="input") from error


def json_of(value: object) -> bytes:
    """A graph's values as JSON: messages and models as their fields, what JSON has no word for as text."""
    return _json.encode(_with_text_keys(value))


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
    return value
