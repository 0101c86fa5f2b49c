"""The tool calls a conversation could fill by itself: each argument copied from a value that stands in it.

Recipes say from which sources a tool's arguments came in recorded runs. They hold paths and shapes, never values,
apart from constants that many tasks shared; so nothing of one run can reach another.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from itertools import islice, product
from typing import Literal

import msgspec

from trimtab.controllers.conversation import Json, ToolCall
from trimtab.controllers.spoken import said_options, spoken_values
from trimtab.controllers.values import TEXT, TODAY, Value

MOST_A_RECIPE = 64
_MOST_FREE = 4
_MOST_FREE_OF_MANY = 2
_MOST_HEARD = 24
_MOST_SHELF = 512
_MOST_TRIES = 16_384
_GAP = 1
Bound = Literal["place", "turn", "free"]


class Ingredient(msgspec.Struct, frozen=True):
    """Where one argument comes from: a source with a prefix to put before it, a constant, or that one of its known
    values (`options`) which a message says.
    """

    argument: str
    source: str = ""
    prefix: str = ""
    constant: str = ""
    options: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if bool(self.source) + bool(self.constant) + bool(self.options) != 1:
            raise ValueError("Expected one of `source`, `constant` and `options`")
        if self.constant:
            try:
                msgspec.json.decode(self.constant)
            except msgspec.DecodeError as error:
                raise ValueError(f"Expected `constant` to be JSON: {error}") from error


class Recipe(msgspec.Struct, frozen=True):
    """How the arguments of a tool are filled. `bound` says what the values must share: their object, their turn,
    or nothing; `chain` names pairs of arguments that follow each other in the text. `support` counts tasks."""

    tool: str
    ingredients: tuple[Ingredient, ...]
    bound: Bound = "free"
    chain: tuple[tuple[int, int], ...] = ()
    support: int = 0

    def __post_init__(self) -> None:
        if not all(0 <= at < len(self.ingredients) for pair in self.chain for at in pair):
            raise ValueError("Expected `chain` to name ingredients by their numbers")

    @property
    def id(self) -> str:
        """The tool and its sources, readable."""
        told = (
            f"{part.argument}<{part.constant or part.prefix + part.source or 'said'}"
            for part in self.ingredients
        )
        return f"{self.tool}({', '.join(told)})"


class Candidate(msgspec.Struct, frozen=True, gc=False):
    """A call that could be made now, with the values it copies (none for a constant) and its recipe's number."""

    call: ToolCall
    recipe: int
    values: tuple[Value, ...]


class Pantry:
    """The values of a conversation by source and by the object they stand in, newest last."""

    def __init__(self, values: Iterable[Value] = ()) -> None:
        self.by_source: dict[str, list[Value]] = defaultdict(list)
        self.by_place: dict[tuple[int, str], list[Value]] = defaultdict(list)
        self.texts: list[Value] = []
        self.today: date | None = None
        self._spoken: dict[str, list[Value]] | None = None
        for value in values:
            self.add(value)

    def add(self, value: Value) -> None:
        """One more."""
        self.by_source[value.source].append(value)
        self.by_place[value.place].append(value)
        if value.source.endswith(TEXT):
            self.texts.append(value)
            self._spoken = None
        elif value.source == TODAY:
            self.today = date.fromisoformat(value.text)

    def spoken(self) -> Mapping[str, Sequence[Value]]:
        """What the last messages say in words, by source, newest last."""
        if self._spoken is None:
            self._spoken = defaultdict(list)
            for said in self.texts[-_MOST_HEARD:]:
                for value in spoken_values(said, self.today):
                    self._spoken[value.source].append(value)
        return self._spoken

    def said(self, options: tuple[str, ...]) -> list[Value]:
        """Those of the options that the last messages say, newest last."""
        return [value for text in self.texts[-_MOST_HEARD:] for value in said_options(options, text)]


