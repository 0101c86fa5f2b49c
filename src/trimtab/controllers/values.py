"""The values a conversation holds that an argument could be copied from: leaves of tool results, spans of messages.

Each knows where it stands: its source (a path or a shape, never a value), its turn, the object and the list it is in,
and for a span the words around it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from trimtab.controllers.conversation import Conversation, Json, Turn

MOST_TEXT = 20_000
MOST_VALUES = 4_000
_MOST_WORD = 64
_SPAN = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+|#?\w[\w./:#-]*\w|#?\w")
_NUMBERED_KEY = re.compile(r"\d{3}")
_TRAILING = ".:/-#"
_NEIGHBOURS = (-2, -1, 1)


@dataclass(frozen=True, slots=True)
class Value:
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


def values_of(conversation: Conversation) -> tuple[Value, ...]:
    """Every value of a conversation, oldest first, at most MOST_VALUES (the newest are kept)."""
    names = {call.id: call.name for turn in conversation.turns for call in turn.calls if call.id}
    found: list[Value] = []
    for number, turn in enumerate(conversation.turns):
        found.extend(values_of_turn(turn, number, names.get(turn.tool_call_id, "")))
    return tuple(found[-MOST_VALUES:])


def values_of_turn(turn: Turn, number: int, tool: str) -> Iterator[Value]:
    """The values of one turn; `tool` is the tool whose result it is, if it is one."""
    if turn.speaker == "system":
        return
    if turn.speaker == "tool":
        yield from _of_result(turn.text, number, tool)
    else:
        yield from _of_message(turn.text, number, turn.speaker)


def shape(word: str) -> str:
    """What kind of word: digits keep their number, so do codes of letters and digits; names are `Aa`."""
    return "".join(_shape_of(part) for part in re.findall(r"[A-Za-z0-9]+|[^A-Za-z0-9]", word))


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


def _of_message(text: str, turn: int, speaker: str) -> Iterator[Value]:
    spans = [(match.start(), match.group().rstrip(_TRAILING)) for match in _SPAN.finditer(text[:MOST_TEXT])]
    place = (turn, speaker)
    for number, (offset, word) in enumerate(spans):
        if not word or len(word) > _MOST_WORD or not _telling(word):
            continue
        kind = "email" if "@" in word else shape(word)
        around = tuple(
            f"{step:+d}:{_plain(spans[number + step][1])}"
            for step in _NEIGHBOURS
            if 0 <= number + step < len(spans)
        )
        yield Value(word, word, f"{speaker}:{kind}", turn, place, place, offset=offset, around=around)


def _plain(word: str) -> str:
    """A neighbour as it is told apart: a word by itself, a number or a code by its shape."""
    return word.lower() if word.isalpha() else shape(word)


def _telling(word: str) -> bool:
    """Plain lower-case words are language, not values."""
    return not word.islower() or any(not letter.isalpha() for letter in word)


def _of_result(text: str, turn: int, tool: str) -> Iterator[Value]:
    try:
        decoded: Json = msgspec.json.decode(text) if len(text) <= 50 * MOST_TEXT else None
    except (msgspec.DecodeError, RecursionError):
        decoded = None
    if isinstance(decoded, dict | list):
        yield from _leaves(decoded, turn, tool, "", "", _Rank("", 0, 1))
        return
    bare = text.strip()
    if bare and len(bare) <= _MOST_WORD and " " not in bare:
        yield Value(bare, bare, f"{tool}$", turn, (turn, ""), (turn, ""))
    else:
        yield from _of_message(text, turn, f"{tool}?")


@dataclass(frozen=True, slots=True)
class _Rank:
    """Where in which list."""

    row: str
    index: int
    length: int


def _leaves(node: Json, turn: int, tool: str, path: str, place: str, rank: _Rank) -> Iterator[Value]:
    """`path` is the pattern with `[]` and `{}` for what varies, `place` the exact object."""
    if isinstance(node, dict):
        yield from _of_object(node, turn, tool, path, place, rank)
    elif isinstance(node, list):
        for index, item in enumerate(node):
            here = f"{place}[{index}]" if isinstance(item, dict | list) else place
            yield from _leaves(item, turn, tool, f"{path}[]", here, _Rank(place + path, index, len(node)))
    elif node is not None and not isinstance(node, bool):
        text = node if isinstance(node, str) else msgspec.json.encode(node).decode()
        if 0 < len(text) <= 4 * _MOST_WORD:
            source = f"{tool}{path}"
            row = (turn, rank.row)
            yield Value(node, text, source, turn, (turn, place), row, rank.index, rank.length)


def _of_object(
    node: dict[str, Json], turn: int, tool: str, path: str, place: str, rank: _Rank
) -> Iterator[Value]:
    keyed = any(_NUMBERED_KEY.search(key) for key in node)
    for index, (key, item) in enumerate(node.items()):
        if not keyed:
            here = f"{place}.{key}" if isinstance(item, dict | list) else place
            yield from _leaves(item, turn, tool, f"{path}.{key}", here, rank)
            continue
        inner = _Rank(place + path, index, len(node))
        here = f"{place}.{key}"
        yield Value(key, key, f"{tool}{path}{{}}#", turn, (turn, here), (turn, inner.row), index, len(node))
        yield from _leaves(item, turn, tool, f"{path}{{}}", here, inner)
