"""The settings as lines: each key, its value without secrets, and where it was set. Pure."""

from collections.abc import Iterator, Mapping

import msgspec

from trimtab.config import Key, Loaded, Source, key_text
from trimtab.console.masks import HIDDEN, is_secret, masked

_LONGEST = 600
# All values of these tables are hidden: any header may be somebody's key.
_HIDDEN_TABLES = frozenset(("headers",))


class SettingLine(msgspec.Struct, frozen=True):
    """One key. `source` is `FILE:LINE`, a variable's name, an option of the command line, or '' for the default."""

    key: str
    value: str
    source: str


def setting_lines(loaded: Loaded) -> list[SettingLine]:
    """Every key there is, in the order of the reference."""
    return [
        SettingLine(key_text(key), _shown(key, value), _source(loaded.source, key))
        for key, value in _leaves(loaded.settings, ())
    ]


def _leaves(value: object, key: Key) -> Iterator[tuple[Key, object]]:
    if isinstance(value, msgspec.Struct):
        for field in msgspec.structs.fields(value):
            yield from _leaves(getattr(value, field.name), (*key, field.encode_name))
    elif isinstance(value, Mapping) and value:
        for name, inner in value.items():
            yield from _leaves(inner, (*key, str(name)))
    elif isinstance(value, tuple) and value and isinstance(value[0], msgspec.Struct):
        for index, inner in enumerate(value):
            yield from _leaves(inner, (*key, index))
    else:
        yield key, value


def _shown(key: Key, value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, str) and value and _is_hidden(key):
        return HIDDEN
    if isinstance(value, float):
        return f"{value:.15g}"
    if isinstance(value, str):
        value = masked(value)
    elif isinstance(value, tuple):
        value = [masked(each) if isinstance(each, str) else each for each in value]
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _is_hidden(key: Key) -> bool:
    """Names that people chose, such as a workflow's, make no secret of what is below them."""
    return is_secret(str(key[-1])) or not _HIDDEN_TABLES.isdisjoint(key)


def _source(source: Source, key: Key) -> str:
    variable = source.variables.get(key)
    if variable is not None:
        return variable
    line = source.lines.get(key)
    return "" if line is None else f"{source.file}:{line}"
