"""From the tables that `tomllib` read to typed settings, with errors that say what was expected and got.

msgspec does the checking. Its message is put into TOML's words here; its path is made exact first, because it
writes `[...]` for the keys of free tables (`[policy.NAME]`).
"""

import math
import re
from typing import Any

import msgspec
from msgspec import inspect

from trimtab.config import schema
from trimtab.config.settings import Settings
from trimtab.config.source import Key, Source, key_text
from trimtab.core.errors import ConfigError

_SIXTY_FOUR_BITS = 1 << 63
_WHERE = re.compile(r"(?P<what>.*?)(?: - at (?:`(?P<of_key>key)` in )?`\$(?P<path>.*)`)?", re.DOTALL)
_STEP = re.compile(r"\.(\w+)|\[(\d+|\.\.\.)\]")
_FIELD = re.compile(r"Object (?P<fault>contains unknown|missing required) field `(?P<name>.*)`", re.DOTALL)


def decode(raw: dict[str, Any], source: Source) -> Settings:
    """Typed settings from the tables of the file. Raises ConfigError."""
    _check_numbers(raw, source)
    try:
        return msgspec.convert(raw, Settings)
    except msgspec.ValidationError as error:
        raise explained(str(error), raw, source) from None


def _check_numbers(raw: dict[str, Any], source: Source) -> None:
    """TOML has `inf`, `nan` and integers without end; no setting may hold them."""
    waiting: list[tuple[Key, object]] = [((), raw)]
    while waiting:
        key, value = waiting.pop()
        if isinstance(value, dict):
            waiting.extend(((*key, name), inner) for name, inner in value.items())
        elif isinstance(value, list):
            waiting.extend(((*key, index), inner) for index, inner in enumerate(value))
        elif fault := number_fault(value):
            raise source.error(key, fault)


def number_fault(value: object) -> str:
    """Why a number cannot be a setting; empty where it can, and for all that is no number."""
    if isinstance(value, float) and not math.isfinite(value):
        return f"expected a finite number, got {value}; to have no limit, leave it out"
    if isinstance(value, int) and not -_SIXTY_FOUR_BITS <= value < _SIXTY_FOUR_BITS:
        return f"expected a number of at most 64 bits, got {schema.quoted(value)}"
    return ""


def explained(message: str, raw: dict[str, Any], source: Source) -> ConfigError:
    """msgspec's refusal of `raw` as a ConfigError in the words of the file."""
    where = _WHERE.fullmatch(message)
    assert where is not None
    key, of_key = _exact_key(where["path"] or "", message, raw), bool(where["of_key"])
    if of_key:
        return _wrong_key_of(key, message, raw, source)
    field = _FIELD.fullmatch(where["what"])
    if field is None:
        return source.error(key, _wrong_value(key, _value_at(raw, key)))
    if field["fault"] == "contains unknown":
        return source.error((*key, field["name"]), _unknown_key(key, field["name"]))
    return source.error(key, _missing_key(key, field["name"]))


def _exact_key(path: str, message: str, raw: dict[str, Any]) -> Key:
    """msgspec's path with each `[...]` replaced by the key whose value alone is refused with `message`."""
    key: Key = ()
    for name, index in _STEP.findall(path):
        part = _culprit(key, message, raw) if index == "..." else name or int(index)
        key = (*key, part)
    return key


def _culprit(key: Key, message: str, raw: dict[str, Any]) -> str:
    table: dict[str, Any] = _value_at(raw, key)
    for name, value in table.items():
        if _refusal(_with_value(raw, key, {name: value})) == message:
            return name
    raise AssertionError(message)


def _refusal(raw: dict[str, Any]) -> str:
    try:
        msgspec.convert(raw, Settings)
    except msgspec.ValidationError as error:
        return str(error)
    return ""


def _value_at(raw: Any, key: Key) -> Any:  # noqa: ANN401 - what tomllib read, before it has a type
    for part in key:
        raw = raw[part]
    return raw


def _with_value(raw: Any, key: Key, value: Any) -> Any:  # noqa: ANN401 - as above
    if not key:
        return value
    copy = raw.copy()
    copy[key[0]] = _with_value(raw[key[0]], key[1:], value)
    return copy


def _wrong_key_of(key: Key, message: str, raw: dict[str, Any], source: Source) -> ConfigError:
    name = _culprit(key, message, raw)
    kind = schema.type_at(key)
    table = None if kind is None else schema.plain(kind)
    known = schema.choices(table.key_type) if isinstance(table, inspect.DictType) else []
    return source.error(
        (*key, name), f"unknown key, expected {schema.one_of(known)}{schema.close_to(name, known)}"
    )


def _unknown_key(table: Key, name: str) -> str:
    known = schema.keys_at(table)
    where = f"[{key_text(table)}]" if table else "the file"
    near = schema.close_to(name, known)
    return f"unknown key{near}" if near else f"unknown key; {where} may have {', '.join(known)}"


def _missing_key(table: Key, name: str) -> str:
    kind = schema.type_at((*table, name))
    about = f" ({schema.description(kind)})" if kind is not None and schema.description(kind) else ""
    return f"the key `{name}` is missing{about}; add `{name} = ...`"


def _wrong_value(key: Key, value: object) -> str:
    kind = schema.type_at(key)
    assert kind is not None
    about = schema.description(kind)
    near = schema.close_to(str(value), schema.choices(kind)) if isinstance(value, str) else ""
    expected = f"expected {schema.in_words(kind)}, got {schema.quoted(value)}"
    return f"{expected}{near}{_remedy(key, schema.plain(kind), value)}{f' ({about})' if about else ''}"


def _remedy(key: Key, kind: inspect.Type, value: object) -> str:
    header = key_text(key)
    if isinstance(value, dict) and isinstance(kind, inspect.VarTupleType) and len(key) == 1:
        return f"; write [[{header}]] with two brackets, once for each"
    if isinstance(value, list) and isinstance(kind, inspect.StructType) and "[" not in header:
        return f"; write [{header}] with one pair of brackets"
    if isinstance(kind, inspect.VarTupleType) and not isinstance(value, list):
        return "; put it in brackets: [ ... ]"
    if isinstance(kind, inspect.StrType) and not isinstance(value, str | list | dict):
        return '; put it in quotes: "..."'
    if isinstance(value, str) and isinstance(kind, inspect.IntType | inspect.FloatType | inspect.BoolType):
        return "; write it without quotes"
    return ""
