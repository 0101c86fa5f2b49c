"""Cue tables counted from recorded moments: how often a token stood beside candidates that came true.

Rows that are trained on are scored without their own task's counts, so that training sees what serving will.
"""

from collections import defaultdict
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from trimtab.controllers import CueTable
from trimtab.learning.moments import Lived

LEAST_TASKS = 3
_Counts = NDArray[np.float64]


class CueCounts:
    """Counts of (recipe, token) by task: [came later, did not, came next, did not]."""

    def __init__(self, lived: Iterable[Lived], recipes: int) -> None:
        self._recipes = recipes
        self._base = np.zeros((recipes, 4))
        self._by_task: dict[tuple[int, str], dict[str, _Counts]] = defaultdict(dict)
        for one in lived:
            self._count(one)
        self._total = {key: np.sum(list(tasks.values()), axis=0) for key, tasks in self._by_task.items()}
        self._weights = {
            key: self._weight(key, self._total[key]) for key in self._by_task if self._often(key, None)
        }
        self._without: dict[tuple[int, str, str], tuple[float, float]] = {}

    def _count(self, one: Lived) -> None:
        task = one.episode.task
        for moment in one.moments:
            for at, recipe in enumerate(moment.recipes.tolist()):
                later, following = moment.later[at], moment.next[at]
                counts = np.array([later, not later, following, not following], float)
                self._base[recipe] += counts
                for token in moment.cues[at]:
                    tasks = self._by_task[recipe, token]
                    tasks[task] = tasks.get(task, 0.0) + counts

    def _often(self, key: tuple[int, str], task: str | None) -> bool:
        tasks = self._by_task[key]
        return len(tasks) - (task in tasks) >= LEAST_TASKS

    def _weight(self, key: tuple[int, str], counts: _Counts) -> tuple[float, float]:
        base = self._base[key[0]]
        return _log_ratio(counts[:2], base[:2]), _log_ratio(counts[2:], base[2:])

    def tables(self) -> tuple[CueTable, CueTable]:
        """What serves: for later calls, for next ones."""
        made: list[list[dict[str, float]]] = [[{} for _ in range(self._recipes)] for _ in range(2)]
        for (recipe, token), weights in sorted(self._weights.items()):
            for which, weight in enumerate(weights):
                made[which][recipe][token] = weight
        return CueTable(tuple(made[0])), CueTable(tuple(made[1]))

    def scores(self, recipe: int, tokens: frozenset[str], task: str) -> tuple[float, float]:
        """Both sums for one candidate, by the counts of all other tasks."""
        weights = [self._weight_without(recipe, token, task) for token in sorted(tokens)]
        later, following = sum(pair[0] for pair in weights), sum(pair[1] for pair in weights)
        return CueTable.clip(later, tokens), CueTable.clip(following, tokens)

    def _weight_without(self, recipe: int, token: str, task: str) -> tuple[float, float]:
        key = (recipe, token)
        tasks = self._by_task.get(key)
        if tasks is None or task not in tasks:
            return self._weights.get(key, (0.0, 0.0))
        if not self._often(key, task):
            return 0.0, 0.0
        known = self._without.get((recipe, token, task))
        if known is None:
            known = self._weight(key, self._total[key] - tasks[task])
            self._without[recipe, token, task] = known
        return known


def _log_ratio(counts: _Counts, base: _Counts) -> float:
    """The log-odds of a token's candidates beyond those of all, smoothed by one candidate of the base rate."""
    rate = base[0] / max(base.sum(), 1.0)
    odds = (counts[0] + rate + 0.05) / (counts[1] + 1 - rate + 0.05)
    return round(float(np.log(odds) - np.log((base[0] + 0.5) / (base[1] + 0.5))), 6)
