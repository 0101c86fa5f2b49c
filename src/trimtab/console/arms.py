"""Randomised runs as arms: what each model completed and cost where a lot drew it, and how surely. Pure.

The arm of a run is the model that was drawn for it, whatever answered in the end: who falls back from a model that is
down has still drawn it.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from functools import partial
from itertools import takewhile

import msgspec
import numpy as np

from trimtab.evaluation import (
    Interval,
    Mark,
    Outcomes,
    PlanePoint,
    Played,
    Resamples,
    mixture_line,
    split_half_oracle,
)
from trimtab.store import DrawnRun

LEAST_RUNS = 30
_LEAST_TASKS = 30
_REPEATS = (4, 2)
_TIMES = 400
_STEPS = 12
_Z = 1.959964
_NANO = 1e9
# An arm that is missed in so many times its turns was not drawn among then: by chance once in 10^8 times.
_MISSED_TURNS = 20


class Arm(msgspec.Struct, frozen=True):
    """What is compared: runs, share completed, USD a run and USD a completed run (None: none was completed)."""

    name: str
    mark: Mark
    runs: int
    completed: int
    unpriced: int
    completions: Interval
    cost: Interval
    cost_per_completed: Interval | None

    @property
    def drawn(self) -> bool:
        """Whether it is worth a point."""
        return self.runs >= LEAST_RUNS and self.cost_per_completed is not None


class Experiment(msgspec.Struct, frozen=True):
    """The arms of one policy over the same time, the runs that could not be told, and the ceiling where tasks repeat
    (`tasks` of them). `since`: the draw has had these weights since then, as far as the runs go back."""

    policy: str
    arms: tuple[Arm, ...]
    since: float
    untold: int
    reweighted: bool
    ceiling: Arm | None = None
    tasks: int = 0


def experiments_of(runs: Sequence[DrawnRun]) -> list[Experiment]:
    """One for each policy that drew; `runs` the latest first. The policy with most runs is first."""
    by_policy: dict[str, list[DrawnRun]] = defaultdict(list)
    for run in runs:
        by_policy[run.policy].append(run)
    named = sorted(by_policy.items(), key=lambda item: (-len(item[1]), item[0]))
    return [found for policy, mine in named if (found := _experiment(policy, mine)) is not None]


def _experiment(policy: str, runs: Sequence[DrawnRun]) -> Experiment | None:
    told = [run for run in runs if run.model]
    weights: dict[str, str] = {}
    # Runs under other weights are of another time: a model that got more of the later tasks cannot be compared.
    kept = _together(list(takewhile(partial(_same_weight, weights), told)))
    if not kept:
        return None
    by_model: dict[str, list[DrawnRun]] = defaultdict(list)
    for run in kept:
        by_model[run.model].append(run)
    arms = [_arm(model, mine) for model, mine in by_model.items()]
    arms.sort(key=lambda arm: (arm.cost.value, arm.name))
    ceiling, tasks = _ceiling([arm.name for arm in arms if arm.drawn], by_model)
    since = min(run.started_at for run in kept)
    return Experiment(
        policy, tuple(arms), since, len(runs) - len(told), len(kept) < len(told), ceiling, tasks
    )


def _same_weight(weights: dict[str, str], run: DrawnRun) -> bool:
    return weights.setdefault(run.model, run.weight) == run.weight


def _together(drawn: list[DrawnRun]) -> list[DrawnRun]:
    """Of runs, the latest first, those of the time in which the same models were drawn among."""
    for model, count in Counter(each.model for each in drawn).items():
        places = [place for place, each in enumerate(drawn) if each.model == model]
        newest, oldest = places[0], places[-1]
        turn = (oldest - newest + 1) / count
        if newest > _MISSED_TURNS * turn:
            return _together(drawn[:newest])
        if len(drawn) - 1 - oldest > _MISSED_TURNS * turn:
            return _together(drawn[: oldest + 1])
    return drawn


def _arm(name: str, runs: Sequence[DrawnRun]) -> Arm:
    good = np.array([run.completed for run in runs], float)
    cost = np.array([run.nanodollars / _NANO for run in runs])
    # Runs of one task go together.
    groups = np.array([f"task {run.task}" if run.task else f"{run.tenant} {run.id}" for run in runs])
    resamples = Resamples(groups, times=_TIMES)
    return Arm(
        name,
        "single",
        len(runs),
        int(good.sum()),
        sum(run.unpriced > 0 for run in runs),
        _wider(resamples.mean(good), wilson(int(good.sum()), len(runs))),
        resamples.mean(cost),
        resamples.ratio(cost, good),
    )


def wilson(hits: int, count: int) -> Interval:
    """A share and its 95 % score interval (Wilson 1927)."""
    share, square = hits / count, _Z * _Z / count
    middle = (share + square / 2) / (1 + square)
    half = _Z * math.sqrt(share * (1 - share) / count + square / (4 * count)) / (1 + square)
    return Interval(share, max(0.0, middle - half), min(1.0, middle + half))


def _wider(one: Interval, other: Interval) -> Interval:
    """Resampling knows that runs of a task go together, and nothing of what never happened yet."""
    assert one.high is not None
    assert other.high is not None
    return Interval(one.value, min(one.low, other.low), max(one.high, other.high))


def _ceiling(models: Sequence[str], by_model: dict[str, list[DrawnRun]]) -> tuple[Arm | None, int]:
    """Who knows each task's best model: only where most runs are of tasks that every model did several times."""
    if len(models) < 2:
        return None, 0
    many = Counter({model: len(by_model[model]) for model in models}).total()
    runs = {model: _by_task(by_model[model]) for model in models}
    for repeats in _REPEATS:
        tasks = [
            task
            for task in runs[models[0]]
            if all(len(runs[model].get(task, ())) >= repeats for model in models)
        ]
        held = sum(len(runs[model][task]) for model in models for task in tasks)
        if len(tasks) >= _LEAST_TASKS and held >= many / 2:
            return _oracle(models, tasks, runs, repeats), len(tasks)
    return None, 0


