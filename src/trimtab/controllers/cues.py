"""What stands around a candidate's values, as tokens: the words beside a span, the fields beside a result's leaf.

A cue table says how much each token spoke for or against a recipe's candidates in recorded runs (naive Bayes).
"""

from collections.abc import Iterator, Mapping

import msgspec

from trimtab.controllers.candidates import Candidate
from trimtab.controllers.scene import Scene
from trimtab.controllers.values import Value

_MOST_FIELDS = 40
_MOST_FIELD_TEXT = 24
_LEAST_TELLING = 4
_CLIP = 4.0


def cues_of(candidate: Candidate, scene: Scene) -> frozenset[str]:
    """The tokens of a candidate."""
    return frozenset(token for value in candidate.values for token in _cues(value, scene))


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
        total = sum(known.get(token, 0.0) for token in tokens)
        return max(-_CLIP, min(_CLIP, total))
