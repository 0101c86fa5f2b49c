"""A client's body as JSON: decoded into a type or refused by naming the field, rewritten field by field,
put into canonical form. Every reader of client bytes in this room goes through `decode_body`.
"""

import re
from collections.abc import Mapping
from typing import TypeVar

import msgspec

from trimtab.core.errors import BadRequest

# A field left as bytes that is absent or null; `Raw | None` is no type to msgspec.
NULL = msgspec.Raw(b"null")

_T = TypeVar("_T")
_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ANY_FIELDS = msgspec.json.Decoder(dict[str, object])
_PLACE = re.compile(r"^(?P<what>.*?)(?: - at `(?P<key>key in )?\$\.?(?P<path>.*)`)?$", re.DOTALL)
_MISSING = re.compile(r"^Object missing required field `(?P<field>.*)`$")
# They say who asks and how to deliver, not what to answer.
_VOLATILE = (
    "stream",
    "stream_options",
    "user",
    "metadata",
    "store",
    "safety_identifier",
    "prompt_cache_key",
)


def decode_body(decoder: "msgspec.json.Decoder[_T]", body: bytes) -> _T:
    """`body` as the decoder's type. Raises BadRequest with `param` naming the field at fault."""
    try:
        # msgspec passes over the bytes of fields it is not asked for, so their encoding is checked here.
        if not body.isascii():
            body.decode()
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise _refusal(str(error)) from None
    except msgspec.DecodeError as error:
        raise BadRequest(f"body: expected JSON; {error}", code="invalid_json") from None
    except UnicodeDecodeError as error:
        message = f"body: expected UTF-8; {error.reason} at byte {error.start}"
        raise BadRequest(message, code="invalid_json") from None
    except RecursionError:
        raise BadRequest("body: nested too deeply", code="invalid_json") from None


def rewrite(body: bytes, changes: Mapping[str, bytes]) -> bytes:
    """`body` with top-level fields set to raw JSON values; b'' removes a field. All others keep their bytes.

    A field that differs from a changed one in case only is removed: some endpoints would take it for that
    one. Raises BadRequest where `body` is not a JSON object.
    """
    fields = decode_body(_FIELDS, body)
    changed = {name.lower() for name in changes}
    for name in [name for name in fields if name not in changes and name.lower() in changed]:
        del fields[name]
    for name, value in changes.items():
        if value:
            fields[name] = msgspec.Raw(value)
        else:
            fields.pop(name, None)
    return msgspec.json.encode(fields)


def canonical(body: bytes) -> bytes:
    """The same bytes for requests that ask for the same: keys sorted, fields of no bearing on the reply gone.

    For the key of the exact cache. Raises BadRequest where `body` is not a JSON object.
    """
    fields = decode_body(_ANY_FIELDS, body)
    for name in _VOLATILE:
        fields.pop(name, None)
    return msgspec.json.encode(fields, order="sorted")


def _refusal(text: str) -> BadRequest:
    """A msgspec complaint in the words of the API: `max_tokens: expected int >= 1, got str`."""
    parts = _PLACE.match(text)
    assert parts is not None
    what, path = parts["what"].replace("`", ""), parts["path"] or ""
    missing = _MISSING.match(parts["what"])
    if missing:
        path = f"{path}.{missing['field']}" if path else missing["field"]
        what = "missing"
    elif what:
        what = what[0].lower() + what[1:].replace(" | null", "")
    return BadRequest(f"{path or 'body'}: {what}", param=path or None)