def find_candidates(
    recipes: Sequence[Recipe], pantry: Pantry, allowed: Mapping[str, bool]
) -> Iterator[Candidate]:
    """Every different call the recipes make of the pantry, of tools that are `allowed`; earlier recipes win."""
    seen: set[str] = set()
    for number, recipe in enumerate(recipes):
        if not allowed.get(recipe.tool):
            continue
        for values in _fillings(recipe, pantry):
            call = ToolCall(recipe.tool, dict(_arguments(recipe, values)))
            if call.key not in seen:
                seen.add(call.key)
                yield Candidate(call, number, tuple(value for value in values if value is not None))


def _arguments(recipe: Recipe, values: Sequence[Value | None]) -> Iterator[tuple[str, Json]]:
    for part, value in zip(recipe.ingredients, values, strict=True):
        if value is None:
            yield part.argument, msgspec.json.decode(part.constant)
        else:
            yield part.argument, part.prefix + value.text if part.prefix else value.json


def _fillings(recipe: Recipe, pantry: Pantry) -> Iterator[tuple[Value | None, ...]]:
    shelves = [_shelf(part, pantry) for part in recipe.ingredients]
    if not all(shelves):
        return
    tries = (
        filling for group in _groups(recipe, shelves) for filling in product(*_linked(recipe.chain, group))
    )
    yield from islice(
        (one for one in islice(tries, _MOST_TRIES) if _chained(recipe, one) and not _twice(one)),
        MOST_A_RECIPE,
    )


def _twice(filling: Sequence[Value | None]) -> bool:
    """Whether two arguments would take the same words of a message."""
    taken = [(one.place, one.offset) for one in filling if one is not None and ":=" in one.source]
    return len(set(taken)) < len(taken)


def _shelf(part: Ingredient, pantry: Pantry) -> list[Value | None]:
    """The values of one ingredient, newest first."""
    if part.constant:
        return [None]
    if part.options:
        return list(islice(reversed(pantry.said(part.options)), _MOST_SHELF))
    if ":=" in part.source:
        return list(islice(reversed(pantry.spoken().get(part.source, ())), _MOST_SHELF))
    return list(islice(reversed(pantry.by_source.get(part.source, [])), _MOST_SHELF))


def _groups(recipe: Recipe, shelves: list[list[Value | None]]) -> Iterator[list[list[Value | None]]]:
    """The shelves cut into what may be combined: one object, one turn, or the newest of each."""
    if len(shelves) == 1:
        yield shelves
        return
    if recipe.bound == "free":
        most = _MOST_FREE if len(shelves) < 3 else _MOST_FREE_OF_MANY
        yield [_newest(shelf, most) for shelf in shelves]
        return
    groups: dict[object, list[list[Value | None]]] = {}
    for number, shelf in enumerate(shelves):
        for value in shelf:
            if value is not None:
                key = value.place if recipe.bound == "place" else value.turn
                groups.setdefault(key, [[] for _ in shelves])[number].append(value)
    constant = [shelf == [None] for shelf in shelves]
    for group in groups.values():
        yield [[None] if fixed else part for fixed, part in zip(constant, group, strict=True)]


def _newest(shelf: list[Value | None], most: int) -> list[Value | None]:
    kept: dict[str, Value | None] = {}
    for value in shelf:
        kept.setdefault("" if value is None else value.text, value)
        if len(kept) == most:
            break
    return list(kept.values())


def _linked(chain: Sequence[tuple[int, int]], group: list[list[Value | None]]) -> list[list[Value | None]]:
    """The group without the values that nothing follows: else a long list of names would be tried by pairs."""
    kept = list(group)
    for left, right in chain:
        ends = {(one.place, _end(one)) for one in kept[left] if one is not None}
        kept[right] = [one for one in kept[right] if one is not None and (one.place, one.offset) in ends]
        starts = {(one.place, one.offset) for one in kept[right] if one is not None}
        kept[left] = [one for one in kept[left] if one is not None and (one.place, _end(one)) in starts]
    return kept


def _chained(recipe: Recipe, filling: Sequence[Value | None]) -> bool:
    return all(_follows(filling[left], filling[right]) for left, right in recipe.chain)


def _follows(left: Value | None, right: Value | None) -> bool:
    return left is not None and right is not None and (left.place, _end(left)) == (right.place, right.offset)


def _end(value: Value) -> int:
    """Where what follows it would begin."""
    return value.offset + len(value.text) + _GAP
