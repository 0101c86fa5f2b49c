"""Whether a controller still meets what it was validated on: how sure it is, how often it abstains. Pure.

Source: the population stability index over bins, with the customary bound of 0.25 for a shift that matters.
"""

import math
from bisect import bisect_right
from collections.abc import Sequence

import msgspec

_EDGES = (0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.97, 0.98, 0.99)
BINS = len(_EDGES) + 1
ABSTAINED = -1
FEWEST = 200
_INDEX_BOUND = 0.25
_SHIFT_BOUND = 0.1


class Profile(msgspec.Struct, frozen=True):
    """How a controller decided on some calls: `answered` counts its answers by bin of confidence."""

    abstained: int
    answered: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.answered) != BINS or min((*self.answered, self.abstained)) < 0:
            raise ValueError(f"Expected `answered` to be {BINS} counts")

    @property
    def calls(self) -> int:
        """Calls it was asked of."""
        return self.abstained + sum(self.answered)

    @property
    def abstention(self) -> float:
        """The share it left to others."""
        return self.abstained / self.calls if self.calls else 0.0


class Drift(msgspec.Struct, frozen=True):
    """What was found. `index` is the stability index; `reasons` are empty where all is as it was."""

    calls: int
    abstention: float
    expected_abstention: float
    index: float
    reasons: tuple[str, ...] = ()


def bin_of(confidence: float) -> int:
    """The bin of a confidence in 0..1."""
    return bisect_right(_EDGES, confidence)


def bin_text(bin: int) -> str:
    """A bin for people."""
    if bin == ABSTAINED:
        return "abstained"
    low, high = (0.0, *_EDGES)[bin], (*_EDGES, 1.0)[bin]
    return f"{low:g} to {high:g}"


def profile_of(confidences: Sequence[float | None]) -> Profile:
    """The profile of decisions; None is an abstention."""
    answered = [0] * BINS
    for confidence in confidences:
        if confidence is not None:
            answered[bin_of(confidence)] += 1
    return Profile(sum(confidence is None for confidence in confidences), tuple(answered))


def drift_of(validated: Profile, seen: Profile) -> Drift:
    """How far `seen` is from what was validated. Under `FEWEST` calls nothing is concluded."""
    index = _stability_index(validated, seen)
    moved = seen.abstention - validated.abstention
    reasons = []
    if min(validated.calls, seen.calls) >= FEWEST:
        if index > _INDEX_BOUND:
            reasons.append(f"confidences are spread otherwise than in validation (index {index:.2f})")
        if abs(moved) > _SHIFT_BOUND:
            reasons.append(
                f"abstains on {seen.abstention:.0%} of calls, {validated.abstention:.0%} in validation"
            )
    return Drift(seen.calls, seen.abstention, validated.abstention, index, tuple(reasons))


def _stability_index(validated: Profile, seen: Profile) -> float:
    if not validated.calls or not seen.calls:
        return 0.0
    pairs = zip((validated.abstained, *validated.answered), (seen.abstained, *seen.answered), strict=True)
    index = 0.0
    for before, after in pairs:
        # Half a call in every bin, so that an empty one is unlikely and not impossible.
        expected = (before + 0.5) / (validated.calls + 0.5 * (BINS + 1))
        found = (after + 0.5) / (seen.calls + 0.5 * (BINS + 1))
        index += (found - expected) * math.log(found / expected)
    return index
