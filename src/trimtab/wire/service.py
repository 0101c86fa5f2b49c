"""Terms of service that cost more or less than the standard ones: what a request asks for, what it got.

Called by `dispatch` when an attempt is settled; requests that name none of the fields are not decoded.
"""

import re

import msgspec

_FIELDS = ("service_tier", "speed", "inference_geo")
_NAMED = re.compile("|".join(f'"{field}"' for field in _FIELDS).encode())
_STANDARD = frozenset(("auto", "default", "standard", "standard_only", "normal", "global", "not_available"))


class _Asked(msgspec.Struct, gc=False):
    service_tier: object = None
    speed: object = None
    inference_geo: object = None


_ASKED = msgspec.json.Decoder(_Asked)


def names_service(body: bytes) -> bool:
    """Whether a request may ask for a service other than the standard one."""
    return _NAMED.search(body) is not None


def special_service(body: bytes, told: tuple[tuple[str, str], ...]) -> tuple[str, ...]:
    """The terms other than the standard ones under which a request was served, such as `priority` or `fast`.

    What the reply told of a field counts; else what the request asked for.
    """
    terms = dict(_asked(body)) if names_service(body) else {}
    if not terms and not told:
        return ()
    terms |= told
    return tuple(value for value in terms.values() if value not in _STANDARD)


def _asked(body: bytes) -> list[tuple[str, str]]:
    try:
        asked = _ASKED.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return []
    named = ((field, getattr(asked, field)) for field in _FIELDS)
    return [(field, value) for field, value in named if isinstance(value, str) and value]
