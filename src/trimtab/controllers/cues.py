"""What stands around a candidate's values, as tokens: the words beside a span, the fields beside a result's leaf.

A cue table says how much each token spoke for or against a recipe's candidates in recorded runs (naive Bayes).
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from math import fsum

import msgspec

from trimtab.controllers.candidates import Candidate
from trimtab.controllers.scene import Scene
from trimtab.controllers.spoken import said_words
from trimtab.controllers.values import Value

_MOST_FIELDS = 40
_MOST_FIELD_TEXT = 24
_LEAST_TELLING = 4
_CLIP = 4.0
# Of words there are many, and each speaks a little.
_CLIP_OF_WORDS = 12.0
_SPOKEN = "spoken"
_MOST_LEFT = 2
_NAME_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+")
_LEAST_STEM = 3


def cues_of(candidate: Candidate, scene: Scene) -> frozenset[str]:
    """The tokens of a candidate: what stands around its values; and where any of them was taken from what somebody
    said, which argument that is of, and what else was said then."""
    values = candidate.values
    if not any(":=" in value.source for value in values):
        return frozenset(token for value in values for token in _cues(value, scene))
    tokens = {f"{at}{token}" for at, value in enumerate(values) for token in _cues(value, scene)}
    tokens.add(_SPOKEN)
    tokens.update(f"said:{word}" for word in scene.said_last)
    tokens.update(_about(_stems(candidate.call.name, tuple(candidate.call.arguments)), scene))
    tokens.update(_left(values, scene))
    return frozenset(tokens)


def _about(stems: Sequence[str], scene: Scene) -> Iterator[str]:
    """Which of the tool's own words the last message, the last reply and the user's words before them hold."""
    heard = {"last": scene.said_last, "reply": scene.replied, "before": _said_before(scene)}
    for where, words in heard.items():
        text = f" {' '.join(words)}"
        found = [stem for stem in stems if f" {stem}" in text]
        yield from (f"{where}:{stem}" for stem in found)
        if not found:
            yield f"{where}:none"


@lru_cache(maxsize=1024)
def _stems(tool: str, arguments: tuple[str, ...]) -> tuple[str, ...]:
    """The words a tool and its arguments are named by, without the plural."""
    words = (word.lower().rstrip("s") for word in _NAME_WORD.findall(" ".join((tool, *arguments))))
    return tuple(sorted({word for word in words if len(word) >= _LEAST_STEM}))


def _said_before(scene: Scene) -> set[str]:
    """The user's words since the last call, without the last message."""
    turn, found = scene.turns - 1, set[str]()
    for said in reversed(scene.pantry.texts):
        if said.turn != turn:
            break
        if turn < scene.turns - 1 and said.source.startswith("user"):
            found.update(said_words(said.text).split())
        turn -= 1
    return found


def _left(values: Sequence[Value], scene: Scene) -> Iterator[str]:
    """What kinds of values the user said in these turns that the candidate leaves out, and how many."""
    since = min(value.turn for value in values)
    taken = {(value.turn, value.offset) for value in values}
    for source, said in scene.pantry.spoken().items():
        left = sum(one.turn >= since and (one.turn, one.offset) not in taken for one in said)
        if left:
            yield f"left:{source}:{min(left, _MOST_LEFT)}"


def _cues(value: Value, scene: Scene) -> Iterator[str]:
    yield from value.around
    if value.around or ":" in value.source:
        return
    for other in scene.pantry.by_place[value.place][:_MOST_FIELDS]:
        if other is value or other.row != value.row or len(other.text) > _MOST_FIELD_TEXT:
            continue
        field = other.source.rpartition(".")[2]
        if other.text.isalpha() or "_" in other.text:
            yield f"{field}={other.text}"
        if len(other.text) >= _LEAST_TELLING and other.text.lower() in scene.said:
            yield f"{field}!said"


class CueTable(msgspec.Struct, frozen=True):
    """For each recipe the weight (log-odds) of each token it met often enough."""

    weights: tuple[Mapping[str, float], ...]

    def score(self, recipe: int, tokens: frozenset[str]) -> float:
        """How much the tokens speak for this candidate: above 0 for, below 0 against."""
        known = self.weights[recipe] if recipe < len(self.weights) else {}
        return self.clip(fsum(known.get(token, 0.0) for token in tokens), tokens)

    @staticmethod
    def clip(total: float, tokens: frozenset[str]) -> float:
        """A sum of weights kept within what so many tokens may say."""
        most = _CLIP_OF_WORDS if _SPOKEN in tokens else _CLIP
        return max(-most, min(most, total))
