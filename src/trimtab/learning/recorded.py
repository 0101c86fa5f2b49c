"""Recorded outcomes of several models on the same tasks, with what a policy may see of them.

Read by the readers of `outcome_sets.py`, judged by `comparison.py`. A policy sees text and features before it
chooses, and the statistics of an attempt only after that attempt was paid for; never an outcome.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from trimtab.core.errors import DataError
from trimtab.evaluation import Outcomes

Floats = np.typing.NDArray[np.float64]

_WORD = re.compile(r"[a-z]{3,}")
_NUMBER = re.compile(r"\d+")
_QUOTED = re.compile(r"'[^']+'|\"[^\"]+\"")


class TaskFacts(msgspec.Struct, frozen=True):
    """What is known of a task before anybody tries it. Tasks of one `group` are never learned from and judged."""

    text: str
    group: str
    features: tuple[float, ...] = ()


class Attempted(msgspec.Struct, frozen=True):
    """One model's recorded try. `cost` in USD, None where it was not recorded; `statistics` are seen afterwards."""

    task: str
    model: str
    reward: float
    cost: float | None = None
    seconds: float | None = None
    repeat: int = 0
    statistics: tuple[float | None, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class RecordedSet:
    """`features`: (tasks, n); `statistics`: (tasks, models, repeats, n), NaN where not recorded."""

    name: str
    tasks: tuple[str, ...]
    texts: tuple[str, ...]
    features: Floats
    statistics: Floats
    outcomes: Outcomes
    reference: str = ""
    notes: tuple[str, ...] = ()


def assemble(
    name: str,
    facts: Mapping[str, TaskFacts],
    attempts: Iterable[Attempted],
    reference: str = "",
    notes: tuple[str, ...] = (),
) -> RecordedSet:
    """Lays rows out as arrays. Models and tasks that leave holes are left out so that most outcomes stay; an
    unrecorded cost becomes the mean of that model's recorded ones. Both are said in the notes. Raises DataError
    where fewer than two models share tasks of two groups."""
    rows = list(attempts)
    models, tasks = _without_holes(rows, facts)
    if len(models) < 2 or len({facts[task].group for task in tasks}) < 2:
        raise DataError(
            "fewer than two models have outcomes on the same tasks",
            file=name,
            field="model",
            remedy="policies are compared where several models did the same tasks",
        )
    task_index, model_index = _indexed(tasks), _indexed(models)
    repeats = {repeat: at for at, repeat in enumerate(sorted({row.repeat for row in rows}))}
    width = max((len(row.statistics) for row in rows), default=0)
    shape = (len(tasks), len(models), len(repeats))
    reward, cost, seconds = (np.full(shape, np.nan) for _ in range(3))
    statistics = np.full((*shape, width), np.nan)
    for row in rows:
        if row.task not in task_index or row.model not in model_index:
            continue
        at = task_index[row.task], model_index[row.model], repeats[row.repeat]
        reward[at] = row.reward
        cost[at] = np.nan if row.cost is None else row.cost
        seconds[at] = np.nan if row.seconds is None else row.seconds
        statistics[at] = [np.nan if value is None else value for value in row.statistics]
    cost, filled = _filled(cost, reward)
    groups = np.unique([facts[task].group for task in tasks], return_inverse=True)[1].reshape(-1)
    said = [*notes]
    dropped = len({row.model for row in rows}) - len(models)
    if len(tasks) < len(facts) or dropped:
        said.append(f"{len(facts) - len(tasks)} tasks and {dropped} models left out: not tried together")
    if filled:
        said.append(f"{filled} attempts without a recorded cost are charged their model's mean")
    return RecordedSet(
        name,
        tuple(tasks),
        tuple(facts[task].text for task in tasks),
        np.array([[*text_features(facts[task].text), *facts[task].features] for task in tasks], float),
        statistics,
        Outcomes(tuple(models), groups, reward, cost, seconds),
        reference,
        tuple(said),
    )


def text_features(text: str) -> tuple[float, ...]:
    """Plain counts of a text: what a task's size and form give away."""
    lower = text.lower()
    return (
        float(np.log1p(len(text))),
        float(len(text.split())),
        float(len(_NUMBER.findall(text))),
        float(text.count(",")),
        float(lower.count(" and ")),
        float(len(_QUOTED.findall(text))),
        float(text.count("?")),
        float(text.count("\n")),
    )


def tool_features(text: str, tools: Iterable[Mapping[str, object]]) -> tuple[float, ...]:
    """How many tools are declared, how much they ask for, and how much of the text speaks of them."""
    names, properties, required, words = 0, [], [], set()
    for tool in tools:
        names += 1
        parameters = tool.get("parameters")
        schema = parameters if isinstance(parameters, Mapping) else {}
        properties.append(len(schema.get("properties") or ()))
        required.append(len(schema.get("required") or ()))
        words |= _words(f"{tool.get('name', '')} {tool.get('description', '')}")
    said = _words(text)
    numbers = len(_NUMBER.findall(text))
    mean_required = sum(required) / max(names, 1)
    return (
        float(names),
        sum(properties) / max(names, 1),
        float(max(properties, default=0)),
        mean_required,
        float(len(words)),
        len(said & words) / (len(said) + 1),
        len(said & words) / (len(words) + 1),
        numbers - mean_required,
    )


def _without_holes(rows: Sequence[Attempted], facts: Mapping[str, TaskFacts]) -> tuple[list[str], list[str]]:
    """The models and tasks of which most outcomes are left when every model must have tried every task."""
    tried: dict[str, set[str]] = {}
    for row in rows:
        if row.task in facts:
            tried.setdefault(row.model, set()).add(row.task)
    widest: list[str] = []
    most = 0
    for first in tried:
        chosen, shared = [first], tried[first]
        free = set(tried) - {first}
        while free:
            model = max(sorted(free), key=lambda name: len(tried[name] & shared))
            free.remove(model)
            chosen, shared = [*chosen, model], shared & tried[model]
            if len(chosen) * len(shared) > most:
                widest, most = chosen, len(chosen) * len(shared)
    kept = set(widest)
    tasks = [task for task in facts if all(task in tried[model] for model in kept)]
    return [model for model in tried if model in kept], tasks


def _words(text: str) -> set[str]:
    return set(_WORD.findall(text.lower()))


def _indexed(names: Iterable[str]) -> dict[str, int]:
    return {name: at for at, name in enumerate(names)}


def _filled(cost: Floats, reward: Floats) -> tuple[Floats, int]:
    missing = np.isnan(cost) & ~np.isnan(reward)
    if not missing.any():
        return cost, 0
    means = np.nanmean(cost, axis=(0, 2), keepdims=True)
    return np.where(missing, means, cost), int(missing.sum())
