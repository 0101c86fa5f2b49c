"""Cascades with a learned verifier: try a cheap model, look at the attempt, accept it or pay for another one.

The verifier never sees an outcome: from the text and the statistics of the attempts paid so far it tells the chance
that each of them is right, and that another model would be. Every attempt and every decision is charged.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trimtab.evaluation import Outcomes, frontier
from trimtab.learning.recorded import RecordedSet
from trimtab.learning.routes import DECISION_USD, Family
from trimtab.learning.success import Fold, TaskSpace, forest_chances

Floats = NDArray[np.float64]

_SURE = (0.5, 0.6, 0.7, 0.75, 0.8, 0.84, 0.88, 0.91, 0.94, 0.97, 1.01)
_WEIGHTS = (0.0, 0.01, 0.03, 0.1, 0.3, 1.0)
_MOST_MODELS = 10


@dataclass(frozen=True, slots=True, eq=False)
class Ladder:
    """Models by index: `steps` are tried in that order; `wanted` are those whose chances are told at every step.

    `chances`: after each step, arrays (judged tasks, repeats, wanted).
    """

    steps: tuple[int, ...]
    wanted: tuple[int, ...]
    chances: tuple[Floats, ...]


def choose_pool(outcomes: Outcomes, rows: "NDArray[np.intp]", limit: float) -> tuple[int, ...]:
    """Models worth knowing on the tasks learned from: the frontier of singles, and the cheap ones (mean cost up to
    `limit`) that add most tasks nobody chosen so far does."""
    reward, cost = outcomes.mean_reward[rows], outcomes.mean_cost[rows].mean(axis=0)
    means = reward.mean(axis=0)
    best = frontier(list(zip(cost.tolist(), means.tolist(), strict=True)))
    chosen = [int(np.flatnonzero((cost == c) & (means == r))[0]) for c, r in best][-_MOST_MODELS // 2 :]
    cheap = choose_steps(outcomes, rows, limit, _MOST_MODELS // 2)
    return tuple(dict.fromkeys([*cheap, *chosen]))


def choose_steps(outcomes: Outcomes, rows: "NDArray[np.intp]", limit: float, count: int) -> tuple[int, ...]:
    """Up to `count` models of mean cost <= `limit`, each adding most to what those before it complete."""
    reward, cost = outcomes.mean_reward[rows], outcomes.mean_cost[rows].mean(axis=0)
    full = ~np.isnan(outcomes.reward).any(axis=(0, 2))
    able = [model for model in np.flatnonzero((cost <= limit) & full).tolist()]
    reached = np.zeros(rows.size)
    steps: list[int] = []
    while able and len(steps) < count:
        gains = [float(np.maximum(reached, reward[:, model]).mean()) for model in able]
        model = able.pop(int(np.argmax(gains)))
        reached = np.maximum(reached, reward[:, model])
        steps.append(model)
    return tuple(steps)


def climb(
    recorded: RecordedSet,
    space: TaskSpace,
    steps: Sequence[int],
    pool: Sequence[int],
    fold: Fold,
    seed: int,
) -> Ladder:
    """Learns the verifier of every step on one fold."""
    wanted = tuple(dict.fromkeys([*steps, *pool]))
    chances = [
        forest_chances(recorded, space, steps[: at + 1], wanted, fold, seed + at) for at in range(len(steps))
    ]
    return Ladder(tuple(steps), wanted, tuple(chances))


def cascades(
    outcomes: Outcomes, folds: Sequence[Fold], ladders: Sequence[Ladder], prices: Floats, depth: int
) -> Family:
    """Cascades over the first `depth` steps at every setting of the dial: how sure to be, how much money weighs."""
    settings = [(sure, weight) for sure in _SURE for weight in _WEIGHTS]
    shape = (len(settings), outcomes.tasks)
    reward, cost, seconds, attempts = (np.zeros(shape) for _ in range(4))
    for fold, ladder in zip(folds, ladders, strict=True):
        for at, (sure, weight) in enumerate(settings):
            climbed = _Climb(outcomes, fold.judge, ladder)
            for step in range(min(depth, len(ladder.steps))):
                climbed.attempt(step, sure)
            climbed.escalate(weight * prices[fold.judge[0]])
            for values, reached in zip((reward, cost, seconds, attempts), climbed.means(), strict=True):
                values[at, fold.judge] = reached
    return Family(f"cascade of {depth}", reward, cost, seconds, attempts)


class _Climb:
    """One pass of all judged tasks and repeats up a ladder."""

    def __init__(self, outcomes: Outcomes, rows: "NDArray[np.intp]", ladder: Ladder) -> None:
        self._outcomes, self._rows, self._ladder = outcomes, rows, ladder
        self._shape = (rows.size, outcomes.reward.shape[2])
        self._reward, self._cost, self._seconds, self._attempts = (np.zeros(self._shape) for _ in range(4))
        self._going = np.ones(self._shape, bool)
        self._step = -1

    def attempt(self, step: int, sure: float) -> None:
        """Tasks still going pay for this step; those whose best answer so far is sure enough stop with it."""
        model = self._ladder.steps[step]
        self._pay(self._going, self._of(self._outcomes.cost, model), self._of(self._outcomes.seconds, model))
        self._step = step
        chance, answer = self._best_so_far()
        self._reward = np.where(self._going, answer, self._reward)
        self._going &= chance < sure

    def escalate(self, prices: Floats) -> None:
        """Who is not sure yet pays for the untried model worth most, where one promises more than it costs."""
        wanted = self._ladder.wanted
        tried = set(self._ladder.steps[: self._step + 1])
        free = [at for at, model in enumerate(wanted) if model not in tried]
        if not free:
            return
        chances = self._chances()
        value = chances[:, :, free] - prices[[wanted[at] for at in free]]
        pick = np.argmax(value, axis=2)
        go = self._going & (np.max(value, axis=2) > self._best_so_far()[0])
        model = np.array([wanted[at] for at in free])[pick]
        rows = self._rows[:, None]
        self._pay(go, self._outcomes.mean_cost[rows, model], self._outcomes.mean_seconds[rows, model])
        self._reward = np.where(go, self._outcomes.mean_reward[rows, model], self._reward)

    def means(self) -> tuple[Floats, Floats, Floats, Floats]:
        """Reward, cost, seconds and attempts by task."""
        reward, cost, seconds, attempts = (
            values.mean(axis=1) for values in (self._reward, self._cost, self._seconds, self._attempts)
        )
        return reward, cost, seconds, attempts

    def _pay(self, who: "NDArray[np.bool_]", cost: Floats, seconds: Floats) -> None:
        self._cost += np.where(who, cost + DECISION_USD, 0.0)
        self._seconds += np.where(who, seconds, 0.0)
        self._attempts += who

    def _best_so_far(self) -> tuple[Floats, Floats]:
        """The highest chance among the attempts paid for, and the reward of that attempt."""
        steps = self._ladder.steps[: self._step + 1]
        columns = [self._ladder.wanted.index(model) for model in steps]
        chances = self._chances()[:, :, columns]
        best = np.argmax(chances, axis=2)
        answers = np.stack([self._of(self._outcomes.reward, model) for model in steps], axis=2)
        at = best[:, :, None]
        return (
            np.take_along_axis(chances, at, axis=2)[:, :, 0],
            np.take_along_axis(answers, at, axis=2)[:, :, 0],
        )

    def _chances(self) -> Floats:
        return self._ladder.chances[self._step]

    def _of(self, values: Floats, model: int) -> Floats:
        return values[self._rows, model]
