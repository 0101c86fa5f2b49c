"""Distil: one target a text. Where several teachers chose, their choices share the text by how far each is trusted.

A row for each choice, weighted by its share, trains as a soft label does: cross-entropy is linear in the target.
"""

from collections import defaultdict
from collections.abc import Sequence

import msgspec

from trimtab.learning.curate import Curated
from trimtab.learning.examples import Example
from trimtab.learning.labelled import Labelled
from trimtab.learning.likeness import plain_text


class Distilled(msgspec.Struct, frozen=True):
    """`learn` may hold a text several times. `near[i]`: text i of `judge` has its like among them."""

    learn: tuple[Labelled, ...]
    validate: tuple[Labelled, ...]
    judge: tuple[Labelled, ...]
    near: tuple[bool, ...]

    @property
    def labels(self) -> tuple[str, ...]:
        """Sorted."""
        return tuple(sorted({each.label for each in self.learn}))


def distil(curated: Curated) -> Distilled:
    """Soft targets to learn from, the most trusted label to be held to."""
    near = {plain_text(each.text): flag for each, flag in zip(curated.judge, curated.near, strict=True)}
    judge = trusted(curated.judge)
    return Distilled(
        learn=tuple(row for choices in _by_text(curated.learn) for row in _shared(choices)),
        validate=trusted(curated.validate),
        judge=judge,
        near=tuple(near[plain_text(each.text)] for each in judge),
    )


def _by_text(examples: Sequence[Example]) -> list[list[Example]]:
    found: dict[str, list[Example]] = defaultdict(list)
    for each in examples:
        found[plain_text(each.text)].append(each)
    return list(found.values())


def _votes(choices: Sequence[Example]) -> dict[str, float]:
    votes: dict[str, float] = defaultdict(float)
    for each in choices:
        votes[each.label] += each.weight
    return votes


def _shared(choices: Sequence[Example]) -> list[Labelled]:
    """A text counts as much as its teachers are trusted on average, however many they are."""
    first = choices[0]
    return [
        Labelled(first.text, label, first.group, weight / len(choices))
        for label, weight in _votes(choices).items()
        if weight
    ]


def trusted(examples: Sequence[Example]) -> tuple[Labelled, ...]:
    """Every text once, with the label that its teachers are trusted for most."""
    found = []
    for choices in _by_text(examples):
        votes = _votes(choices)
        label = max(sorted(votes), key=votes.__getitem__)
        found.append(Labelled(choices[0].text, label, choices[0].group))
    return tuple(found)
