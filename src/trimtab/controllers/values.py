"""The values a conversation holds that an argument could be copied from: leaves of tool results, spans of messages.

A message is a value of its own too (`user:=text`), from which `spoken` takes dates, names and known values.
Each knows where it stands: its source (a path or a shape, never a value), its turn, the object and the list it is in,
and for a span the words around it.
"""

import re
from datetime import date
from functools import lru_cache
from itertools import islice

import msgspec

from trimtab.controllers.conversation import Json, Turn

MOST_TEXT = 20_000
MOST_VALUES = 4_000
_MOST_JSON = 50 * MOST_TEXT
_MOST_WORD = 64
_MOST_LEAF = 4 * _MOST_WORD
_MOST_DEPTH = 32
# Every repetition of the address is bounded: without that, a line of plus signs would take quadratic time.
_SPAN = re.compile(
    r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}|#?\w[\w./:#-]*\w|#?\w",
)
_PART = re.compile(r"[^\W_]+|[\W_]")
_NUMBERED_KEY = re.compile(r"\d{3}")
_TRAILING = ".:/-#"
TEXT, TODAY = ":=text", "system:=today"
_DAY = re.compile(r"\b\d{4}-\d{2}-\d{2}\b")
_MOST_DAYS = 100
_NEIGHBOURS = ((-2, "-2:"), (-1, "-1:"), (1, "+1:"))


class Value(msgspec.Struct, frozen=True, gc=False):
    """One scalar. `place` names the object it stands in, `row` the list; `index` of `length` is its rank there."""

    json: Json
    text: str
    source: str
    turn: int
    place: tuple[int, str]
    row: tuple[int, str]
    index: int = 0
    length: int = 1
    offset: int = 0
    around: tuple[str, ...] = ()

    @property
    def is_field(self) -> bool:
        """Whether it is a leaf of a tool's result, not a word of a text."""
        return ":" not in self.source

    @property
    def is_whole(self) -> bool:
        """Whether it is no value to copy but what such are read from: a message, or the day a system message tells."""
        return self.source == TODAY or self.source.endswith(TEXT)


def values_of_turn(turn: Turn, number: int, tool: str) -> list[Value]:
    """The values of one turn, the first MOST_VALUES of them; `tool` is the tool whose result it is, if it is one."""
    if turn.speaker == "system":
        return _of_system(turn.text, number)
    if turn.speaker == "tool":
        return _of_result(turn.text, number, tool)
    found = _of_message(turn.text, number, turn.speaker)[: MOST_VALUES - 1]
    return [*found, *_whole(turn.text[:MOST_TEXT], number, turn.speaker)]


def _of_system(text: str, turn: int) -> list[Value]:
    """The first day it names: what "tomorrow" is counted from."""
    where = (turn, "system")
    for found in islice(_DAY.finditer(text[:_MOST_JSON]), _MOST_DAYS):
        day = found.group()
        if _is_day(day):
            return [Value(day, day, TODAY, turn, where, where)]
    return []


