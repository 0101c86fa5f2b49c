"""Recorded outcomes of several models on the same tasks, and what a policy makes of them. Pure values.

A policy is charged for every attempt; a task that was run several times counts with its mean over the runs.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trimtab.evaluation.bounds import Floats

Indices = NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class Outcomes:
    """Arrays of shape (tasks, models, repeats): reward 0..1, cost in USD, seconds; NaN where not recorded.

    `groups` says which tasks go together: they are never split between learning and judging.
    """

    models: tuple[str, ...]
    groups: NDArray[np.intp]
    reward: Floats
    cost: Floats
    seconds: Floats

    @property
    def tasks(self) -> int:
        """How many tasks."""
        return int(self.reward.shape[0])

    @property
    def mean_reward(self) -> Floats:
        """By task and model, over repeats."""
        return np.asarray(np.nanmean(self.reward, axis=2), float)

    @property
    def mean_cost(self) -> Floats:
        """By task and model, over repeats."""
        return np.asarray(np.nanmean(self.cost, axis=2), float)

    @property
    def mean_seconds(self) -> Floats:
        """By task and model, over repeats; NaN where nobody took the time."""
        told = ~np.isnan(self.seconds)
        total = np.where(told, self.seconds, 0.0).sum(axis=2)
        return np.where(told.any(axis=2), total / np.maximum(told.sum(axis=2), 1), np.nan)


@dataclass(frozen=True, slots=True, eq=False)
class Played:
    """What a policy reached on each task: reward, USD and seconds of all its attempts, and their number."""

    name: str
    reward: Floats
    cost: Floats
    seconds: Floats
    attempts: Floats

    @property
    def completions(self) -> float:
        """The share of runs that did their job."""
        return float(self.reward.mean())

    @property
    def mean_cost(self) -> float:
        """USD per run."""
        return float(self.cost.mean())


def play_single(outcomes: Outcomes, model: str) -> Played:
    """One model for everything."""
    column = np.full(outcomes.tasks, outcomes.models.index(model), dtype=np.intp)
    return play_choices(outcomes, column, model)


def play_choices(outcomes: Outcomes, chosen: Indices, name: str) -> Played:
    """One model a task, by index, chosen before any attempt."""
    rows = np.arange(outcomes.tasks)
    return Played(
        name,
        outcomes.mean_reward[rows, chosen],
        outcomes.mean_cost[rows, chosen],
        outcomes.mean_seconds[rows, chosen],
        np.ones(outcomes.tasks),
    )


def play_random(outcomes: Outcomes, name: str = "random model") -> Played:
    """Any of the models with equal chance, in expectation."""
    return Played(
        name,
        outcomes.mean_reward.mean(axis=1),
        outcomes.mean_cost.mean(axis=1),
        outcomes.mean_seconds.mean(axis=1),
        np.ones(outcomes.tasks),
    )


def best_single(outcomes: Outcomes) -> str:
    """The model that completes most, the cheaper of equals."""
    return min(
        zip(-outcomes.mean_reward.mean(axis=0), outcomes.mean_cost.mean(axis=0), outcomes.models, strict=True)
    )[2]