def _by_task(runs: Iterable[DrawnRun]) -> dict[str, list[DrawnRun]]:
    found: dict[str, list[DrawnRun]] = defaultdict(list)
    for run in runs:
        if run.task:
            found[run.task].append(run)
    return found


def _oracle(
    models: Sequence[str], tasks: Sequence[str], runs: dict[str, dict[str, list[DrawnRun]]], repeats: int
) -> Arm | None:
    cells = [[runs[model][task][:repeats] for model in models] for task in tasks]
    reward = np.array([[[float(run.completed) for run in cell] for cell in row] for row in cells])
    cost = np.array([[[run.nanodollars / _NANO for run in cell] for cell in row] for row in cells])
    index = np.arange(len(tasks), dtype=np.intp)
    outcomes = Outcomes(tuple(models), index, reward, cost, np.full_like(reward, np.nan))
    played = split_half_oracle(outcomes)
    return None if played is None else _of_played(played, index)


def _of_played(played: Played, groups: np.ndarray[tuple[int, ...], np.dtype[np.intp]]) -> Arm:
    resamples, count = Resamples(groups, times=_TIMES), len(played.reward)
    return Arm(
        played.name,
        "ceiling",
        count,
        round(float(played.reward.sum())),
        0,
        resamples.mean(played.reward),
        resamples.mean(played.cost),
        resamples.ratio(played.cost, played.reward),
    )


def points_of(arms: Iterable[Arm]) -> tuple[PlanePoint, ...]:
    """Cost per completed run against completion rate; those that are not drawn are left out."""
    return tuple(
        PlanePoint(
            arm.name,
            arm.cost_per_completed.value,
            arm.completions.value,
            arm.mark,
            arm.completions.low,
            arm.completions.high,
        )
        for arm in arms
        if arm.cost_per_completed is not None and (arm.mark != "single" or arm.drawn)
    )


def mixture_of(singles: Sequence[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
    """What coins between single models reach, given each one's (cost a run, completions): as (cost per completed run,
    completions). It is straight in cost a run, so not here."""
    hull = [point for point in mixture_line(singles) if point[1] > 0]
    places = []
    for one, other in zip(hull, hull[1:], strict=False):
        for step in range(_STEPS + 1):
            share = step / _STEPS
            quality = one[1] + (other[1] - one[1]) * share
            places.append(((one[0] + (other[0] - one[0]) * share) / quality, quality))
    return tuple(places)
