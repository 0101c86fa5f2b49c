"""What query strings say: whole numbers, yes or no."""

from starlette.datastructures import QueryParams

from trimtab.core.errors import BadRequest

_YES, _NO = ("true", "1", "yes"), ("false", "0", "no", "")
_MOST = 1_000_000_000
_DIGITS = len(str(_MOST))


def whole_of(query: QueryParams, name: str, default: int, *, least: int = 0, most: int = _MOST) -> int:
    """A whole number. Raises BadRequest."""
    text = query.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= _DIGITS and least <= int(text) <= most):
        raise BadRequest(f"{name} is a whole number from {least} to {most}, not {text[:40]!r}", param=name)
    return int(text)


def limit_of(query: QueryParams, default: int, most: int) -> int:
    """How many to list. Raises BadRequest."""
    return whole_of(query, "limit", default, least=1, most=most)


def is_yes(query: QueryParams, name: str) -> bool:
    """What is true or false, false where it is left out. Raises BadRequest."""
    text = query.get(name, "").lower()
    if text not in (*_YES, *_NO):
        raise BadRequest(f"{name} is true or false, not {text[:40]!r}", param=name)
    return text in _YES
