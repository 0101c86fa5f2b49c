"""Whether an item's value fits a filter of LangGraph's store: equal values, or `$eq $ne $gt $gte $lt $lte`."""

import operator
from collections.abc import Callable, Mapping
from typing import Any

from trimtab.core.errors import BadRequest

_COMPARED: Mapping[str, Callable[[Any, Any], bool]] = {
    "$eq": operator.eq,
    "$ne": operator.ne,
    "$gt": operator.gt,
    "$gte": operator.ge,
    "$lt": operator.lt,
    "$lte": operator.le,
}
_EQUALITY = ("$eq", "$ne")


def fits(value: Mapping[str, Any], asked: Mapping[str, Any]) -> bool:
    """Whether every field is as it is asked for; an order is asked only among numbers or among texts.

    Raises BadRequest for an operator that is none of these.
    """
    return all(_fits(value.get(name), wanted) for name, wanted in asked.items())


def _fits(found: Any, wanted: Any) -> bool:  # noqa: ANN401 - any JSON
    if isinstance(wanted, Mapping):
        if any(name.startswith("$") for name in wanted):
            return all(_compare(name, found, than) for name, than in wanted.items())
        return isinstance(found, Mapping) and all(
            _fits(found.get(name), inner) for name, inner in wanted.items()
        )
    if isinstance(wanted, list | tuple):
        same_length = isinstance(found, list) and len(found) == len(wanted)
        return same_length and all(map(_fits, found, wanted))
    return _is_same(found, wanted)


def _compare(name: str, found: Any, than: Any) -> bool:  # noqa: ANN401 - any JSON
    compare = _COMPARED.get(name)
    if compare is None:
        raise BadRequest(
            f"{name!r} is no operator of a filter; there are {', '.join(_COMPARED)}", param="filter"
        )
    if name in _EQUALITY:
        return compare(_is_same(found, than), True)
    numbers = _is_number(found) and _is_number(than)
    texts = isinstance(found, str) and isinstance(than, str)
    return (numbers or texts) and compare(found, than)


def _is_same(one: Any, other: Any) -> bool:  # noqa: ANN401 - any JSON
    """Equal as JSON: true is not 1."""
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def _is_number(value: Any) -> bool:  # noqa: ANN401 - any JSON
    return isinstance(value, int | float) and not isinstance(value, bool)
