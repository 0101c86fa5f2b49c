"""Recipes learned from recorded tool calls: which sources their arguments were copied from.

A greedy cover: the recipe that explains most tasks' calls is kept first, until what is left is too rare to trust.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, product

import msgspec

from trimtab.controllers import Ingredient, Json, Pantry, Recipe, ToolCall, Value

_MOST_SOURCES = 6
_MOST_JOINT = 200
_PREFIXES = 2
_SHARED = 0.9
_MANY = 3
_ALIKE = 3
_NEARLY = 0.8
_MOST_SAID = 64
# What people say and write alike: words, no identifiers and no numbers.
_SAYABLE = re.compile(r"[^\W\d_]+(?:[ .&'/-]{1,2}[^\W\d_]+)*\.?")
Options = Mapping[tuple[str, str], tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Example:
    """A recorded call with the values that stood before it; `task` groups what is not independent."""

    call: ToolCall
    values: Sequence[Value]
    task: str


@dataclass(frozen=True, slots=True)
class _Explained:
    """One example with, for each argument, the values that explain it by ingredient."""

    task: str
    ways: tuple[dict[Ingredient, tuple[Value, ...]], ...]


def learn_recipes(
    examples: Iterable[Example], least_tasks: int = 2, least_constant_tasks: int = 4
) -> tuple[Recipe, ...]:
    """The recipes of every tool, the most used first."""
    by_form: dict[tuple[str, tuple[str, ...]], list[Example]] = defaultdict(list)
    examples = list(examples)
    options = _options(examples, least_constant_tasks)
    for example in examples:
        by_form[example.call.name, tuple(sorted(example.call.arguments))].append(example)
    found: list[Recipe] = []
    for (tool, arguments), alike in sorted(by_form.items()):
        constants = _constants(alike, least_constant_tasks)
        explained = [_explain(example, arguments, constants, options) for example in alike]
        found.extend(_cover(tool, [one for one in explained if one is not None], least_tasks))
    return tuple(sorted(found, key=lambda recipe: (-recipe.support, recipe.id)))


def _constants(examples: Sequence[Example], least: int) -> set[tuple[str, str]]:
    tasks: dict[tuple[str, str], set[str]] = defaultdict(set)
    for example in examples:
        for name, value in example.call.arguments.items():
            tasks[name, _encoded(value)].add(example.task)
    return {key for key, seen in tasks.items() if len(seen) >= least}


def _options(examples: Sequence[Example], least: int) -> Options:
    """The values of each tool's arguments that many tasks shared and that can be said; arguments that have some of
    them in common are of one kind (all the cities, whichever tool takes them) and share all."""
    tasks: dict[tuple[str, str], dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for example in examples:
        for name, value in example.call.arguments.items():
            if isinstance(value, str) and len(value) <= _MOST_SAID and _SAYABLE.fullmatch(value):
                tasks[example.call.name, name][value].add(example.task)
    found: dict[tuple[str, str], tuple[str, ...]] = {}
    for kind in _kinds(tasks):
        shared: dict[str, set[str]] = defaultdict(set)
        for argument in kind:
            for value, seen in tasks[argument].items():
                shared[value] |= seen
        kept = tuple(sorted(value for value, seen in shared.items() if len(seen) >= least))
        found |= dict.fromkeys(kind, kept)
    return found


def _kinds(values: Mapping[tuple[str, str], Mapping[str, object]]) -> list[list[tuple[str, str]]]:
    """The arguments in groups that have _ALIKE of their values in common with another of the group."""
    kinds: list[list[tuple[str, str]]] = []
    for argument in sorted(values):
        alike = [
            kind
            for kind in kinds
            if any(len(values[argument].keys() & values[other].keys()) >= _ALIKE for other in kind)
        ]
        kinds = [kind for kind in kinds if kind not in alike]
        kinds.append([argument, *(other for kind in alike for other in kind)])
    return kinds


def _encoded(value: Json) -> str:
    return msgspec.json.encode(value, order="sorted").decode()


def _explain(
    example: Example, arguments: tuple[str, ...], constants: set[tuple[str, str]], options: Options
) -> _Explained | None:
    pantry, by_text = Pantry(), defaultdict[str, list[Value]](list)
    for value in example.values:
        if value.is_whole:
            pantry.add(value)
        else:
            by_text[value.text].append(value)
    for value in chain(*pantry.spoken().values()):
        by_text[value.text].append(value)
    ways = []
    for name in arguments:
        given = example.call.arguments[name]
        way = dict(_ways(name, given, by_text))
        known = options.get((example.call.name, name), ())
        said = tuple(value for value in pantry.said(known) if value.json == given) if given in known else ()
        if said:
            way[Ingredient(name, options=known)] = said
        if not way and (name, _encoded(given)) in constants:
            way = {Ingredient(name, constant=_encoded(given)): ()}
        if not way:
            return None
        ways.append(way)
    return _Explained(example.task, tuple(ways))


def _ways(
    name: str, given: Json, by_text: dict[str, list[Value]]
) -> Iterator[tuple[Ingredient, tuple[Value, ...]]]:
    if isinstance(given, bool | list | dict) or given is None:
        return
    text = given if isinstance(given, str) else _encoded(given)
    for cut in range(_PREFIXES + 1):
        prefix, rest = text[:cut], text[cut:]
        if cut and (not rest or prefix.isalnum() or not isinstance(given, str)):
            continue
        grouped: dict[str, list[Value]] = defaultdict(list)
        for value in by_text.get(rest, ()):
            if cut or type(value.json) is type(given):
                grouped[value.source].append(value)
        for source, values in grouped.items():
            yield Ingredient(name, source, prefix), tuple(values)


def _cover(tool: str, examples: list[_Explained], least_tasks: int) -> Iterator[Recipe]:
    if examples and not examples[0].ways:
        without = len({example.task for example in examples})
        if without >= least_tasks:
            yield Recipe(tool, (), support=without)
        return
    left = examples if examples and len(examples[0].ways) < _MANY else _common_first(examples)
    while left:
        best, tasks = _most_used(left)
        if tasks < least_tasks:
            return
        mine = [example for example in left if _made_by(example, best)]
        yield _bound(tool, best, mine, tasks)
        left = [example for example in left if not _made_by(example, best)]


def _common_first(examples: list[_Explained]) -> list[_Explained]:
    """The ways of each argument in the order of how many tasks they explain: of many arguments not every joint can
    be counted, so those that most have in common must come first."""
    tasks: dict[Ingredient, set[str]] = defaultdict(set)
    for example in examples:
        for way in example.ways:
            for part in way:
                tasks[part].add(example.task)
    ranks = {part: -len(seen) for part, seen in tasks.items()}
    return [
        _Explained(
            example.task,
            tuple({part: way[part] for part in sorted(way, key=ranks.__getitem__)} for way in example.ways),
        )
        for example in examples
    ]


def _most_used(examples: list[_Explained]) -> tuple[tuple[Ingredient, ...], int]:
    """The ingredients that explain most tasks' examples, and how many tasks."""
    tasks: dict[tuple[Ingredient, ...], set[str]] = defaultdict(set)
    uses: Counter[tuple[Ingredient, ...]] = Counter()
    for example in examples:
        for joint in _joints(example):
            tasks[joint].add(example.task)
            uses[joint] += 1
    best = max(tasks, key=lambda joint: (len(tasks[joint]), uses[joint], str(joint)))
    known = [joint for joint in tasks if _known(joint) > _known(best)]
    nearly = [joint for joint in known if len(tasks[joint]) >= _NEARLY * len(tasks[best])]
    best = max(nearly, key=lambda joint: (_known(joint), len(tasks[joint]), str(joint)), default=best)
    return best, len(tasks[best])


