"""The types of the settings, by key: what a key of trimtab.toml may hold, in words for people.

`decode.py` asks it for error messages, `reference.py` for the configuration reference.
"""

import difflib
from collections.abc import Iterable

import msgspec
from msgspec import inspect

from trimtab.config.settings import Settings
from trimtab.config.source import Key

_WORDS: dict[type[inspect.Type], str] = {
    inspect.StrType: "text",
    inspect.IntType: "a whole number",
    inspect.FloatType: "a number",
    inspect.BoolType: "true or false",
    inspect.StructType: "a table",
    inspect.DictType: "a table",
    inspect.VarTupleType: "a list",
}


def root_type() -> inspect.StructType:
    """The type of the whole file."""
    root = inspect.type_info(Settings)
    assert isinstance(root, inspect.StructType)
    return root


def plain(kind: inspect.Type) -> inspect.Type:
    """A type without its description and without `| None`."""
    if isinstance(kind, inspect.Metadata):
        return plain(kind.type)
    if isinstance(kind, inspect.UnionType):
        return plain(next(part for part in kind.types if not isinstance(part, inspect.NoneType)))
    return kind


def description(kind: inspect.Type) -> str:
    """What `Meta(description=...)` says of a field."""
    if not isinstance(kind, inspect.Metadata):
        return ""
    return str((kind.extra_json_schema or {}).get("description", ""))


def type_at(key: Key) -> inspect.Type | None:
    """The type a key must have, with its description; None where there is no such key."""
    kind: inspect.Type = root_type()
    for part in key:
        found = _inside(plain(kind), part)
        if found is None:
            return None
        kind = found
    return kind


def _inside(kind: inspect.Type, part: str | int) -> inspect.Type | None:
    if isinstance(kind, inspect.StructType):
        return next((field.type for field in kind.fields if field.encode_name == part), None)
    if isinstance(kind, inspect.DictType):
        return kind.value_type
    if isinstance(kind, inspect.VarTupleType):
        return kind.item_type
    return None


def keys_at(key: Key) -> list[str]:
    """The keys a table may have; empty where any key goes, or where there is no such table."""
    kind = type_at(key)
    table = None if kind is None else plain(kind)
    return [field.encode_name for field in table.fields] if isinstance(table, inspect.StructType) else []


def choices(kind: inspect.Type) -> list[str]:
    """The values of a closed set; empty for any other type."""
    bare = plain(kind)
    return [str(value) for value in bare.values] if isinstance(bare, inspect.LiteralType) else []


def in_words(kind: inspect.Type) -> str:
    """What a value must be: `a whole number (0 to 65535)`, `one of "process", "disk"`."""
    allowed = choices(kind)
    if allowed:
        return one_of(allowed)
    bare = plain(kind)
    within = bounds(bare)
    words = _WORDS[type(bare)]
    if isinstance(bare, inspect.VarTupleType):
        words = f"a list, each {in_words(bare.item_type)}"
    return f"{words} ({within})" if within else words


def bounds(kind: inspect.Type) -> str:
    """The limits of a number, a text's or a list's length; empty where there are none."""
    bare = plain(kind)
    if isinstance(bare, inspect.IntType | inspect.FloatType):
        return _range(bare)
    if isinstance(bare, inspect.StrType):
        if bare.max_length:
            return f"1 to {bare.max_length} printable characters"
        return "not empty" if bare.min_length else ""
    if isinstance(bare, inspect.VarTupleType):
        return "at least one" if bare.min_length else ""
    return ""


def _range(kind: inspect.IntType | inspect.FloatType) -> str:
    if kind.ge is not None and kind.le is not None:
        return f"{number(kind.ge)} to {number(kind.le)}"
    low = f"above {number(kind.gt)}" if kind.gt is not None else ""
    low = f"{number(kind.ge)} or more" if kind.ge is not None else low
    high = f"at most {number(kind.le)}" if kind.le is not None else ""
    return ", ".join(filter(None, [low, high]))


def number(value: float) -> str:
    """A number as people write it in TOML: 8080, 16_777_216, 0.5."""
    return f"{value:_}" if abs(value) >= 100_000 else f"{value}"


def one_of(values: Iterable[str]) -> str:
    """`one of "process", "disk"`."""
    return "one of " + ", ".join(quoted(value) for value in values)


def close_to(name: str, known: Iterable[str]) -> str:
    """`; did you mean "port"?`, or nothing where nothing is close."""
    near = difflib.get_close_matches(name[:200], sorted(known), n=3, cutoff=0.6)
    return f"; did you mean {' or '.join(quoted(match) for match in near)}?" if near else ""


def quoted(value: object) -> str:
    """A value as it stands in TOML, cut to a length that fits in a message."""
    if isinstance(value, dict | list):
        kind = "table" if isinstance(value, dict) else "list"
        return f"a {kind}" if value else f"an empty {kind}"
    if isinstance(value, str):
        text = msgspec.json.encode(value.encode("utf-8", "replace").decode()).decode()
    elif isinstance(value, bool):
        text = "true" if value else "false"
    else:
        text = str(value) if not isinstance(value, int) or abs(value) < 1 << 200 else "a huge number"
    return text if len(text) <= 60 else f"{text[:57]}..."
