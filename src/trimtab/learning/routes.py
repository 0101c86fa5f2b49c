"""Policies learned from recorded outcomes: which model to send a task to, before any attempt.

A family of policies is one learner with a dial (what a dollar is worth, how sure to be). The dial is set for each
fold on the other folds' tasks, never on those it is judged on.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trimtab.evaluation import Outcomes, Played
from trimtab.learning.success import Fold

Floats = NDArray[np.float64]
# From completions and cost of every setting (settings, tasks), and the reference's (tasks), to the setting.
Aim = Callable[[Floats, Floats, Floats, Floats], int]
# A millisecond of one CPU core at 0.04 USD an hour: what a decision of a small controller is charged.
DECISION_USD = 1.1e-8
_WEIGHTS = np.concatenate([[0.0], np.geomspace(0.003, 30.0, 40)])
_SURE = np.array([0.3, 0.4, 0.5, 0.6, 0.65, 0.7, 0.75, 0.8, 0.84, 0.88, 0.91, 0.94, 0.97])


@dataclass(frozen=True, slots=True, eq=False)
class Family:
    """One policy at many settings of its dial: arrays of shape (settings, tasks)."""

    name: str
    reward: Floats
    cost: Floats
    seconds: Floats
    attempts: Floats

    def curve(self) -> list[tuple[float, float]]:
        """Cost and completions at each setting, by cost."""
        return sorted(zip(self.cost.mean(axis=1).tolist(), self.reward.mean(axis=1).tolist(), strict=True))


def joined(name: str, families: Sequence[Family]) -> Family:
    """All settings of several families as one dial."""
    reward, cost, seconds, attempts = (
        np.concatenate([getattr(family, part) for family in families])
        for part in ("reward", "cost", "seconds", "attempts")
    )
    return Family(name, reward, cost, seconds, attempts)


def value_routes(name: str, outcomes: Outcomes, chances: Floats, prices: Floats) -> Family:
    """For each weight of money the model of the highest chance less its price; `prices` (tasks, models) are mean
    costs on the tasks learned from, in shares of the reference's."""
    chosen = [np.argmax(chances - weight * prices, axis=1) for weight in _WEIGHTS]
    return _chosen(name, outcomes, chosen)


def cheapest_sure(name: str, outcomes: Outcomes, chances: Floats, prices: Floats) -> Family:
    """For each threshold the cheapest model whose chance reaches it, else the most promising."""
    chosen = []
    for sure in _SURE:
        enough = chances >= sure
        cheapest = np.argmin(np.where(enough, prices, np.inf), axis=1)
        chosen.append(np.where(enough.any(axis=1), cheapest, np.argmax(chances, axis=1)))
    return _chosen(name, outcomes, chosen)


def _chosen(name: str, outcomes: Outcomes, chosen: "Sequence[NDArray[np.intp]]") -> Family:
    rows = np.arange(outcomes.tasks)
    reward, cost, seconds = (
        np.stack([values[rows, column] for column in chosen])
        for values in (outcomes.mean_reward, outcomes.mean_cost, outcomes.mean_seconds)
    )
    return Family(name, reward, cost + DECISION_USD, seconds, np.ones_like(reward))


def set_by_others(family: Family, folds: Sequence[Fold], reference: Played, aim: Aim, name: str) -> Played:
    """Judges every fold at the setting that the `aim` picks on all the other folds, beside the reference there. The
    reference alone is always a setting too."""
    alone = Family(
        "", *(getattr(reference, part)[None] for part in ("reward", "cost", "seconds", "attempts"))
    )
    family = joined(family.name, [family, alone])
    parts = {part: np.empty(family.reward.shape[1]) for part in ("reward", "cost", "seconds", "attempts")}
    for fold in folds:
        others = fold.learn
        setting = aim(
            family.reward[:, others], family.cost[:, others], reference.reward[others], reference.cost[others]
        )
        for part, values in parts.items():
            values[fold.judge] = getattr(family, part)[setting, fold.judge]
    return Played(name, **parts)


def match(reward: Floats, cost: Floats, reference_reward: Floats, reference_cost: Floats) -> int:
    """The cheapest setting that completes what the reference does by a standard error of their paired difference:
    the cheapest of many that seem to do as well mostly had luck. The reference itself always does."""
    gap = reward - reference_reward
    enough = gap.mean(axis=1) >= gap.std(axis=1) / np.sqrt(gap.shape[1])
    return int(
        np.argmin(np.where(enough, cost.mean(axis=1), np.inf))
        if enough.any()
        else np.argmax(gap.mean(axis=1))
    )


def afford(share: float) -> Aim:
    """The setting that completes most at no more than a share of the reference's cost."""

    def pick(reward: Floats, cost: Floats, reference_reward: Floats, reference_cost: Floats) -> int:
        spent = cost.mean(axis=1)
        enough = spent <= share * reference_cost.mean()
        return int(
            np.argmax(np.where(enough, reward.mean(axis=1), -1.0)) if enough.any() else np.argmin(spent)
        )

    return pick
