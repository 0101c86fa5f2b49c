"""Rules from settings: `[[rule]] when = "<CEL>"` picks the policy and models of the calls it matches.

The first rule that holds wins. A rule that fails on a call does not match it, and says so for the log.
"""

from collections.abc import Callable, Iterable

import cel
import msgspec

from trimtab.core.errors import ConfigError
from trimtab.routing.expression import EVALUATION_ERRORS, Expression
from trimtab.routing.facts import VARIABLES, CallFacts


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`policy` and `models` empty: those that would serve anyway.

    `when` reads the variables of `facts.VARIABLES`; the default matches every call.
    """

    name: str
    when: str = "true"
    policy: str = ""
    models: tuple[str, ...] = ()


class Fault(msgspec.Struct, frozen=True, gc=False):
    """A rule that could not be evaluated on a call, and why."""

    rule: str
    reason: str


class Match(msgspec.Struct, frozen=True, gc=False):
    """The rule that won, None where none holds, and the rules before it that failed."""

    rule: Rule | None = None
    faults: tuple[Fault, ...] = ()


class _Line(msgspec.Struct, frozen=True):
    """`fresh`: variables this rule reads and none before it does: each is converted once a call."""

    rule: Rule
    expression: Expression
    fresh: tuple[tuple[str, Callable[[CallFacts], object]], ...]


class RuleBook:
    """Rules in their order, compiled once."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        """Raises `ConfigError` for an expression that cannot be used and for a name given twice."""
        lines: list[_Line] = []
        seen: set[str] = set()
        names: set[str] = set()
        for rule in rules:
            if rule.name in names:
                raise ConfigError(f"two rules are named {rule.name!r}", key="rule.name")
            expression = Expression(rule.when, f"rule.{rule.name}.when")
            fresh = tuple((name, VARIABLES[name]) for name in expression.variables if name not in seen)
            names.add(rule.name)
            seen.update(expression.variables)
            lines.append(_Line(rule, expression, fresh))
        self._lines = tuple(lines)

    def match(self, facts: CallFacts) -> Match:
        """The first rule that holds for `facts`. Never raises."""
        context = cel.Context()
        faults: list[Fault] = []
        for line in self._lines:
            try:
                for name, read in line.fresh:
                    context.add_variable(name, read(facts))
                if line.expression.holds(context):
                    return Match(line.rule, tuple(faults))
            except EVALUATION_ERRORS as error:
                faults.append(Fault(line.rule.name, str(error)))
        return Match(None, tuple(faults))
