"""Floors and ceilings of a choice among models: the frontier, the mixture line, and the oracle. Pure.

No policy without information reaches above the mixture line; none at all reaches above the oracle.
"""

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from trimtab.evaluation.bounds import Floats
from trimtab.evaluation.outcomes import Indices, Outcomes, Played, play_choices, play_single

Point = tuple[float, float]


def frontier(points: Sequence[Point]) -> list[Point]:
    """The (cost, quality) points that no other one beats at lower or equal cost, by cost."""
    kept: list[Point] = []
    for cost, quality in sorted(points, key=lambda point: (point[0], -point[1])):
        if not kept or quality > kept[-1][1]:
            kept.append((cost, quality))
    return kept


def mixture_line(points: Sequence[Point]) -> list[Point]:
    """The upper convex hull of the frontier: what a coin between two single models reaches."""
    hull: list[Point] = []
    for point in frontier(points):
        while len(hull) > 1 and _slope(hull[-2], hull[-1]) <= _slope(hull[-2], point):
            hull.pop()
        hull.append(point)
    return hull


def cost_at(points: Sequence[Point], quality: float) -> float | None:
    """The lowest cost among points of at least that quality; None where none reaches it."""
    return min((cost for cost, reached in points if reached >= quality - 1e-12), default=None)


def play_mixture(outcomes: Outcomes, cost: float) -> Played | None:
    """The coin between two single models that costs as much on average, in expectation; the best single above its
    cost; None below the cheapest."""
    singles = [play_single(outcomes, model) for model in outcomes.models]
    points = {(single.mean_cost, single.completions): single for single in singles}
    line = mixture_line(list(points))
    if cost < line[0][0] * (1 - 1e-12):
        return None
    above = next((at for at, point in enumerate(line) if point[0] >= cost), len(line) - 1)
    low, high = points[line[max(above - 1, 0)]], points[line[above]]
    gap = high.mean_cost - low.mean_cost
    share = min(max((cost - low.mean_cost) / gap, 0.0), 1.0) if gap > 0 else 1.0
    reward, price, seconds = (
        getattr(low, part) * (1 - share) + getattr(high, part) * share
        for part in ("reward", "cost", "seconds")
    )
    return Played("mixture of singles", reward, price, seconds, np.ones(outcomes.tasks))


def oracle(outcomes: Outcomes) -> Played:
    """On each task the model that does best there, the cheapest of equals: chosen and scored on the same runs."""
    return play_choices(outcomes, _best(outcomes.mean_reward, outcomes.mean_cost), "oracle")


def split_half_oracle(outcomes: Outcomes) -> Played | None:
    """Chosen on one half of the repeats, scored on the other, over all halvings; None without full repeats.

    Luck of a single run is no knowledge: only this oracle can be reached by knowing the tasks.
    """
    full = np.flatnonzero(~np.isnan(outcomes.reward).any(axis=(0, 2)))
    repeats = outcomes.reward.shape[2]
    if repeats < 2 or not full.size:
        return None
    halves = list(combinations(range(repeats), repeats // 2))
    plays = [_scored_apart(outcomes, full, half) for half in halves]
    ones = np.ones(outcomes.tasks)
    reward, cost, seconds = (np.mean([play[part] for play in plays], axis=0) for part in range(3))
    return Played("split-half oracle", reward, cost, seconds, ones)


def _scored_apart(outcomes: Outcomes, full: Indices, half: Sequence[int]) -> tuple[Floats, Floats, Floats]:
    rest = [repeat for repeat in range(outcomes.reward.shape[2]) if repeat not in half]
    reward, cost, seconds = (array[:, full] for array in (outcomes.reward, outcomes.cost, outcomes.seconds))
    chosen = _best(reward[:, :, half].mean(axis=2), cost[:, :, half].mean(axis=2))
    rows = np.arange(outcomes.tasks)
    return (
        reward[:, :, rest].mean(axis=2)[rows, chosen],
        cost[:, :, rest].mean(axis=2)[rows, chosen],
        seconds[:, :, rest].mean(axis=2)[rows, chosen],
    )


def _best(reward: Floats, cost: Floats) -> Indices:
    equal = reward >= reward.max(axis=1, keepdims=True) - 1e-12
    return np.asarray(np.argmin(np.where(equal, cost, np.inf), axis=1))


def _slope(start: Point, end: Point) -> float:
    run = end[0] - start[0]
    return (end[1] - start[1]) / run if run > 0 else float("inf")
