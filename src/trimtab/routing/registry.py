"""The policies by the name settings give them. A new policy is one file and one line here."""

import re
from collections.abc import Callable, Mapping
from typing import TypeVar

import msgspec

from trimtab.core.errors import ConfigError
from trimtab.routing.cascade import Cascade
from trimtab.routing.cheapest import Cheapest
from trimtab.routing.fastest import Fastest
from trimtab.routing.pinned import Pinned
from trimtab.routing.policy import Functions, Policy
from trimtab.routing.python import PythonOptions, build_python
from trimtab.routing.weighted import Weighted

Settings = Mapping[str, object]
_Options = TypeVar("_Options", bound=msgspec.Struct)

_FAULT = re.compile(r"(?P<what>.*?)(?: - at `\$\.?(?P<path>.*)`)?", re.DOTALL)

_FACTORIES: dict[str, Callable[[Settings, Functions], Policy]] = {
    "cascade": lambda settings, _: read_options("cascade", Cascade, settings),
    "cheapest": lambda settings, _: read_options("cheapest", Cheapest, settings),
    "fastest": lambda settings, _: read_options("fastest", Fastest, settings),
    "pinned": lambda settings, _: read_options("pinned", Pinned, settings),
    "python": lambda settings, functions: build_python(
        read_options("python", PythonOptions, settings), functions
    ),
    "weighted": lambda settings, _: read_options("weighted", Weighted, settings),
}

POLICY_NAMES = tuple(_FACTORIES)


def build_policy(name: str, options: Settings, functions: Functions | None = None) -> Policy:
    """The policy `name` with `options` as settings hold them; `functions` are those that `python` may name.

    Raises `ConfigError` that names the key and what was expected there.
    """
    factory = _FACTORIES.get(name)
    if factory is None:
        known = ", ".join(POLICY_NAMES)
        raise ConfigError(f"unknown policy {name!r}, expected one of: {known}", key="policy")
    return factory(options, functions or {})


def read_options(name: str, kind: type[_Options], settings: Settings) -> _Options:
    """`settings` as the options struct `kind`. Raises `ConfigError` with the key `name.field`."""
    try:
        return msgspec.convert(dict(settings), kind)
    except msgspec.ValidationError as error:
        found = _FAULT.fullmatch(str(error))
        what, path = (found["what"], found["path"]) if found else (str(error), "")
        fields = ", ".join(kind.__struct_fields__)
        hint = f" (the options of {name!r} are: {fields})" if "field" in what else ""
        raise ConfigError(what + hint, key=f"{name}.{path}" if path else name) from error
