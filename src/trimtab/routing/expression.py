"""A rule's condition: one CEL expression, compiled and checked once, evaluated for each call.

Language: the Common Expression Language (github.com/google/cel-spec), over the variables of `facts.py`.
`matches` compiles its regular expression at each evaluation (some 25 microseconds); prefer startsWith,
contains, in.
"""

import re
from collections.abc import Sequence

import cel

from trimtab.core import Attribution, Call
from trimtab.core.errors import ConfigError
from trimtab.routing.facts import VARIABLES, CallFacts

EVALUATION_ERRORS = (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError)
"""What the CEL library raises where an expression does not fit the values it meets."""

FUNCTIONS = frozenset(
    ("bytes", "contains", "double", "dyn", "endsWith", "int")
    + ("matches", "size", "startsWith", "string", "type", "uint")
)

_STRING_OR_COMMENT = re.compile(
    r"""//[^\n]*|[rR]?(?:\"{3}.*?\"{3}|'{3}.*?'{3}|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')""", re.DOTALL
)
_BOUND = re.compile(r"\.\s*(?:all|exists|exists_one|map|filter)\s*\(\s*([A-Za-z_]\w*)\s*,")
_NAME = re.compile(r"[A-Za-z_]\w*")

_SAMPLE = CallFacts(
    Call(
        id="sample",
        at=0.0,
        surface="chat",
        model="sample",
        who=Attribution("sample", "sample", "sample", "sample", "sample", "sample"),
        input_tokens=1000,
        max_output_tokens=1000,
        tools=("sample",),
    ),
    remaining_usd=1.0,
)


class Expression:
    """A compiled condition. `variables` are the names it reads, without those that only its macros bind."""

    def __init__(self, source: str, key: str) -> None:
        """Compiles `source`. Raises `ConfigError` with `key`, the expression and what is wrong with it."""
        self.source = source
        self._key = key
        try:
            self._program = cel.compile(source)
        except ValueError as error:
            raise self._wrong(_syntax_error(str(error))) from error
        bound = set(_BOUND.findall(_STRING_OR_COMMENT.sub("''", source)))
        names = self._program.variables()
        self.variables = tuple(name for name in names if name in VARIABLES or name not in bound)
        self._check_names()
        self._check_types()

    def holds(self, context: cel.Context) -> bool:
        """Whether the condition holds for the variables in `context`. Raises one of `EVALUATION_ERRORS`."""
        result = self._program.execute(context)
        if not isinstance(result, bool):
            raise TypeError(f"expected true or false, the result is {result!r}")
        return result

    def _check_names(self) -> None:
        if unknown := [name for name in self.variables if name not in VARIABLES]:
            raise self._wrong(f"{_place(self.source, unknown[0])}unknown variable {unknown[0]!r}")
        for name in self._program.functions():
            if _NAME.fullmatch(name) and name not in FUNCTIONS:
                known = ", ".join(sorted(FUNCTIONS))
                raise self._wrong(
                    f"{_place(self.source, name)}unknown function {name!r}; known functions: {known}"
                )

    def _check_types(self) -> None:
        """Evaluates a made-up call: types that never fit show here; what only some values upset may pass."""
        try:
            self.holds(cel.Context({name: VARIABLES[name](_SAMPLE) for name in self.variables}))
        except TypeError as error:
            raise self._wrong(str(error)) from error
        except EVALUATION_ERRORS as error:
            if "regex" in str(error):
                raise self._wrong(str(error)) from error

    def _wrong(self, what: str) -> ConfigError:
        known = ", ".join(sorted(VARIABLES))
        return ConfigError(f"in {self.source!r}: {what}; known variables: {known}", key=self._key)


def _syntax_error(message: str) -> str:
    found = re.search(r"ERROR: <input>:(\d+):(\d+): (.*)", message)
    if found is None:
        return message
    line, column, what = found.groups()
    return f"line {line}, column {column}: {what}"


def _place(source: str, name: str) -> str:
    blanked: Sequence[str] = _STRING_OR_COMMENT.sub(lambda found: " " * len(found[0]), source).split("\n")
    for number, line in enumerate(blanked, 1):
        if found := re.search(rf"(?<!\w){re.escape(name)}(?!\w)", line):
            return f"line {number}, column {found.start() + 1}: "
    return ""