def _is_day(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _whole(text: str, turn: int, speaker: str) -> list[Value]:
    where = (turn, speaker)
    return [Value(text, text, speaker + TEXT, turn, where, where)] if text.strip() else []


def shape(word: str) -> str:
    """What kind of word: digits keep their number, so do codes of letters and digits; names are `Aa`."""
    return "".join(_shape_of(part) for part in _PART.findall(word))


def _shape_of(part: str) -> str:
    if part.isdigit():
        return f"9{len(part)}"
    if not part.isalnum():
        return part
    if any(letter.isdigit() for letter in part):
        return f"X{len(part)}"
    if part.isupper():
        return f"A{len(part)}"
    return "Aa" if part[0].isupper() else "a"


def _of_message(text: str, turn: int, speaker: str) -> list[Value]:
    spans = [(match.start(), match.group().rstrip(_TRAILING)) for match in _SPAN.finditer(text[:MOST_TEXT])]
    known = [_told(word[:_MOST_WORD]) for _, word in spans]
    place = (turn, speaker)
    found = []
    for number, (offset, word) in enumerate(spans):
        kind = known[number][0]
        if not kind or len(word) > _MOST_WORD:
            continue
        around = tuple(
            side + known[number + step][1] for step, side in _NEIGHBOURS if 0 <= number + step < len(known)
        )
        source = f"{speaker}:{kind}"
        found.append(Value(word, word, source, turn, place, place, offset=offset, around=around))
        if len(found) == MOST_VALUES:
            break
    return found


@lru_cache(maxsize=16_384)
def _told(word: str) -> tuple[str, str]:
    """The kind of a word that could be a value (empty for plain lower-case language), and what its neighbours see of
    it: a word by itself, a number or a code by its shape."""
    alpha = word.isalpha()
    kind = "" if not word or (alpha and word.islower()) else "email" if "@" in word else shape(word)
    return kind, word.lower() if alpha else shape(word)


def _of_result(text: str, turn: int, tool: str) -> list[Value]:
    try:
        decoded: Json = msgspec.json.decode(text) if len(text) <= _MOST_JSON else None
    except RecursionError:
        return []
    except (msgspec.DecodeError, UnicodeEncodeError):
        decoded = None
    if isinstance(decoded, dict | list):
        harvest = _Harvest(turn, tool)
        harvest.leaves(decoded, "", "", _Rank((turn, ""), 0, 1), _MOST_DEPTH)
        return harvest.found
    bare = text.strip()
    if bare and len(bare) <= _MOST_WORD and " " not in bare:
        return [Value(bare, bare, f"{tool}$", turn, (turn, ""), (turn, ""))]
    return _of_message(text, turn, f"{tool}?")


class _Rank(msgspec.Struct, frozen=True, gc=False):
    """Where in which list."""

    row: tuple[int, str]
    index: int
    length: int


class _Harvest:
    """The leaves of one result. `path` is the pattern with `[]` and `{}` for what varies, `place` the exact object."""

    def __init__(self, turn: int, tool: str) -> None:
        self._turn, self._tool = turn, tool
        self.found: list[Value] = []

    def leaves(self, node: Json, path: str, place: str, rank: _Rank, depth: int) -> None:
        """Of `node` and what it holds, as deep as `depth` more."""
        if isinstance(node, str):
            self._leaf(node, node, path, place, rank)
        elif depth == 0 or len(self.found) >= MOST_VALUES:
            return
        elif isinstance(node, dict):
            self._object(node, path, place, rank, depth - 1)
        elif isinstance(node, list):
            row = (self._turn, place + path)
            for index, item in enumerate(node):
                here = f"{place}[{index}]" if isinstance(item, dict | list) else place
                self.leaves(item, f"{path}[]", here, _Rank(row, index, len(node)), depth - 1)
        elif node is not None and not isinstance(node, bool):
            self._leaf(node, msgspec.json.encode(node).decode(), path, place, rank)

    def _leaf(self, node: Json, text: str, path: str, place: str, rank: _Rank) -> None:
        if 0 < len(text) <= _MOST_LEAF and len(self.found) < MOST_VALUES:
            where = (self._turn, place)
            value = Value(node, text, self._tool + path, self._turn, where, rank.row, rank.index, rank.length)
            self.found.append(value)

    def _object(self, node: dict[str, Json], path: str, place: str, rank: _Rank, depth: int) -> None:
        if not any(_NUMBERED_KEY.search(key) for key in node):
            for key, item in node.items():
                here = f"{place}.{key}" if isinstance(item, dict | list) else place
                self.leaves(item, f"{path}.{key}", here, rank, depth)
            return
        row = (self._turn, place + path)
        for index, (key, item) in enumerate(node.items()):
            inner = _Rank(row, index, len(node))
            here = f"{place}.{key}"
            self._leaf(key, key, f"{path}{{}}#", here, inner)
            self.leaves(item, f"{path}{{}}", here, inner, depth)