def _known(joint: tuple[Ingredient, ...]) -> int:
    """How many arguments are one of their known values: those make fewer and better candidates than any name."""
    return sum(bool(part.options) for part in joint)


def _joints(example: _Explained) -> Iterator[tuple[Ingredient, ...]]:
    if len(example.ways) < _MANY:
        choices = [sorted(way, key=lambda part: -len(way[part]))[:_MOST_SOURCES] for way in example.ways]
    else:
        choices = [list(way)[:_MOST_SOURCES] for way in example.ways]
    for number, joint in enumerate(product(*choices)):
        if number == _MOST_JOINT:
            return
        yield joint


def _made_by(example: _Explained, joint: tuple[Ingredient, ...]) -> bool:
    return all(part in way for part, way in zip(joint, example.ways, strict=True))


def _bound(tool: str, joint: tuple[Ingredient, ...], examples: list[_Explained], support: int) -> Recipe:
    """What the values of this recipe shared in nearly all its examples."""
    moving = [number for number, part in enumerate(joint) if not part.constant]
    if len(moving) < 2:
        return Recipe(tool, joint, "free", (), support)
    options = [[example.ways[number][joint[number]] for number in moving] for example in examples]
    chain = tuple(
        (moving[at], moving[at + 1]) for at in range(len(moving) - 1) if _share(options, partial(_follow, at))
    )
    for bound in ("place", "turn"):
        if _share(options, partial(_together, bound=bound)):
            return Recipe(tool, joint, bound, chain, support)
    return Recipe(tool, joint, "free", (), support)


def _share(options: list[list[tuple[Value, ...]]], holds: Callable[[list[tuple[Value, ...]]], bool]) -> bool:
    return sum(holds(values) for values in options) >= _SHARED * len(options)


def _follow(at: int, values: list[tuple[Value, ...]]) -> bool:
    return _adjacent(values[at], values[at + 1])


def _adjacent(left: tuple[Value, ...], right: tuple[Value, ...]) -> bool:
    return any(
        one.place == two.place and 0 < two.offset - (one.offset + len(one.text)) <= 1
        for one in left
        for two in right
    )


def _together(values: list[tuple[Value, ...]], bound: str) -> bool:
    shared: list[set[object]] = [
        {value.place if bound == "place" else value.turn for value in options} for options in values
    ]
    return bool(set.intersection(*shared))
