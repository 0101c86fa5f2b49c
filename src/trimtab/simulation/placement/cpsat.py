"""OR-tools CP-SAT, which the extra `place` installs; imported only when a placement is solved."""

from types import ModuleType
from typing import Any

from trimtab.core.errors import ConfigError


def cp_model() -> ModuleType:
    """The module. Raises ConfigError where it is not installed."""
    try:
        from ortools.sat.python import cp_model
    except ModuleNotFoundError as error:
        raise ConfigError(f"{error.name} is not installed: pip install 'trimtab[place]'") from error
    module: Any = cp_model
    return module  # type: ignore[no-any-return]
