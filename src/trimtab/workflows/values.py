"""Values of runs as JSON: what a graph is given and what it gives back."""

from collections.abc import Mapping

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
