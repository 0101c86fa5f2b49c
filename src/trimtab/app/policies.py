"""Builds the routing policies that settings name, loading the user's own functions where they name some."""

import importlib
from collections.abc import Callable, Iterable

import msgspec

from trimtab.config import Loaded, PolicySettings, Settings, is_function
from trimtab.core.errors import ConfigError
from trimtab.routing import Policy, Rule, RuleBook, build_policy


def load_function(name: str) -> Callable[..., object]:
    """The callable `module:function` names. Raises ConfigError."""
    module, _, attribute = name.partition(":")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"{name!r} cannot be loaded: {error}; is its folder on PYTHONPATH?") from error
    if not callable(found):
        raise ConfigError(f"{name!r} is a {type(found).__name__}, expected a function")
    return found  # type: ignore[no-any-return]


def check_rules(loaded: Loaded) -> None:
    """Compile every rule's expression. Raises ConfigError that names its line in the file."""
    for at, rule in enumerate(loaded.settings.rule):
        try:
            RuleBook([Rule(rule.name or "rule", rule.when)])
        except ConfigError as error:
            raise loaded.source.error(("rule", at, "when"), error.message) from error


def policies_of(settings: Settings) -> dict[str, Policy]:
    """Every policy that a rule, a model or the default names, by that name. Raises ConfigError."""
    named = {settings.default_policy}
    named |= {rule.policy for rule in settings.rule} | {model.policy for model in settings.model}
    return {name: _build(name, settings) for name in sorted(named - {""})}


def _build(name: str, settings: Settings) -> Policy:
    known = settings.policy.get(name)
    kind = name if known is None else known.kind
    options = {} if known is None else _options(known)
    if not is_function(kind):
        return build_policy(kind, options)
    return build_policy("python", options | {"function": kind}, {kind: load_function(kind)})


def _options(known: PolicySettings) -> dict[str, object]:
    """The options that were set; `models` is the router's business."""
    options: dict[str, object] = {}
    for field in msgspec.structs.fields(known):
        value = getattr(known, field.name)
        default = field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
        if field.name not in ("kind", "models") and value != default:
            options[field.name] = msgspec.to_builtins(value)
    return options


def verifier_functions(settings: Settings) -> dict[str, Callable[..., object]]:
    """The functions that `python` verifiers name. Raises ConfigError."""
    return {name: load_function(name) for name in _python_verifiers(settings)}


def _python_verifiers(settings: Settings) -> Iterable[str]:
    for policy in settings.policy.values():
        for verifier in policy.verifiers:
            if verifier.kind == "python":
                yield verifier.value
